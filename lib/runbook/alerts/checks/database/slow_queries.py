"""Which database queries are slow? The 95th percentile by operation and table: one kind, or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from runbook import model
from runbook.alerts.checks.database.database_health import SLOW_SECONDS, SLOWER, VERY_SLOW_SECONDS
from runbook.alerts.checks.toolkit import duration_breakdown, histogram
from runbook.alerts.checks.toolkit.duration_breakdown import Kind
from runbook.alerts.checks.toolkit.series import number, series, time_scale
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Status, Table
from runbook.text.time import duration_text

LABELS = ("operation", "table")
ALONE = 0.4  # other kinds that grew by less than this power of the worst one's factor are as fast as before
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Which kinds of queries, by operation and table, are slow, of how many.

    `worst` is the slow kind with most additional time, else the one with the highest p95. The other facts are its:
    `operation`, `table` (None where it has none), `p95` in seconds, `p95_before` (None without queries before the
    onset), and `times`, how many times as slow as before (None where that is not known). With `alone`, it is slow and
    the others are as fast as before.
    """

    kinds: int
    slow: tuple[str, ...]
    any: bool
    worst: str
    operation: str
    table: str | None
    p95: float
    p95_before: float | None
    times: float | None
    alone: bool


def statement(facts: Facts) -> str:
    """The worst kind as a person calls it: "SELECT on table users"."""
    return f"{facts.operation.upper()} on table {facts.table}" if facts.table else facts.worst


def _queries(c: Context) -> Mapping[str, Query]:
    return duration_breakdown.queries(c, histogram.QUERIES, *LABELS)


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    found = duration_breakdown.kinds(c, answers, earlier.onset, *LABELS)
    if not found:
        return Result("unknown", "Not known: no queries were timed by operation and table since the onset.")
    slow = [one for one in found if _slow(one)]
    worst = slow[0] if slow else max(found, key=lambda one: one.p95.since)
    operation, _, table = worst.name.partition(" ")
    facts = Facts(
        kinds=len(found),
        slow=tuple(one.name for one in slow),
        any=bool(slow),
        worst=worst.name,
        operation=operation,
        table=table or None,
        p95=round(worst.p95.since, 4),
        p95_before=number(worst.p95.before, 4),
        times=number(worst.p95.times, 1),
        alone=bool(slow and len(found) > 1 and all(_as_before(one, worst) for one in found if one is not worst)),
    )
    shown = sorted(found[:SHOWN], key=lambda k: k.name)
    unit, scale = time_scale(*(one.over_time for one in shown))
    lines = tuple(series(c, one.name, one.over_time, scale=scale) for one in shown)
    chart = Chart("p95-by-query", "Database queries by operation and table, 95th percentile", unit, lines)
    status: Status = "abnormal" if slow else "normal"
    return Result(status, _sentence(facts), facts, (chart,), (_table(found),))


def _slow(one: Kind) -> bool:
    return one.p95.since > SLOW_SECONDS and (one.p95.times >= SLOWER or one.p95.since > VERY_SLOW_SECONDS)


def _as_before(one: Kind, worst: Kind) -> bool:
    """Whether its p95 hardly grew, compared with the worst one's."""
    return bool(one.p95.times <= max(2.0, worst.p95.times**ALONE))


def _sentence(facts: Facts) -> str:
    before = f" ({duration_text(facts.p95_before)} before)" if facts.p95_before is not None else ""
    worst = f"{statement(facts)}, with a p95 of {duration_text(facts.p95)}{before}"
    if not facts.slow:
        return f"None: the slowest is {worst}."
    if facts.alone:
        return f"{worst}; the other queries are as fast as before."
    return f"{len(facts.slow)} of {facts.kinds} kinds of queries; the worst is {worst}."


def _table(found: Sequence[Kind]) -> Table:
    rows = tuple(
        (
            one.name,
            _milliseconds(one.p95.before),
            _milliseconds(one.p95.since),
            f"{one.p95.times:,.1f}" if isfinite(one.p95.times) else "",
            number(one.per_second, 1),
            duration_breakdown.of_all(one, found),
        )
        for one in found[:10]
    )
    columns = ("Query", "p95 before (ms)", "p95 since (ms)", "Times", "Queries / s", "% of the additional time")
    return Table("p95-by-query", columns, rows)


def _milliseconds(value: float) -> str:
    return f"{value * 1000:,.1f}" if isfinite(value) else ""


CHECK = Check("slow_queries", "Which queries are slow?", Facts, _queries, _judge, requires=("p95",))
