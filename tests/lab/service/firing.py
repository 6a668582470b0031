"""When the alerts' rules would fire on what was drawn, and when the trouble behind it set in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.lab.service.simulation import LE, STATUSES, Drawn
from tests.lab.service.world import Floats

WINDOW = 300.0  # seconds of every rate
GAP = 180.0  # seconds as usual that do not yet divide one trouble from the next


@dataclass(frozen=True)
class Rule:
    """`signal` by time, or by pod and time; the alert fires when it was above the threshold for so many seconds.

    NaN is never above. `noticeable`: beyond its usual level by this much, what was expected says that a fault has set
    in; cold starts stay below.
    """

    signal: Callable[[Drawn], Floats]
    threshold: float
    hold: float
    noticeable: float


def failed_ratio(drawn: Drawn) -> Floats:
    """5xx / all requests."""
    counted = _recent(drawn, (drawn.requests * drawn.running).sum(axis=(1, 2)))
    failed = [number for number, status in enumerate(STATUSES) if status.startswith("5")]
    return _share(counted[failed].sum(axis=0), counted.sum(axis=0))


def failed_logins(drawn: Drawn) -> Floats:
    """Failed / all attempts to authenticate."""
    counted = _recent(drawn, (drawn.logins * drawn.running).sum(axis=1))
    return _share(counted[1], counted.sum(axis=0))


def late_requests(drawn: Drawn) -> Floats:
    """The share of requests that take longer than 2 s, taken as evenly spread in their bucket; above 5 %, so is p95."""
    counted = _recent(drawn, (drawn.durations * drawn.running).sum(axis=(1, 2)))
    bucket = int(np.searchsorted(LE, 2.0))
    part = (LE[bucket] - 2.0) / (LE[bucket] - LE[bucket - 1])
    return _share(counted[bucket + 1 :].sum(axis=0) + part * counted[bucket], counted.sum(axis=0))


def connection_errors(drawn: Drawn) -> Floats:
    """Failed connections to the database per second."""
    return _recent(drawn, (drawn.connection_errors * drawn.running).sum(axis=0)) / WINDOW


def memory(drawn: Drawn) -> Floats:
    """Resident memory of every pod."""
    return np.where(drawn.running, drawn.memory, np.nan)


def absent(drawn: Drawn) -> Floats:
    """1 while a pod cannot be scraped; NaN where there is none."""
    return np.where(drawn.known, ~drawn.scraped, np.nan)


RULES: Mapping[str, Rule] = {
    "HighErrorRate": Rule(failed_ratio, 0.05, 300.0, 0.025),
    "SlowResponses": Rule(late_requests, 0.05, 300.0, 0.01),
    "InstanceDown": Rule(absent, 0.5, 60.0, 0.05),
    "HighMemoryUsage": Rule(memory, 500 * 2.0**20, 900.0, 2.0**20),
    "DatabaseConnectionErrors": Rule(connection_errors, 0.1, 300.0, 0.02),
    "HighAuthFailureRate": Rule(failed_logins, 0.2, 300.0, 0.04),
}


def fires(rule: Rule, drawn: Drawn) -> float | None:
    """When the rule first fires, for whichever pod, evaluated at every scrape; None if it never does."""
    above = np.atleast_2d(np.nan_to_num(rule.signal(drawn)) > rule.threshold)
    times = drawn.times.mean(axis=0).tolist()
    return min((time for one in above if (time := _held(times, one.tolist(), rule.hold)) is not None), default=None)


def _held(times: Sequence[float], above: Sequence[bool], hold: float) -> float | None:
    """When it was so for long enough, first."""
    since: float | None = None
    for time, holds in zip(times, above, strict=True):
        since = (time if since is None else since) if holds else None
        if since is not None and time - since >= hold:
            return time
    return None


def onset(alert: str, drawn: Drawn, fired: float | None) -> float | None:
    """When what the alert looks at left its usual level, for the time that made it fire if it did."""
    rule, times, signal = RULES[alert], drawn.times.mean(axis=0), drawn.expected[alert]
    usual = float(np.median(signal[: signal.size // 4]))
    above = times[signal > usual + rule.noticeable]
    stretches = np.split(above, np.flatnonzero(np.diff(above) > GAP) + 1) if above.size else []
    if fired is None:
        return float(max(stretches, key=len)[0]) if stretches else None
    begun = [stretch for stretch in stretches if stretch[0] < fired]
    before = [stretch for stretch in begun if stretch[0] <= fired - rule.hold] or begun
    return float(before[-1][0]) if before else None


def _recent(drawn: Drawn, counts: Floats) -> Floats:
    """Sums over the last WINDOW seconds, along the last axis."""
    width = int(WINDOW / drawn.window.step)
    sums = np.cumsum(counts, axis=-1, dtype=np.float64)
    return sums - np.concatenate([np.zeros((*sums.shape[:-1], width)), sums[..., :-width]], axis=-1)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
