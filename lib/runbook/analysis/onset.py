"""When a disturbance began, by how much, and how sure that is.

Free of its season, the series is scaled by its own noise and cut into levels; the disturbance is the run of raised
levels that is still going on, or else the largest. Where exactly it begins is then fitted: a level, a rise of some
length, a level, all as the rate window shows them, which undoes the delay of the window. What does not differ enough
from before, or is no more than a smooth curve would be, is no onset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runbook.analysis.levels import CALM, LOUD, Disturbance, Measured, disturbance
from runbook.analysis.statistics import Difference, Floats, changed, noise

SMOOTH = 10  # points on either side that the usual course is smoothed over
AROUND = 60  # points on either side that the start is fitted on
RISES = (0, 1, 2, 3, 4, 6, 8, 11, 14, 18, 24, 32, 45, 64, 90, 128)  # steps that the rise itself may take
NEAR = 60.0  # seconds, or two steps: as exact as a start is wanted
CERTAIN = 0.25  # the least probability that it is
SCORE = 8.0  # the least effect in sigmas, times the root of the number of independent values
MOSTLY = 0.4  # of the time before: if it was as high as this for longer, it is no onset
NEXT = 10  # points right before and right after the start; if their means differ by
SUDDEN = 0.7  # of the effect, or by twice what is loud, no season rises so
BETTER = 12.0  # else, log odds of "level, then something else" against one smooth curve
LATER, CURVE = 3, 5  # degrees of that something else, and of that curve


@dataclass(frozen=True)
class Onset:
    """When a disturbance began and how large it is.

    `time`: the first value that shows it, less the delay of the rate window, in epoch seconds UTC. `before` and
    `after` are typical values and `effect` their difference, in the values' unit. `confidence` (0..1): how probable
    it is that this is a change at all and began within a minute (or two steps) of `time`.
    """

    time: float
    before: float
    after: float
    effect: float
    confidence: float


def onset(
    times: ArrayLike,
    values: ArrayLike,
    *,
    seasonal: ArrayLike | None = None,
    window: float = 0.0,
    min_effect: float = 0.0,
    noise_floor: float = 0.0,
) -> Onset | None:
    """The start of the rise that still lasts, or of the largest one; None where there is none to be sure of.

    `times` rise, in epoch seconds; `values` are equally long, NaN where unknown. `seasonal`: the same hours a day or a
    week before, on the same grid. `window`: seconds of the rate window in the values. `min_effect` and `noise_floor`
    in the values' unit: smaller rises are none, and the noise is never taken to be smaller.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    usual = _usual(seasonal, len(y))
    known = np.isfinite(t) & np.isfinite(y)
    if known.sum() < 2:
        return None
    seen = Measured(t[known], (y - usual)[known], max(window, 0.0), noise_floor)
    if not seen.step > 0:
        return None
    for view in (seen, seen.blurred()):
        found = _find(view, seen, min_effect)
        if found is not None:
            level = float(np.median(usual[np.abs(t - found.time) <= AROUND * seen.step]))
            return replace(found, before=found.before + level, after=found.after + level)
    return None


def _usual(seasonal: ArrayLike | None, count: int) -> Floats:
    """The usual course, smoothed so that its own noise is not added; zero where it is not known."""
    past = np.full(count, np.nan) if seasonal is None else np.asarray(seasonal, dtype=np.float64)
    known = np.isfinite(past)
    if not known.any():
        return np.zeros(count)
    filled = np.interp(np.arange(count), np.flatnonzero(known), past[known])
    padded = np.pad(filled, SMOOTH, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * SMOOTH + 1), axis=1))


def _find(view: Measured, seen: Measured, min_effect: float) -> Onset | None:
    """That there is a disturbance is judged by one view; when exactly it began, by the values as they came."""
    if len(view.r) < 3 * view.least or not view.sigma > 0 or not seen.sigma**2 > 0:  # the noise may vanish in rounding
        return None
    found = disturbance(view, min_effect, (view.window - seen.window) / 2)
    if found is None:
        return None
    start = _start(seen, found)
    before, after = seen.t < start.time, (seen.t >= start.time) & (seen.t < found.end)
    quiet = before & (np.abs(seen.r - found.baseline) < LOUD * seen.sigma)
    full = min(start.time + start.rise, found.end - view.least * view.step)
    loud = after & (seen.t >= full) & found.raised(seen.t)
    change = changed(seen.r[quiet], seen.r[loud], noise_floor=seen.sigma, correlated=seen.lag)
    if change is None or change.effect < found.least or start.certain < CERTAIN:
        return None
    score = change.effect / seen.sigma / sqrt(seen.lag * (1 / quiet.sum() + 1 / loud.sum()))
    if score < SCORE or np.mean(seen.r[before] > change.before + change.effect / 2) > MOSTLY:
        return None
    sudden = view is seen and _jump(seen, start.time) >= min(SUDDEN * change.effect, 2 * LOUD * seen.sigma)
    if not sudden and _odds_against_curve(seen, start.time, quiet | after) < BETTER:
        return None
    return _onset(start, change)


@dataclass(frozen=True)
class _Start:
    """`time`: of the first raised value; `rise`: seconds to full height; `certain`: probability that it is right."""

    time: float
    rise: float
    certain: float


def _onset(start: _Start, change: Difference) -> Onset:
    confidence = round(start.certain * change.sure, 3)
    return Onset(start.time, change.before, change.after, change.effect, confidence)


def _start(seen: Measured, found: Disturbance) -> _Start:
    """The best level-rise-level around the first raised point; what rises further later is cut off."""
    first, end = (int(k) for k in np.searchsorted(seen.t, (found.start, found.end)))
    a, b = max(0, first - AROUND - seen.lag), min(end, first + AROUND + seen.lag)
    early = seen.r[min(first + seen.lag + 2, b - 1) : first + seen.lag + 14]
    roof = found.baseline + 1.2 * (float(np.median(early)) - found.baseline) + 2 * seen.sigma
    x, y = seen.t[a:b], np.clip(seen.r[a:b], found.baseline - LOUD * seen.sigma, roof)
    starts, window = x[1:-1], max(seen.window, seen.step)
    errors = _errors(x - x[0], y - y.mean(), starts - x[0] - seen.step, window=window, step=seen.step)
    errors = errors / (seen.sigma**2 * seen.lag) + 2 * np.log1p(RISES)[:, None]
    k, i = np.unravel_index(int(np.argmin(errors)), errors.shape)
    likely = np.exp((errors[k, i] - errors.min(axis=0)) / 2)
    near = np.abs(starts - starts[i]) <= max(2.01 * seen.step, NEAR)
    return _Start(float(starts[i]), window + RISES[int(k)] * seen.step, float(likely[near].sum() / likely.sum()))


def _errors(x: Floats, y: Floats, starts: Floats, *, window: float, step: float) -> Floats:
    """Squared deviations of `y` (mean 0) from the best-fitting rise of every length (rows) and start (columns)."""
    since = x[None, :] - starts[:, None]
    rises = [(_area(since, n * step) - _area(since - window, n * step)) / window for n in RISES]
    shapes = np.stack(rises)
    shapes -= shapes.mean(axis=2, keepdims=True)
    power = np.maximum(np.einsum("ijk,ijk->ij", shapes, shapes), 1e-12)
    return np.asarray(y @ y - np.maximum(shapes @ y, 0.0) ** 2 / power)


def _area(x: Floats, rise: float) -> Floats:
    """The integral of a rise from 0 to 1 that begins at 0 and takes `rise`; a window's mean is a difference of two."""
    inside = np.clip(x, 0.0, rise)
    return np.maximum(x - rise, 0.0) + (inside**2 / (2 * rise) if rise else 0.0)


def _jump(seen: Measured, start: float) -> float:
    """How far the values right after the start, and after the rate window, are above those right before."""
    first = int(np.searchsorted(seen.t, start))
    before, after = seen.r[max(0, first - NEXT) : first], seen.r[first + seen.lag - 1 :][:NEXT]
    return float(np.mean(after) - np.mean(before)) if len(before) and len(after) else 0.0


def _odds_against_curve(seen: Measured, start: float, used: NDArray[np.bool_]) -> float:
    """Log odds that the values were level and left it, against all being one smooth curve, such as a season or drift.

    What is high is often noisier, as a share of failures is: the values before are measured by a noise of their own.
    """
    t, r = seen.t[used], seen.r[used]
    after = t >= start
    calm = max(CALM * seen.sigma, min(seen.sigma, noise(r[~after], seen.lag)))
    sigmas = np.where(after, seen.sigma, calm)
    broken = _misfit(t[~after], r[~after], sigmas[~after], 0) + _misfit(t[after], r[after], sigmas[after], LATER)
    return (_misfit(t, r, sigmas, CURVE) - broken) / (2 * seen.lag)


def _misfit(t: Floats, r: Floats, sigmas: Floats, degree: int) -> float:
    """Sum of squared deviations from the best polynomial, each in its own sigmas."""
    if len(t) <= degree:
        return 0.0
    basis = np.polynomial.legendre.legvander((t - t[0]) / (t[-1] - t[0] or 1.0) * 2 - 1, degree) / sigmas[:, None]
    return float(np.sum((r / sigmas - basis @ np.linalg.lstsq(basis, r / sigmas, rcond=None)[0]) ** 2))
