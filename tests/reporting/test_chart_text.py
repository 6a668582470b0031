"""A chart in words, and its data as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.model import Chart, Series
from runbook.reporting.charts import text
from tests.reporting.test_charts import CHART, FAILED, TIMES, one


def test_the_twin_says_what_the_picture_shows():
    """Title, unit, series, threshold, events and a digest, in one line."""
    assert text.twin(CHART) == (
        "Failed requests (5xx), % of requests: same hours last week 361 points 09:42–11:12 UTC, max 0.7; "
        "now 361 points 09:42–11:12 UTC, max 17; threshold 5; "
        "events: revision 14 10:37, onset 10:40, alert 10:47; data fc7611c9"
    )


def test_the_twin_says_what_is_missing():
    """No series, no points, no data and gaps are told apart."""
    assert text.twin(Chart("c", "t", "u", ())).startswith("t, u: no series; data ")
    assert "now no points;" in text.twin(one([]))
    assert "now 2 points 09:42–09:42 UTC, no data;" in text.twin(one([nan, nan]))
    assert "now 3 points 09:42–09:42 UTC, 1 without data, max 2;" in text.twin(one([1.0, nan, 2.0]))


def test_the_twin_changes_with_the_data_and_with_nothing_else():
    """A change in the fourth digit shows, one in the twelfth (another platform's rounding) does not."""

    def moved(by: float) -> str:
        series = replace(CHART.series[1], values=(*FAILED[:-1], FAILED[-1] * (1 + by)))
        return text.twin(replace(CHART, series=(CHART.series[0], series)))

    assert moved(1e-12) == text.twin(CHART)
    assert moved(1e-3) != text.twin(CHART)
    assert text.twin(replace(CHART, threshold=6.0)) != text.twin(CHART)
    assert text.twin(replace(CHART, name="other")) == text.twin(CHART)


def test_the_table_has_a_row_per_time_and_a_column_per_series():
    """Times in UTC, full numbers, empty where there is no data; series on different grids share the rows."""
    series = (Series("a", TIMES[:2], (1 / 3, nan)), Series("=b()", TIMES[1:3], (2.0, inf)))
    rows = list(csv.reader(io.StringIO(text.csv(Chart("c", "t", "ms", series)))))
    assert rows == [
        ["time (UTC)", "a, ms", "'=b(), ms"],
        ["2026-01-15T09:42:00Z", "0.333333333333", ""],
        ["2026-01-15T09:42:15Z", "", "2"],
        ["2026-01-15T09:42:30Z", "", ""],
    ]


@given(st.lists(st.floats(), max_size=20))
def test_the_table_keeps_every_value(values: list[float]):
    """Read back, the values are those of the chart to twelve digits."""
    rows = list(csv.reader(io.StringIO(text.csv(one(values)))))[1:]
    for row, value in zip(rows, values, strict=True):
        assert (row[1] == "") == (not isfinite(value))
        if isfinite(value):
            assert float(row[1]) == pytest.approx(value, rel=1e-11)
