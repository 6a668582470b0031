"""What is missing of an alert of one's own: what the tests of the shipped alerts ask for, asked of any other one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runbook.alerts.pack import Pack
from runbook.alerts.registry import SHIPPED
from runbook.errors import RecordingError
from runbook.investigation.definitions import Alert
from runbook.recording.replay import Replay


def missing(pack: Pack, alert: Alert) -> Iterator[str]:
    """A sentence for each thing; nothing for a shipped alert, which its own tests look after."""
    if pack not in SHIPPED.packs:
        yield from _of_notebook(pack, alert)
        yield from _of_recording(pack, alert)
        if not (test := pack.rules / f"{alert.name}.test.yml").is_file():
            yield f"{alert.name} has no test of its rule; write {test}."


def _of_notebook(pack: Pack, alert: Alert) -> Iterator[str]:
    path = pack.notebooks / f"{alert.name}.ipynb"
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{alert.name} has no notebook that can be read ({type(error).__name__}); write {path}."
        return
    for what, words in (("meaning", alert.meaning({})), ("impact", alert.impact)):
        if words not in text:
            yield f"The notebook {path} does not say the {what} of {alert.name} in the words of its module; copy them."
    for check in alert.checks:
        if f'"{check.name}"' not in text:
            yield f'The notebook {path} never asks the check {check.name}; add a cell incident.show("{check.name}").'


def _of_recording(pack: Pack, alert: Alert) -> Iterator[str]:
    path = pack.recordings / f"{alert.name}.jsonl.gz"
    if not path.is_file():
        yield f"{alert.name} has no recording; run it, and copy recording.jsonl.gz from the bundle to {path}."
        return
    try:
        recorded = Replay(path).header.alert
    except RecordingError as error:
        yield str(error)
        return
    if recorded != alert.name:
        yield f"{path} is a recording of {recorded}, not of {alert.name}; keep another one there."
