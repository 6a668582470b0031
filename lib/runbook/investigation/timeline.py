"""When what happened, for how long, and whom it hit: the numbers and the timeline of an investigation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.investigation.result import Investigation
from runbook.model import AlertFacts

_WORDS = {"onset": "It began (found in the data)", "alert": "Alert triggered", "mitigation": "Mitigation applied"}


def impact(investigation: Investigation) -> str:
    """Requests, share and minutes in one clause, as the alert's first check counted them; "" where it could not."""
    first = next(iter(investigation.findings), None)
    facts = first.result.facts if first and first.ran else None
    return (facts.impact or "") if isinstance(facts, AlertFacts) else ""


@dataclass(frozen=True)
class Moment:
    """A line of the timeline; no time where nobody knows it yet."""

    time: float | None
    label: str


def began(investigation: Investigation) -> float:
    """The onset, or the alert where none was found."""
    onsets = [event.time for event in investigation.events if event.kind == "onset"]
    return min([*onsets, investigation.context.started_at])


def restored(investigation: Investigation) -> float | None:
    """When the watched series last came back to its threshold, if it stayed there."""
    recovery, watched = investigation.recovery, investigation.alert.recovery
    if recovery.state != "recovered" or not recovery.charts:
        return None
    chart = recovery.charts[0]
    line = next((s for s in chart.series if s.role == "now"), None)
    if line is None or chart.threshold is None:
        return None
    known = [(t, v) for t, v in zip(line.times, line.values, strict=True) if v == v]
    beyond = [i for i, (_, value) in enumerate(known) if watched.holds(value, chart.threshold)]
    after = known[beyond[-1] + 1 :] if beyond else known
    return float(after[0][0]) if after else None


def duration(investigation: Investigation) -> float | None:
    """Seconds from when it began to when it was restored; None while it is not."""
    end = restored(investigation)
    return None if end is None else end - began(investigation)


def timeline(investigation: Investigation) -> list[Moment]:
    """What happened when, in order; then the procedure's lines that nobody knows yet, in the procedure's order."""
    context = investigation.context
    known = [Moment(e.time, _WORDS.get(e.kind, e.label)) for e in investigation.events]
    asked = [
        Moment(context.started_at, "Alert triggered"),
        Moment(context.now, "Investigation started (this runbook ran)"),
        Moment(None, "Root cause identified"),
        Moment(context.mitigated_at, "Mitigation applied"),
        Moment(restored(investigation), "Service restored"),
        Moment(None, "Incident closed"),
    ]
    told = {moment.label for moment in known}
    every = known + [moment for moment in asked if moment.label not in told]
    return sorted(every, key=lambda m: (m.time is None, m.time or 0.0))
