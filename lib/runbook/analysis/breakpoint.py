"""When a series began to rise, or to rise faster: the bend of two straight lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from runbook.analysis.statistics import Floats, noise

LEAST = 4  # values that a line needs
MOST = 120  # values that are looked at: every so many-th of a longer series
BETTER = 12.0  # log odds of two lines against one


def bend(times: ArrayLike, values: ArrayLike, *, noise_floor: float = 0.0) -> float | None:
    """The time from which on the values rise faster; None where one straight line says as much.

    `times` rise, in epoch seconds; `values` are equally long, NaN where unknown. The noise is never taken to be
    smaller than `noise_floor`.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known = np.isfinite(t) & np.isfinite(y)
    every = max(1, -(-int(known.sum()) // MOST))
    t, y = t[known][::every], y[known][::every]
    if len(y) < 2 * LEAST or not t[-1] > t[0]:
        return None
    sigma = max(noise(y, 1), noise_floor, 1e-9 * float(np.ptp(y)))
    if not sigma > 0:
        return None
    x = (t - t[0]) / (t[-1] - t[0])
    bends = x[LEAST - 2 : -LEAST]
    fits = [_fit(np.column_stack((np.ones_like(x), x, np.maximum(0.0, x - at))), y) for at in bends]
    best = min((n for n, (_, steeper) in enumerate(fits) if steeper > 0), key=lambda n: fits[n][0], default=None)
    if best is None:
        return None
    straight, _ = _fit(np.column_stack((np.ones_like(x), x)), y)
    return float(t[LEAST - 2 + best]) if (straight - fits[best][0]) / (2 * sigma**2) >= BETTER else None


def _fit(basis: Floats, y: Floats) -> tuple[float, float]:
    """Sum of squared deviations of the best fit, and its last coefficient."""
    found = np.linalg.lstsq(basis, y, rcond=None)[0]
    return float(np.sum((y - basis @ found) ** 2)), float(found[-1])
