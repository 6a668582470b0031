"""Onset: when something left its usual level, how sure that is, and when there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from runbook.analysis.levels import cut
from runbook.analysis.onset import Onset, onset
from runbook.analysis.statistics import changed

Floats = NDArray[np.float64]
Shape = Callable[[Floats], Floats]
STEP = 15.0
COUNT = 361
TIMES = 1768470120.0 + STEP * np.arange(COUNT)
FINE = 5  # points of the simulation per step
SEEDS = 50


def seen(rng: np.random.Generator, shape: Shape, window: int = 4, tail: float = 0.0) -> Floats:
    """What a rate over `window` steps shows of `shape` (steps -> sigmas), with noise of 1 sigma per value.

    With `tail` the noise is Student's with so many degrees of freedom.
    """
    fine = shape(np.arange(-window * FINE, COUNT * FINE) / FINE)
    sums = np.concatenate(([0.0], np.cumsum(fine)))
    ends = (np.arange(COUNT) + window) * FINE + 1
    single = (
        rng.standard_t(tail, COUNT + window - 1) * np.sqrt(1 - 2 / tail)
        if tail
        else rng.normal(size=COUNT + window - 1)
    )
    noise = np.convolve(single, np.ones(window), "valid") / np.sqrt(window)
    return (sums[ends] - sums[ends - window * FINE]) / (window * FINE) + noise


def steps_late(found: Onset | None, begins: float) -> float:
    """How many steps an onset lies after the first value that can show it; infinite if there is none."""
    return (found.time - TIMES[0]) / STEP - np.ceil(begins) if found else np.inf


def lateness(
    shape_at: Callable[[float], Shape], window: int, tail: float = 0.0, *, low: float = 60, high: float = 300
) -> Floats:
    """For many seeds, how late the onset of a shape that begins at a random moment is found."""
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        begins = rng.uniform(low, high)
        values = seen(rng, shape_at(begins), window, tail)
        found.append(steps_late(onset(TIMES, values, window=window * STEP), begins))
    return np.array(found)


def a_step(sigmas: float) -> Callable[[float], Shape]:
    return lambda begins: lambda u: sigmas * (u > begins)


def a_ramp(sigmas: float, steps: float) -> Callable[[float], Shape]:
    return lambda begins: lambda u: sigmas * np.clip((u - begins) / steps, 0, 1)


def false_onsets(values: Callable[[np.random.Generator], tuple[Floats, Floats | None]], window: int = 4) -> float:
    """The share of seeds that find an onset in values (and their season) that have none."""
    found = 0
    for seed in range(SEEDS):
        now, before = values(np.random.default_rng(seed))
        found += onset(TIMES, now, seasonal=before, window=window * STEP) is not None
    return found / SEEDS


@pytest.mark.parametrize(
    ("sigmas", "window", "tail"),
    [(5, 1, 0.0), (5, 1, 3.0), (5, 4, 0.0), (5, 4, 3.0), (20, 1, 0.0), (20, 4, 3.0), (200, 4, 0.0)],
)
def test_the_start_of_a_step_is_found(sigmas: float, window: int, tail: float):
    """From 5 sigmas on: half of the starts within one step, 95 % within three, hardly any missed."""
    late = np.abs(lateness(a_step(sigmas), window, tail))
    assert np.median(late) <= 1
    assert np.quantile(late, 0.95, method="higher") <= 3


def test_a_long_rate_window_delays_no_onset():
    """A rate over two minutes shows a step as a ramp; its start is still the start."""
    late = lateness(a_step(20), window=8)
    assert abs(np.median(late)) <= 0.5
    assert np.quantile(np.abs(late), 0.95) <= 2


@pytest.mark.parametrize(("sigmas", "steps", "bound"), [(40, 10, 3), (40, 40, 4), (120, 40, 3), (120, 100, 5)])
def test_a_ramp_begins_where_it_begins(sigmas: float, steps: float, bound: float):
    """The onset is the foot of a rise that takes 2 to 25 minutes, not its middle."""
    late = np.abs(lateness(a_ramp(sigmas, steps), window=4, high=240))
    assert np.median(late) <= bound / 2 + 0.5
    assert np.quantile(late, 0.95) <= bound


@pytest.mark.parametrize(
    ("shape_at", "low", "high"),
    [
        (lambda b: lambda u: 60 * (u > b) + 8 * ((u > b - 60) & (u < b - 48)), 100, 300),
        (lambda b: lambda u: 20 * (u > b) + 80 * (u > b + 60), 60, 200),
        (lambda b: lambda u: 30 * ((u > b) & (u < b + 60)), 60, 200),
        (lambda b: lambda u: 30 * ((u < 60) | (u > b)), 180, 300),
        (lambda b: lambda u: 30 * ((u > b) & ((u < b + 40) | (u > b + 52))), 60, 200),
        (lambda b: lambda u: 100 * (1 - np.exp(-np.maximum(u - b, 0) / 14)), 60, 300),
    ],
    ids=["after a wobble", "in two phases", "that ended", "after another", "with a pause", "that saturates"],
)
def test_the_start_of_the_disturbance_is_found(shape_at: Callable[[float], Shape], low: float, high: float):
    """Not of a wobble before it, nor of its second phase, nor of its end, nor after its pause."""
    late = np.abs(lateness(shape_at, 4, low=low, high=high))
    assert np.median(late) <= 1
    assert np.quantile(late, 0.95) <= 3


@pytest.mark.parametrize("window", [1, 4, 8])
@pytest.mark.parametrize("tail", [0.0, 3.0], ids=["normal", "heavy-tailed"])
def test_noise_has_no_onset(window: int, tail: float):
    """At most 2 % of noise is taken for one."""
    assert false_onsets(lambda rng: (seen(rng, np.zeros_like, window, tail), None), window) <= 0.02


@pytest.mark.parametrize(("share", "per_step"), [(0.005, 75), (0.01, 3), (0.05, 1)])
def test_a_few_failed_requests_have_no_onset(share: float, per_step: int):
    """At most 2 % of constant small shares of little traffic, where one failure is a jump, are taken for one."""

    def ratio(rng: np.random.Generator) -> tuple[Floats, None]:
        every = rng.poisson(per_step, COUNT + 3)
        failed = rng.binomial(every, share)
        sums = [np.convolve(counts, np.ones(4), "valid") for counts in (failed, every)]
        return np.divide(*sums, out=np.full(COUNT, np.nan), where=sums[1] > 0), None

    assert false_onsets(ratio) <= 0.02


@pytest.mark.parametrize(("amplitude", "known"), [(2, False), (5, False), (5, True), (30, True)])
def test_a_season_has_no_onset(amplitude: float, known: bool):
    """At most 2 % of seasons are taken for one: strong ones where last week is known, which may differ by 10 %."""

    def season(rng: np.random.Generator) -> tuple[Floats, Floats | None]:
        period, phase = rng.uniform(240, 5760), rng.uniform(0, 6.3)

        def course(u: Floats) -> Floats:
            return amplitude * np.sin(2 * np.pi * u / period + phase)

        now = seen(rng, course)
        return now, (seen(rng, lambda u: rng.uniform(0.9, 1.1) * course(u)) if known else None)

    assert false_onsets(season) <= 0.02


def test_a_drift_or_a_fall_has_no_onset():
    """What rises all along began before, and a fall is the end of something."""
    assert false_onsets(lambda rng: (seen(rng, lambda u: rng.uniform(0, 10) * u / COUNT), None)) <= 0.02
    assert false_onsets(lambda rng: (seen(rng, lambda u: 30.0 * (u < rng.uniform(60, 300))), None)) == 0


def test_a_spike_has_no_onset():
    """Neither single wild values nor one event seen through the rate window."""

    def spikes(rng: np.random.Generator) -> tuple[Floats, None]:
        values = seen(rng, np.zeros_like, 1)
        values[rng.integers(20, 340, 3)] += 100
        return values, None

    assert false_onsets(spikes, 1) <= 0.02
    assert false_onsets(lambda rng: (seen(rng, lambda u: 100.0 * ((u > 200) & (u < 201))), None)) == 0


def test_a_step_on_a_season_is_found():
    """Last week's course is taken away first."""
    late = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        begins, phase = rng.uniform(60, 300), rng.uniform(0, 6.3)

        def course(u: Floats, phase: float = phase) -> Floats:
            return 15 * np.sin(u / 60 + phase)

        now = seen(rng, lambda u, begins=begins: 10 * (u > begins) + course(u))
        late.append(steps_late(onset(TIMES, now, seasonal=seen(rng, course), window=60), begins))
    assert np.median(np.abs(late)) <= 1
    assert np.quantile(np.abs(late), 0.95) <= 3


def test_gaps_do_not_move_an_onset():
    """A tenth of the values missing, and five minutes at once, as after a restart of Prometheus."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = seen(rng, lambda u: 20.0 * (u > 200.5))
        values[rng.random(COUNT) < 0.1] = np.nan
        values[60:80] = np.nan
        assert abs(steps_late(onset(TIMES, values, window=60), 200.5)) <= 3


def test_a_counter_reset_is_no_onset():
    """A dip to nothing and a spike for one rate window, when a pod restarts, are neither an onset nor hide one."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        calm = 20 + seen(rng, np.zeros_like)
        calm[100:104], calm[104] = 0.0, 300.0
        assert onset(TIMES, calm, window=60) is None
        calm[200:] += 15
        assert abs(steps_late(onset(TIMES, calm, window=60), 200)) <= 3


def test_before_and_after_are_typical_values():
    """In the values' own unit, with the season; the effect is their difference."""
    values = 3 + 0.01 * seen(np.random.default_rng(1), lambda u: 100.0 * (u > 200))
    found = onset(TIMES, values, window=60)
    assert found is not None
    assert (found.before, found.after) == (pytest.approx(3, abs=0.01), pytest.approx(4, abs=0.01))
    assert found.effect == pytest.approx(found.after - found.before)
    shifted = onset(TIMES, values, seasonal=np.full(COUNT, 3.0), window=60)
    assert shifted is not None
    assert (shifted.time, shifted.before) == (found.time, pytest.approx(found.before))


def test_a_sharp_onset_is_surer_than_a_vague_one():
    """Confidence is near 1 for a large step and lower for a slow small rise."""

    def typical(shape: Shape) -> float:
        found = [onset(TIMES, seen(np.random.default_rng(seed), shape), window=60) for seed in range(10)]
        return float(np.median([f.confidence for f in found if f]))

    assert typical(lambda u: 50.0 * (u > 200)) > 0.95
    assert typical(lambda u: 10 * np.clip((u - 200) / 40, 0, 1)) < 0.9


def test_a_rollout_minutes_after_the_first_scrape_has_an_onset():
    """Failures that come pod by pod over a minute are noisier than those before: no smooth curve that explains both."""
    window, step, rolled_out = 4, 5.0, 390.0
    late = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ends = step * np.arange(1, 117)
        requests = rng.poisson(19 * step, len(ends))
        failures = rng.binomial(requests, 0.004 + 0.17 * np.clip((ends - rolled_out) / 70, 0, 1))
        failed, every = (np.convolve(counts, np.ones(window), "valid") for counts in (failures, requests))
        times = ends[window - 1 :]
        found = onset(times, failed / every, window=window * step, min_effect=0.025, noise_floor=0.002)
        late.append((found.time - rolled_out) / step if found else float("inf"))
    assert np.mean(np.abs(late) <= 6) >= 0.9


def test_smaller_rises_than_wanted_are_none():
    """`min_effect` and `noise_floor` are in the values' unit."""
    values = 0.01 * seen(np.random.default_rng(1), lambda u: 10.0 * (u > 200))
    assert onset(TIMES, values, window=60) is not None
    assert onset(TIMES, values, window=60, min_effect=0.2) is None
    assert onset(TIMES, values, window=60, noise_floor=0.05) is None


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [0.0] * COUNT, [7.5] * COUNT, [np.nan] * COUNT, [np.inf] * COUNT, [0.0, 1.0, 1.0], [np.nan, 1.0] * 3],
    ids=["empty", "one", "zero", "constant", "unknown", "infinite", "short", "gaps"],
)
def test_where_nothing_can_be_said_there_is_no_onset(values: list[float]):
    """Nothing known, nothing changing, or less than a rate window of it."""
    assert onset(TIMES[: len(values)], values, window=60) is None


def test_a_step_without_noise_is_found():
    """From no failure at all to all failing, and a series that is only just long enough."""
    assert steps_late(onset(TIMES, [0.0] * 200 + [1.0] * 161), 200) == 0
    short = onset(TIMES[:40], [0.0] * 20 + [1.0] * 20)
    assert steps_late(short, 20) == 0


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64,
        st.integers(0, 80),
        elements=st.one_of(st.sampled_from([0.0, 1.0, np.nan]), st.floats(-1e100, 1e100)),
    ),
    st.sampled_from([0.0, 60.0, 300.0, 1e5]),
)
@pytest.mark.filterwarnings("error")
def test_any_values_are_judged_without_a_warning(values: Floats, window: float):
    """An onset lies within the times and its numbers are finite."""
    found = onset(TIMES[: len(values)], values, window=window)
    if found is not None:
        assert TIMES[0] <= found.time <= TIMES[len(values) - 1]
        assert 0 <= found.confidence <= 1
        assert np.isfinite([found.before, found.after, found.effect]).all()


def test_levels_are_those_of_ruptures():
    """Our cutting finds the change points that the reference implementation finds."""
    import ruptures

    for seed in range(2):
        rng = np.random.default_rng(seed)
        signal = np.repeat(rng.normal(0, 5, 6), rng.integers(10, 30, 6)) + rng.normal(size=1)
        signal = signal + rng.normal(size=len(signal))
        theirs = ruptures.Pelt(model="l2", min_size=2, jump=1).fit_predict(signal, pen=15.0)
        assert cut(signal, 15.0, 2) == theirs


def test_samples_that_differ_are_told_from_those_that_do_not():
    """Medians, effect in sigmas and how sure; wild values and correlated neighbours do not deceive."""
    rng = np.random.default_rng(1)
    before, after = rng.normal(10, 1, 100), rng.normal(13, 1, 50)
    after[:3] = 1e6
    found = changed(before, after)
    assert found is not None
    assert (found.before, found.after) == (pytest.approx(10, abs=0.4), pytest.approx(13, abs=0.5))
    assert found.effect == found.after - found.before
    assert 2 < found.sigmas < 4
    assert found.sure > 0.999
    alike = changed(before, before[::-1])
    assert alike is not None
    assert alike.sure == 0
    few = changed([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], correlated=4)
    assert few is not None
    assert few.sure < 0.6


def test_a_sample_of_nothing_cannot_be_compared():
    """NaN and infinity are no values."""
    assert changed([np.nan, np.inf], [1.0]) is None
    assert changed([1.0], []) is None


def test_the_birth_of_a_series_hides_no_onset():
    """A few high values where a series begins, minutes before the disturbance, are not taken for its start."""
    values = seen(np.random.default_rng(5), lambda steps: 25.0 * (steps > 50))
    young = np.where(np.arange(COUNT) < 3, 30.0, values)[:100]
    found = onset(5.0 * np.arange(100), young, window=20.0)
    assert found is not None
    assert found.time == 5.0 * 51
