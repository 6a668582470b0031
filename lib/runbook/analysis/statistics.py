"""Samples compared robustly: medians, and noise that a few wild values do not change."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

TAIL = 0.95  # of the deviations count: the largest are what we look for
TAIL_LOSS = 0.87  # standard deviation of a normal sample without its tail
MEDIAN_ERROR = 1.2533  # standard error of a median against that of a mean


@dataclass(frozen=True)
class Difference:
    """Two samples compared: medians, their difference in the values' unit and in sigmas of the noise, and the
    probability `sure` (0..1) that the difference is not chance.
    """

    before: float
    after: float
    effect: float
    sigmas: float
    sure: float


def changed(
    before: ArrayLike, after: ArrayLike, *, noise_floor: float = 0.0, correlated: float = 1.0
) -> Difference | None:
    """Robust comparison of two samples; None where one of them has no finite value.

    `noise_floor`: the noise is never taken to be smaller (values' unit). `correlated`: how many neighbouring values
    tell no more than one, e.g. rate window / step.
    """
    a, b = _finite(before), _finite(after)
    if not len(a) or not len(b):
        return None
    middle_a, middle_b = float(np.median(a)), float(np.median(b))
    least = max(noise_floor, 1e-12 * max(abs(middle_a), abs(middle_b), 1e-12))
    noise = max(spread(np.concatenate((a - middle_a, b - middle_b))), least)
    effect = middle_b - middle_a
    error = MEDIAN_ERROR * noise * sqrt(max(1.0, correlated) * (1 / len(a) + 1 / len(b)))
    return Difference(middle_a, middle_b, effect, effect / noise, erf(abs(effect) / error / sqrt(2)))


def spread(values: Floats) -> float:
    """Standard deviation without the tail; where most values are equal, of what is not."""
    deviations = np.sort(np.abs(values - np.median(values)))
    kept = deviations[: max(1, int(TAIL * len(deviations)))]
    return max(1.4826 * float(np.median(deviations)), float(np.sqrt(np.mean(kept**2))) / TAIL_LOSS)


def noise(values: Floats, lag: int) -> float:
    """Noise of single values: differences over `lag` points know neither slow change nor smoothing over as many."""
    ahead = max(1, min(lag, len(values) // 3))
    return spread(values[ahead:] - values[:-ahead]) / sqrt(2)


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]
