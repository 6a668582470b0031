"""The 95th percentile of request durations, the first check of SlowResponses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runbook.alerts.checks.requests.request_error_rate import since_onset
from runbook.alerts.checks.toolkit import histogram, threshold_check
from runbook.alerts.checks.toolkit.series import grid, line, over_window, split_time
from runbook.alerts.thresholds import LATENCY_P95
from runbook.investigation.definitions import Answers, Context
from runbook.model import Query
from runbook.text.format import count_text, plural, share_text
from runbook.text.time import duration_text

LATE = 0.05  # of the requests are slower than their 95th percentile
NOISE = 0.002  # a share of slow requests that varies less than this is calm


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """The 95th percentile in seconds, and how many requests since the onset were slower than the threshold.

    The counts are None where the histogram has no buckets to count by.
    """

    slow_requests: int | None
    requests: int | None


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    return {
        "p95": over_window(c, histogram.p95(c.service, histogram.REQUESTS, window), ago),
        "by bucket": over_window(c, histogram.buckets(c.service, histogram.REQUESTS, window), ago),
    }


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    slow, requests, impact = _counted(c, answers, measured.onset)
    return replace(Facts(**vars(measured), slow_requests=slow, requests=requests), impact=impact)


def _counted(c: Context, answers: Answers, began: float | None) -> tuple[int | None, int | None, str | None]:
    """Slow requests and all requests since the onset; both with the highest share of slow ones in one sentence."""
    limit, short = LATENCY_P95.of(c.service.thresholds), answers["by bucket, short"]
    slow_share, rate = histogram.beyond(short, limit), histogram.every(short)
    since = grid(c) >= split_time(c, began)
    if np.isnan(slow_share[since]).all():
        return None, None, None
    slow, requests = (round(float(np.nansum(one[since])) * c.step) for one in (slow_share * rate, rate))
    firing = histogram.beyond(answers["by bucket"], limit)[grid(c) >= c.started_at - c.for_seconds]
    peak = "" if np.isnan(firing).all() else f", {share_text(float(np.nanmax(firing)))} at the peak"
    said = f"{count_text(slow)} of {count_text(requests)} requests took longer than {duration_text(limit)}"
    minutes = (c.end - split_time(c, began)) / 60
    return slow, requests, f"{said} in {minutes:,.0f} minutes{since_onset(began)}{peak}."


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
        threshold=lambda service: LATENCY_P95.of(service.thresholds),
        least=lambda service: LATE / 2,
        noise=NOISE,
        text=duration_text,
        moving=lambda service, answers: histogram.beyond(answers["by bucket"], LATENCY_P95.of(service.thresholds)),
        find=_find,
        count=_count,
    )
)
