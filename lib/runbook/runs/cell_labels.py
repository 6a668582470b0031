"""What a notebook's cell does, in words for a person who waits for it. Pure."""

from __future__ import annotations

import re

from runbook.investigation.definitions import Alert

_METHODS = {
    "Incident.open": "Ask all sources",
    ".context(": "Context",
    ".causes(": "Probable causes",
    ".mitigation(": "Mitigation",
    ".verification(": "Verification",
    ".escalation(": "Escalate if",
    ".record(": "Evidence",
}


def label(alert: Alert, heading: str, source: str) -> str:
    """The questions that the cell asks, else the part of the runbook it is, else the heading above it."""
    questions = {check.name: check.question for check in alert.checks}
    asked = [questions[name] for name in re.findall(r"[\"'](\w+)[\"']", source) if name in questions]
    if asked and ".show(" in source:
        return " ".join(asked)
    return next((words for call, words in _METHODS.items() if call in source), heading or "a cell without a heading")
