"""When an interval of trouble began that goes on at some time: for what is either there or not, however short."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def stretch_start(
    times: ArrayLike, values: ArrayLike, *, at: float, least: float, gap: float, window: float = 0.0
) -> float | None:
    """The start of the stretch of values from `least` on that goes on at a time, or else of the next one after it.

    Stretches less than `gap` seconds apart are one, for what fails again and again. `window`: seconds of the rate
    window in the values, half of which they are late. None without a stretch, or where it is older than the values.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    raised = np.flatnonzero(np.nan_to_num(y, nan=-np.inf) >= least)
    if not len(raised):
        return None
    starts = raised[np.concatenate(([True], np.diff(t[raised]) > gap))]
    ends = np.concatenate((raised[np.flatnonzero(np.diff(t[raised]) > gap)], raised[-1:]))
    wanted = next((start for start, end in zip(starts, ends, strict=True) if t[end] + gap >= at), None)
    known = np.flatnonzero(~np.isnan(y))
    if wanted is None or wanted == known[0]:
        return None
    return float(t[wanted] - window / 2)
