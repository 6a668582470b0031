"""Charts: pictures that are equal everywhere and clip nothing, their twins in words, their data as a table."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runbook.alerts.checks.toolkit.series import shown_of, time_scale
from runbook.model import Chart, Event, Series
from runbook.reporting.charts import axes, layout, render, series, text
from runbook.reporting.charts.canvas import Paper, style

START = 1768470120.0  # 15 January 2026, 09:42 UTC
TIMES = tuple(START + 15 * k for k in range(361))
FAILED = tuple(0.6 if k < 232 else 15.0 + k % 3 for k in range(361))
EVENTS = (
    Event(TIMES[223], "revision 14", "rollout"),
    Event(TIMES[232], "onset", "onset"),
    Event(TIMES[260], "alert", "alert"),
)
CHART = Chart(
    "failed-requests",
    "Failed requests (5xx)",
    "% of requests",
    (Series("same hours last week", TIMES, (0.7,) * 361, "reference"), Series("now", TIMES, FAILED)),
    threshold=5.0,
    events=EVENTS,
)


def pixels(chart: Chart) -> np.ndarray:
    """The picture as (height, width, 3) bytes."""
    return np.asarray(Image.open(io.BytesIO(render.png(chart))).convert("RGB"))


def planned(chart: Chart) -> layout.Layout:
    with style():
        return layout.plan(Paper(), chart)


def one(values: Sequence[float], label: str = "now", **more: object) -> Chart:
    series = Series(label, TIMES[: len(values)], tuple(values))
    return Chart("c", "Title", "s", (series,), **more)  # type: ignore[arg-type]


def test_a_chart_is_a_png_of_fixed_width():
    """It is 1024 pixels wide, and says neither when nor with what it was made."""
    assert render.png(CHART).startswith(b"\x89PNG")
    assert pixels(CHART).shape[1] == 1024
    assert b"Software" not in render.png(CHART)


def test_pictures_are_equal_on_another_machine(tmp_path: Path):
    """Time zone, locale, hash seed and a person's own matplotlib settings change no byte."""
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\naxes.grid: False\n")
    program = (
        "import hashlib; from runbook.reporting.charts import render\n"
        "from tests.reporting.test_charts import CHART\n"
        "print(hashlib.sha256(render.png(CHART)).hexdigest())"
    )
    elsewhere = {
        **os.environ,
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "7",
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], env=elsewhere, capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.strip() == hashlib.sha256(render.png(CHART)).hexdigest()


def test_drawing_leaves_matplotlib_as_it_was():
    """No setting of the process is changed, and pyplot, which is slow to import, is not."""
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    render.png(CHART)
    assert dict(mpl.rcParams) == before
    program = (
        "import sys; from runbook.reporting.charts import render; assert 'matplotlib' not in sys.modules\n"
        "from tests.reporting.test_charts import CHART; render.png(CHART)\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert (ran.stdout, ran.stderr) == ("False\n", "")


NASTY = [nan, inf, -inf, 0.0, -1.0, 3.0, 1e308, -1e308, 5e-324, 1e-9, 123456.0]
NAMES = ["now", "", "$x^2$ \\frac{1}{", "a_b%c{}", "\x00\x1b[31m\u202eevil\ud800", "中文 🙂 ע", "p" * 3000, "<script>&"]


@st.composite
def any_chart(draw: st.DrawFn) -> Chart:
    """Charts as no sane check would make them."""
    series = []
    for _ in range(draw(st.integers(0, 12))):
        count = draw(st.sampled_from([0, 1, 2, 3, 40]))
        step = draw(st.sampled_from([0.001, 1.0, 15.0, 3600.0, 1e6]))
        start = draw(st.sampled_from([START, START + 7, 0.0, -1e9]))
        values = draw(st.lists(st.sampled_from(NASTY), min_size=count, max_size=count))
        role = draw(st.sampled_from(["now", "reference"]))
        series.append(
            Series(draw(st.sampled_from(NAMES)), tuple(start + step * k for k in range(count)), tuple(values), role)
        )
    kinds = st.sampled_from(["rollout", "restart", "onset", "alert", "mitigation"])
    moments = st.one_of(st.floats(START - 100, START + 900), st.sampled_from([nan, inf, 0.0]))
    events = draw(st.lists(st.builds(Event, moments, st.sampled_from(NAMES), kinds), max_size=20))
    kind = draw(st.sampled_from(["line", "bars"]))
    threshold = draw(st.sampled_from([None, *NASTY]))
    title, unit = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    return Chart("any", title, unit, tuple(series), kind, threshold, tuple(events))


@settings(max_examples=25, deadline=None)
@given(any_chart())
def test_any_chart_is_drawn_without_a_warning_and_within_the_paper(chart: Chart):
    """Empty, NaN, huge, tiny, hostile: nothing warns, no text or line touches the edge of the paper."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = pixels(chart)
        text.csv(chart)
        twin = text.twin(chart)
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (edge == 255).all()
    assert twin.isprintable()


def test_the_time_axis_covers_what_has_no_data():
    """A series that ends early, or has no value at all, still spans its times."""
    early = one([1.0] * 100 + [nan] * 261)
    assert (planned(early).first, planned(early).last) == (TIMES[0], TIMES[-1])
    empty = planned(one([nan] * 361))
    assert empty.bare
    assert (empty.first, empty.last) == (TIMES[0], TIMES[-1])


def test_charts_of_one_window_line_up():
    """The time axes stand at the same place, whatever the values, threshold and legend."""
    plans = [planned(c) for c in (CHART, one(FAILED), one([0.0] * 361), one([v * 1e4 for v in FAILED], kind="bars"))]
    assert len({p.left for p in plans}) == 1
    assert len({p.wide for p in plans}) == 1


def test_gaps_break_the_line_and_lonely_points_are_seen():
    """Missing points and NaN make a gap; a value between two gaps becomes a dot."""
    one_line = Series("now", (0.0, 15.0, 30.0, 90.0, 105.0), (1.0, 1.0, 1.0, 1.0, nan))
    line = series.lines(Chart("c", "t", "u", (one_line,)))[0]
    _, y = series.broken(line, 15.0)
    assert np.isnan(y).tolist() == [False, False, False, True, False, True]
    assert series.alone(y).tolist() == [False, False, False, False, True, False]


def test_the_tallest_six_have_names():
    """Of twelve series six are named, in the order given, and the others are one entry."""
    many = tuple(Series(f"pod-{k}", TIMES, tuple(v * (k + 1) for v in FAILED)) for k in range(12))
    entries = [entry.name for row in planned(replace(CHART, series=many)).legend for entry in row]
    assert entries == [*(f"pod-{k}" for k in range(6, 12)), "6 others"]


def test_a_legend_that_says_nothing_is_left_out():
    """A single series named now, or as the title, needs none; any other name is shown."""
    assert planned(one(FAILED)).legend == []
    assert planned(one(FAILED, label="TITLE")).legend == []
    assert [e.name for row in planned(one(FAILED, label="revision 14")).legend for e in row] == ["revision 14"]


def test_lines_differ_without_colour():
    """Any two named lines differ in dashes or marker, and bars that touch in brightness."""
    looks = [(str(style["linestyle"]), style["marker"]) for style in series.STYLES]
    assert len(set(looks)) == len(looks) == series.NAMED
    grey = [sum(w * int(c[i : i + 2], 16) for w, i in ((0.3, 1), (0.59, 3), (0.11, 5))) for c in series.BARS]
    assert all(abs(a - b) > 40 for a, b in pairwise(grey))


def test_bars_stand_on_each_other():
    """The axis holds the sum of the bars of one time; a reference is a line beside them."""
    pair = (Series("a", TIMES[:3], (1.0, 2.0, nan)), Series("b", TIMES[:3], (3.0, nan, 4.0)))
    drawn = series.lines(Chart("c", "t", "u", (*pair, Series("r", TIMES[:3], (9.0,) * 3, "reference")), "bars"))
    assert [line.bars for line in drawn] == [False, True, True]
    assert np.nanmax(drawn[2].top) == 4.0
    assert drawn[2].top[0] == 4.0


def test_what_exceeds_the_threshold_is_shaded():
    """Reddish pixels appear with the excess only."""

    def shaded(values: Sequence[float]) -> int:
        image = pixels(one(values, threshold=5.0)).astype(int)
        return int(((image[:, :, 0] - image[:, :, 2] > 15) & (image[:, :, 0] > 230)).sum())

    assert shaded(FAILED) > 10_000
    assert shaded([4.0] * 361) < 2_000


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 16.8], ("0", "5", "10", "15")),
        ([0.0], ("0", "0.2", "0.4", "0.6", "0.8", "1")),
        ([0.0, 7500.0], ("0", "2,000", "4,000", "6,000")),
        ([0.0, 20_000.0], ("0", "5k", "10k", "15k", "20k")),
        ([1.8e15], ("0", "0.5P", "1P", "1.5P")),
        ([-8.0, 9.0], ("−5", "0", "5")),
        ([1e308], ("0", "2e+307", "4e+307", "6e+307", "8e+307", "1e+308")),
    ],
)
def test_values_have_round_labels(values: list[float], labels: tuple[str, ...]):
    """Few, round, with thousands apart or in one unit; zero is always on the axis."""
    assert axes.values(values).labels == labels


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_scale_holds_all_values(values: list[float]):
    """Every value and zero lie on the axis, which has two to a dozen different labels."""
    scale = axes.values(values)
    assert all(-1e-9 <= scale.from_top(v) <= 1 + 1e-9 for v in [0.0, *values])
    assert 2 <= len(set(scale.labels)) <= 12


def test_counts_have_whole_labels():
    """There is no half message."""
    assert axes.values([2.0], whole=True).labels == ("0", "1", "2")


def test_times_are_clock_times_and_midnight_names_its_day():
    """Round times in UTC; the axis names its days, two where midnight is crossed."""
    noon = 1768478400.0
    assert axes.times(noon, noon + 5400, 10).labels[:3] == ("12:00", "12:10", "12:20")
    midnight = axes.times(noon + 11 * 3600, noon + 13 * 3600, 10)
    assert "00:00\n16 Jan" in midnight.labels
    assert axes.days(noon + 11 * 3600, noon + 13 * 3600) == "15–16 January 2026, UTC"
    assert axes.times(noon, noon + 60, 10).labels[1] == "12:00:10"
    assert axes.times(noon, noon + 7 * 86_400, 10).labels[0] == "16 Jan"


def test_what_the_line_is_stands_at_it():
    """A limit or a size is not called a threshold, neither in the picture nor in its twin."""
    limited = replace(CHART, limit="pool size")
    assert "; pool size 5; " in text.twin(limited)
    assert not np.array_equal(pixels(limited), pixels(CHART))


def test_a_chart_of_some_says_of_how_many_and_seconds_are_seconds():
    """The title tells what is left out; an axis is in the unit that the sentences use."""
    assert shown_of("Memory by pod", 6, 6) == "Memory by pod"
    assert shown_of("Memory by pod", 6, 12) == "Memory by pod, 6 of 12"
    assert time_scale(np.array([0.01, nan]), np.array([2.7])) == ("s", 1.0)
    assert time_scale(np.array([0.01, nan])) == ("ms", 1000.0)
    assert time_scale(np.array([nan])) == ("ms", 1000.0)
