"""What a run starts from: its notebook, and all of its parameters, resolved and checked. No heavy import."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook.alerts import registry
from runbook.alerts.registry import Catalogue
from runbook.config.schema import Environment
from runbook.config.secrets import seal_key
from runbook.config.settings import Settings
from runbook.errors import ParameterError, RecordingError, UsageError
from runbook.investigation import window
from runbook.investigation.window import Value
from runbook.recording.file import file_of
from runbook.redaction.redactor import Redactor
from runbook.runs import parameters
from runbook.text.time import iso, stamp


@dataclass(frozen=True)
class RunPlan:
    """One run before it starts. `values` holds every parameter of the notebook."""

    alert: str
    notebook: Path
    values: dict[str, Value]
    evidence: Path
    started_at: float
    mitigated_at: float | None
    environment: Environment
    replayed: Path | None
    seal_key: bytes
    catalogue: Catalogue

    @property
    def incident(self) -> str:
        """The incident that the run belongs to."""
        return str(self.values["incident_id"])


def plan(
    alert: str,
    given: Mapping[str, Value],
    settings: Settings,
    *,
    evidence: Path | None,
    now: float,
    notebook: Path | None = None,
) -> RunPlan:
    """All parameters of a run: what was given, else what a recording was made with, else the notebook's defaults.

    Where real sources are asked, the defaults of an alert are: it started now, goes on, and has the next free ID.
    """
    catalogue = registry.of(settings)
    file = notebook or catalogue.notebook(alert)
    declared = parameters.declared(_read(file))
    values: dict[str, Value] = {name: one.default for name, one in declared.items()}
    _refuse_secrets(checked := parameters.check(declared, given))
    environment = settings.environment(str(checked.get("environment", values.get("environment", ""))))
    given_recording = str(checked.get("recording", ""))
    recording = Path(given_recording) if given_recording else catalogue.replayed(alert, environment)
    replayed = file_of(recording) if recording else None
    values |= (_recorded(replayed, own=not given_recording) if replayed else _fresh(now)) | checked
    texts = {name: str(value) for name, value in values.items()}
    times = (texts[name] for name in ("started_at", "lookback", "ended_at", "mitigated_at"))
    span = window.span(*times, now=math.inf if replayed else now)
    root = evidence or Path(environment.evidence)
    values["incident_id"] = window.incident_id(texts["incident_id"] or _next_incident(root, alert, span.started_at))
    return RunPlan(
        alert=alert,
        notebook=file,
        values=values,
        evidence=root,
        started_at=span.started_at,
        mitigated_at=span.mitigated_at,
        environment=environment,
        replayed=replayed,
        seal_key=seal_key(environment),
        catalogue=catalogue,
    )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The notebook {file} cannot be read ({type(error).__name__}); "
            "correct its path, or take it from version control again."
        ) from None


def _refuse_secrets(values: Mapping[str, Value]) -> None:
    """A parameter stays readable in the executed notebook for ever."""
    redactor = Redactor(emails=False)
    for name, value in values.items():
        if isinstance(value, str) and redactor.text(value) != value:
            raise ParameterError(
                f"The parameter {name} seems to hold a secret; "
                "put it in an environment variable and name that under `auth` in runbook.toml."
            )


def _fresh(now: float) -> dict[str, Value]:
    """The parameters of an alert that starts now, where real sources are asked."""
    return {"started_at": iso(now), "ended_at": "", "mitigated_at": "", "recording": "", "incident_id": ""}


def _recorded(recording: Path, *, own: bool) -> dict[str, Value]:
    """The parameters that a recording was made with; an environment that names its `own` remains the one asked."""
    from runbook.recording.replay import Replay

    try:
        header = Replay(recording).header
    except RecordingError as error:  # nothing was run yet
        raise UsageError(str(error)) from error
    left_out = ("recording", "environment") if own else ("recording",)
    return {name: str(value) for name, value in header.parameters.items() if name not in left_out}


def _next_incident(root: Path, alert: str, started_at: float) -> str:
    """The incident that already holds a run of the same alert from the same start, else a new one of that day."""
    folders = sorted(folder for folder in root.glob("INC-*") if folder.is_dir()) if root.is_dir() else []
    for folder in folders:
        if any(folder.glob(f"{alert}-{stamp(started_at)}*")):
            return folder.name
    return window.next_incident_id(started_at, [folder.name for folder in folders])
