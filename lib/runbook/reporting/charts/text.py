"""A chart without a picture: one line of plain text that changes when the data does, and a table for a spreadsheet."""

from __future__ import annotations

import csv as standard
from collections.abc import Sequence
from io import StringIO
from math import isfinite

from runbook.model import Chart, Event, Series, digest
from runbook.text.escape import csv_cell, plain
from runbook.text.format import plural
from runbook.text.time import clock, clock_text, iso

DIGITS = 6  # significant ones that the digest sees: platforms differ in the last of sixteen


def twin(chart: Chart) -> str:
    """What the picture shows, in one line: title, unit, series (points, span, maximum), threshold, events, digest.

    "Failed requests (5xx), % of requests: now 361 points 09:42-11:12 UTC, max 16.8; threshold 5; data 3f2a91c0"
    """
    parts = [_series(series) for series in chart.series] or ["no series"]
    if chart.threshold is not None:
        parts.append(f"{plain(chart.limit)} {_number(chart.threshold)}")
    if chart.events:
        parts.append(f"events: {', '.join(_event(event) for event in chart.events)}")
    return f"{plain(chart.title)}, {plain(chart.unit)}: {'; '.join(parts)}; data {_digest(chart)}"


def _series(series: Series) -> str:
    known = [value for value in series.values if isfinite(value)]
    name = plain(series.label, 80)
    if not series.times:
        return f"{name} no points"
    span = f"{clock(series.times[0])}–{clock_text(series.times[-1], series.times[0])}"
    if not known:
        return f"{name} {plural(len(series.times), 'point')} {span}, no data"
    missing = len(series.values) - len(known)
    gaps = f", {missing} without data" if missing else ""
    return f"{name} {plural(len(series.times), 'point')} {span}{gaps}, max {_number(max(known))}"


def _event(event: Event) -> str:
    return f"{plain(event.label, 80)} {clock(event.time)}"


def _number(value: float) -> str:
    """Three digits, with thousands separated."""
    return f"{float(f'{value:.3g}'):,.6g}" if abs(value) < 1e15 else f"{value:.3g}"


def _digest(chart: Chart) -> str:
    """Eight hex digits of everything drawn, rounded so that all platforms agree."""
    rows = [[_whole(s.label), s.role, _rounded(s.times, 13), _rounded(s.values, DIGITS)] for s in chart.series]
    events = [[_whole(event.label), event.kind, *_rounded([event.time], 13)] for event in chart.events]
    limit = _rounded([] if chart.threshold is None else [chart.threshold], DIGITS)
    return digest([_whole(chart.title), _whole(chart.unit), chart.kind, limit, rows, events])[:8]


def _whole(text: str) -> str:
    return plain(text, len(text))


def _rounded(values: Sequence[float], digits: int) -> list[str]:
    return [f"{value + 0.0:.{digits}g}" for value in values]


def csv(chart: Chart) -> str:
    """The data as comma-separated values: a row per time (UTC), a column per series, empty where there is no data."""
    columns = [dict(zip(series.times, series.values, strict=True)) for series in chart.series]
    out = StringIO()
    table = standard.writer(out, lineterminator="\n")
    table.writerow(["time (UTC)", *(csv_cell(f"{series.label}, {chart.unit}") for series in chart.series)])
    for time in sorted({time for column in columns for time in column}):
        table.writerow([_stamp(time), *(_value(column.get(time)) for column in columns)])
    return out.getvalue()


def _value(value: float | None) -> str:
    return f"{value:.12g}" if value is not None and isfinite(value) else ""


def _stamp(epoch: float) -> str:
    try:
        return iso(epoch, milliseconds=True)
    except (ValueError, OverflowError, OSError):
        return _value(epoch)
