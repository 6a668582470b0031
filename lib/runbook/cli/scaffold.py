"""The frame of a new alert: a module that works as it stands, and its notebook, both to be edited by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runbook import alerts
from runbook.config.schema import Thresholds
from runbook.errors import EvidenceError, UsageError
from runbook.investigation.definitions import Alert

TEMPLATES = Path(__file__).resolve().parent / "templates"
_NAME = re.compile(r"([A-Z][a-z0-9]+){2,6}", re.ASCII)
_METRIC = re.compile(r"[a-z_][a-z0-9_]{0,120}", re.ASCII)
_UNIT = re.compile(r"[\w%][\w% /.]{0,39}")
_PARAMETERS = (
    'environment: str = "demo"  # where to ask: production, staging, lab, or demo to replay the bundled recording',
    'incident_id: str = ""',
    'started_at: str = ""  # the alert\'s startsAt',
    'lookback: str = "90m"  # how far to look back before it',
    'ended_at: str = ""  # empty: now',
    'mitigated_at: str = ""  # when a mitigation was applied; empty: not yet',
    'recording: str = ""  # replay this recording or bundle instead of asking',
)


@dataclass(frozen=True)
class Frame:
    """What a new alert is about: a gauge of the service, without its prefix, summed, above a threshold."""

    name: str
    metric: str
    above: float
    unit: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name[:80]!r} is no name for an alert; write two to six words like QueueTooLong.")
        if self.name in alerts.names():
            raise UsageError(f"There is an alert {self.name} already; choose another name.")
        if not _METRIC.fullmatch(self.metric):
            raise UsageError(
                f"{self.metric[:80]!r} is no metric's name; give it without the prefix, as cache_size_bytes."
            )
        if not _UNIT.fullmatch(self.unit):
            raise UsageError(f"{self.unit[:80]!r} is no unit; give a word or two, as connections.")
        if not 0 < self.above < float("inf"):
            raise UsageError("The threshold is a number above 0; give it with --above.")

    @property
    def module(self) -> str:
        """The module's name, by which the catalogue finds the alert: queue_too_long."""
        return "_".join(word.lower() for word in re.findall(r"[A-Z][a-z0-9]+", self.name))

    def source(self) -> str:
        """The text of the module."""
        title = self.metric.replace("_", " ").strip()
        template = Environment(  # noqa: S701 - Python, not HTML; every value was checked above
            loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
        ).get_template("alert.py.j2")
        return template.render(
            name=self.name,
            metric=self.metric,
            above=f"{self.above:g}" if "e" not in f"{self.above:g}" else repr(self.above),
            unit=self.unit,
            title=title.capitalize(),
        )


def notebook(alert: Alert) -> dict[str, Any]:
    """A notebook that asks every check of an alert: the first two parts, then one question a cell."""
    first, *rest = (check.name for check in alert.checks)
    opening = [
        "from runbook.incident import Incident",
        "",
        "incident = Incident.open(",
        f'    "{alert.name}", environment=environment, incident_id=incident_id, started_at=started_at, '
        "lookback=lookback,",
        "    ended_at=ended_at, mitigated_at=mitigated_at, recording=recording,",
        ")",
        "incident.context()",
    ]
    told = [
        f"# {alert.name}",
        f"**Meaning** {alert.meaning(Thresholds())}",
        f"**Impact** {alert.impact}",
        "## Parameters",
        "Change them and run all cells. As they stand they replay a recorded incident: no server is needed.",
    ]
    cells = [
        _markdown("\n\n".join(told)),
        _code(*_PARAMETERS, tags=["parameters"]),
        _markdown("## Context"),
        _code(*opening),
        _markdown("## Is it real?"),
        _code(f'incident.show("{first}")'),
        _markdown("## Diagnosis\n\nOne question per cell. Normal results take one line."),
        *(_code(f'incident.show("{name}")') for name in rest),
        *(_code(f"incident.{part}()") for part in ("causes", "mitigation", "verification", "record")),
    ]
    numbered = [{**cell, "id": f"cell-{number:02}"} for number, cell in enumerate(cells, start=1)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(*lines: str, tags: Sequence[str] = ()) -> dict[str, Any]:
    source = "\n".join(lines).splitlines(keepends=True)
    metadata: Mapping[str, Any] = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": [], "source": source}


def write(frame: Frame, alerts_folder: Path, notebooks_folder: Path) -> tuple[Path, Path]:
    """Write the module, load the alert from it, write the notebook: both or none, neither over what is there."""
    module, opened = alerts_folder / f"{frame.module}.py", notebooks_folder / f"{frame.name}.ipynb"
    if opened.exists():
        raise UsageError(f"{opened} is there already; choose another name.")
    _new(module, frame.source())
    try:
        _new(opened, json.dumps(notebook(alerts.load(frame.name)), ensure_ascii=False, indent=1) + "\n")
    except BaseException:
        module.unlink()
        raise
    return module, opened


def _new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already; choose another name.") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise EvidenceError(f"{path} cannot be written ({error.strerror}); work in a checkout of your own.") from None
