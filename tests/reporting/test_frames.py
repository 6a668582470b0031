"""What a check found as DataFrames."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from runbook.errors import UsageError
from runbook.model import Chart, Finding, Series
from runbook.reporting import frames
from tests import samples


def with_charts(*charts: Chart) -> Finding:
    """A check with these charts."""
    return replace(samples.REAL, result=replace(samples.REAL.result, charts=charts))


def test_a_check_is_a_frame_of_its_lines() -> None:
    """A column for each, named by its label, over UTC times; title and unit are kept beside it."""
    frame = frames.series(samples.REAL)
    assert list(frame.columns) == ["same hour last week", "now"]
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert (frame.index.name, str(frame.index.tz)) == ("time", "UTC")
    assert frame.index[0] == pd.Timestamp(samples.START, unit="s", tz="UTC")
    assert frame["now"].iloc[0] == samples.REAL.result.charts[0].series[1].values[0]
    assert (frame.attrs["title"], frame.attrs["unit"]) == ("Failed requests (5xx)", "% of requests")


def test_lines_on_other_times_are_joined() -> None:
    """Each time of any line is a row; a line without a value there has none."""
    lines = (Series("a", (0.0, 60.0), (1.0, 2.0)), Series("b", (60.0, 90.5), (3.0, math.nan)))
    frame = frames.series(with_charts(Chart("c", "Waits", "s", lines)))
    assert [time.timestamp() for time in frame.index] == [0.0, 60.0, 90.5]
    assert frame["a"].dropna().to_list() == [1.0, 2.0]
    assert frame["b"].dropna().to_list() == [3.0]


def test_a_label_that_several_lines_have_says_whose_it_is() -> None:
    """The chart's title tells lines of several charts apart, a number lines of one; every column has its unit."""
    one, two = Series("now", (0.0,), (1.0,)), Series("now", (0.0,), (2.0,))
    frame = frames.series(with_charts(Chart("c", "CPU", "cores", (one, two)), Chart("d", "Memory", "MiB", (one,))))
    assert list(frame.columns) == ["now (CPU)", "now (CPU) 2", "now (Memory)"]
    assert frame.attrs["unit"] == "cores; MiB"
    assert frame.attrs["units"]["now (Memory)"] == "MiB"


def test_a_chart_without_points_is_an_empty_frame() -> None:
    """There is nothing to compute with, and no error either."""
    assert frames.series(with_charts(Chart("c", "t", "u", ()))).empty
    assert list(frames.series(with_charts(Chart("c", "t", "u", (Series("now", (), ()),)))).columns) == ["now"]


def test_a_table_is_a_frame_as_it_is() -> None:
    """Columns and values are those of the bundle's data, numbers as numbers."""
    frame = frames.table(samples.MESSAGES, "message-patterns")
    assert frame["Since onset"].sum() == 1902
    assert frame.attrs["title"] == "message-patterns"


def test_what_is_not_there_is_named_with_what_is() -> None:
    """One sentence for a table that the check does not have, and for a check without a chart."""
    with pytest.raises(UsageError, match=r"^The check logs has no table 'patterns'; .*message-patterns\.$"):
        frames.table(samples.MESSAGES, "patterns")
    with pytest.raises(UsageError, match=r"^The check database has no chart; its tables: none\.$"):
        frames.series(samples.DATABASE)
