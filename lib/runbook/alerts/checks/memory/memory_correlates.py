"""What grows with the memory? The cache, the connections and the requests of the fullest pod, beside its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook.alerts.checks.memory import growth
from runbook.alerts.checks.memory.growth import MIB, NOISE, resident
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
from runbook.model import JSON, Answer, Chart, Query, Result, Table
from runbook.text.format import bytes_text, share_text

HOLDS = 0.25  # of the memory that has come: if the cache took so much of it, it is to blame
MORE, AT_LEAST = 1.5, 3.0  # times the connections before, and connections: from here on there are more
BUSIER = 1.3  # times the requests before
ALIKE = 0.8  # from this correlation on two series rise together
TOP = 0.8  # of the way from the level before to the height: while memory is above it, heights are taken
BEFORE = 40  # values that a level before is taken from, at most


@dataclass(frozen=True)
class Companion:
    """One quantity of the pod: its level before the memory rose, at the memory's height, and how alike both move."""

    row: Floats
    before: float
    height: float
    alike: float

    def rises(self, times: float, least: float = 0.0) -> bool:
        """Whether it rose to so many times its level, at least by so much, and the memory with it."""
        more = self.height >= times * self.before and self.height - self.before >= least
        return bool(more and self.alike >= ALIKE)


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
    rows, since = pods(c, answers["memory"]), grid(c) >= split_time(c, earlier.onset)
    most = {pod: float(np.nanmax(row[since])) for pod, row in rows.items() if not np.isnan(row[since]).all()}
    if not most:
        return Result("unknown", "Not known: no pod has told its resident memory since the onset.")
    pod = max(sorted(most), key=lambda name: most[name])
    memory, before = rows[pod], _before(rows[pod], since)
    high = since & (memory >= before + TOP * (most[pod] - before))
    found = {
        name: _companion(c, answer, pod, memory, since, high) for name, answer in answers.items() if name != "memory"
    }
    facts = _facts(pod, float(np.median(memory[high])) - before, found)
    facts.rest_grows = None if _failed(answers) else _grows_alone(c, memory, since, found["cache"], facts)
    bad = facts.cache_holds or facts.connections_rise or facts.requests_rise
    return Result(
        "abnormal" if bad else "normal",
        _sentence(facts, answers),
        facts,
        _charts(c, pod, memory, found),
        (_table(found),),
    )


def _companion(
    c: Context, answer: Answer, pod: str, memory: Floats, since: NDArray[np.bool_], high: NDArray[np.bool_]
) -> Companion | None:
    """None where the pod does not tell of it."""
    row = pods(c, answer).get(pod)
    if row is None or np.isnan(row[high]).all():
        return None
    return Companion(row, _before(row, since), float(np.nanmedian(row[high])), _alike(row, memory))


def _before(row: Floats, since: NDArray[np.bool_]) -> float:
    """The level right before; of a pod that is younger, its first value."""
    known = row[~since & ~np.isnan(row)]
    return float(np.median(known[-BEFORE:]) if len(known) else row[~np.isnan(row)][0])


def _alike(a: Floats, b: Floats) -> float:
    """Their correlation where both are known; 0 where one of them does not move."""
    known = ~np.isnan(a) & ~np.isnan(b)
    if not known.any():
        return 0.0
    x, y = a[known] - a[known].mean(), b[known] - b[known].mean()
    size = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / size if size > 0 else 0.0


def _facts(pod: str, grown: float, found: Mapping[str, Companion | None]) -> dict[str, JSON]:
    cache, connections, requests = found["cache"], found["connections"], found["requests"]
    share = (cache.height - cache.before) / grown if cache and grown > NOISE else None
    return {
        "pod": pod,
        "grown": number(grown, 0),
        "cache_share": None if share is None else number(min(max(share, 0.0), 1.0), 3),
        "cache_holds": None if share is None else bool(share >= HOLDS),
        "connections_rise": connections.rises(MORE, AT_LEAST) if connections else None,
        "requests_rise": requests.rises(BUSIER) if requests else None,
        **{f"{name}_before": number(one.before, 2) if one else None for name, one in found.items()},
        **{f"{name}_height": number(one.height, 2) if one else None for name, one in found.items()},
        **{f"{name}_alike": number(one.alike, 2) if one else None for name, one in found.items()},
    }


def _failed(answers: Answers) -> bool:
    """What was not answered may be what grows; a metric that the service does not have is not."""
    return any(answer.completeness in ("failed", "partial") for answer in answers.values())


def _grows_alone(c: Context, memory: Floats, since: NDArray[np.bool_], cache: Companion | None, facts: Facts) -> bool:
    """Whether the memory grows beyond its cache, and neither with the connections nor with the requests."""
    own = memory - np.nan_to_num(cache.row) if cache else memory
    growing = growth.grows(growth.of(c, np.where(since, own, np.nan)))
    return growing and not facts.connections_rise and not facts.requests_rise


def _sentence(facts: Facts, answers: Answers) -> str:
    rising = [words for name, words in _WORDS.items() if facts[f"{name}_{'holds' if name == 'cache' else 'rise'}"]]
    known = [name for name in _WORDS if facts[f"{name}_before"] is not None]
    silent = "; the service tells no size of a cache" if answers["cache"].completeness == "empty" else ""
    told = [text for name in known if (text := _told(facts, name))]
    if rising:
        return f"{' and '.join(rising).capitalize()}, in the fullest pod: {', '.join(told)}{silent}."
    return f"{'Nothing, in the fullest pod' if told else 'Nothing is known of'}: {', '.join(told or _WORDS.values())}{silent}."


_WORDS = {"cache": "the cache", "connections": "the connections", "requests": "the requests"}


def _told(facts: Facts, name: str) -> str:
    before, height = (_level(name, facts[f"{name}_{when}"]) for when in ("before", "height"))
    what = {"cache": "cache", "connections": "connections in use", "requests": "requests/s"}[name]
    if before == height:
        return f"{what} {height} as before"
    share = facts.cache_share if name == "cache" else None
    of_it = f", {share_text(share)} of what came" if share is not None else ""
    return f"{what} from {before} to {height}{of_it}"


def _charts(c: Context, pod: str, memory: Floats, found: Mapping[str, Companion | None]) -> tuple[Chart, ...]:
    lines = [series(c, f"memory of {pod}", memory, scale=1 / MIB)]
    if cache := found["cache"]:
        lines.append(series(c, "its cache", cache.row, scale=1 / MIB))
    charts = [Chart("memory-and-cache", "Memory of the fullest pod, and its cache", "MiB", tuple(lines))]
    if connections := found["connections"]:
        own = (series(c, "in use", connections.row),)
        charts.append(Chart("connections-of-pod", "Database connections of the fullest pod", "connections", own))
    return tuple(charts)


def _table(found: Mapping[str, Companion | None]) -> Table:
    """Levels before and at the memory's height."""
    columns = ("Of the fullest pod", "Before", "At the height", "Correlation with memory")
    names = {"cache": "Cache", "connections": "Connections in use", "requests": "Requests/s"}
    rows = tuple(
        (names[name], _level(name, one.before), _level(name, one.height), f"{one.alike:.2f}")
        if one
        else (names[name], "not measured", "", "")
        for name, one in found.items()
    )
    return Table("companions", columns, rows)


def _level(name: str, value: float) -> str:
    if name == "cache":
        return bytes_text(value)
    return f"{value:,.0f}" if name == "connections" or value >= 10 else f"{value:,.1f}"


CHECK = Check("memory_correlates", "What grows with the memory?", Facts, _queries, _judge, requires=("memory",))
