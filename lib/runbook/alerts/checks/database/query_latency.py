"""Have queries become slow? Their 95th percentile over all, as recovery is verified by, and how many there are."""

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
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.format import duration_text


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    p95: TODO
    p95_before: TODO
    times: TODO
    slow: TODO
    rate: TODO
    rate_before: TODO


def p95(c: Context, window: str) -> str:
    """PromQL: what 95 % of the queries take at most."""
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
    level, rate = change(c, values, onset, _high), change(c, line(answers["rate"]), onset)
    if np.isnan(level.since):
        return Result("unknown", "Not known: no query has ended since the onset.")
    facts = Facts(
        p95=number(level.since, 4),
        p95_before=number(level.before, 4),
        times=number(level.times, 2),
        slow=is_slow(level),
        rate=number(rate.since, 1),
        rate_before=number(rate.before, 1),
    )
    unit, scale = time_scale(values)
    chart = Chart("query-p95", "Database queries, 95th percentile", unit, (series(c, "now", values, scale=scale),))
    return Result("abnormal" if facts.slow else "normal", _sentence(facts), facts, (chart,))


def _high(values: np.ndarray) -> float:
    return float(np.percentile(values, 75))


def _sentence(facts: Facts) -> str:
    before = f" ({duration_text(facts.p95_before)} before)" if facts.p95_before is not None else ""
    rate, earlier = facts.rate, facts.rate_before
    many = f"; {rate:,.0f} of them a second" if rate is not None else ""
    many += f" ({earlier:,.0f} before)" if many and earlier is not None else ""
    return f"{'Yes' if facts.slow else 'No'}: 95 % of queries take at most {duration_text(facts.p95)}{before}{many}."


CHECK = Check(
    "query_latency", "Have queries become slow?", Facts, _queries, _judge, requires=("p95",), optional=("rate",)
)
