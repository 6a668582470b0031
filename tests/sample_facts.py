"""What the checks of the hand-made investigation find."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.model import AlertFacts, Event, Facts


@dataclass(frozen=True, kw_only=True)
class Errors(AlertFacts):
    """What the samples' first check finds; `blips` have a default, which findings.json leaves out."""

    ratio: float
    last_week: float
    blips: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Changes(Facts):
    """What the samples' check of revisions finds."""

    revision: int
    near: bool


@dataclass(frozen=True)
class Messages(Facts):
    """What the samples' check of logs finds."""

    since_onset: int


@dataclass(frozen=True)
class Latency(Facts):
    """What the samples' check of the database finds."""

    p95: float
