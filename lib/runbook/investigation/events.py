"""What happened when, for the charts and the timeline of one incident. Pure."""

from __future__ import annotations

from runbook.investigation.definitions import Context
from runbook.investigation.results import Results
from runbook.model import Event, EventFacts


def events(context: Context, results: Results) -> tuple[Event, ...]:
    """The events that every chart shows, in the window: what the checks found, the onset, and the alert itself."""
    found: list[Event] = []
    for result in results.values():
        if isinstance(result.facts, EventFacts):
            found.extend(result.facts.events)
    if results.onset is not None:
        found.append(Event(results.onset, "onset", "onset"))
    found.append(Event(context.started_at, "alert", "alert"))
    inside = (event for event in found if context.start <= event.time <= context.end)
    return tuple(sorted(inside, key=lambda event: (event.time, event.label)))
