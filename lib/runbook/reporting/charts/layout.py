"""The layout of a chart, computed from the lengths of its texts: nothing is clipped, and nothing but data stands
within the axes.

From top to bottom: title with the unit, legend, event labels, axes, clock times, day. All lengths are points. The
margins are the same for nearly all charts, so that charts of one window, one below the other, line up in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runbook.model import Chart
from runbook.reporting.charts import axes, event_labels
from runbook.reporting.charts import series as data
from runbook.reporting.charts.canvas import BIG, LITTLE, WIDTH, Paper, drawable
from runbook.reporting.charts.event_labels import Mark
from runbook.reporting.charts.series import Line

LEFT, RIGHT, EDGE = 34.0, 54.0, 3.0
TITLE, LEGEND, EVENT, AIR, CLOCKS, MIDNIGHT, DAY = 17.0, 13.5, 12.0, 6.0, 15.0, 10.5, 14.0
PLOT, BARE = 140.0, 80.0  # height of the axes, with and without data
ROOM = 1.1  # times the threshold fits on the axis: the words beside it stay below the events' labels
SHORT = 5  # characters of a unit that is repeated beside the threshold
UNIT = 0.3  # of the title's row, for the unit at most
SAMPLE, SPACE = 20.0, 14.0  # a legend's piece of line, and what separates two entries


@dataclass(frozen=True)
class Entry:
    """One entry of the legend: its name as it fits, a line that looks like it, and the entry's length."""

    name: str
    line: Line
    length: float

    @property
    def sample(self) -> float:
        """Length of the line beside the name."""
        return _sample(self.line)


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    `first` and `last` are the ends of the time axis, `step` the usual distance of points, in seconds. `title`,
    `unit`, `limit` (the words beside the threshold) and `more` (how many events have no label) are cut to fit.
    """

    title: str
    unit: str
    more: str
    lines: list[Line]
    step: float
    first: float
    last: float
    times: axes.Scale
    values: axes.Scale
    threshold: float | None
    limit: tuple[str, ...]
    legend: list[list[Entry]]
    marks: tuple[Mark, ...]
    left: float
    top: float
    wide: float
    high: float

    @property
    def bare(self) -> bool:
        """Whether there is no data to draw."""
        return all(line.empty for line in self.lines)

    @property
    def height(self) -> float:
        """Height of it all."""
        return self.top + self.high + self.below + DAY + EDGE

    @property
    def below(self) -> float:
        """Height of the clock times."""
        return CLOCKS + (MIDNIGHT if any("\n" in label for label in self.times.labels) else 0.0)

    def x(self, time: float) -> float:
        """Where a time stands on the paper."""
        return self.left + (time - self.first) / (self.last - self.first) * self.wide

    def y(self, value: float) -> float:
        """Where a value stands on the paper."""
        return self.top + self.high * self.values.from_top(value)


def plan(paper: Paper, chart: Chart) -> Layout:
    """The layout of a chart on this paper."""
    found = data.lines(chart)
    step = data.usual_step(found)
    first, last = _extent(chart, found, step)
    threshold = chart.threshold if chart.threshold is not None and np.isfinite(chart.threshold) else None
    values = _values(chart, found, threshold)
    limit = _limit(chart, threshold)
    left, right = _margins(paper, values, limit)
    wide, legend = WIDTH - left - right, _legend(paper, chart, found)
    times = _times(paper, chart, (first, last), wide)
    placed, unmarked = event_labels.place(
        chart.events,
        (first, last),
        wide=wide,
        paper=(EDGE - left, wide + right - EDGE),
        width=lambda text: paper.width(drawable(text), LITTLE),
    )
    top = EDGE + TITLE + LEGEND * len(legend) + EVENT * (1 + max((mark.row for mark in placed), default=-1)) + AIR
    high = BARE if all(line.empty for line in found) else PLOT
    title, unit, more = _heading(paper, chart, unmarked)
    return Layout(
        title=title,
        unit=unit,
        more=more,
        lines=found,
        step=step,
        first=first,
        last=last,
        times=times,
        values=values,
        threshold=threshold,
        limit=limit,
        legend=legend,
        marks=placed,
        left=left,
        top=top,
        wide=wide,
        high=high,
    )


def _margins(paper: Paper, values: axes.Scale, limit: tuple[str, ...]) -> tuple[float, float]:
    """What the values' labels need on the left, and the words beside the threshold on the right."""
    left = max([LEFT, *(paper.width(label) + EDGE + 5 for label in values.labels)])
    return left, max([RIGHT, *(paper.width(text, LITTLE) + EDGE + 5 for text in limit)])


def _heading(paper: Paper, chart: Chart, unmarked: int) -> tuple[str, str, str]:
    """Title, unit and number of events without a label, together not longer than the row."""
    more = f"+{unmarked} more event{'s' if unmarked > 1 else ''}" if unmarked else ""
    space = WIDTH - 2 * EDGE - (paper.width(more, LITTLE) + SPACE if more else 0)
    unit = paper.fitting(drawable(chart.unit), UNIT * WIDTH)
    title = paper.fitting(drawable(chart.title), space - paper.width(unit) - SPACE / 2, BIG, weight="bold")
    return title, unit, more


def _extent(chart: Chart, found: Sequence[Line], step: float) -> tuple[float, float]:
    """The time axis covers all times of the series, whether they have data or not."""
    times = [float(end) for line in found if len(line.x) for end in (line.x.min(), line.x.max())]
    times = times or [event.time for event in chart.events if np.isfinite(event.time)] or [0.0]
    first, last = min(times), max(times)
    if chart.kind == "bars":
        last += step
    return (first, last) if last > first else (first - step, last + step)


def _values(chart: Chart, found: Sequence[Line], threshold: float | None) -> axes.Scale:
    known = [float(end(line.top)) for line in found if not line.empty for end in (np.nanmin, np.nanmax)]
    if not known:
        return axes.Scale(0.0, 1.0, (), ())
    limit = [] if threshold is None else [threshold * ROOM]
    return axes.values([*known, *limit], whole=chart.kind == "bars")


def _times(paper: Paper, chart: Chart, ends: tuple[float, float], wide: float) -> axes.Scale:
    """As many clock times as have room; those that would stick out of the paper go without."""
    if not chart.events and not any(series.times for series in chart.series):
        return axes.Scale(*ends, (), ())
    for count in (10, 8, 6, 4, 3, 2):
        times = axes.times(*ends, count)
        widest = max((paper.width(label.split("\n")[0]) for label in times.labels), default=0.0)
        if len(times.places) < 2 or widest * 1.35 * len(times.places) <= wide:
            break
    return times


def _limit(chart: Chart, threshold: float | None) -> tuple[str, ...]:
    """The words beside the threshold."""
    if threshold is None:
        return ()
    unit = "%" if chart.unit.startswith("%") else drawable(chart.unit)
    return drawable(chart.limit), f"{axes.number(threshold)} {unit}" if len(unit) <= SHORT else axes.number(threshold)


def _legend(paper: Paper, chart: Chart, found: Sequence[Line]) -> list[list[Entry]]:
    """Rows of entries; none where a single series says nothing that the title does not."""
    if len(found) < 2 and all(line.label.casefold() in ("", "now", chart.title.casefold()) for line in found):
        return []
    others = [line for line in found if line.role == "other"]
    named = [(drawable(line.label), line) for role in ("now", "reference") for line in found if line.role == role]
    named += [(f"{len(others)} other{'s' if len(others) > 1 else ''}", others[0])] if others else []
    rows: list[list[Entry]] = [[]]
    for label, line in named:
        name = paper.fitting(label, WIDTH / 2 - 2 * EDGE - SAMPLE - SPACE, LITTLE, tail=0.5)
        entry = Entry(name, line, _sample(line) + 4 + paper.width(name, LITTLE) + SPACE)
        if rows[-1] and sum(e.length for e in rows[-1]) + entry.length - SPACE > WIDTH - 2 * EDGE:
            rows.append([])
        rows[-1].append(entry)
    return rows


def _sample(line: Line) -> float:
    return SAMPLE / 2 if line.bars else SAMPLE
