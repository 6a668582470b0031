"""The start of a stretch of trouble: of what is there or not, however short, again and again, or for ever."""

from __future__ import annotations

import numpy as np
import pytest

from runbook.analysis.intervals import stretch_start

STEP, COUNT = 30.0, 120
TIMES = 1_768_470_000.0 + STEP * np.arange(COUNT)
AT = float(TIMES[100])


def start(values: np.ndarray, at: float = AT, window: float = 0.0) -> float | None:
    return stretch_start(TIMES, values, at=at, least=0.5, gap=180.0, window=window)


def raised(*stretches: tuple[int, int]) -> np.ndarray:
    """1 within these indices, 0 elsewhere."""
    values = np.zeros(COUNT)
    for first, last in stretches:
        values[first : last + 1] = 1.0
    return values


def test_a_step_begins_at_its_first_value() -> None:
    """However short it has lasted, and half a rate window earlier where there is one."""
    assert start(raised((98, 119))) == TIMES[98]
    assert start(raised((99, 100))) == TIMES[99]
    assert start(raised((98, 119)), window=60.0) == TIMES[98] - 30


def test_a_ramp_begins_where_it_reaches_the_least() -> None:
    """Below that it is no trouble yet."""
    assert start(np.clip((np.arange(COUNT) - 90) / 10, 0, None)) == TIMES[95]


def test_what_fails_again_and_again_is_one_stretch() -> None:
    """Short recoveries end no trouble; a calm longer than the gap does."""
    assert start(raised((80, 82), (85, 90), (95, 101))) == TIMES[80]
    assert start(raised((60, 82), (95, 101))) == TIMES[95]


def test_the_next_stretch_where_none_goes_on() -> None:
    """An alert's time may lie just before the trouble that is found, never long after it."""
    assert start(raised((104, 110))) == TIMES[104]
    assert start(raised((20, 30))) is None


@pytest.mark.parametrize("values", [np.zeros(COUNT), np.full(COUNT, np.nan), np.full(COUNT, 0.3)])
def test_no_trouble_has_no_start(values: np.ndarray) -> None:
    """Constant zero, no data, and too little of it."""
    assert start(values) is None


def test_older_than_the_values_is_not_known() -> None:
    """What was raised from the first known value on began some time before, unknown when."""
    assert start(np.ones(COUNT)) is None
    born = np.where(np.arange(COUNT) < 40, np.nan, 1.0)
    assert start(born) is None


def test_a_gap_in_the_data_is_no_start() -> None:
    """Values missing for less than the gap leave the stretch whole."""
    values = raised((90, 119))
    values[95:98] = np.nan
    assert start(values) == TIMES[90]
