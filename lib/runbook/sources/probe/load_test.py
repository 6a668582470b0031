"""A simple load test: the same request many times over, a few at once; how long it took and how often it failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from runbook.model import JSON
from runbook.text.format import percentile

AT_ONCE = 5
MOST = 200

Request = Callable[[float], Mapping[str, JSON]]


@dataclass(frozen=True)
class Shot:
    """One request to its end; `trouble` is "" where it was answered well."""

    seconds: float
    trouble: str


def fire(request: Request, count: int, seconds: float) -> list[Shot]:
    """`request(seconds left)`, giving a `status` and an `error`, at most `count` times, until the time is up."""
    ends = time.monotonic() + seconds

    def shoot(_: int) -> Shot | None:
        began = time.monotonic()
        if began >= ends:
            return None
        seen = request(ends - began)
        return Shot(time.monotonic() - began, _trouble(seen))

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="load") as pool:
        return [shot for shot in pool.map(shoot, range(count)) if shot]


def summary(shots: Sequence[Shot]) -> dict[str, JSON]:
    """How many were made and failed, and with which words; median, p95 and longest of the others in milliseconds."""
    times = sorted(round(shot.seconds * 1000, 1) for shot in shots if not shot.trouble)
    troubles = Counter(shot.trouble for shot in shots if shot.trouble)
    return {
        "made": len(shots),
        "failures": troubles.total(),
        "troubles": dict(sorted(troubles.items())),
        "median_ms": round(median(times), 1) if times else None,
        "p95_ms": percentile(times, 95) if times else None,
        "max_ms": times[-1] if times else None,
    }


def _trouble(seen: Mapping[str, JSON]) -> str:
    status, error = seen["status"], seen["error"]
    return str(error) if error else "" if 200 <= status < 400 else f"answers {status}"
