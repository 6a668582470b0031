"""The catalogue of alerts, from three places with equal rights: this package, runbook.toml's folder, other packages.

Each place has modules (`queue_too_long.py`, holding `ALERT`), notebooks (`QueueTooLong.ipynb`) and recordings
(`QueueTooLong.jsonl.gz`). Names are found by the modules' text; only an alert that is wanted is imported, so that one
which cannot be imported costs nothing but itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbook.alerts import thresholds
from runbook.alerts.pack import Pack
from runbook.config import settings, toml
from runbook.config.paths import RECORDINGS
from runbook.config.schema import Environment, Service
from runbook.config.settings import PACKAGE, Settings
from runbook.errors import UsageError
from runbook.text.suggest import hint

if TYPE_CHECKING:  # a name is found without it
    from runbook.investigation.definitions import Alert
    from runbook.investigation.thresholds import Threshold

logger = logging.getLogger(__name__)
GROUP: Final = "runbook.alerts"


@dataclass(frozen=True)
class Catalogue:
    """All alerts of some places; `problems` says, a sentence each, which other places could not be looked into."""

    packs: tuple[Pack, ...]
    problems: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All alerts, in alphabetical order."""
        return tuple(sorted(self._packs))

    def pack(self, name: str) -> Pack:
        """Where an alert is; UsageError where it is nowhere, or in two places."""
        packs = self._packs.get(name, ())
        if not packs:
            raise UsageError(" ".join((f"There is no alert {name[:80]!r}; {hint(name, self._packs)}", *self.problems)))
        if len(packs) > 1:
            told = " and ".join(f"in {pack.place} ({pack.folder / pack.modules[name]}.py)" for pack in packs)
            raise UsageError(f"There are {len(packs)} alerts {name}: {told}; rename all but one.")
        return packs[0]

    def load(self, name: str) -> Alert:
        """The alert of that name; UsageError where its module cannot be imported, or holds another one."""
        return self.pack(name).load(name)

    def ready(self, name: str, known: Settings, environment: Environment) -> Alert:
        """The alert of that name, for an environment of these settings, whose thresholds are checked."""
        alert = self.load(name)
        self.check(known.service(environment.service), known.path, [alert])
        return alert

    def choose(self, names: Sequence[str]) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
        """These alerts; without names all that can be loaded, and a sentence for each other one."""
        return (tuple(map(self.load, names)), ()) if names else self.load_all()

    def load_all(self) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
        """All alerts that can be loaded, and a sentence for each that cannot and each place that is not there."""
        loaded: list[Alert] = []
        problems = [*self.problems]
        for name in self.names:
            try:
                loaded.append(self.load(name))
            except UsageError as error:
                problems.append(str(error))
        return tuple(loaded), tuple(problems)

    def notebook(self, name: str) -> Path:
        """The alert's notebook."""
        return self.pack(name).notebooks / f"{name}.ipynb"

    def replayed(self, name: str, environment: Environment) -> Path | None:
        """The recording that an environment replays for an alert; None where it asks its sources."""
        text = environment.recording.replace("{alert}", name)
        if not text.startswith(RECORDINGS):
            return Path(text) if text else None
        path = self.pack(name).recordings / text.removeprefix(RECORDINGS)
        if not path.is_file():
            raise UsageError(
                f"There is no recording of {name} yet: run it in another environment, "
                f"and copy recording.jsonl.gz from its bundle to {path}."
            )
        return path

    def check(self, service: Service, file: Path, wanted: Iterable[Alert] = ()) -> None:
        """Refuse a threshold of a profile that no alert declares, or that has no meaning for the alert.

        Other alerts than those that are `wanted` are imported only where a name is not theirs.
        """
        known = {one.name: one for one in thresholds.SHIPPED} | _by_name(wanted)
        problems: tuple[str, ...] = ()
        if service.thresholds.keys() - known.keys():
            loaded, problems = self.load_all()
            known |= _by_name(loaded)
        for name, value in service.thresholds.items():
            key = f"service.{service.name}.thresholds.{name}"
            if name in known and (problem := known[name].problem(value)):
                toml.refuse(file, key, problem)
            misspelled = bool(get_close_matches(name, known, n=1, cutoff=0.8))
            if name not in known and (misspelled or not problems):  # else it may be a broken alert's
                toml.refuse(file, key, f"is a threshold of no alert; {hint(name, known)}")

    @cached_property
    def _packs(self) -> Mapping[str, tuple[Pack, ...]]:
        """Where each alert is."""
        found: dict[str, tuple[Pack, ...]] = {}
        for pack in self.packs:
            for name in pack.modules:
                found[name] = (*found.get(name, ()), pack)
        return found


def _by_name(alerts: Iterable[Alert]) -> dict[str, Threshold]:
    return {one.name: one for alert in alerts for one in alert.thresholds}


def _notebooks() -> Path:
    """The shipped notebooks: inside the package when installed, beside lib/ in a checkout."""
    inside = PACKAGE / "notebooks"
    return inside if inside.is_dir() else PACKAGE.parent.parent / "notebooks"


_OWN: Final = Pack(
    "the package runbook", "runbook.alerts", Path(__file__).parent, _notebooks(), _notebooks() / "recordings"
)
SHIPPED: Final = Catalogue((_OWN,))


def of(known: Settings) -> Catalogue:
    """The shipped alerts, those in the settings' folder, and those of other installed packages."""
    packs, problems = [_OWN], []
    for found in (*_in_folder(known), *map(_installed, entry_points(group=GROUP))):
        if isinstance(found, Pack):
            packs.append(found)
        else:
            problems.append(found)
    return Catalogue(tuple(packs), tuple(problems))


def recorded(name: str, known: Settings | None = None) -> Alert:
    """The alert that a recording is of: a shipped one whatever the settings are, another one from where they say.

    `known`: settings other than those that are found.
    """
    if name in SHIPPED.names:
        return SHIPPED.load(name)
    known = known or settings.load()
    catalogue = of(known)
    if name not in catalogue.names:
        raise UsageError(
            " ".join(
                (
                    f"The recording is of the alert {name[:80]!r}, of which neither this package, another one nor "
                    f"{known.path} has the module; name the runbook.toml that it was recorded with by --settings or "
                    "RUNBOOK_SETTINGS.",
                    *catalogue.problems,
                )
            )
        )
    return catalogue.load(name)


def _in_folder(known: Settings) -> Iterator[Pack | str]:
    """The pack in the settings' folder, if they name one, or what is wrong with it."""
    folder = known.alerts_folder
    if folder is None:
        return
    if folder.is_dir():
        yield Pack.of(folder, f"the folder of {known.path}")
    else:
        yield (
            f"The folder {folder}, where {known.path} says that alerts are, does not exist; "
            "correct `alerts.folder`, or let `runbook new` create it."
        )


def _installed(point: EntryPoint) -> Pack | str:
    """The pack in the package that an entry point names, or what is wrong with it; only its parents are imported."""
    owner = f" of {point.dist.name}" if point.dist else ""
    try:
        spec = find_spec(point.value)
        folders = [Path(one) for one in (spec.submodule_search_locations or ()) if Path(one).is_dir()] if spec else []
        why = "it is not there" if spec is None else "it is no package with a folder"
    except Exception as error:
        logger.exception("The alerts of the package %s cannot be found", point.value)
        folders, why = [], f"{type(error).__name__}: {error}".rstrip(".")
    if not folders:
        return f"The alerts of the package {point.value}{owner} cannot be found ({why}); install it again or remove it."
    return Pack.of(folders[0], f"the package {point.value}{owner}", point.value)
