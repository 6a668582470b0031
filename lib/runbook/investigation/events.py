"""What happened when, for the charts and the timeline of one incident. Pure."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from runbook.investigation.definitions import Context
from runbook.investigation.results import Results
from runbook.model import Event


@runtime_checkable
class Eventful(Protocol):
    """Facts that hold events: rollouts, restarts."""

    @property
    def events(self) -> tuple[Event, ...]:
        """In any order."""


def events(context: Context, results: Results) -> tuple[Event, ...]:
    """The events that every chart shows, in the window: what the checks found, the onset, and the alert itself."""
    every = (one.facts for one in results.values())
    found = [event for facts in every if isinstance(facts, Eventful) for event in facts.events]
    if results.onset is not None:
        found.append(Event(results.onset, "onset", "onset"))
    found.append(Event(context.started_at, "alert", "alert"))
    inside = (event for event in found if context.start <= event.time <= context.end)
    return tuple(sorted(inside, key=lambda event: (event.time, event.label)))
