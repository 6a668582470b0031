"""Judgements from data: whether a quantity still grows, how fast, and since when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from runbook.analysis.breakpoint import bend
from runbook.analysis.trend import trend

Floats = NDArray[np.float64]
STEP, COUNT, SEEDS = 30.0, 120, 40
TIMES = 1768470120.0 + STEP * np.arange(COUNT)
MINUTES = (TIMES - TIMES[0]) / 60


def noisy(values: Floats, seed: int, sigma: float = 1.0) -> Floats:
    return np.asarray(values + np.random.default_rng(seed).normal(0, sigma, COUNT))


def shapes(of: Callable[[int], Floats], least: float = 0.0) -> list[str]:
    """The shapes that are seen in a series, with many seeds."""
    found = [trend(TIMES, of(seed), least=least) for seed in range(SEEDS)]
    return [one.shape for one in found if one]


def ramp(per_minute: float) -> Floats:
    return 200 + per_minute * MINUTES


@pytest.mark.parametrize("per_minute", [0.3, 2.0, 50.0])
def test_a_ramp_grows(per_minute: float):
    """A steady rise is growing, however slow beside its noise of one."""
    assert set(shapes(lambda seed: noisy(ramp(per_minute), seed))) == {"growing"}


def test_the_interval_holds_the_true_slope():
    """At least 90 % of the intervals of 95 % hold it, and they are narrow."""
    found = [trend(TIMES, noisy(ramp(2.0), seed)) for seed in range(100)]
    slopes = [one.slope for one in found if one]
    assert sum(one.low <= 2 / 60 <= one.high for one in slopes) >= 90
    assert np.median([(one.high - one.low) * 60 for one in slopes]) < 0.05


def test_the_interval_allows_for_neighbours_that_are_alike():
    """Noise that wanders slowly tells less than as many independent values; 85 % hold the true slope all the same."""
    held = 0
    for seed in range(100):
        white = np.random.default_rng(seed).normal(0, 1, COUNT + 9)
        found = trend(TIMES, ramp(2.0) + np.convolve(white, np.ones(10) / np.sqrt(10), "valid"))
        held += found is not None and found.slope.low <= 2 / 60 <= found.slope.high
    assert held >= 85


def test_wild_values_do_not_turn_a_slope():
    """One value in ten may be anything."""
    values = noisy(ramp(2.0), 3)
    values[::10] = np.random.default_rng(3).uniform(0, 5000, len(values[::10]))
    found = trend(TIMES, values)
    assert found and found.slope.value * 60 == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    "shape",
    [
        np.full(COUNT, 300.0),
        np.where(MINUTES > 20, 550.0, 220.0),
        220 + 300 * np.clip((MINUTES - 5) / 8, 0, 1),
        220 + 330 * (1 - np.exp(-MINUTES / 5)),
        300 + 20 * np.sin(MINUTES / 5),
    ],
    ids=["flat", "step", "ramp to a plateau", "saturation", "wave"],
)
def test_what_has_levelled_off_is_steady(shape: Floats):
    """A plateau does not grow, whatever led to it."""
    assert set(shapes(lambda seed: noisy(shape, seed), least=0.4 / 60)) == {"steady"}


def test_a_fall_is_told():
    """What decreases is falling."""
    assert set(shapes(lambda seed: noisy(ramp(-2.0), seed))) == {"falling"}


@pytest.mark.parametrize("minutes", [12, 15, 24])
def test_a_sawtooth_has_the_slope_of_its_teeth(minutes: int):
    """Restarts are counted, and no pair of values across one is taken."""
    found = trend(TIMES, noisy(220 + 10 * (MINUTES % minutes), 5))
    assert found and found.shape == "sawtooth"
    assert len(found.resets) == int(MINUTES[-1] // minutes)
    assert found.slope.value * 60 == pytest.approx(10.0, rel=0.05)


def test_one_restart_is_no_sawtooth():
    """After a single fresh start it simply grows; the time of the start is known."""
    found = trend(TIMES, noisy(220 + 10 * (MINUTES % 40), 6))
    assert found and found.shape == "growing"
    assert found.resets == (TIMES[80],)


def test_gaps_and_unknown_values_do_not_matter():
    """Half of the values may be missing, some in one piece."""
    values = noisy(ramp(2.0), 7)
    values[40:70], values[::3] = np.nan, np.nan
    found = trend(TIMES, values)
    assert found and found.shape == "growing" and found.slope.value * 60 == pytest.approx(2.0, abs=0.1)


def test_growth_below_what_matters_is_none():
    """A slope that may be below the least is no growth."""
    values = noisy(ramp(2.0), 8)
    kept = [one.shape for least in (1.0, 3.0) if (one := trend(TIMES, values, least=least / 60))]
    assert kept == ["growing", "steady"]


@pytest.mark.parametrize("values", [[], [1.0] * 9, [float("nan")] * 100])
def test_too_little_is_no_trend(values: list[float]):
    """Fewer than ten known values tell nothing."""
    assert trend(np.arange(len(values)), values) is None
    assert bend(np.arange(len(values[:7])), values[:7]) is None


def test_a_constant_is_steady_and_unbent():
    """Without any noise, too: all zeros are a series."""
    found = trend(TIMES, np.zeros(COUNT))
    assert found and found.shape == "steady" and found.slope.value == 0
    assert bend(TIMES, np.zeros(COUNT)) is None


@pytest.mark.filterwarnings("error")
@given(arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)))
def test_any_values_are_judged_without_a_warning(values: Floats):
    """Whatever the values: a slope lies within its interval, and a bend at one of the times."""
    times = np.arange(len(values)) * STEP
    found, bent = trend(times, values), bend(times, values)
    assert found is None or found.slope.low <= found.slope.value <= found.slope.high
    assert bent is None or bent in times


@pytest.mark.parametrize("begins", [20.0, 30.0, 45.0])
def test_a_bend_is_found_where_growth_began(begins: float):
    """A level that begins to grow: within two minutes for a slow leak, whatever the noise."""
    values = 200 + 3 * np.maximum(0.0, MINUTES - begins)
    found = [bend(TIMES, noisy(values, seed)) for seed in range(SEEDS)]
    late = [(one - TIMES[0]) / 60 - begins for one in found if one is not None]
    assert len(late) == SEEDS
    assert abs(float(np.median(late))) <= 0.5 and max(map(abs, late)) <= 2


def test_a_growth_that_becomes_faster_bends():
    """It need not have been level before."""
    found = bend(TIMES, noisy(ramp(1.0) + 4 * np.maximum(0.0, MINUTES - 30), 9))
    assert found is not None and abs(found - TIMES[60]) <= 60


@pytest.mark.parametrize("shape", [ramp(0.0), ramp(3.0), ramp(3.0) - 3 * np.maximum(0.0, MINUTES - 30)])
def test_a_straight_line_has_no_bend(shape: Floats):
    """Nor does what only slows down."""
    assert [one for seed in range(SEEDS) if (one := bend(TIMES, noisy(shape, seed))) is not None] == []
