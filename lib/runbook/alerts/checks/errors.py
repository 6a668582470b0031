"""Is it real? The share of failed requests against its threshold, when it began, and what is usual at this hour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.series import (
    DAY,
    FAILED,
    WEEK,
    WINDOW,
    Floats,
    grid,
    last,
    line,
    metric,
    number,
    over_window,
    ratio,
    series,
    short_window,
)
from runbook.findings import Onset, onset
from runbook.model import JSON, Chart, Query, Result
from runbook.wording import clock_text, count_text, share_text

HOLD_SECONDS = 300
NOISE = 0.002  # a share that wanders less than this is still calm


def failed_rate(context: Context, window: str = WINDOW) -> str:
    """PromQL: failed requests per second."""
    return f"sum(rate({metric(context.service, 'http_requests_total', FAILED)}[{window}]))"


def total_rate(context: Context, window: str = WINDOW) -> str:
    """PromQL: all requests per second."""
    return f"sum(rate({metric(context.service, 'http_requests_total')}[{window}]))"


def _queries(c: Context) -> Mapping[str, Query]:
    short = f"{short_window(c)}s"
    return {
        "failed": over_window(c, failed_rate(c)),
        "total": over_window(c, total_rate(c)),
        "failed, short": over_window(c, failed_rate(c, short)),
        "total, short": over_window(c, total_rate(c, short)),
        "failed, yesterday": over_window(c, failed_rate(c), DAY),
        "total, yesterday": over_window(c, total_rate(c), DAY),
        "failed, last week": over_window(c, failed_rate(c), WEEK),
        "total, last week": over_window(c, total_rate(c), WEEK),
    }


def _share(c: Context, answers: Answers, when: str = "") -> Floats:
    return ratio(line(answers[f"failed{when}"]), line(answers[f"total{when}"]))


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    now, threshold = _share(c, answers), c.service.thresholds.error_ratio
    firing = now[grid(c) >= c.started_at - HOLD_SECONDS]
    if np.isnan(firing).all():
        return Result(
            "unknown",
            "Not known: no requests reached the service since the alert, so there is no share of failed ones.",
        )
    abnormal = bool(np.nanmax(firing) > threshold)
    began = _onset(c, _share(c, answers, ", short")) if abnormal else None
    start = began.time if began else None
    last_week = _share(c, answers, ", last week")
    facts: dict[str, JSON] = {
        "threshold": threshold,
        "ratio": number(last(now)),
        "peak": number(np.nanmax(firing)),
        "yesterday": _typical(_share(c, answers, ", yesterday")),
        "last_week": _typical(last_week),
        "onset": start,
        "failed_requests": _count(c, line(answers["failed, short"]), start),
        "requests": _count(c, line(answers["total, short"]), start),
        "minutes": number((c.end - (start or c.started_at)) / 60, 1),
    }
    lines = (series(c, "same hours last week", last_week, "reference", 100), series(c, "now", now, scale=100))
    chart = Chart("failed-requests", "Failed requests (5xx)", "% of requests", lines, threshold=threshold * 100)
    return Result("abnormal" if abnormal else "normal", _sentence(c, facts, abnormal), facts, (chart,))


def _onset(c: Context, share: Floats) -> Onset | None:
    least = c.service.thresholds.error_ratio / 2
    return onset(grid(c), share, window=short_window(c), min_effect=least, noise_floor=NOISE)


def _typical(share: Floats) -> float | None:
    return None if np.isnan(share).all() else number(np.nanmedian(share))


def _count(c: Context, rate: Floats, since: float | None) -> int:
    """Requests of a rate since the onset, or since the alert began to hold."""
    recent = rate[grid(c) >= (since if since is not None else c.started_at - HOLD_SECONDS)]
    return round(float(np.nansum(recent)) * c.step)


def _sentence(c: Context, facts: Mapping[str, JSON], abnormal: bool) -> str:
    usual = facts["last_week"] if facts["last_week"] is not None else facts["yesterday"]
    against = (
        f", against {share_text(usual)} at this hour {'last week' if facts['last_week'] is not None else 'yesterday'}"
        if usual is not None
        else ""
    )
    if not abnormal:
        return f"No. {share_text(facts['peak'])} of requests failed at most since the alert, below the threshold of {share_text(facts['threshold'])}{against}."
    if facts["ratio"] is None or facts["ratio"] > facts["threshold"]:
        said = f"Yes. {share_text(facts['ratio'] or facts['peak'])} of requests fail (threshold {share_text(facts['threshold'])}){against}."
    else:
        said = f"It was. {share_text(facts['peak'])} of requests failed at worst (threshold {share_text(facts['threshold'])}), {share_text(facts['ratio'])} at {clock_text(c.end)}{against}."
    began = (
        f"It began at {clock_text(facts['onset'])}"
        if facts["onset"] is not None
        else "When it began is not in the window"
    )
    return f"{said} {began}; {count_text(facts['failed_requests'])} requests failed since."


CHECK = Check(
    "errors",
    "Is it real?",
    _queries,
    _judge,
    needs=("total",),
    optional=("failed, yesterday", "total, yesterday", "failed, last week", "total, last week"),
)
