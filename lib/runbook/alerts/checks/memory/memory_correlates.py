"""What grows with the memory? The cache, the connections and the requests of the fullest pod, against its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook import model
from runbook.alerts.checks.toolkit import memory_growth
from runbook.alerts.checks.toolkit.memory_growth import MIB, NOISE, resident
from runbook.alerts.checks.toolkit.series import (
    Floats,
    grid,
    metric,
    number,
    over_window,
    pods,
    series,
    short_window,
    split_time,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Chart, Query, Result, Table
from runbook.text.format import bytes_text, share_text

HOLDS = 0.25  # of the growth: a cache that explains so much of it is to blame
MORE, AT_LEAST = 1.5, 3.0  # times the connections before, and connections more: a rise is both
BUSIER = 1.3  # times the requests before: a rise
ALIKE = 0.8  # two series with this correlation rise together
TOP = 0.8  # of the rise of memory: above it memory counts as near its peak, and the other levels are taken there
BEFORE = 40  # the level before is taken from at most so many values
_NAMES = {"cache": "cache", "connections": "connections in use", "requests": "requests/s"}


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """What grew with the memory of the pod that used most since the onset.

    `grown` is its growth in bytes, None where it used more before; `cache_share` the cache's part of that (0..1).
    `rest_grows`: whether its memory without the cache grows, and neither connections nor requests rise with it. Of the
    cache (bytes), the connections in use, and the requests per second: the level right before the onset and near the
    peak of memory, and the correlation with it. None: not measured.
    """

    pod: str
    grown: float | None
    cache_share: float | None
    cache_holds: bool | None
    connections_rise: bool | None
    requests_rise: bool | None
    cache_before: float | None
    connections_before: float | None
    requests_before: float | None
    cache_height: float | None
    connections_height: float | None
    requests_height: float | None
    cache_alike: float | None
    connections_alike: float | None
    requests_alike: float | None
    rest_grows: bool | None


@dataclass(frozen=True)
class _Fullest:
    """The pod that used most memory since the onset; `since` marks the times since then, `high` those near its peak."""

    pod: str
    memory: Floats
    since: NDArray[np.bool_]
    high: NDArray[np.bool_]
    grown: float


@dataclass(frozen=True)
class _Quantity:
    """One quantity of that pod: its level before the onset and near the peak, and its correlation with memory."""

    row: Floats
    before: float
    height: float
    correlation: float

    def rises(self, times: float, least: float = 0.0) -> bool:
        """Whether it rose to so many times its level, at least by so much, and memory with it."""
        more = self.height >= times * self.before and self.height - self.before >= least
        return bool(more and self.correlation >= ALIKE)


@dataclass(frozen=True)
class _Found:
    """The quantities that may explain the memory; None where the pod does not report one."""

    cache: _Quantity | None
    connections: _Quantity | None
    requests: _Quantity | None

    @property
    def by_name(self) -> Mapping[str, _Quantity | None]:
        """All of them, in the order of a table."""
        return {"cache": self.cache, "connections": self.connections, "requests": self.requests}


def _queries(c: Context) -> Mapping[str, Query]:
    pod = c.service.pod_label
    in_use = metric(c.service, "database_connections", 'state="in_use"')
    requests = metric(c.service, "http_requests_total")
    return {
        "memory": over_window(c, resident(c.service)),
        "cache": over_window(c, f"max by ({pod}) ({metric(c.service, 'cache_size_bytes')})"),
        "connections": over_window(c, f"sum by ({pod}) ({in_use})"),
        "requests": over_window(c, f"sum by ({pod}) (rate({requests}[{short_window(c)}s]))"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    top = _fullest(c, answers["memory"], earlier.onset)
    if top is None:
        return Result("unknown", "Not known: no pod reported its resident memory since the onset.")
    found = _Found(*(_quantity(c, answers[name], top) for name in _NAMES))
    facts = _facts(c, answers, top, found)
    rises = facts.cache_holds or facts.connections_rise or facts.requests_rise
    return Result(
        "abnormal" if rises else "normal",
        _sentence(facts, found, answers),
        facts,
        _charts(c, top, found),
        (_table(found),),
    )


def _fullest(c: Context, memory: Answer, onset: float | None) -> _Fullest | None:
    rows, since = pods(c, memory), grid(c) >= split_time(c, onset)
    most = {pod: float(np.nanmax(row[since])) for pod, row in rows.items() if not np.isnan(row[since]).all()}
    if not most:
        return None
    pod = max(sorted(most), key=lambda name: most[name])
    row, before = rows[pod], _before(rows[pod], since)
    high = since & (row >= before + TOP * (most[pod] - before))
    return _Fullest(pod, row, since, high, float(np.median(row[high])) - before)


def _quantity(c: Context, answer: Answer, top: _Fullest) -> _Quantity | None:
    """None where the pod does not report it."""
    row = pods(c, answer).get(top.pod)
    if row is None or np.isnan(row[top.high]).all():
        return None
    height = float(np.nanmedian(row[top.high]))
    return _Quantity(row, _before(row, top.since), height, _correlation(row, top.memory))


def _before(row: Floats, since: NDArray[np.bool_]) -> float:
    """The level right before the onset; of a pod that started later, its first value."""
    known = row[~since & ~np.isnan(row)]
    return float(np.median(known[-BEFORE:]) if len(known) else row[~np.isnan(row)][0])


def _correlation(a: Floats, b: Floats) -> float:
    """Of the times when both are known; 0 where one of them is constant."""
    known = ~np.isnan(a) & ~np.isnan(b)
    if not known.any():
        return 0.0
    x, y = a[known] - a[known].mean(), b[known] - b[known].mean()
    size = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / size if size > 0 else 0.0


def _facts(c: Context, answers: Answers, top: _Fullest, found: _Found) -> Facts:
    cache, connections, requests = found.cache, found.connections, found.requests
    share = (cache.height - cache.before) / top.grown if cache and top.grown > NOISE else None
    rising = connections.rises(MORE, AT_LEAST) if connections else None
    busier = requests.rises(BUSIER) if requests else None
    return Facts(
        pod=top.pod,
        grown=number(top.grown, 0),
        cache_share=None if share is None else number(min(max(share, 0.0), 1.0), 3),
        cache_holds=None if share is None else bool(share >= HOLDS),
        connections_rise=rising,
        requests_rise=busier,
        cache_before=number(cache.before, 2) if cache else None,
        connections_before=number(connections.before, 2) if connections else None,
        requests_before=number(requests.before, 2) if requests else None,
        cache_height=number(cache.height, 2) if cache else None,
        connections_height=number(connections.height, 2) if connections else None,
        requests_height=number(requests.height, 2) if requests else None,
        cache_alike=number(cache.correlation, 2) if cache else None,
        connections_alike=number(connections.correlation, 2) if connections else None,
        requests_alike=number(requests.correlation, 2) if requests else None,
        rest_grows=None if _failed(answers) else _rest_grows(c, top, cache) and not rising and not busier,
    )


def _failed(answers: Answers) -> bool:
    """Whether a query failed: what it asks for may be what grows. A metric that does not exist is no failure."""
    return any(answer.completeness in ("failed", "partial") for answer in answers.values())


def _rest_grows(c: Context, top: _Fullest, cache: _Quantity | None) -> bool:
    """Whether the memory without the cache grows."""
    rest = top.memory - np.nan_to_num(cache.row) if cache else top.memory
    return memory_growth.grows(memory_growth.trend_of(c, np.where(top.since, rest, np.nan)))


def _sentence(facts: Facts, found: _Found, answers: Answers) -> str:
    rises = {
        "the cache": facts.cache_holds,
        "the connections": facts.connections_rise,
        "the requests": facts.requests_rise,
    }
    grows = " and ".join(name for name, rise in rises.items() if rise) or "nothing"
    has_cache = answers["cache"].completeness != "empty"
    no_cache = "" if has_cache else "; the service has no metric for the size of a cache"
    levels = [_level_text(name, one, facts.cache_share) for name, one in found.by_name.items() if one]
    if not levels:
        return f"No data on the cache, the connections and the requests of the fullest pod{no_cache}."
    return f"{grows.capitalize()}, in the fullest pod: {', '.join(levels)}{no_cache}."


def _level_text(name: str, one: _Quantity, cache_share: float | None) -> str:
    """E.g. "connections in use from 3 to 12", "cache from 24 MiB to 72 MiB (13 % of the growth)"."""
    before, height = _level(name, one.before), _level(name, one.height)
    if before == height:
        return f"{_NAMES[name]} unchanged at {height}"
    share = f" ({share_text(cache_share)} of the growth)" if name == "cache" and cache_share is not None else ""
    return f"{_NAMES[name]} from {before} to {height}{share}"


def _charts(c: Context, top: _Fullest, found: _Found) -> tuple[Chart, ...]:
    lines = [series(c, f"memory of {top.pod}", top.memory, scale=1 / MIB)]
    if found.cache:
        lines.append(series(c, "its cache", found.cache.row, scale=1 / MIB))
    charts = [Chart("memory-and-cache", "Memory of the fullest pod, and its cache", "MiB", tuple(lines))]
    if found.connections:
        own = (series(c, "in use", found.connections.row),)
        charts.append(Chart("connections-of-pod", "Database connections of the fullest pod", "connections", own))
    return tuple(charts)


def _table(found: _Found) -> Table:
    """Levels before the onset and near the peak of memory."""
    columns = ("In the fullest pod", "Before the onset", "At the memory peak", "Correlation with memory")
    rows = tuple(
        (
            f"{_NAMES[name][0].upper()}{_NAMES[name][1:]}",
            *((_level(name, one.before), _level(name, one.height), f"{one.correlation:.2f}") if one else _UNMEASURED),
        )
        for name, one in found.by_name.items()
    )
    return Table("memory-correlates", columns, rows)


_UNMEASURED = ("not measured", "", "")


def _level(name: str, value: float) -> str:
    if name == "cache":
        return bytes_text(value)
    return f"{value:,.0f}" if name == "connections" or value >= 10 else f"{value:,.1f}"


CHECK = Check("memory_correlates", "What grows with the memory?", Facts, _queries, _judge, requires=("memory",))
