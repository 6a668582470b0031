"""Which endpoints are slow? The 95th percentile by path, and whether it is one, some or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.duration_breakdown import Kind, kinds, of_all, queries
from runbook.alerts.checks.toolkit.series import number, series
from runbook.alerts.thresholds import LATENCY_P95
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Status, Table
from runbook.text.time import duration_text

LABELS = ("method", "path")
SLOWER = 3.0  # an endpoint is slower from three times its earlier p95 on,
NOTICED = 0.1  # but only above this share of the threshold
APART = 0.5  # of the threshold: an endpoint delayed by so much more than the least delayed one has a cause of its own
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many endpoints had requests since the onset, and which of them are slow, by method and path.

    `slow` have a p95 above the threshold; `slower` are those and all that are several times slower than before. With
    `some`, other endpoints are as fast as before; with `all`, none is. `apart`, only then, are delayed by much more
    than the least delayed one. `top` has most of the additional time: its `top_share` (0..1), and its `top_p95` in
    seconds. `top` and `top_share` are None where there is no additional time.
    """

    endpoints: int
    slow: tuple[str, ...]
    slower: tuple[str, ...]
    top: str | None
    top_p95: float
    top_share: float | None
    some: bool
    all: bool
    apart: tuple[str, ...]


def _queries(c: Context) -> Mapping[str, Query]:
    return queries(c, histogram.REQUESTS, *LABELS)


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    limit = LATENCY_P95.of(c.service.thresholds)
    found = kinds(c, answers, earlier.onset, *LABELS)
    used = [one for one in found if one.per_second > 0 and not one.name.endswith(c.service.health_path)]
    if not used:
        return Result("unknown", "Not known: no requests were timed by path since the onset.")
    slow = [one for one in used if one.p95.since > limit]
    slower = [one for one in used if one in slow or _slower(one, limit)]
    calm = [one for one in used if one not in slower]
    extra = sum(one.extra for one in used)
    facts = Facts(
        endpoints=len(used),
        slow=tuple(one.name for one in slow),
        slower=tuple(one.name for one in slower),
        top=used[0].name if extra else None,
        top_p95=round(used[0].p95.since, 4),
        top_share=number(used[0].extra / extra, 3) if extra else None,
        some=bool(slow and calm),
        all=bool(slow and not calm),
        apart=_apart(used, limit) if slow and not calm else (),
    )
    slowest = sorted(used, key=lambda one: -one.p95.since)[:SHOWN]
    lines = tuple(series(c, one.name, one.over_time) for one in sorted(slowest, key=lambda one: one.name))
    chart = Chart("p95-by-path", "Request duration by endpoint, 95th percentile", "s", lines, threshold=limit)
    status: Status = "abnormal" if slow else "normal"
    return Result(status, _sentence(facts, slow, calm, limit), facts, (chart,), (_table(used),))


def _slower(one: Kind, limit: float) -> bool:
    return one.p95.since > NOTICED * limit and not one.p95.times < SLOWER


def _apart(used: Sequence[Kind], limit: float) -> tuple[str, ...]:
    """The endpoints delayed by much more than the least delayed one: a queue in front of all would delay all alike."""
    delays = {one.name: one.mean.since - float(np.nan_to_num(one.mean.before)) for one in used}
    least = min(delays.values())
    return tuple(name for name, delay in delays.items() if delay - least > APART * limit)


def _sentence(facts: Facts, slow: Sequence[Kind], calm: Sequence[Kind], limit: float) -> str:
    if not slow:
        return f"None: no endpoint has a p95 above {duration_text(limit)} since the onset."
    worst = max(slow, key=lambda one: one.p95.since)
    shown = f"{worst.name} with a p95 of {duration_text(worst.p95.since)}{_before(worst)}"
    if facts.all:
        part = f"{len(slow)} of {facts.endpoints} are above {duration_text(limit)}, the others also slower than before"
        scope = "All of them" if len(slow) == facts.endpoints else part
        return f"{scope}; the slowest is {shown}."
    names = f"{', '.join(one.name for one in calm[:2])}{' and others' if len(calm) > 2 else ''}"
    more = f" and {len(slow) - 1} more" if len(slow) > 1 else ""
    return f"{shown}{more}; {names} {'is' if len(calm) == 1 else 'are'} as fast as before."


def _before(one: Kind) -> str:
    return f" ({duration_text(one.p95.before)} before)" if isfinite(one.p95.before) else ""


def _table(used: Sequence[Kind]) -> Table:
    rows = tuple(
        (
            one.name,
            _seconds(one.p95.before),
            _seconds(one.p95.since),
            _seconds(one.mean.since),
            number(one.per_second, 1),
            of_all(one, used),
        )
        for one in used[:10]
    )
    columns = (
        "Endpoint",
        "p95 before (s)",
        "p95 since (s)",
        "Mean since (s)",
        "Requests / s",
        "% of the additional time",
    )
    return Table("p95-by-path", columns, rows)


def _seconds(value: float) -> str:
    return f"{value:.3f}" if isfinite(value) else ""


CHECK = Check("paths", "Which endpoints are slow?", Facts, _queries, _judge, requires=("p95", "count"))
