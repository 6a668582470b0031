"""The share of failed requests, the first check of HighErrorRate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import FAILED, grid, line, metric, over_window, rate_window, share, split_time
from runbook.alerts.thresholds import ERROR_RATIO
from runbook.investigation.definitions import Answers, Context
from runbook.model import Answer, Query
from runbook.text.format import count_text, plural, share_text

NOISE = 0.002  # a share that wanders less than this is still calm


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """The share of failed requests (0..1), and how many there were since the onset; None where that is not known."""

    failed_requests: int | None
    requests: int | None


def failed_rate(context: Context, window: str = "") -> str:
    """PromQL: failed requests per second."""
    window = window or rate_window(context)
    return f"sum(rate({metric(context.service, 'http_requests_total', FAILED)}[{window}]))"


def total_rate(context: Context, window: str = "") -> str:
    """PromQL: all requests per second."""
    window = window or rate_window(context)
    return f"sum(rate({metric(context.service, 'http_requests_total')}[{window}]))"


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    return {
        "failed": over_window(c, failed_rate(c, window), ago),
        "total": over_window(c, total_rate(c, window), ago),
    }


def failures(
    c: Context, answers: Answers, began: float | None, *, whole: str, noun: str
) -> tuple[int | None, int | None, str | None]:
    """Failed ones and all (the part `whole`) since the onset, and both with the highest share in one sentence."""
    failed, every = (count(c, answers[f"{part}, short"], began) for part in ("failed", whole))
    if failed is None:
        return None, every, None
    firing = share(answers["failed"], answers[whole])[grid(c) >= c.started_at - c.for_seconds]
    of_all = f" of {count_text(every)}" if every else ""
    minutes, peak = (c.end - split_time(c, began)) / 60, share_text(float(np.nanmax(firing)))
    span = f"in {minutes:,.0f} minutes{since_onset(began)}"
    return failed, every, f"{count_text(failed)}{of_all} {noun}s failed {span}, {peak} at the peak."


def failed_since(failed: int | None, noun: str) -> str:
    """How many failed since the onset, as a clause; "" where it is not known."""
    return "" if failed is None else f"{plural(failed, f'failed {noun}')} counted since"


def since_onset(began: float | None) -> str:
    """What a count of so many minutes is from, where that is known."""
    return "" if began is None else " since the onset"


def count(c: Context, rate: Answer, since: float | None) -> int | None:
    """Requests of a rate since the onset; None where the rate is not known."""
    if rate.completeness == "failed":
        return None
    return round(float(np.nansum(line(rate)[grid(c) >= split_time(c, since)])) * c.step)


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    failed, every, impact = failures(c, answers, measured.onset, whole="total", noun="request")
    return replace(Facts(**vars(measured), failed_requests=failed, requests=every), impact=impact)


CHECK = threshold_check.check(
    threshold_check.Level(
        name="request_error_rate",
        facts=Facts,
        title="Failed requests (5xx)",
        unit="% of requests",
        now="{} of requests fail now",
        past="{} of requests failed",
        nothing="no requests reached the service since the alert, so there is no share of failed ones",
        queries=_queries,
        value=lambda answers: share(answers["failed"], answers["total"]),
        parts=("failed", "total"),
        requires=("total",),
        threshold=lambda service: ERROR_RATIO.of(service.thresholds),
        least=lambda service: ERROR_RATIO.of(service.thresholds) / 2,
        noise=NOISE,
        scale=100,
        find=_find,
        count=lambda facts: failed_since(facts.failed_requests, "request"),
    )
)
