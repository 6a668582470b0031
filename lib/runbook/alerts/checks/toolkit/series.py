"""What the checks do with series: name them in PromQL, put them on one grid, compare before with since.

Times are int64 epoch seconds (UTC) on the query's grid; values float64 of the same length, NaN without data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook.config.schema import Service
from runbook.investigation.definitions import Context, Results
from runbook.model import Answer, Event, Query, Series
from runbook.sources.prometheus.client import label_matchers, matrix, range_

Floats = NDArray[np.float64]
FAILED = 'status_code=~"5.."'
DAY, WEEK = 86_400, 604_800
WINDOW = "5m"  # the procedure's rate window


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
    """The rate window in which a recovery soon shows: four scrapes, at least a minute."""
    return f"{max(60, 4 * context.service.scrape_interval_seconds)}s"


def watched(answer: Answer, values: Floats) -> Series:
    """A recovery's series, on the grid of one of its answers."""
    return Series("now", tuple(times_of(answer.query)), tuple(values))


def short_window(context: Context) -> int:
    """Rate window in seconds that still smooths: four scrapes, at least one step."""
    return max(4 * context.service.scrape_interval_seconds, context.step)


def rate_window(context: Context) -> str:
    """The procedure's rate window, longer where the step is: nothing may happen between two points."""
    return WINDOW if context.step <= 300 else f"{context.step}s"


def turn(context: Context, onset: float | None) -> float:
    """The time that parts before from since: the onset, or where none is known when the alert began to hold."""
    return onset if onset is not None else context.started_at - context.hold_seconds


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
    """The largest value among all series at each time of a range query's grid; NaN where none has one."""
    if not answer.usable:
        return np.full(len(times_of(answer.query)), np.nan)
    return np.asarray(np.fmax.reduce(matrix(answer).values, axis=0, initial=np.nan))


def by_label(answer: Answer, label: str) -> dict[str, Floats]:
    """One series per value of a label, in the label's order."""
    if not answer.usable:
        return {}
    found = matrix(answer)
    pairs = {labels.get(label, "?"): row for labels, row in zip(found.labels, found.values, strict=True)}
    return dict(sorted(pairs.items()))


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole; a part without data counts as none of a whole that has some; 0/0 is NaN: no traffic."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isnan(part), 0.0, part) / whole
    return np.where(whole > 0, share, np.nan)


def share(part: Answer, whole: Answer) -> Floats:
    """The share of one rate in another; NaN all over where the part was not answered, for that is not zero."""
    return ratio(line(part), line(whole)) if part.completeness != "failed" else line(whole) * np.nan


@dataclass(frozen=True)
class Change:
    """A series' level before the onset and since; NaN where there is no data on that side."""

    before: float
    since: float

    @property
    def times(self) -> float:
        """How many times the level before; infinite from nothing to something, NaN without anything to compare."""
        if self.before == 0:
            return float("inf") if self.since > 0 else 1.0
        return self.since / self.before


def change(
    context: Context, values: Floats, onset: float | None, level: Callable[[Floats], float] = np.median
) -> Change:
    """Typical value before the onset and since it; see `turn`."""
    times, parted = grid(context), turn(context, onset)
    return Change(_level(values[times < parted], level), _level(values[times >= parted], level))


def _level(values: Floats, level: Callable[[Floats], float]) -> float:
    known = values[~np.isnan(values)]
    return float(level(known)) if len(known) else float("nan")


def median(values: Floats) -> float:
    """The typical value; NaN where there is none."""
    return _level(values, np.median)


def last(values: Floats) -> float:
    """The newest value that there is."""
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else float("nan")


def onset_of(earlier: Results) -> float | None:
    """When it began, as the alert's first check found it."""
    first = next(iter(earlier), "")
    return fact(earlier, first, "onset")


def fact(earlier: Results, check: str, name: str) -> float | None:
    """A number that an earlier check found, None where it found none."""
    result = earlier.get(check)
    value = result.facts.get(name) if result else None
    return float(value) if isinstance(value, int | float) else None


def series(context: Context, label: str, values: Floats, role: str = "now", scale: float = 1.0) -> Series:
    """A line for a chart, in the unit that `scale` turns the values into."""
    return Series(label, tuple(grid(context)), tuple(values * scale), "reference" if role == "reference" else "now")


def shown_of(title: str, most: int, every: int) -> str:
    """A chart's title, which says so where it shows only `most` of all."""
    return title if every <= most else f"{title}, {most} of {every}"


def time_scale(*rows: Floats) -> tuple[str, float]:
    """The unit of an axis of seconds, and what turns seconds into it: ms where none of them takes one."""
    known = [float(np.nanmax(row)) for row in rows if not np.isnan(row).all()]
    return ("s", 1.0) if max(known, default=0.0) >= 1 else ("ms", 1000.0)


def number(value: float, digits: int = 6) -> float | None:
    """A fact that JSON can hold and two platforms agree on: rounded, None for NaN and infinity."""
    return round(float(value), digits) if np.isfinite(value) else None


def marks(context: Context, earlier: Results) -> tuple[Event, ...]:
    """The events that every chart shows: rollouts, restarts, onset and the alert itself."""
    changes = earlier.get("changes")
    found = [Event(e["time"], e["label"], e["kind"]) for e in (changes.facts.get("events", []) if changes else [])]
    onset = onset_of(earlier)
    if onset is not None:
        found.append(Event(onset, "onset", "onset"))
    found.append(Event(context.started_at, "alert", "alert"))
    return tuple(sorted((e for e in found if context.start <= e.time <= context.end), key=lambda e: (e.time, e.label)))


def pods(context: Context, answer: Answer) -> Mapping[str, Floats]:
    """One series per pod."""
    return by_label(answer, context.service.pod_label)
