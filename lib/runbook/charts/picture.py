"""Draws a chart. The layout is computed from the lengths of the texts: nothing is clipped, and within the axes stands
nothing but data.

From top to bottom: title with the unit, legend, event labels, axes, clock times, day. All lengths are points. The
margins are the same for nearly all charts, so that charts of one window, one below the other, line up in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runbook.charts import lines as data
from runbook.charts import marks, scales
from runbook.charts.lines import Line
from runbook.charts.marks import Mark
from runbook.charts.paper import BIG, LITTLE, SOFT, WIDTH, Paper, drawable, style
from runbook.model import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, RIGHT, EDGE = 34.0, 54.0, 3.0
TITLE, LEGEND, EVENT, AIR, CLOCKS, MIDNIGHT, DAY = 17.0, 13.5, 12.0, 6.0, 15.0, 10.5, 14.0
PLOT, BARE = 140.0, 80.0  # height of the axes, with and without data
SHORT = 5  # characters of a unit that is repeated beside the threshold
SAMPLE, SPACE = 20.0, 14.0  # a legend's piece of line, and what separates two entries
RED = "#c62f41"
EVENTS: dict[str, tuple[str, Any]] = {
    "onset": ("#1d232b", (0, (4, 2))),
    "alert": (RED, (0, (4, 2))),
    "rollout": ("#174f91", (0, (7, 2))),
    "restart": ("#7a4fa3", (0, (1, 1.5))),
    "mitigation": ("#216e47", (0, (7, 2, 1, 2))),
}


def png(chart: Chart) -> bytes:
    """The chart as a PNG file, 1024 pixels wide."""
    with style():
        return _drawn(chart).saved("png")


def svg(chart: Chart) -> str:
    """The chart as an SVG document; its texts are paths, so that it looks alike everywhere."""
    with style():
        return _drawn(chart).saved("svg").decode()


@dataclass(frozen=True)
class Entry:
    """One entry of the legend: its name as it fits, a line that looks like it, and the entry's length."""

    name: str
    line: Line
    length: float


@dataclass(frozen=True)
class Plan:
    """Where everything stands. `first` and `last` are the ends of the time axis, None without any time."""

    lines: list[Line]
    step: float
    first: float
    last: float
    times: scales.Scale
    values: scales.Scale
    threshold: float | None
    legend: list[list[Entry]]
    marks: tuple[Mark, ...]
    unmarked: int
    left: float
    top: float
    wide: float
    high: float

    @property
    def bare(self) -> bool:
        """Whether there is no data to draw."""
        return all(line.empty for line in self.lines)

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


def _drawn(chart: Chart) -> Paper:
    paper = Paper()
    plan = _plan(paper, chart)
    paper.resize(plan.top + plan.high + plan.below + DAY + EDGE)
    _write_title(paper, chart, plan)
    _draw_legend(paper, plan)
    axes = _axes(paper, plan)
    if plan.bare:
        middle = plan.left + plan.wide / 2, plan.top + plan.high / 2
        paper.write(*middle, "no data", BIG, color=SOFT, ha="center", va="center")
    else:
        _draw_lines(axes, plan)
        _draw_threshold(paper, axes, chart, plan)
    _draw_events(paper, axes, chart, plan)
    return paper


def _plan(paper: Paper, chart: Chart) -> Plan:
    found = data.lines(chart)
    step = data.usual_step(found)
    first, last = _extent(chart, found, step)
    threshold = chart.threshold if chart.threshold is not None and np.isfinite(chart.threshold) else None
    values = _values(chart, found, threshold)
    left = max([LEFT, *(paper.width(label) + EDGE + 5 for label in values.labels)])
    right = max([RIGHT, *(paper.width(text, LITTLE) + EDGE + 5 for text in _limit(chart, threshold))])
    wide = WIDTH - left - right
    times = _times(paper, chart, first, last, wide)
    legend = _legend(paper, chart, found)
    placed, unmarked = marks.place(
        chart.events,
        first,
        last,
        wide,
        (EDGE - left, wide + right - EDGE),
        lambda text: paper.width(drawable(text), LITTLE),
    )
    rows = 1 + max((mark.row for mark in placed), default=-1)
    top = EDGE + TITLE + LEGEND * len(legend) + EVENT * rows + AIR
    high = BARE if all(line.empty for line in found) else PLOT
    return Plan(found, step, first, last, times, values, threshold, legend, placed, unmarked, left, top, wide, high)


def _extent(chart: Chart, found: Sequence[Line], step: float) -> tuple[float, float]:
    """The time axis covers all times of the series, whether they have data or not."""
    times = [float(end) for line in found if len(line.x) for end in (line.x.min(), line.x.max())]
    times = times or [event.time for event in chart.events if np.isfinite(event.time)] or [0.0]
    first, last = min(times), max(times)
    if chart.kind == "bars":
        last += step
    return (first, last) if last > first else (first - step, last + step)


def _values(chart: Chart, found: Sequence[Line], threshold: float | None) -> scales.Scale:
    known = [float(end(line.top)) for line in found if not line.empty for end in (np.nanmin, np.nanmax)]
    if not known:
        return scales.Scale(0.0, 1.0, (), ())
    return scales.values(known if threshold is None else [*known, threshold], whole=chart.kind == "bars")


def _times(paper: Paper, chart: Chart, first: float, last: float, wide: float) -> scales.Scale:
    """As many clock times as have room; those that would stick out of the paper go without."""
    if not chart.events and not any(series.times for series in chart.series):
        return scales.Scale(first, last, (), ())
    for count in (10, 8, 6, 4, 3, 2):
        times = scales.times(first, last, count)
        widest = max((paper.width(label.split("\n")[0]) for label in times.labels), default=0.0)
        if len(times.places) < 2 or widest * 1.35 * len(times.places) <= wide:
            break
    return times


def _limit(chart: Chart, threshold: float | None) -> tuple[str, ...]:
    """The words beside the threshold."""
    if threshold is None:
        return ("",)
    unit = "%" if chart.unit.startswith("%") else drawable(chart.unit)
    return "threshold", f"{scales.number(threshold)} {unit}" if len(unit) <= SHORT else scales.number(threshold)


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


def _write_title(paper: Paper, chart: Chart, plan: Plan) -> None:
    more = f"+{plan.unmarked} more event{'s' if plan.unmarked > 1 else ''}" if plan.unmarked else ""
    space = WIDTH - 2 * EDGE - (paper.width(more, LITTLE) + SPACE if more else 0)
    title = paper.fitting(drawable(chart.title), space, BIG, "bold")
    used = EDGE + paper.width(title, BIG, "bold") + 7
    paper.write(EDGE, EDGE + 11, title, BIG, weight="bold")
    if space - used > 30:
        paper.write(used, EDGE + 11, paper.fitting(drawable(chart.unit), space - used), color=SOFT)
    if more:
        paper.write(WIDTH - EDGE, EDGE + 11, more, LITTLE, color=SOFT, ha="right")


def _draw_legend(paper: Paper, plan: Plan) -> None:
    for row, entries in enumerate(plan.legend):
        x, y = EDGE, EDGE + TITLE + LEGEND * row + 9
        for entry in entries:
            sample = _sample(entry.line)
            if entry.line.bars:
                paper.stroke((x, x + sample), y - 3, color=entry.line.style["color"], lw=7, solid_capstyle="butt")
            else:
                look = {key: value for key, value in entry.line.style.items() if key != "drawstyle"}
                paper.stroke((x, x + sample / 2, x + sample), y - 3, **look, markevery=[1])
            paper.write(x + sample + 4, y, entry.name, LITTLE)
            x += entry.length


def _axes(paper: Paper, plan: Plan) -> Axes:
    axes = paper.axes(plan.left, plan.top, plan.wide, plan.high)
    axes.set_xlim(0, plan.last - plan.first)
    axes.set_ylim(plan.values.low, plan.values.high)
    axes.set_xticks([place - plan.first for place in plan.times.places], labels=list(plan.times.labels))
    axes.set_yticks(list(plan.values.places), labels=list(plan.values.labels))
    if plan.times.places:
        foot = plan.top + plan.high + plan.below + DAY - 4
        paper.write(plan.left + plan.wide / 2, foot, scales.days(plan.first, plan.last), color=SOFT, ha="center")
    return axes


def _draw_lines(axes: Axes, plan: Plan) -> None:
    order = {"reference": 2.4, "other": 2.2, "now": 3.0}
    for line in plan.lines:
        if line.bars:
            _draw_bars(axes, line, plan)
            continue
        x, y = data.broken(line, plan.step)
        x, y = x - plan.first, y / plan.values.divisor
        if line.role == "now" and plan.threshold is not None:
            _shade(axes, x, y, plan.threshold / plan.values.divisor)
        layer = order[line.role]
        axes.plot(x, y, **line.style, markevery=max(1, len(x) // 12), zorder=layer, clip_on=False)
        lonely = data.alone(y)
        if lonely.any():
            axes.plot(x[lonely], y[lonely], "o", ms=2.5, color=line.style["color"], zorder=layer, clip_on=False)


def _shade(axes: Axes, x: data.Floats, y: data.Floats, threshold: float) -> None:
    """The area between the threshold and what exceeds it, exact where they cross."""
    from matplotlib.patches import Rectangle

    if (y > threshold).any():
        low, high = axes.get_ylim()
        area = axes.fill_between(x, low, y, where=np.isfinite(y).tolist(), color=RED, alpha=0.14, lw=0, zorder=1.9)
        area.set_clip_path(Rectangle((0, threshold), float(x[-1]) or 1, high - threshold, transform=axes.transData))


def _draw_bars(axes: Axes, line: Line, plan: Plan) -> None:
    """Bars, each from its time on to the next."""
    from matplotlib.collections import PolyCollection

    drawn = np.nan_to_num(line.y) != 0
    base = (line.base if line.base is not None else np.zeros(len(line.y)))[drawn] / plan.values.divisor
    top, start = line.top[drawn] / plan.values.divisor, line.x[drawn] - plan.first
    left, right = start + 0.08 * plan.step, start + 0.92 * plan.step
    corners = np.stack([left, base, left, top, right, top, right, base], axis=1).reshape(-1, 4, 2)
    boxes = PolyCollection(list(corners), facecolor=line.style["color"], edgecolor="none", zorder=2.3)
    axes.add_collection(boxes, autolim=False)


def _draw_threshold(paper: Paper, axes: Axes, chart: Chart, plan: Plan) -> None:
    if plan.threshold is None:
        return
    axes.axhline(plan.threshold / plan.values.divisor, color=RED, lw=1.1, ls=(0, (1.5, 1.5)), zorder=2.5)
    for row, text in enumerate(_limit(chart, plan.threshold)):
        paper.write(
            plan.left + plan.wide + 5, plan.y(plan.threshold) + 10.5 * (row - 0.5), text, LITTLE, color=RED, va="center"
        )


def _draw_events(paper: Paper, axes: Axes, chart: Chart, plan: Plan) -> None:
    for kind, (color, dash) in EVENTS.items():
        times = sorted(
            {e.time - plan.first for e in chart.events if e.kind == kind and plan.first <= e.time <= plan.last}
        )
        axes.vlines(times, plan.values.low, plan.values.high, color=color, lw=1.1, ls=dash, zorder=2.6)
    for mark in plan.marks:
        color, _ = EVENTS[mark.kind]
        x, y = plan.x(mark.time), plan.top - 5 - EVENT * mark.row
        away = marks.CLEAR if mark.side == "right" else -marks.CLEAR
        paper.stroke((x, x), (plan.top, y - 7), color=color, lw=1.1)
        paper.write(
            x + away, y, drawable(mark.text), LITTLE, color=color, ha="left" if mark.side == "right" else "right"
        )
