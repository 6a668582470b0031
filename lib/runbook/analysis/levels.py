"""A series cut into levels, and the run of raised levels that is the disturbance.

The cutting gives what PELT with squared deviations (l2) gives, without its pruning, which for some hundred points
costs more than it saves. It is written out here: a few lines of numpy that take two milliseconds, while importing
`ruptures` takes seconds (it brings scipy). The tests hold it against `ruptures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
from numpy.typing import NDArray

from runbook.analysis.statistics import Floats, noise

LOUD = 3.6  # sigmas from which on a level is raised
CLIP = 15.0  # sigmas beyond which a value says no more about where levels change
FLOOR = 1e-3  # of the range of the values: the least noise of a series without any
PENALTY = 3.0  # of a change of level, times log(n)
QUIET = 0.05  # of all points make the baseline
CALM = 0.5  # of the noise overall: the least noise of the baseline
SHARE = 0.15  # of the main effect: lower levels beside it do not yet belong to it
AGAIN = 0.25  # of the main effect, a short pause before, belongs to it
PAUSE = 300.0  # seconds of a short pause
BLUR = 5  # times longer a rate window for the second look


@dataclass(frozen=True)
class Measured:
    """Known values at rising times (epoch seconds), and how they were measured: over `window` seconds each."""

    t: Floats
    r: Floats
    window: float
    floor: float

    @cached_property
    def step(self) -> float:
        """Seconds between two values."""
        return float(np.median(np.diff(self.t)))

    @cached_property
    def lag(self) -> int:
        """Points of a rate window: neighbouring values share most of theirs."""
        return max(1, round(self.window / self.step))

    @property
    def least(self) -> int:
        """Points of the shortest disturbance: more than a single event leaves behind."""
        return self.lag + 6

    @cached_property
    def sigma(self) -> float:
        """Noise of one value."""
        return max(noise(self.r, self.lag), self.floor, FLOOR * float(np.ptp(self.r)))

    def blurred(self) -> Measured:
        """The same over a longer window: less noise, less exact in time. Single wild values are cut off first."""
        points = BLUR * self.lag
        if len(self.r) <= points:
            return self
        low = float(np.percentile(self.r, 100 * QUIET))
        sums = np.concatenate(([0.0], np.cumsum(np.clip(self.r, low - 4 * self.sigma, low + 8 * self.sigma))))
        means = (sums[points:] - sums[:-points]) / points
        return Measured(self.t[points - 1 :], means, self.window + (points - 1) * self.step, self.floor)


@dataclass(frozen=True)
class Disturbance:
    """When it was seen: seconds of its first and its last raised level; the level it rises from; the least height of
    what counts as raised; and its raised levels as (start, end).
    """

    start: float
    end: float
    baseline: float
    least: float
    spans: tuple[tuple[float, float], ...]

    def raised(self, t: Floats) -> NDArray[np.bool_]:
        """Which of the times lie in a raised level."""
        within = [(start <= t) & (t < end) for start, end in self.spans]
        return np.asarray(np.logical_or.reduce(within))


@dataclass(frozen=True)
class Level:
    """Points from `first` to before `end`, and their median."""

    first: int
    end: int
    height: float

    @property
    def length(self) -> int:
        """Number of points."""
        return self.end - self.first


Run = list[Level]


def disturbance(seen: Measured, min_effect: float, late: float) -> Disturbance | None:
    """The run of raised levels that lasts to the end, or else the largest, with what is the same before a short pause.

    Its times are moved forward by `late` seconds, by which this view is behind.
    """
    levels = _levels(seen)
    baseline, quiet = _baseline(seen, levels)
    least = max(min_effect, LOUD * quiet)
    run = _main(_runs(levels, baseline + least, seen.least), baseline, len(seen.r))
    if run is None:
        return None
    top = _height(run) - baseline
    clear = [r for r in _runs(levels, baseline + max(least, SHARE * top), 1) if r[-1].end <= run[-1].end]
    chosen = [clear[-1]]
    for earlier in reversed(clear[:-1]):
        pause = seen.t[chosen[0][0].first] - seen.t[earlier[-1].end - 1]
        if pause > PAUSE or _height(earlier) - baseline < AGAIN * top or _is_birth(earlier, seen.least):
            break
        chosen.insert(0, earlier)
    if chosen[0][0].first == 0:
        return None
    spans = [(float(seen.t[r[0].first]) - late, float(seen.t[r[-1].end - 1]) + seen.step - late) for r in chosen]
    return Disturbance(spans[0][0], spans[-1][1], baseline, least, tuple(spans))


def _is_birth(run: Run, least: int) -> bool:
    """Whether it is only the first few values of a series that begins: a cold start, or a rate over too little."""
    return run[0].first == 0 and run[-1].end < least


def _main(runs: list[Run], baseline: float, count: int) -> Run | None:
    """The largest run, or the last one if it lasts and is not small beside it."""
    if not runs:
        return None
    largest = max(runs, key=lambda run: sum((level.height - baseline) * level.length for level in run))
    lasting = runs[-1][-1].end == count and _height(runs[-1]) - baseline >= AGAIN * (_height(largest) - baseline)
    return runs[-1] if lasting else largest


def _height(run: Run) -> float:
    return max(level.height for level in run)


def _levels(seen: Measured) -> list[Level]:
    low = np.percentile(seen.r, 100 * QUIET)
    ends = cut(np.clip((seen.r - low) / seen.sigma, -CLIP, CLIP), PENALTY * seen.lag * log(len(seen.r)), 2)
    return [Level(a, b, float(np.median(seen.r[a:b]))) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def cut(signal: Floats, penalty: float, least: int) -> list[int]:
    """Ends of the segments, each of at least so many points, with the least sum of squared deviations from their
    means plus `penalty` per segment.
    """
    n = len(signal)
    sums = np.concatenate(([0.0], np.cumsum(signal)))
    base, last, places = np.full(n + 1, np.inf), [0] * (n + 1), np.arange(n + 1)
    base[0] = 0.0
    for end in range(least, n + 1):
        starts = end + 1 - least
        cost = base[:starts] - (sums[end] - sums[:starts]) ** 2 / (end - places[:starts])
        last[end] = int(cost.argmin())
        base[end] = cost[last[end]] + penalty
    ends = [n]
    while last[ends[-1]] > 0:
        ends.append(last[ends[-1]])
    return ends[::-1]


def _baseline(seen: Measured, levels: list[Level]) -> tuple[float, float]:
    """Height and noise of the lowest levels that together hold enough points."""
    need = max(2 * seen.least, QUIET * len(seen.r))
    kept: list[Level] = []
    for level in sorted(levels, key=lambda level: level.height):
        kept.append(level)
        if sum(level.length for level in kept) >= need:
            break
    height = float(np.average([level.height for level in kept], weights=[level.length for level in kept]))
    longest = max(kept, key=lambda level: level.length)
    if longest.length < 3 * seen.least:
        return height, seen.sigma
    quiet = noise(seen.r[longest.first : longest.end], seen.lag)
    return height, min(seen.sigma, max(quiet, CALM * seen.sigma, seen.floor))


def _runs(levels: list[Level], height: float, least: int) -> list[Run]:
    """Consecutive levels of at least this height, together of at least so many points."""
    runs: list[Run] = [[]]
    for level in levels:
        if level.height >= height:
            runs[-1].append(level)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run and sum(level.length for level in run) >= least]
