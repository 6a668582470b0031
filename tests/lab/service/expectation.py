"""What is to be expected of the service at any time, without the noise of counting: one signal per alert. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.lab.service.answering import AWAY, STEEPNESS, TEMPER, TEMPERS, exceeds
from tests.lab.service.behaviour import Behaviour, unreachable
from tests.lab.service.world import CACHE_FULL, GUARDED, REASONS, REFUSED_LOGINS, Bools, Character, Floats

LATE = 2.0  # seconds
UNSEEN = ("shed", "starved")  # requests whose token nobody looks at
LOOKUPS = (*AWAY, "pool", "locked", "query")  # requests whose session may not be found


def expected(who: Character, seen: Behaviour, known: Bools) -> Mapping[str, Floats]:
    """By alert, what its rule looks at, of the whole service by time; `known`: which pods exist.

    Memory is without the cache that every container fills after its start.
    """
    running = ~np.isnan(seen.started)
    up = running * (1.0 - unreachable(seen.state)) * (1.0 - seen.state["scrape_fails"])
    return {
        "HighErrorRate": failing(seen),
        "SlowResponses": late(seen),
        "InstanceDown": _share((known * (1.0 - up)).sum(axis=0), known.sum(axis=0).astype(float)),
        "HighMemoryUsage": np.where(running, seen.memory - np.minimum(seen.cache, CACHE_FULL), 0.0).max(axis=0),
        "DatabaseConnectionErrors": seen.response.connection_errors.sum(axis=0) + _ending(seen.rate, seen, ["pool"]),
        "HighAuthFailureRate": failing_logins(who, seen),
    }


def failing(seen: Behaviour) -> Floats:
    """The share of requests that fail."""
    return _share((seen.rate * seen.response.failing).sum(axis=(0, 1)), seen.rate.sum(axis=(0, 1)))


def failing_logins(who: Character, seen: Behaviour) -> Floats:
    """The share of attempts to authenticate that fail."""
    guarded = seen.rate * (GUARDED > 0)
    failed = _ending(guarded, seen, REFUSED_LOGINS) + who.lost_sessions * _ending(guarded, seen, LOOKUPS)
    return _share(failed, guarded.sum(axis=(0, 1)) - _ending(guarded, seen, UNSEEN))


def late(seen: Behaviour) -> Floats:
    """The share of requests that take longer than LATE."""
    usual = exceeds(LATE, seen.response.median, STEEPNESS)
    chances = [
        exceeds(LATE, np.array(TEMPERS[TEMPER[reason]][0]), TEMPERS[TEMPER[reason]][1]) if reason in TEMPER else usual
        for reason in REASONS
    ]
    slow = sum((part * chance for part, chance in zip(seen.response.outcomes, chances, strict=True)), 0.0 * usual)
    return _share((seen.rate * slow).sum(axis=(0, 1)), seen.rate.sum(axis=(0, 1)))


def _ending(rate: Floats, seen: Behaviour, reasons: Sequence[str]) -> Floats:
    """Requests/s that end so."""
    places = [REASONS.index(reason) for reason in reasons]
    found: Floats = (rate * seen.response.outcomes[places].sum(axis=0)).sum(axis=(0, 1))
    return found


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
