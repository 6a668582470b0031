"""A copy of an alert's notebook for a person: parameters filled in, no outputs of the demonstration in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from runbook.config.settings import Settings
from runbook.errors import EvidenceError
from runbook.investigation.window import Value
from runbook.runs import parameters
from runbook.runs.parameters import Declared
from runbook.runs.plan import RunPlan, plan
from runbook.text.time import stamp


def make(alert: str, given: Mapping[str, Value], settings: Settings, *, evidence: Path | None = None) -> Path:
    """Write the copy into the incident's folder and return its path; the parameters are checked as for a run."""
    prepared = plan(alert, given, settings, evidence=evidence, now=time.time())
    prepared.catalogue.ready(alert, settings, prepared.environment)
    notebook = json.loads(prepared.notebook.read_text(encoding="utf-8"))
    _fill(notebook, prepared.values)
    folder = prepared.evidence / prepared.incident
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", _names(folder, prepared))
    except OSError as error:
        raise EvidenceError(
            f"The notebook cannot be written into {folder} ({error.strerror}); name another folder with --evidence."
        ) from None


def _fill(notebook: Any, values: Mapping[str, Value]) -> None:
    declared = parameters.declared(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        if "parameters" in cell["metadata"].get("tags", ()):
            lines = [_line(one, values[one.name]) for one in declared.values()]
            cell["source"] = [f"{line}\n" for line in lines[:-1]] + lines[-1:]


def _line(one: Declared, value: Value) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return f"{one.name}: {one.kind} = {text}" + (f"  # {one.comment}" if one.comment else "")


def _names(folder: Path, prepared: RunPlan) -> Iterator[Path]:
    base = f"{prepared.alert}-{stamp(prepared.started_at)}"
    return (folder / f"{base}{'' if number == 1 else f'-{number}'}.ipynb" for number in count(1))


def _write(text: str, names: Iterator[Path]) -> Path:
    for path in names:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise AssertionError("there is always another name")
