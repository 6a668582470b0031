"""A pack: one place with alerts, a folder of modules; finds them by their text, and imports the one that is wanted."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runbook.alerts import thresholds
from runbook.errors import DefinitionError, RunbookError, UsageError

if TYPE_CHECKING:  # a name is found without it
    from runbook.investigation.definitions import Alert

_HOLDS_ALERT = re.compile(rb"^ALERT\b", re.MULTILINE)


@dataclass(frozen=True)
class Pack:
    """Where alerts are: in words for a sentence, the package of their modules, and the folders of what belongs to them.

    The package of a `private` one is the folder itself: whatever is in it imports the rest by `from . import ...`.
    """

    place: str
    package: str
    folder: Path
    notebooks: Path
    recordings: Path
    private: bool = False

    @classmethod
    def of(cls, folder: Path, place: str, package: str = "") -> Self:
        """The pack in a folder: all beside each other, the recordings below."""
        private = f"runbook_alerts_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        return cls(place, package or private, folder, folder, folder / "recordings", private=not package)

    @property
    def rules(self) -> Path:
        """Where the unit tests of the rules are."""
        return self.folder / "rules"

    @cached_property
    def modules(self) -> dict[str, str]:
        """The modules that hold an alert, by its name: queue_too_long for QueueTooLong."""
        files = sorted(self.folder.glob("*.py"))
        stems = [file.stem for file in files if file.stem.isidentifier() and _holds_alert(file)]
        return {"".join(word.capitalize() for word in stem.split("_")): stem for stem in stems}

    def load(self, name: str) -> Alert:
        """The alert of that name, imported; UsageError, with the place of the fault, where that fails."""
        from runbook.investigation.definitions import Alert

        stem = self.modules[name]
        file = self.folder / f"{stem}.py"
        try:
            if self.private:
                _provide(self.package, self.folder)
            found = getattr(importlib.import_module(f"{self.package}.{stem}"), "ALERT", None)
            if isinstance(found, Alert):
                _try_words(found)
        except (Exception, SystemExit) as error:  # it is somebody's code: whatever it does costs this alert alone
            where, what = _fault(error, self.folder)
            raise UsageError(
                f"The alert {name} cannot be loaded: {where or file}: {what}; correct it there."
            ) from error
        if not isinstance(found, Alert) or found.name != name:
            held = f"the alert {found.name}" if isinstance(found, Alert) else f"a {type(found).__name__}"
            raise UsageError(f"The ALERT of {file} is {held}, not the alert {name}; name file and alert alike.")
        return found


def _try_words(alert: Alert) -> None:
    """Refuse an alert whose own words cannot be made, or that names a threshold of the package as its own."""
    for words in (alert.summary, alert.meaning):
        words({})
    shipped = {one.name: one for one in thresholds.SHIPPED}
    for own in alert.thresholds:
        if own.name in shipped and own != shipped[own.name]:
            raise DefinitionError(f"the threshold {own.name} is the package's; import it, or choose another name")


def _holds_alert(file: Path) -> bool:
    """One that cannot be read may: what is wrong is said when it is wanted."""
    try:
        return bool(_HOLDS_ALERT.search(file.read_bytes()))
    except OSError:
        return not file.is_dir()


def _provide(package: str, folder: Path) -> None:
    """The package whose modules are the folder's files, with what its `__init__` does, if there is one."""
    if package in sys.modules:
        return
    init, spec = folder / "__init__.py", ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    if init.is_file():
        spec = spec_from_file_location(package, init, submodule_search_locations=[str(folder)]) or spec
    module = sys.modules[package] = module_from_spec(spec)
    try:
        if init.is_file() and spec.loader:
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[package]
        raise


def _fault(error: BaseException, folder: Path) -> tuple[str, str]:
    """The line of the folder where it happened, "" where it was in none, and what happened."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    where = f"{lines[-1].filename}:{lines[-1].lineno}" if lines else ""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}", f"{type(error).__name__}: {error.msg}"
    if isinstance(error, RunbookError):
        return where, str(error).rstrip(".")
    said = next(iter(str(error).splitlines()), "")[:300].rstrip(".")
    return where, f"{type(error).__name__}{f': {said}' if said else ''}"
