"""A recording judged again by today's rules, and what its bundle found then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runbook.config.settings import Settings
from runbook.errors import RecordingError
from runbook.incident import Incident
from runbook.model import JSON
from runbook.recording.file import file_of
from runbook.recording.replay import Replay
from runbook.reporting.findings_json import compare, findings_json


@dataclass(frozen=True)
class Replayed:
    """What is found now. `differences` has a sentence for each thing found otherwise then; None without a "then".

    `complete` is false for the recording of a run that was killed, or of which the end was cut off.
    """

    findings: Mapping[str, JSON]
    differences: tuple[str, ...] | None
    complete: bool


def replay(target: Path, settings: Settings | None = None) -> Replayed:
    """Judge a recording, or the one of a bundle, anew; nobody is asked anything. Settings as for Incident.replay."""
    found = findings_json(Incident.replay(target, settings, partial_ok=True).investigation(verified=True))
    then = _then(target if target.is_dir() else target.parent)
    complete = Replay(file_of(target), partial_ok=True).complete
    return Replayed(found, None if then is None else tuple(compare(then, found)), complete)


def _then(folder: Path) -> Mapping[str, JSON] | None:
    """The findings beside the recording."""
    file = folder / "findings.json"
    try:
        found: Mapping[str, JSON] = msgspec.json.decode(file.read_bytes(), type=dict)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise RecordingError(
            f"The findings to compare with, {file}, cannot be read ({type(error).__name__}); "
            "run `runbook audit` on the bundle."
        ) from None
    return found
