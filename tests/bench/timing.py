"""Time contenders fairly: in turn, several rounds, the median of each."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One contender: its median in seconds, and the slowest and fastest round."""

    what: str
    seconds: float
    fastest: float
    slowest: float


def compare(contenders: Mapping[str, Callable[[], object]], rounds: int = 7) -> list[Row]:
    """Each contender once a round, after one round that does not count."""
    times: dict[str, list[float]] = {what: [] for what in contenders}
    for counts in [False] + [True] * rounds:
        for what, run in contenders.items():
            gc.collect()
            began = time.perf_counter()
            run()
            if counts:
                times[what].append(time.perf_counter() - began)
    return [Row(what, statistics.median(one), min(one), max(one)) for what, one in times.items()]
