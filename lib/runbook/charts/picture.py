"""Draws a chart with matplotlib's objects: a layout computed from the lengths of the texts, so that nothing is clipped
and nothing but data stands within the axes.

From top to bottom: title with the unit, legend, event labels, axes, clock times, day. All lengths are points.
matplotlib is imported when the first chart is drawn; its settings are global, so one chart is drawn at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from runbook.charts import marks, scales
from runbook.model import Chart, Series
from runbook.wording import ELLIPSIS, plain_text, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

Floats = NDArray[np.float64]

WIDTH, PLOT, BARE = 460.8, 140.0, 90.0  # of the paper; height of the axes with and without data
TITLE, LEGEND, EVENT, CLOCKS, DAY, EDGE = 17.0, 13.5, 12.0, 15.0, 14.0, 4.0
SAMPLE, SPACE = 20.0, 14.0  # a legend's piece of line, and what separates two entries
NAMED = 6  # lines of their own; more are drawn as one kind of thin grey "others"
BIG, NORMAL, LITTLE = 10.5, 9.0, 8.5
INK, SOFT, FAINT = "#1d232b", "#4f5963", "#98a2ad"
RED = "#c62f41"
CYCLE: tuple[tuple[str, Any, str], ...] = (
    ("#174f91", "-", ""),
    ("#d97a00", (0, (5, 1.6)), ""),
    ("#2f855a", (0, (1.2, 1.4)), ""),
    ("#7a4fa3", (0, (6, 1.5, 1.2, 1.5)), ""),
    ("#2a8fa6", "-", "o"),
    ("#5b3a29", "-", "^"),
)
BREAK = 2.5  # a step this many times the usual one is a gap
EVENTS: dict[str, tuple[str, Any]] = {
    "onset": (INK, (0, (4, 2))),
    "alert": (RED, (0, (4, 2))),
    "rollout": ("#174f91", (0, (7, 2))),
    "restart": ("#7a4fa3", (0, (1, 1.5))),
    "mitigation": ("#216e47", (0, (7, 2, 1, 2))),
}
_ONE_AT_A_TIME = threading.Lock()


def png(chart: Chart) -> bytes:
    """The chart as a PNG file, 1024 pixels wide."""
    with _style():
        return _saved(_figure(chart), "png", {"Software": None})


def svg(chart: Chart) -> str:
    """The chart as an SVG document; its texts are paths, so that it looks alike everywhere."""
    with _style():
        return _saved(_figure(chart), "svg", {"Date": None, "Creator": None}).decode()


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Our settings and nobody else's, for one chart."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second, for those only who draw

    with _ONE_AT_A_TIME, mpl.rc_context(_settings()):
        yield


@cache
def _settings() -> dict[str, Any]:
    import matplotlib as mpl  # noqa: PLC0415 - as above

    own = mpl.rc_params_from_file(Path(__file__).with_name("runbook.mplstyle"), use_default_template=True)
    return {key: own[key] for key in own if not key.startswith(("backend", "interactive", "toolbar", "webagg", "tk.", "date."))}


@dataclass(frozen=True)
class _Line:
    """A series on the paper: its name cut and made drawable, finite values only, NaN where the line breaks."""

    name: str
    x: Floats
    y: Floats
    role: Literal["now", "reference", "other"]


class _Paper:
    """A figure of given height that is written on in points from its upper left corner."""

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg  # noqa: PLC0415 - as above
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above

        self.figure = Figure()
        self.height = 1.0
        FigureCanvasAgg(self.figure)
        self._ruler = RendererAgg(8, 8, self.figure.dpi)

    def width(self, text: str, size: float = NORMAL, weight: str = "normal") -> float:
        """Length of a text."""
        pixels, _, _ = self._ruler.get_text_width_height_descent(text, _font(size, weight), ismath=False)
        return pixels * 72 / self.figure.dpi

    def fitting(self, text: str, space: float, size: float = NORMAL, weight: str = "normal") -> str:
        """The text, or what fits of it, around an ellipsis."""
        if self.width(text, size, weight) <= space:
            return text
        low, high = 1, len(text)
        while low < high - 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.width(shortened(text, middle), size, weight) <= space else (low, middle)
        return shortened(text, low)

    def resize(self, height: float) -> None:
        """Sets the height; to be called before anything is written."""
        self.height = height
        self.figure.set_size_inches(WIDTH / 72, height / 72)

    def write(self, x: float, y: float, text: str, size: float = NORMAL, *, weight: str = "normal", color: str = INK, ha: str = "left", va: str = "baseline") -> None:
        """A text, taken literally."""
        self.figure.text(x / WIDTH, 1 - y / self.height, text, fontproperties=_font(size, weight), color=color, ha=ha, va=va, parse_math=False)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a box whose upper left corner is given."""
        return self.figure.add_axes((left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height))

    def stroke(self, x: Sequence[float], y: Sequence[float], **how: Any) -> None:
        """A line on the paper itself."""
        from matplotlib.lines import Line2D  # noqa: PLC0415 - as above

        self.figure.add_artist(Line2D([v / WIDTH for v in x], [1 - v / self.height for v in y], **how))


@cache
def _font(size: float, weight: str) -> FontProperties:
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - as above

    return FontProperties(family="DejaVu Sans", size=size, weight=weight)


@cache
def _drawn(character: str) -> str:
    """The character, or a box where our font has none."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - as above

    return character if get_font(findfont(_font(NORMAL, "normal"))).get_char_index(ord(character)) else "□"


def _text(text: str, limit: int = 160) -> str:
    visible = plain_text(text, limit)
    return visible if visible.isascii() else "".join(map(_drawn, visible))


def _lines(chart: Chart) -> list[_Line]:
    """What is drawn, references first so that they lie below."""
    now = [s for s in chart.series if s.role == "now"]
    tallest = sorted(range(len(now)), key=lambda k: (-_peak(now[k].values), k))[:NAMED]
    drawn = [_line(s, "reference") for s in chart.series if s.role == "reference"]
    drawn += [_line(s, "other") for k, s in enumerate(now) if k not in tallest]
    return drawn + [_line(s, "now") for k, s in enumerate(now) if k in tallest]


def _peak(values: Sequence[float]) -> float:
    known = _finite(values)
    return float(np.nanmax(known)) if not np.isnan(known).all() else -np.inf


def _finite(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _line(series: Series, role: Literal["now", "reference", "other"]) -> _Line:
    x, y = np.asarray(series.times, dtype=np.float64), _finite(series.values)
    real = np.isfinite(x)
    return _Line(_text(series.label), x[real], y[real], role)


def _step(lines: Sequence[_Line]) -> float:
    """The usual distance of two points."""
    steps = np.concatenate([np.diff(line.x) for line in lines] or [np.empty(0)])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 60.0


def _figure(chart: Chart) -> Figure:
    paper, lines = _Paper(), _lines(chart)
    first, last = _extent(chart, lines)
    data = any(not np.isnan(line.y).all() for line in lines)
    tall = _totals(lines) if chart.kind == "bars" else [line.y for line in lines]
    known = [float(f(y)) for y in tall if not np.isnan(y).all() for f in (np.nanmin, np.nanmax)]
    threshold = chart.threshold if chart.threshold is not None and np.isfinite(chart.threshold) else None
    values = scales.value_scale([*known, *([threshold] if threshold is not None else [])], whole=chart.kind == "bars")
    times = scales.time_scale(first, last)
    limit = _limit_lines(chart, threshold)

    left = EDGE + max([paper.width(label) for label in values.labels if data] or [0.0]) + 6
    left = max(left, 16.0)
    right = max(18.0, *(paper.width(text, LITTLE) + 8 for text in limit)) if limit else 18.0
    wide = WIDTH - left - right
    entries = _legend(paper, chart, lines, wide)
    placed, unplaced = marks.place(
        [group_drawn(g) for g in marks.groups(chart.events, first, last)],
        lambda time: (time - first) / (last - first) * wide,
        lambda text: paper.width(text, LITTLE),
        EDGE - left,
        wide + right - EDGE,
    )
    rows = 1 + max((m.row for m in placed), default=-1)
    top = EDGE + TITLE + LEGEND * len(entries) + EVENT * rows + 5
    high = PLOT if data else BARE
    clocks = CLOCKS + (10.5 if any("\n" in label for label in times.labels) else 0)
    paper.resize(top + high + clocks + DAY + EDGE)

    _write_title(paper, chart, left, len(chart.events) - sum(len(m.group.times) for m in placed))
    _draw_legend(paper, entries, left)
    axes = paper.axes(left, top, wide, high)
    _set_axes(axes, values, times, data)
    if data:
        _draw_data(axes, chart, lines, values, threshold, first)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=SOFT, fontproperties=_font(BIG, "normal"))
    if threshold is not None and data:
        y = threshold / values.divisor
        axes.axhline(y, color=RED, lw=1.1, ls=(0, (1.5, 1.5)), zorder=2.5)
        for k, text in enumerate(limit):
            paper.write(left + wide + 4, top + high * (values.high - y) / (values.high - values.low) + (k - (len(limit) - 1) / 2) * 10.5, text, LITTLE, color=RED, va="center")
    _draw_events(paper, axes, chart, placed, left, top, wide, first, last)
    paper.write(left + wide / 2, top + high + clocks + DAY - 4, scales.time_title(first, last) if len(chart.series) or chart.events else "", NORMAL, color=SOFT, ha="center")
    return paper.figure


def group_drawn(group: marks.Group) -> marks.Group:
    return marks.Group(group.kind, group.times, _text(group.text))


def _extent(chart: Chart, lines: Sequence[_Line]) -> tuple[float, float]:
    """The time axis covers all times of the series, whether they have data or not."""
    times = [float(f(line.x)) for line in lines if len(line.x) for f in (np.min, np.max)]
    times = times or [event.time for event in chart.events if np.isfinite(event.time)] or [0.0]
    step = _step(lines)
    first, last = min(times), max(times)
    if chart.kind == "bars":
        last += step
    return (first, last) if last > first else (first - step, last + step)


def _totals(lines: Sequence[_Line]) -> list[Floats]:
    """Heights of bars, which stand on each other."""
    base: dict[float, float] = {}
    heights: list[Floats] = []
    for line in lines:
        if line.role == "reference":
            heights.append(line.y)
            continue
        for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
            base[x] = base.get(x, 0.0) + (y if y == y else 0.0)
        heights.append(np.array([base[x] if y == y else np.nan for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True)]))
    return heights


def _limit_lines(chart: Chart, threshold: float | None) -> list[str]:
    """The words beside the threshold."""
    if threshold is None:
        return []
    unit = " %" if chart.unit.lstrip().startswith("%") else ""
    return ["threshold", f"{scales.number_label(threshold)}{unit}"]


def _legend(paper: _Paper, chart: Chart, lines: Sequence[_Line], wide: float) -> list[list[tuple[str, dict[str, Any], float]]]:
    """Rows of (name, style, length); none where a single series says nothing that the title does not."""
    named = [line for line in lines if line.role != "other"]
    others = len(lines) - len(named)
    if len(lines) < 2 and (not lines or lines[0].name.casefold() in ("", "now", _text(chart.title).casefold())):
        return []
    styles = _styles(lines, chart)
    entries = [(paper.fitting(line.name, wide / 2 - SAMPLE - SPACE, LITTLE), styles[lines.index(line)]) for line in sorted(named, key=lambda line: line.role == "reference")]
    if others:
        entries.append((f"{others} other{'s' if others > 1 else ''}", styles[next(k for k, line in enumerate(lines) if line.role == "other")]))
    rows: list[list[tuple[str, dict[str, Any], float]]] = [[]]
    used = 0.0
    for name, style in entries:
        size = SAMPLE + 4 + paper.width(name, LITTLE) + SPACE
        if rows[-1] and used + size - SPACE > wide:
            rows.append([])
            used = 0.0
        rows[-1].append((name, style, size))
        used += size
    return rows


def _styles(lines: Sequence[_Line], chart: Chart) -> list[dict[str, Any]]:
    cycle = iter(CYCLE)
    found: list[dict[str, Any]] = []
    greys = 0
    for line in lines:
        if line.role == "reference":
            found.append({"color": FAINT, "linewidth": 1.3, "linestyle": "-" if greys == 0 else (0, (3, 1.5)), "marker": ""})
            greys += 1
        elif line.role == "other":
            found.append({"color": "#b9a48c", "linewidth": 0.9, "linestyle": "-", "marker": ""})
        else:
            color, dash, marker = next(cycle)
            found.append({"color": color, "linestyle": dash, "marker": marker})
    return found


def _draw_legend(paper: _Paper, rows: Sequence[Sequence[tuple[str, dict[str, Any], float]]], left: float) -> None:
    for k, row in enumerate(rows):
        x, y = left, EDGE + TITLE + LEGEND * k + 9
        for name, style, size in row:
            paper.stroke((x, x + SAMPLE / 2, x + SAMPLE), (y - 3, y - 3, y - 3), **{"linewidth": 2.0, **style, "markevery": [1]})
            paper.write(x + SAMPLE + 4, y, name, LITTLE)
            x += size


def _write_title(paper: _Paper, chart: Chart, left: float, unplaced: int) -> None:
    more = f"+{unplaced} more event{'s' if unplaced > 1 else ''}" if unplaced else ""
    space = WIDTH - left - 2 * EDGE - (paper.width(more, LITTLE) + SPACE if more else 0)
    title = paper.fitting(_text(chart.title), space, BIG, "bold")
    paper.write(left, EDGE + 11, title, BIG, weight="bold")
    used = paper.width(title, BIG, "bold") + 7
    if space - used > 30:
        paper.write(left + used, EDGE + 11, paper.fitting(_text(chart.unit), space - used, NORMAL), NORMAL, color=SOFT)
    if more:
        paper.write(WIDTH - EDGE, EDGE + 11, more, LITTLE, color=SOFT, ha="right")


def _set_axes(axes: Axes, values: scales.Scale, times: scales.Scale, data: bool) -> None:
    axes.set_xlim(0, times.high - times.low)
    axes.set_ylim(values.low, values.high)
    axes.set_xticks([place - times.low for place in times.places], labels=list(times.labels))
    axes.set_yticks(list(values.places) if data else [], labels=list(values.labels) if data else [])


def _draw_data(axes: Axes, chart: Chart, lines: Sequence[_Line], values: scales.Scale, threshold: float | None, first: float) -> None:
    styles, step = _styles(lines, chart), _step(lines)
    base: dict[float, float] = {}
    for line, style in zip(lines, styles, strict=True):
        if chart.kind == "bars" and line.role != "reference":
            _draw_bars(axes, line, style, values, step, first, base)
            continue
        x, y = _broken(line.x - first, line.y / values.divisor, step)
        if line.role == "now" and threshold is not None:
            _shade(axes, x, y, threshold / values.divisor)
        axes.plot(x, y, **style, markevery=max(1, len(x) // 12), zorder={"reference": 2.1, "other": 2.2, "now": 3}[line.role])
        alone = _alone(y)
        axes.plot(x[alone], y[alone], ls="", marker="o", ms=2.5, color=style["color"], zorder=3)


def _broken(x: Floats, y: Floats, step: float) -> tuple[Floats, Floats]:
    """With NaN where points are missing altogether."""
    gaps = np.flatnonzero(np.diff(x) > BREAK * step)
    return np.insert(x, gaps + 1, x[gaps] + step), np.insert(y, gaps + 1, np.nan)


def _alone(y: Floats) -> NDArray[np.bool_]:
    """Points with data whose neighbours have none: no line shows them."""
    known = np.concatenate(([False], np.isfinite(y), [False]))
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _shade(axes: Axes, x: Floats, y: Floats, threshold: float) -> None:
    """The area between the threshold and what exceeds it, exact at the crossings."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - as above

    if not (y > threshold).any():
        return
    low, high = axes.get_ylim()
    area = axes.fill_between(x, min(low, threshold), y, where=np.isfinite(y), color=RED, alpha=0.14, lw=0, zorder=1.9)
    area.set_clip_path(Rectangle((0, threshold), x[-1] or 1, high - threshold, transform=axes.transData))


def _draw_bars(axes: Axes, line: _Line, style: dict[str, Any], values: scales.Scale, step: float, first: float, base: dict[float, float]) -> None:
    """Bars from their time on to the next; several series stand on each other."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415 - as above

    boxes: list[list[tuple[float, float]]] = []
    for time, height in zip(line.x.tolist(), line.y.tolist(), strict=True):
        if height == height and height:
            low = base.get(time, 0.0)
            base[time] = low + height
            a, b, bottom, top = time - first + 0.08 * step, time - first + 0.92 * step, low / values.divisor, base[time] / values.divisor
            boxes.append([(a, bottom), (a, top), (b, top), (b, bottom)])
    axes.add_collection(PolyCollection(boxes, facecolor=style["color"], edgecolor="none", zorder=2.3), autolim=False)


def _draw_events(paper: _Paper, axes: Axes, chart: Chart, placed: Sequence[marks.Mark], left: float, top: float, wide: float, first: float, last: float) -> None:
    for event in chart.events:
        if first <= event.time <= last:
            color, dash = EVENTS[event.kind]
            axes.axvline(event.time - first, color=color, lw=1.1, ls=dash, zorder=2.6)
    for mark in placed:
        color, _ = EVENTS[mark.group.kind]
        time = mark.group.times[0] if mark.side == "right" else mark.group.times[-1]
        x = left + (time - first) / (last - first) * wide
        y = top - 4 - EVENT * mark.row
        paper.stroke((x, x), (top, y - 7), color=color, linewidth=1.1, linestyle="-")
        paper.write(x + (marks.CLEAR if mark.side == "right" else -marks.CLEAR), y, mark.group.text, LITTLE, color=color, ha="left" if mark.side == "right" else "right")
