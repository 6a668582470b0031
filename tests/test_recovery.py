"""Whether the service recovered."""

from __future__ import annotations

from math import nan

import pytest

from runbook.model import Series
from runbook.recovery import judge

HIGH, LOW = 12.0, 1.0


def series(*stretches: tuple[float, int]) -> Series:
    """Values at 15 s, from (value, minutes) stretches."""
    values = [value for value, minutes in stretches for _ in range(minutes * 4)]
    return Series("now", tuple(15.0 * i for i in range(len(values))), tuple(values))


@pytest.mark.parametrize(
    ("stretches", "outcome"),
    [
        ([], "not enough data"),
        ([(nan, 10)], "not enough data"),
        ([(LOW, 3)], "not enough data"),
        ([(LOW, 6)], "recovered"),
        ([(HIGH, 4), (LOW, 6)], "recovered"),
        ([(HIGH, 10)], "not recovered"),
        ([(HIGH, 4), (LOW, 3)], "not recovered"),
        ([(LOW, 3), (HIGH, 2)], "not recovered"),
        ([(LOW, 6), (HIGH, 2)], "relapsed"),
        ([(LOW, 6), (HIGH, 2), (LOW, 2)], "not recovered"),
        ([(LOW, 6), (HIGH, 2), (LOW, 6)], "recovered"),
        ([(5.0, 6)], "recovered"),
    ],
)
def test_recovery_needs_five_whole_minutes_below_the_threshold(stretches: list[tuple[float, int]], outcome: str):
    """Five minutes in a row at or below the threshold, up to the newest value, and with data, are a recovery."""
    assert judge(series(*stretches), threshold=5.0, seconds=300) == outcome


def test_a_gap_in_the_data_is_no_calm():
    """Silence is not health: values on both sides of a long gap do not make one calm stretch."""
    assert judge(series((LOW, 1), (nan, 6), (LOW, 1)), threshold=5.0, seconds=300) == "not enough data"
