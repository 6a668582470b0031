"""Is the database healthy? Connection errors, the duration of queries, and whether the pool has connections left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.series import (
    Change,
    change,
    line,
    metric,
    number,
    over_window,
    rate_window,
    series,
    short_window,
    upper_quartile,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.format import plural

SLOWER = 3.0  # p95 this many times its level before is slow,
SLOW_SECONDS = 0.1  # but never below this,
VERY_SLOW_SECONDS = 1.0  # and always above this
ERRORS_PER_SECOND = 0.05
POOL_FULL = 0.95


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Levels since the onset, and before it where the name says so: failed connections per second, p95 of queries in
    seconds and in times its level before, connections in use, requests waiting for one, and the pools' size (all pods).

    A level is None where its series has no data on that side of the onset; `refusing`, `slow` and `exhausted` are None
    where the series that they rest on has none since the onset.
    """

    errors_per_second: float | None
    errors_before: float | None
    p95: float | None
    p95_before: float | None
    p95_times: float | None
    in_use: float | None
    waiting: float | None
    pool: int | None
    refusing: bool | None
    slow: bool | None
    exhausted: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    def state(name: str) -> str:
        return metric(c.service, "database_connections", f'state="{name}"')

    short = f"{short_window(c)}s"
    buckets = metric(c.service, "database_query_duration_seconds_bucket")
    return {
        "connection errors": over_window(
            c, f"sum(rate({metric(c.service, 'database_connection_errors_total')}[{short}]))"
        ),
        "query p95": over_window(c, f"histogram_quantile(0.95, sum by (le) (rate({buckets}[{rate_window(c)}])))"),
        "in use": over_window(c, f"sum({state('in_use')})"),
        "waiting": over_window(c, f"sum({state('waiting')})"),
        "pods": over_window(c, f"count({state('in_use')})"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    onset = earlier.onset
    high = {
        name: change(c, line(answers[name]), onset, upper_quartile)
        for name in ("connection errors", "query p95", "in use", "waiting", "pods")
    }
    if answers["connection errors"].completeness == "empty" and answers["query p95"].usable:
        high["connection errors"] = Change(0.0, 0.0)  # a counter that nothing has incremented yet
    errors, p95 = high["connection errors"], high["query p95"]
    pool = _pool(c, high["pods"].since)
    facts = Facts(
        errors_per_second=number(errors.since, 3),
        errors_before=number(errors.before, 3),
        p95=number(p95.since, 4),
        p95_before=number(p95.before, 4),
        p95_times=number(p95.times, 2),
        in_use=number(high["in use"].since, 1),
        waiting=number(high["waiting"].since, 1),
        pool=pool,
        refusing=_known(errors.since, errors.since > ERRORS_PER_SECOND and not errors.since <= 3 * errors.before),
        slow=_known(p95.since, p95.since > SLOW_SECONDS and (p95.times >= SLOWER or p95.since > VERY_SLOW_SECONDS)),
        exhausted=_known(
            high["in use"].since, _queueing(high["waiting"]) or bool(pool and high["in use"].since >= POOL_FULL * pool)
        ),
    )
    if all(np.isnan(level.since) for level in (errors, p95, high["in use"])):
        return Result("unknown", "Not known: none of the service's database metrics has data since the onset.")
    bad = facts.refusing or facts.slow or facts.exhausted
    return Result("abnormal" if bad else "normal", _sentence(facts, bool(bad)), facts, _charts(c, answers))


def _known(since: float, fact: bool) -> bool | None:
    """A fact, unless the series that it rests on has no data since the onset."""
    return None if np.isnan(since) else bool(fact)


def _pool(c: Context, pods: float) -> int | None:
    return None if np.isnan(pods) else round(pods) * c.service.database_pool_size


def _queueing(waiting: Change) -> bool:
    return waiting.since >= 1 and not waiting.times < 2


def _charts(c: Context, answers: Answers) -> tuple[Chart, ...]:
    states = tuple(series(c, name, line(answers[name])) for name in ("in use", "waiting") if answers[name].usable)
    charts = [
        Chart(
            "database-errors",
            "Database connection errors",
            "errors / s",
            (series(c, "now", line(answers["connection errors"])),),
        ),
        Chart(
            "database-p95",
            "Database queries, 95th percentile",
            "ms",
            (series(c, "now", line(answers["query p95"]), scale=1000),),
        ),
    ]
    return (*charts, Chart("database-pool", "Database connections", "connections", states)) if states else tuple(charts)


def _sentence(facts: Facts, bad: bool) -> str:
    p95, in_use, pool = facts.p95, facts.in_use, facts.pool
    parts = [
        _errors(facts),
        f"p95 of queries {p95 * 1000:,.0f} ms{_before(facts)}"
        if p95 is not None
        else "no query has finished since the onset",
        (f"{in_use:,.0f} of {pool:,} connections in use" if pool else f"{in_use:,.0f} connections in use")
        if in_use is not None
        else "the number of connections in use is not known",
    ]
    if facts.waiting and facts.waiting >= 1:
        parts.append(f"{plural(round(facts.waiting), 'request')} waiting for a connection")
    return f"{'No' if bad else 'Yes'}: {', '.join(parts)}."


def _errors(facts: Facts) -> str:
    rate, before = facts.errors_per_second, facts.errors_before
    if rate is None:
        return "the rate of connection errors is not known"
    if rate < ERRORS_PER_SECOND:
        return "no connection errors" if not rate else "almost no connection errors"
    return f"{rate:.1f} connection errors/s{f' ({before:.1f} before)' if before is not None else ''}"


def _before(facts: Facts) -> str:
    return f" ({facts.p95_before * 1000:,.0f} ms before)" if facts.p95_before is not None else ""


CHECK = Check("database_health", "Is the database healthy?", Facts, _queries, _judge, requires=())
