"""What the checks do with series: name them in PromQL, put them on one grid, compare before with since.

Times are int64 epoch seconds (UTC) on the query's grid; values float64 of the same length, NaN without data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook.config.schema import Service
from runbook.investigation.definitions import Context
from runbook.model import Answer, Query, Series
from runbook.sources.prometheus.client import label_matchers, matrix, range_

Floats = NDArray[np.float64]
FAILED = 'status_code=~"5.."'
DAY, WEEK = 86_400, 604_800
WINDOW = "5m"  # rate window of the procedure


def metric(service: Service, name: str, *matchers: str) -> str:
    """A selector for one of the service's metrics, e.g. micro_frontend_x{app="micro-frontend"}.

    `name` without the service's prefix; a process_ metric is common to all services and gets none.
    """
    prefix = "" if name.startswith("process_") or name == "up" else service.metric_prefix
    known = label_matchers(service.metric_labels)
    return f"{prefix}{name}{{{','.join([*([known] if known else []), *matchers])}}}"


def over_window(context: Context, text: str, ago: int = 0) -> Query:
    """The expression over the incident's window, or over the same hours `ago` seconds earlier."""
    return range_(text, int(context.start) - ago, int(context.end) - ago, context.step)


def since_mitigation(context: Context, text: str, end: float) -> Query:
    """The expression from the mitigation to `end`, at every scrape."""
    start = int(context.mitigated_at or context.started_at)
    return range_(text, start, int(end), context.service.scrape_interval_seconds)


def recent(context: Context) -> str:
    """The rate window of a verification, which shows a recovery soon: four scrapes, at least a minute."""
    return f"{max(60, 4 * context.service.scrape_interval_seconds)}s"


def watched(answer: Answer, values: Floats) -> Series:
    """A recovery's series, on the grid of one of its answers."""
    return Series("now", tuple(times_of(answer.query)), tuple(values))


def short_window(context: Context) -> int:
    """A short rate window in seconds, still smooth: four scrapes, at least one step."""
    return max(4 * context.service.scrape_interval_seconds, context.step)


def rate_window(context: Context) -> str:
    """The procedure's rate window; a longer step instead, so that no change falls between two points."""
    return WINDOW if context.step <= 300 else f"{context.step}s"


def split_time(context: Context, onset: float | None) -> float:
    """The time that separates before from since: the onset; where none is known, when the threshold was passed."""
    return onset if onset is not None else context.started_at - context.for_seconds


def grid(context: Context) -> Floats:
    """The times of every series of the window, moved to now where the query looked back a day or a week."""
    return np.arange(int(context.start), int(context.end) + 1, context.step, dtype=np.float64)


def times_of(query: Query) -> Floats:
    """The grid of a range query."""
    return np.arange(query.params["start"], query.params["end"] + 1, query.params["step"], dtype=np.float64)


def line(answer: Answer) -> Floats:
    """The sum of all series of a range query's answer on its grid; all NaN where it has none."""
    return matrix(answer).sum() if answer.usable else np.full(len(times_of(answer.query)), np.nan)


def highest(answer: Answer) -> Floats:
    """The highest of all series at each time of a range query's grid; NaN where none has a value."""
    if not answer.usable:
        return np.full(len(times_of(answer.query)), np.nan)
    return np.asarray(np.fmax.reduce(matrix(answer).values, axis=0, initial=np.nan))


def sum_of(context: Context, rows: Mapping[str, Floats]) -> Floats:
    """The sum of several series of the window; NaN where none of them has a value."""
    if not rows:
        return np.full(len(grid(context)), np.nan)
    every = np.stack(list(rows.values()))
    return np.where(np.isnan(every).all(axis=0), np.nan, np.nansum(every, axis=0))


def upper_quartile(values: Floats) -> float:
    """The level that a quarter of the values exceeds."""
    return float(np.percentile(values, 75))


def by_label(answer: Answer, label: str) -> dict[str, Floats]:
    """One series per value of a label, in the label's order."""
    if not answer.usable:
        return {}
    found = matrix(answer)
    pairs = {labels.get(label, "?"): row for labels, row in zip(found.labels, found.values, strict=True)}
    return dict(sorted(pairs.items()))


def ratio(part: Floats, total: Floats) -> Floats:
    """part / total; a part without data counts as 0 where there is a total; NaN where the total is 0: no traffic."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isnan(part), 0.0, part) / total
    return np.where(total > 0, share, np.nan)


def share(part: Answer, total: Answer) -> Floats:
    """The share of one rate in another; all NaN where the query for the part failed: not known is not zero."""
    return ratio(line(part), line(total)) if part.completeness != "failed" else line(total) * np.nan


@dataclass(frozen=True)
class Change:
    """A series' level before the onset and since; NaN where there is no data on that side."""

    before: float
    since: float

    @property
    def times(self) -> float:
        """How many times the level before; infinite where that was 0, NaN where either level is not known."""
        if self.before == 0:
            return float("inf") if self.since > 0 else 1.0
        return self.since / self.before


def change(
    context: Context, values: Floats, onset: float | None, level: Callable[[Floats], float] = np.median
) -> Change:
    """The typical value before the onset and since it, split at `split_time`."""
    times, split = grid(context), split_time(context, onset)
    return Change(_level(values[times < split], level), _level(values[times >= split], level))


def _level(values: Floats, level: Callable[[Floats], float]) -> float:
    known = values[~np.isnan(values)]
    return float(level(known)) if len(known) else float("nan")


def median(values: Floats) -> float:
    """The typical value; NaN where there is none."""
    return _level(values, np.median)


def last(values: Floats) -> float:
    """The newest known value; NaN without any."""
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else float("nan")


def series(context: Context, label: str, values: Floats, role: str = "now", *, scale: float = 1.0) -> Series:
    """A line for a chart; `scale` converts the values into its unit."""
    return Series(label, tuple(grid(context)), tuple(values * scale), "reference" if role == "reference" else "now")


def shown_of(title: str, most: int, total: int) -> str:
    """A chart's title; where it shows only `most` of all lines, the title says so."""
    return title if total <= most else f"{title}, {most} of {total}"


def time_scale(*rows: Floats) -> tuple[str, float]:
    """The unit of an axis of durations, and its factor from seconds: ms where no value reaches one second."""
    known = [float(np.nanmax(row)) for row in rows if not np.isnan(row).all()]
    return ("s", 1.0) if max(known, default=0.0) >= 1 else ("ms", 1000.0)


def number(value: float, digits: int = 6) -> float | None:
    """A rounded number, the same on every platform; None for NaN and infinity, which JSON does not have."""
    return round(float(value), digits) if np.isfinite(value) else None


def pods(context: Context, answer: Answer) -> Mapping[str, Floats]:
    """One series per pod."""
    return by_label(answer, context.service.pod_label)
