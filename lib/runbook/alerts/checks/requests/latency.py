"""The 95th percentile of request durations, the first check of SlowResponses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.checks.toolkit import histogram, threshold_check
from runbook.alerts.checks.toolkit.series import grid, line, over_window, split_time
from runbook.investigation.definitions import Answers, Context
from runbook.model import JSON, Query
from runbook.text.format import count_text, duration_text, plural, share_text

LATE = 0.05  # of the requests are slower than their 95th percentile
NOISE = 0.002  # a share of slow requests that wanders less than this is still calm


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    return {
        "p95": over_window(c, histogram.p95(c.service, histogram.REQUESTS, window), ago),
        "by bucket": over_window(c, histogram.buckets(c.service, histogram.REQUESTS, window), ago),
    }


def _impact(c: Context, answers: Answers, began: float | None) -> Mapping[str, JSON]:
    """Requests slower than the threshold and all requests since the onset; with the worst share in one clause."""
    limit, short = c.service.thresholds.latency_p95_seconds, answers["by bucket, short"]
    slow, every = histogram.beyond(short, limit), histogram.every(short)
    since = grid(c) >= split_time(c, began)
    if np.isnan(slow[since]).all():
        return {"slow_requests": None, "requests": None}
    count, requests = (round(float(np.nansum(rate[since])) * c.step) for rate in (slow * every, every))
    worst = histogram.beyond(answers["by bucket"], limit)[grid(c) >= c.started_at - c.for_seconds]
    at_worst = "" if np.isnan(worst).all() else f", {share_text(float(np.nanmax(worst)))} of all at worst"
    said = f"{count_text(count)} of {count_text(requests)} requests took longer than {duration_text(limit)}"
    minutes = f"in {(c.end - split_time(c, began)) / 60:,.0f} minutes"
    return {"slow_requests": count, "requests": requests, "impact": f"{said} {minutes}{at_worst}."}


def _count(facts: Facts) -> str:
    slow = facts.slow_requests
    return "" if slow is None else f"{plural(slow, 'request')} took longer than {duration_text(facts.threshold)} since"


CHECK = threshold_check.check(
    threshold_check.Level(
        name="latency",
        facts=Facts,
        title="Request duration, 95th percentile",
        unit="s",
        now="5 % of requests take {} or longer",
        past="5 % of requests took {} or longer",
        nothing="no requests were timed since the alert",
        queries=_queries,
        value=lambda answers: line(answers["p95"]),
        parts=("p95", "by bucket"),
        requires=("p95",),
        threshold=lambda service: service.thresholds.latency_p95_seconds,
        least=lambda service: LATE / 2,
        noise=NOISE,
        text=duration_text,
        moving=lambda service, answers: histogram.beyond(answers["by bucket"], service.thresholds.latency_p95_seconds),
        impact=_impact,
        count=_count,
    )
)
