"""When a disturbance began, by how much, and how sure that is.

The series is scaled by its own noise, cut into levels by PELT (l2), and the disturbance is the run of raised
levels that is still going on, or else the largest. Its start is then fitted: a level, a rise of some length, a
level. A rate over W seconds turns a step into a rise of W seconds, so that fit also undoes the window's delay.

PELT is written out here: with l2 it is a few lines of numpy and takes milliseconds, while importing `ruptures`
(which brings scipy) takes seconds; the tests hold it against `ruptures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LOUD = 4.0        # a level is raised from this many sigmas on
CLIP = 15.0       # sigmas beyond which a value says no more about where levels change
SHARE = 0.15      # of all points make the baseline; of the main effect count as part of the same disturbance
AGAIN = 0.25      # of the main effect, after a short pause, is the same disturbance still
PAUSE = 300.0     # seconds of a short pause
PENALTY = 3.0     # of a change point, times log(n)
AROUND = 40       # points on either side that the start is fitted on
RISES = (0, 2, 4, 8, 16, 32, 64)  # steps that a rise may take beyond the rate window
SURE = 0.9


@dataclass(frozen=True)
class Onset:
    """`time` in epoch seconds UTC; typical values `before` and `after` (of the disturbance), their difference
    `effect`, all in the values' unit; `confidence` 0..1 that it began within two steps of `time`.
    """

    time: float
    before: float
    after: float
    effect: float
    confidence: float


@dataclass(frozen=True)
class Change:
    """Two samples compared: medians, their difference in the values' unit and in sigmas of the noise, and the
    probability `sure` (0..1) that the difference is not chance.
    """

    before: float
    after: float
    effect: float
    sigmas: float
    sure: float


def changed(before: ArrayLike, after: ArrayLike, *, noise_floor: float = 0.0, correlated: float = 1.0) -> Change | None:
    """Robust comparison of two samples; None where one of them has no values.

    `noise_floor`: the noise is never taken to be smaller (values' unit). `correlated`: how many neighbouring
    values tell no more than one, e.g. rate window / step.
    """
    a, b = _known(before), _known(after)
    if not len(a) or not len(b):
        return None
    middle_a, middle_b = float(np.median(a)), float(np.median(b))
    noise = max(_spread(np.concatenate((a - middle_a, b - middle_b))), noise_floor, 1e-12 * max(abs(middle_a), abs(middle_b), 1e-12))
    effect = middle_b - middle_a
    error = 1.2533 * noise * sqrt(max(1.0, correlated)) * sqrt(1 / len(a) + 1 / len(b))  # of a difference of medians
    return Change(middle_a, middle_b, effect, effect / noise, erf(abs(effect) / error / sqrt(2)))


def onset(
    times: Sequence[float] | Floats,
    values: Sequence[float] | Floats,
    *,
    seasonal: Sequence[float] | Floats | None = None,
    window: float = 0.0,
    min_effect: float = 0.0,
    noise_floor: float = 0.0,
) -> Onset | None:
    """The start of the rise that still lasts, or of the largest one; None where there is none to be sure of.

    `times` rise, in epoch seconds; `values` are equally long, NaN where unknown. `seasonal`: the same hours a day
    or a week before, on the same grid. `window`: seconds of the rate window in the values. `min_effect` and
    `noise_floor` in the values' unit: smaller rises are none, and the noise is never taken to be smaller.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    r = y - _season(seasonal, len(y))
    known = np.isfinite(r)
    t, y, r = t[known], y[known], r[known]
    if len(r) < 2:
        return None
    step = float(np.median(np.diff(t)))
    lag = max(1, round(window / step))
    least = max(4, lag + 3)
    if len(r) < 3 * least:
        return None
    sigma = max(_noise(r, lag), noise_floor)
    if sigma <= 0:
        return None
    levels = _levels(r, sigma, lag)
    found = _disturbance(t, levels, sigma, min_effect, least)
    if found is None:
        return None
    start, end, baseline = found
    fit = _fit_start(t, r, start, end, baseline, sigma, max(window, 0.0), step, lag)
    if fit is None:
        return None
    began, rise, certain = fit
    first = int(np.searchsorted(t, began))
    full = min(int(np.searchsorted(t, began + rise)), end - least)
    quiet = r[:first][np.abs(r[:first] - baseline) < LOUD * sigma]
    change = changed(quiet, r[max(full, first) : end], noise_floor=sigma, correlated=lag)
    if change is None or change.effect < max(min_effect, LOUD * sigma * 0.9) or change.sure < SURE:
        return None
    shift = float(np.median((y - r)[max(0, first - AROUND) : first])) if first else 0.0
    return Onset(began, change.before + shift, change.after + shift, change.effect, round(certain * change.sure, 3))


def _known(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _spread(values: Floats) -> float:
    """Standard deviation of the bulk; where more than half are equal, of the tails."""
    deviations = np.abs(values - np.median(values))
    return float(max(1.4826 * np.median(deviations), np.percentile(deviations, 95) / 1.96 / 2))


def _noise(r: Floats, lag: int) -> float:
    """Noise of single values; differences over the rate window are free of slow change and of the window's smoothing."""
    ahead = max(1, min(lag, len(r) // 3))
    return _spread(r[ahead:] - r[:-ahead]) / sqrt(2)


def _season(seasonal: Sequence[float] | Floats | None, count: int) -> Floats:
    """The usual course, smoothed so that its own noise is not added; zero where it is not known."""
    if seasonal is None:
        return np.zeros(count)
    usual = np.asarray(seasonal, dtype=np.float64)
    known = np.isfinite(usual)
    if not known.any():
        return np.zeros(count)
    filled = np.interp(np.arange(count), np.flatnonzero(known), usual[known])
    half = 10
    padded = np.pad(filled, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


@dataclass(frozen=True)
class _Level:
    first: int
    end: int
    height: float

    @property
    def length(self) -> int:
        return self.end - self.first


def _levels(r: Floats, sigma: float, lag: int) -> list[_Level]:
    scaled = np.clip((r - np.median(r)) / sigma, -CLIP, CLIP)
    ends = pelt(scaled, PENALTY * lag * log(len(r)), 2)
    return [_Level(a, b, float(np.median(r[a:b]))) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def pelt(signal: Floats, penalty: float, least: int) -> list[int]:
    """Ends of the segments with the least sum of squared deviations plus `penalty` per segment (exact, PELT)."""
    n = len(signal)
    sums, squares = np.concatenate(([0.0], np.cumsum(signal))), np.concatenate(([0.0], np.cumsum(signal**2)))
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.intp)
    best[0] = -penalty
    starts = np.array([0], dtype=np.intp)
    for end in range(least, n + 1):
        length = end - starts
        cost = best[starts] + squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / length
        chosen = int(np.argmin(cost))
        best[end], last[end] = cost[chosen] + penalty, starts[chosen]
        starts = np.append(starts[cost <= best[end]], end + 1 - least)
    ends = [n]
    while last[ends[-1]] > 0:
        ends.append(int(last[ends[-1]]))
    return ends[::-1]


def _disturbance(t: Floats, levels: list[_Level], sigma: float, min_effect: float, least: int) -> tuple[int, int, float] | None:
    """(first index, end index, baseline) of the run of raised levels that lasts or else is largest."""
    baseline = _baseline(levels, least)
    raised = max(min_effect, LOUD * sigma * 0.9)
    runs = _runs(levels, baseline, raised, least)
    if not runs:
        return None
    height = [max(level.height for level in run if level.length >= 2) - baseline for run in runs]
    main = max(range(len(runs)), key=lambda k: sum((level.height - baseline) * level.length for level in runs[k]))
    if runs[-1][-1].end == levels[-1].end and height[-1] >= AGAIN * height[main]:
        main = len(runs) - 1
    strict = _runs(levels, baseline, max(raised, SHARE * height[main]), least)
    strict = [run for run in strict if run[0].first <= runs[main][-1].first]
    first = next(run for run in reversed(strict) if run[-1].end <= runs[main][-1].end)
    for run in reversed(strict[: strict.index(first)]):
        if t[first[0].first] - t[run[-1].end - 1] > PAUSE or max(level.height for level in run) - baseline < AGAIN * height[main]:
            break
        first = run
    return first[0].first, runs[main][-1].end, baseline


def _baseline(levels: list[_Level], least: int) -> float:
    """The lowest levels that together hold enough points."""
    need = max(least, SHARE * levels[-1].end)
    heights: list[float] = []
    weights: list[int] = []
    for level in sorted(levels, key=lambda level: level.height):
        heights.append(level.height)
        weights.append(level.length)
        if sum(weights) >= need:
            break
    return float(np.average(heights, weights=weights))


def _runs(levels: list[_Level], baseline: float, raised: float, least: int) -> list[list[_Level]]:
    """Consecutive levels above the baseline, long enough together and not from the first point on."""
    runs: list[list[_Level]] = [[]]
    for level in levels:
        if level.height - baseline >= raised:
            runs[-1].append(level)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run and run[0].first > 0 and sum(level.length for level in run) >= least]


def _fit_start(t: Floats, r: Floats, start: int, end: int, baseline: float, sigma: float, window: float, step: float, lag: int) -> tuple[float, float, float] | None:
    """(start, length of the rise, certainty) of the best level-rise-level around the first raised point."""
    a, b = max(0, start - AROUND - lag), min(end, start + AROUND + lag)
    x, y = t[a:b], np.clip(r[a:b], baseline - CLIP * sigma, baseline + CLIP * sigma)
    starts = x[:-2]
    best: list[Floats] = []
    for extra in RISES:
        length = max(window + extra * step, 1e-3 * step)
        h = np.clip((x[None, :] - starts[:, None]) / length, 0.0, 1.0)
        hc = h - h.mean(axis=1, keepdims=True)
        yc = y - y.mean()
        power = np.maximum((hc**2).sum(axis=1), 1e-12)
        best.append((yc**2).sum() - (hc @ yc) ** 2 / power + 3 * sigma**2 * lag * np.log(1 + extra))
    errors = np.array(best)
    k, i = np.unravel_index(int(np.argmin(errors)), errors.shape)
    likely = np.exp(-(errors.min(axis=0) - errors[k, i]) / (2 * sigma**2 * lag))
    near = np.abs(starts - starts[i]) <= 2.01 * step
    return float(starts[i]), window + RISES[int(k)] * step, float(likely[near].sum() / likely.sum())
