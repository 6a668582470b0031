"""The files of a new alert: a module that works as it stands, its notebook, and a test of its rule."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from runbook.alerts import registry
from runbook.alerts.pack import Pack
from runbook.cli.frame import Frame
from runbook.cli.rule_test import rule_test
from runbook.config.settings import DEMO, PACKAGE, Settings
from runbook.errors import EvidenceError, UsageError
from runbook.investigation.definitions import Alert

FOLDER = "alerts"
LINES = f'[alerts]\nfolder = "{FOLDER}"\n'
_PARAMETERS = (
    f'environment: str = "{DEMO}"  # where to ask; {DEMO} replays the recording of this alert, and asks nobody',
    'incident_id: str = ""',
    'started_at: str = ""  # the alert\'s startsAt; empty: the recorded incident, where one is replayed',
    'lookback: str = "90m"  # how far to look back before it',
    'ended_at: str = ""  # empty: now',
    'mitigated_at: str = ""  # when a mitigation was applied; empty: not yet',
    'recording: str = ""  # replay this recording or bundle instead of asking',
)


def folder_of(settings: Settings) -> Path:
    """Where alerts of one's own are written: never into the package."""
    folder = settings.alerts_folder or settings.path.parent / FOLDER
    if PACKAGE in folder.parents or folder == PACKAGE:
        first, second = LINES.splitlines()
        raise UsageError(
            "The settings in use are those of the package, which stays as it is: write a runbook.toml of your own, "
            f"with the two lines `{first}` and `{second}` in it, and give the command again."
        )
    return folder


def write(frame: Frame, settings: Settings, environment: str) -> tuple[Path, ...]:
    """Write module, notebook and rule test: all or none, none over what is there; then name the folder in the settings.

    The rule test is for the service of this environment.
    """
    if frame.name in registry.of(settings).names:
        raise UsageError(f"There is an alert {frame.name} already; choose another name.")
    service = settings.service(settings.environment(environment).service)
    if service.metric_prefix and any(one.startswith(service.metric_prefix) for one in (frame.metric, frame.of)):
        raise UsageError(
            f"Give the metric without {service.metric_prefix}: that is the prefix of {service.name} already."
        )
    pack = Pack.of(folder_of(settings), f"the folder of {settings.path}")
    module, opened = pack.folder / f"{frame.module}.py", pack.notebooks / f"{frame.name}.ipynb"
    tested = pack.rules / f"{frame.name}.test.yml"
    with ExitStack() as undo:
        for folder in (pack.folder, pack.recordings, pack.rules):
            folder.mkdir(parents=True, exist_ok=True)
        _new(module, frame.source(), undo)
        importlib.invalidate_caches()
        _new(opened, json.dumps(notebook(pack.load(frame.name)), ensure_ascii=False, indent=1) + "\n", undo)
        _new(tested, rule_test(frame, service, environment), undo)
        if settings.alerts_folder is None:
            _name_folder(settings.path)
        undo.pop_all()
    return module, opened, tested


def notebook(alert: Alert) -> dict[str, Any]:
    """A notebook that asks every check of an alert: the first two parts, then one question a cell."""
    first, *rest = (check.name for check in alert.checks)
    opening = [
        "from runbook.incident import Incident",
        "",
        "incident = Incident.open(",
        f'    "{alert.name}", environment=environment, incident_id=incident_id, started_at=started_at,',
        "    lookback=lookback, ended_at=ended_at, mitigated_at=mitigated_at, recording=recording,",
        ")",
        "incident.context()",
    ]
    told = [
        f"# {alert.name}",
        f"**Meaning** {alert.meaning({})}",
        f"**Impact** {alert.impact}",
        "## Parameters",
        "Change them and run all cells. As they stand they replay the recorded incident: no server is needed.",
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


def _new(path: Path, text: str, undo: ExitStack) -> None:
    """Write a file that is not there yet; `undo` takes it away again."""
    try:
        with path.open("x", encoding="utf-8") as file:
            undo.callback(path.unlink)
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already; choose another name.") from None
    except OSError as error:
        raise EvidenceError(f"{path} cannot be written ({error.strerror}); correct the folder's permissions.") from None


def _name_folder(file: Path) -> None:
    """Two lines at the end of the settings; nothing else in them changes."""
    try:
        text = file.read_bytes()
        with file.open("ab") as settings:
            settings.write((b"" if text.endswith(b"\n") or not text else b"\n") + f"\n{LINES}".encode())
    except OSError as error:
        first, second = LINES.splitlines()
        raise EvidenceError(
            f"{file} cannot be written ({error.strerror}): add the two lines `{first}` and `{second}` to it, "
            "and give the command again."
        ) from None
