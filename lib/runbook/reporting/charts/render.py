"""Draws a chart as its plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runbook.model import Chart
from runbook.reporting.charts import axes as axis_scales
from runbook.reporting.charts import event_labels
from runbook.reporting.charts import series as data
from runbook.reporting.charts.canvas import BIG, LITTLE, SOFT, WIDTH, Paper, drawable, style
from runbook.reporting.charts.layout import DAY, EDGE, EVENT, LEGEND, SPACE, TITLE, Layout, plan
from runbook.reporting.charts.series import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        return _drawn(chart).saved()


def _drawn(chart: Chart) -> Paper:
    paper = Paper()
    layout = plan(paper, chart)
    paper.resize(layout.height)
    _write_title(paper, layout)
    _draw_legend(paper, layout)
    axes = _axes(paper, layout)
    if layout.bare:
        middle = layout.left + layout.wide / 2, layout.top + layout.high / 2
        paper.write(*middle, "no data", BIG, color=SOFT, ha="center", va="center")
    else:
        _draw_lines(axes, layout)
        _draw_threshold(paper, axes, layout)
    _draw_events(paper, axes, chart, layout)
    return paper


def _write_title(paper: Paper, layout: Layout) -> None:
    paper.write(EDGE, EDGE + 11, layout.title, BIG, weight="bold")
    paper.write(EDGE + paper.width(layout.title, BIG, "bold") + SPACE / 2, EDGE + 11, layout.unit, color=SOFT)
    paper.write(WIDTH - EDGE, EDGE + 11, layout.more, LITTLE, color=SOFT, ha="right")


def _draw_legend(paper: Paper, layout: Layout) -> None:
    for row, entries in enumerate(layout.legend):
        x, y = EDGE, EDGE + TITLE + LEGEND * row + 9
        for entry in entries:
            sample = entry.sample
            if entry.line.bars:
                paper.stroke((x, x + sample), y - 3, color=entry.line.style["color"], lw=7, solid_capstyle="butt")
            else:
                look = {key: value for key, value in entry.line.style.items() if key != "drawstyle"}
                paper.stroke((x, x + sample / 2, x + sample), y - 3, **look, markevery=[1])
            paper.write(x + sample + 4, y, entry.name, LITTLE)
            x += entry.length


def _axes(paper: Paper, layout: Layout) -> Axes:
    axes = paper.axes(layout.left, layout.top, layout.wide, layout.high)
    axes.set_xlim(0, layout.last - layout.first)
    axes.set_ylim(layout.values.low, layout.values.high)
    axes.set_xticks([place - layout.first for place in layout.times.places], labels=list(layout.times.labels))
    axes.set_yticks(list(layout.values.places), labels=list(layout.values.labels))
    if layout.times.places:
        foot = layout.top + layout.high + layout.below + DAY - 4
        paper.write(
            layout.left + layout.wide / 2, foot, axis_scales.days(layout.first, layout.last), color=SOFT, ha="center"
        )
    return axes


def _draw_lines(axes: Axes, layout: Layout) -> None:
    order = {"reference": 2.4, "other": 2.2, "now": 3.0}
    for line in layout.lines:
        if line.bars:
            _draw_bars(axes, line, layout)
            continue
        x, y = data.broken(line, layout.step)
        x, y = x - layout.first, y / layout.values.divisor
        if line.role == "now" and layout.threshold is not None:
            _shade(axes, x, y, layout.threshold / layout.values.divisor)
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


def _draw_bars(axes: Axes, line: Line, layout: Layout) -> None:
    """Bars, each from its time on to the next."""
    from matplotlib.collections import PolyCollection

    drawn = np.nan_to_num(line.y) != 0
    base = (line.base if line.base is not None else np.zeros(len(line.y)))[drawn] / layout.values.divisor
    top, start = line.top[drawn] / layout.values.divisor, line.x[drawn] - layout.first
    left, right = start + 0.08 * layout.step, start + 0.92 * layout.step
    corners = np.stack([left, base, left, top, right, top, right, base], axis=1).reshape(-1, 4, 2)
    boxes = PolyCollection(list(corners), facecolor=line.style["color"], edgecolor="none", zorder=2.3)
    axes.add_collection(boxes, autolim=False)


def _draw_threshold(paper: Paper, axes: Axes, layout: Layout) -> None:
    if layout.threshold is None:
        return
    axes.axhline(layout.threshold / layout.values.divisor, color=RED, lw=1.1, ls=(0, (1.5, 1.5)), zorder=2.5)
    for row, text in enumerate(layout.limit):
        paper.write(
            layout.left + layout.wide + 5,
            layout.y(layout.threshold) + 10.5 * (row - 0.5),
            text,
            LITTLE,
            color=RED,
            va="center",
        )


def _draw_events(paper: Paper, axes: Axes, chart: Chart, layout: Layout) -> None:
    for kind, (color, dash) in EVENTS.items():
        times = sorted(
            {e.time - layout.first for e in chart.events if e.kind == kind and layout.first <= e.time <= layout.last}
        )
        axes.vlines(times, layout.values.low, layout.values.high, color=color, lw=1.1, ls=dash, zorder=2.6)
    for mark in layout.marks:
        color, _ = EVENTS[mark.kind]
        x, y = layout.x(mark.time), layout.top - 5 - EVENT * mark.row
        away = event_labels.CLEAR if mark.side == "right" else -event_labels.CLEAR
        paper.stroke((x, x), (layout.top, y - 7), color=color, lw=1.1)
        paper.write(
            x + away, y, drawable(mark.text), LITTLE, color=color, ha="left" if mark.side == "right" else "right"
        )
