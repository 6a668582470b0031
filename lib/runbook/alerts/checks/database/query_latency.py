"""Have queries become slow? The 95th percentile of all queries, which also verifies recovery, and their rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.database.database_health import SLOW_SECONDS, SLOWER, VERY_SLOW_SECONDS
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
    time_scale,
    upper_quartile,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.time import duration_text


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The 95th percentile of all queries in seconds, and queries per second, since the onset and before.

    `times` is how many times as slow as before. None where there were no queries to compare with, or no counter.
    """

    p95: float
    p95_before: float | None
    times: float | None
    slow: bool
    rate: float | None
    rate_before: float | None


def p95(c: Context, window: str) -> str:
    """PromQL: the 95th percentile of query durations, in seconds."""
    buckets = metric(c.service, "database_query_duration_seconds_bucket")
    return f"histogram_quantile(0.95, sum by (le) (rate({buckets}[{window}])))"


def is_slow(level: Change) -> bool:
    """Several times as slow as before, or slow by any measure."""
    return bool(level.since > SLOW_SECONDS and (level.times >= SLOWER or level.since > VERY_SLOW_SECONDS))


def _queries(c: Context) -> Mapping[str, Query]:
    counter = metric(c.service, "database_query_duration_seconds_count")
    return {
        "p95": over_window(c, p95(c, rate_window(c))),
        "rate": over_window(c, f"sum(rate({counter}[{short_window(c)}s]))"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    onset = earlier.onset
    values = line(answers["p95"])
    level, rate = change(c, values, onset, upper_quartile), change(c, line(answers["rate"]), onset)
    if np.isnan(level.since):
        return Result("unknown", "Not known: no query has finished since the onset.")
    facts = Facts(
        p95=round(level.since, 4),
        p95_before=number(level.before, 4),
        times=number(level.times, 2),
        slow=is_slow(level),
        rate=number(rate.since, 1),
        rate_before=number(rate.before, 1),
    )
    unit, scale = time_scale(values)
    chart = Chart("query-p95", "Database queries, 95th percentile", unit, (series(c, "now", values, scale=scale),))
    return Result("abnormal" if facts.slow else "normal", _sentence(facts), facts, (chart,))


def _sentence(facts: Facts) -> str:
    before = f" ({duration_text(facts.p95_before)} before)" if facts.p95_before is not None else ""
    rate, earlier = facts.rate, facts.rate_before
    at_rate = f", at {rate:,.0f} queries/s" if rate is not None else ""
    at_rate += f" ({earlier:,.0f} before)" if at_rate and earlier is not None else ""
    return f"{'Yes' if facts.slow else 'No'}: p95 of queries is {duration_text(facts.p95)}{before}{at_rate}."


CHECK = Check(
    "query_latency", "Have queries become slow?", Facts, _queries, _judge, requires=("p95",), optional=("rate",)
)
