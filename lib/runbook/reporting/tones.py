"""The colour of each status: one everywhere. No status is said by its colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runbook.investigation.definitions import Severity
from runbook.model import State, Status

Tone = Literal["red", "green", "amber", "grey", "blue"]

STATUS: Mapping[Status, Tone] = {"abnormal": "red", "normal": "green", "unknown": "grey"}
STATE: Mapping[State, Tone] = {"supported": "red", "refuted": "green", "not tested": "grey"}
SEVERITY: Mapping[Severity, Tone] = {"critical": "red", "high": "red", "medium": "amber", "low": "grey"}
RECOVERY: Mapping[str, Tone] = {
    "recovered": "green",
    "not recovered": "red",
    "relapsed": "red",
    "not enough data": "grey",
    "not mitigated": "grey",
}
