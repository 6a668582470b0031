"""What a chart draws, ready for the paper: which series get a name and which style, clean arrays, gaps, sums of bars.

Times are float64 epoch seconds, values float64 of the same length, NaN where there is no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runbook.model import Chart, Series

Floats = NDArray[np.float64]
Role = Literal["now", "reference", "other"]

NAMED = 6  # lines of their own; what is below the tallest six is drawn as one kind of thin grey "others"
BREAK = 2.5  # a step this many times the usual one is a gap
BEYOND = 1e300  # not a measurement any more than infinity is
DASH = (0, (5, 1.6))
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#174f91", "linestyle": "-", "marker": ""},
    {"color": "#d97a00", "linestyle": DASH, "marker": ""},
    {"color": "#2f855a", "linestyle": (0, (1.2, 1.4)), "marker": ""},
    {"color": "#7a4fa3", "linestyle": (0, (6, 1.5, 1.2, 1.5)), "marker": ""},
    {"color": "#2a8fa6", "linestyle": "-", "marker": "o"},
    {"color": "#5b3a29", "linestyle": "-", "marker": "^"},
)
BARS = ("#4d7397", "#eeb35f", "#2f6b4a", "#c9b3dd", "#1d5f70", "#d9c3b0")  # dark and light by turns
GREYS: tuple[dict[str, Any], ...] = (
    {"color": "#8b95a0", "linestyle": "-", "linewidth": 1.3},
    {"color": "#8b95a0", "linestyle": DASH, "linewidth": 1.3},
    {"color": "#8b95a0", "linestyle": (0, (1.2, 1.4)), "linewidth": 1.3},
)
INK = "#1d232b"  # a reference before bars
OTHER: dict[str, Any] = {"color": "#b9a48c", "linestyle": "-", "linewidth": 0.9}


@dataclass(frozen=True)
class Line:
    """One line, or one kind of bars: where it stands and how it looks. `base`: what bars stand on."""

    label: str
    x: Floats
    y: Floats
    role: Role
    style: dict[str, Any]
    bars: bool = False
    base: Floats | None = None

    @property
    def top(self) -> Floats:
        """Heights above zero."""
        return self.y if self.base is None else self.y + self.base

    @property
    def empty(self) -> bool:
        """Whether there is no value at all."""
        return bool(np.isnan(self.y).all())


def lines(chart: Chart) -> list[Line]:
    """All of a chart's lines: references first, so that they lie below, then others, then the named ones."""
    now = [s for s in chart.series if s.role == "now"]
    named = set(sorted(range(len(now)), key=lambda k: (-_peak(now[k]), k))[:NAMED])
    references = [s for s in chart.series if s.role == "reference"]
    found = [_line(s, "reference", GREYS[k % len(GREYS)]) for k, s in enumerate(references)]
    found += [_line(s, "other", OTHER) for k, s in enumerate(now) if k not in named]
    tall = [s for k, s in enumerate(now) if k in named]
    found += [_line(s, "now", style) for s, style in zip(tall, STYLES[: len(tall)], strict=True)]
    return _stacked(found) if chart.kind == "bars" else found


def _peak(series: Series) -> float:
    values = _finite(series.values)
    return float(np.nanmax(values)) if not np.isnan(values).all() else -np.inf


def _finite(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) < BEYOND, array, np.nan)


def _line(series: Series, role: Role, style: dict[str, Any]) -> Line:
    x, y = np.asarray(series.times, dtype=np.float64), _finite(series.values)
    known = np.isfinite(x)
    return Line(series.label, x[known], y[known], role, style)


def _stacked(found: Sequence[Line]) -> list[Line]:
    """Bars, each kind standing on the ones before; a reference stays a line."""
    heights: dict[float, float] = {}
    stacked: list[Line] = []
    colors = iter(BARS)
    for line in found:
        if line.role == "reference":
            stacked.append(replace(line, style={**line.style, "color": INK, "drawstyle": "steps-post"}))
            continue
        base = np.array([heights.get(time, 0.0) for time in line.x.tolist()], dtype=np.float64)
        for time, top in zip(line.x.tolist(), (base + np.nan_to_num(line.y)).tolist(), strict=True):
            heights[time] = top
        color = next(colors) if line.role == "now" else OTHER["color"]
        stacked.append(replace(line, bars=True, base=base, style={"color": color}))
    return stacked


def usual_step(found: Sequence[Line]) -> float:
    """The usual distance of two points in seconds."""
    steps = np.concatenate([np.diff(line.x) for line in found] or [np.empty(0)])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 60.0


def broken(line: Line, step: float) -> tuple[Floats, Floats]:
    """The line's points, with NaN where points are missing altogether."""
    gaps = np.flatnonzero(np.diff(line.x) > BREAK * step)
    return np.insert(line.x, gaps + 1, line.x[gaps] + step), np.insert(line.y, gaps + 1, np.nan)


def alone(y: Floats) -> NDArray[np.bool_]:
    """Points with data whose neighbours have none: no line shows them."""
    known = np.concatenate(([False], np.isfinite(y), [False]))
    return known[1:-1] & ~known[:-2] & ~known[2:]
