"""How a quantity goes on that may grow: does it still grow, how fast, within which bounds, and does it start anew.

The slope is Theil and Sen's, the median of the slopes between all pairs of values; its interval is that of Kendall's
statistic, widened where neighbouring values are alike. Pairs across a fall, such as a restart, are not taken: so the
slope of a sawtooth is that of its teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from runbook.analysis.statistics import Floats, noise

LEAST = 10  # values that a trend needs
MOST = 180  # values that are looked at: every so many-th of a longer series
FELL = 0.3  # of the range of all values: so much lower within one step is a fresh start,
LOUD = 8.0  # if it is also so many sigmas of the noise
CERTAIN = 1.96  # sigmas of an interval of 95 %
SLOWED = 0.5  # of the slope: what grows by less than this in its newer half has ceased to

Shape = Literal["growing", "steady", "sawtooth", "falling"]


@dataclass(frozen=True)
class Slope:
    """Growth in the values' unit per second, with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """`shape`: "growing" until the end; "steady" where it does not, or does no more: a plateau; "sawtooth" where it
    grows after every fresh start; or "falling". `slope` is that of all values between fresh starts, `resets` are the
    times of these.
    """

    shape: Shape
    slope: Slope
    resets: tuple[float, ...]


def trend(times: ArrayLike, values: ArrayLike, *, least: float = 0.0, noise_floor: float = 0.0) -> Trend | None:
    """The trend of a series; None where too little is known of it.

    `times` rise, in epoch seconds; `values` are equally long, NaN where unknown. A slope that may be below `least`
    (the values' unit per second) is none; the noise is never taken to be smaller than `noise_floor`.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known = np.isfinite(t) & np.isfinite(y)
    t, y = t[known], y[known]
    if len(y) < LEAST:
        return None
    falls = _falls(y, noise_floor)
    stretches = [part for part in np.split(np.arange(len(y)), falls) if len(part) > 2]
    slope = _slope([(t[part], y[part]) for part in stretches])
    if slope is None:
        return None
    resets = tuple(float(time) for time in t[falls])
    return Trend(_shape(slope, _newer(t, y, stretches[-1]), len(resets), least), slope, resets)


def _shape(slope: Slope, newer: Slope | None, resets: int, least: float) -> Shape:
    if slope.high < -least:
        return "falling"
    if not slope.low > least:
        return "steady"
    if resets > 1:
        return "sawtooth"
    return "steady" if newer is not None and newer.high < SLOWED * slope.value else "growing"


def _newer(t: Floats, y: Floats, stretch: np.ndarray) -> Slope | None:
    """The slope of the newer half of a stretch; None where that is too short."""
    half = stretch[len(stretch) // 2 :]
    return _slope([(t[half], y[half])]) if len(half) >= LEAST else None


def _falls(y: Floats, noise_floor: float) -> np.ndarray:
    """The first values after a fall."""
    least = max(FELL * float(np.ptp(y)), LOUD * max(noise(y, 1), noise_floor))
    return np.flatnonzero(np.diff(y) < -least) + 1 if least > 0 else np.empty(0, dtype=np.intp)


def _slope(stretches: list[tuple[Floats, Floats]]) -> Slope | None:
    """Of pairs within each of the stretches (times, values); None without any."""
    every = max(1, -(-sum(len(t) for t, _ in stretches) // MOST))
    thin = [(t[::every], y[::every]) for t, y in stretches]
    slopes = np.sort(np.concatenate([_pairs(t, y) for t, y in thin]))
    if not len(slopes):
        return None
    value = float(np.median(slopes))
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in (len(t) for t, _ in thin))
    reach = CERTAIN * sqrt(variance * _alike([y - value * t for t, y in thin])) / 2
    middle = len(slopes) / 2
    low, high = max(0, round(middle - reach) - 1), min(len(slopes) - 1, round(middle + reach))
    return Slope(value, float(slopes[low]), float(slopes[high]))


def _pairs(t: Floats, y: Floats) -> Floats:
    first, second = np.triu_indices(len(t), 1)
    return np.asarray((y[second] - y[first]) / (t[second] - t[first]))


def _alike(rests: list[Floats]) -> float:
    """How many neighbouring values tell no more than one, by what the slope leaves unexplained."""
    rests = [rest - np.median(rest) for rest in rests]
    together = sum(float(np.sum(rest * rest)) for rest in rests)
    neighbours = sum(float(np.sum(rest[1:] * rest[:-1])) for rest in rests)
    likeness = min(max(neighbours / together, 0.0), 0.95) if together > 0 else 0.0
    return (1 + likeness) / (1 - likeness)
