"""Is it real? The share of failed requests against its threshold, when it began, and what is usual at this hour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.series import (
    DAY,
    FAILED,
    WEEK,
    Floats,
    grid,
    last,
    line,
    metric,
    number,
    over_window,
    rate_window,
    series,
    share,
    short_window,
    turn,
)
from runbook.findings import Onset, onset
from runbook.model import JSON, Answer, Chart, Query, Result
from runbook.wording import clock_text, count_text, plural, share_text

NOISE = 0.002  # a share that wanders less than this is still calm


def failed_rate(context: Context, window: str = "") -> str:
    """PromQL: failed requests per second."""
    window = window or rate_window(context)
    return f"sum(rate({metric(context.service, 'http_requests_total', FAILED)}[{window}]))"


def total_rate(context: Context, window: str = "") -> str:
    """PromQL: all requests per second."""
    window = window or rate_window(context)
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


def _share(answers: Answers, when: str = "") -> Floats:
    return share(answers[f"failed{when}"], answers[f"total{when}"])


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    now, threshold = _share(answers), c.service.thresholds.error_ratio
    firing = now[grid(c) >= c.started_at - c.hold_seconds]
    if np.isnan(firing).all():
        return Result(
            "unknown",
            "Not known: no requests reached the service since the alert, so there is no share of failed ones.",
        )
    abnormal = bool(np.nanmax(firing) > threshold)
    began = _onset(c, _share(answers, ", short")) if abnormal else None
    start = began.time if began else None
    last_week = _share(answers, ", last week")
    facts: dict[str, JSON] = {
        "threshold": threshold,
        "ratio": number(last(now)) if _is_current(c, now) else None,
        "last_seen": _last_time(c, now),
        "peak": number(np.nanmax(firing)),
        "yesterday": _typical(_share(answers, ", yesterday")),
        "last_week": _typical(last_week),
        "onset": start,
        "failed_requests": _count(c, answers["failed, short"], start),
        "requests": _count(c, answers["total, short"], start),
    }
    facts["impact"] = _impact(facts, (c.end - turn(c, start)) / 60)
    lines = (series(c, "same hours last week", last_week, "reference", 100), series(c, "now", now, scale=100))
    chart = Chart("failed-requests", "Failed requests (5xx)", "% of requests", lines, threshold=threshold * 100)
    return Result("abnormal" if abnormal else "normal", _sentence(c, facts, abnormal), facts, (chart,))


def _onset(c: Context, share: Floats) -> Onset | None:
    least = c.service.thresholds.error_ratio / 2
    return onset(grid(c), share, window=short_window(c), min_effect=least, noise_floor=NOISE)


def _typical(share: Floats) -> float | None:
    return None if np.isnan(share).all() else number(np.nanmedian(share))


def _last_time(c: Context, share_now: Floats) -> float | None:
    known = np.flatnonzero(~np.isnan(share_now))
    return float(grid(c)[known[-1]]) if len(known) else None


def _is_current(c: Context, share_now: Floats) -> bool:
    """Whether there were requests until the end of the window."""
    seen = _last_time(c, share_now)
    return seen is not None and c.end - seen <= max(60, 2 * c.step)


def _count(c: Context, rate: Answer, since: float | None) -> int | None:
    """Requests of a rate since the onset; None where the rate is not known."""
    if rate.completeness == "failed":
        return None
    return round(float(np.nansum(line(rate)[grid(c) >= turn(c, since)])) * c.step)


def _impact(facts: Mapping[str, JSON], minutes: float) -> str:
    """Requests, share and minutes in one clause, as far as they were counted."""
    failed, requests = facts["failed_requests"], facts["requests"]
    if failed is None:
        return ""
    of_all = f" of {count_text(requests)}" if requests else ""
    worst = f", {share_text(facts['peak'])} of all at worst" if facts["peak"] is not None else ""
    return f"{count_text(failed)}{of_all} requests failed in {minutes:,.0f} minutes{worst}."


def _sentence(c: Context, facts: Mapping[str, JSON], abnormal: bool) -> str:
    threshold, peak = share_text(facts["threshold"]), share_text(facts["peak"])
    if not abnormal:
        return (
            f"No. {peak} of requests failed at most since the alert, below the threshold of {threshold}{_usual(facts)}."
        )
    if facts["ratio"] is None:
        said = f"Yes. {peak} of requests failed at worst (threshold {threshold}){_usual(facts)}, and there are no requests since {clock_text(facts['last_seen'], c.started_at)}."
    elif facts["ratio"] > facts["threshold"]:
        said = f"Yes. {share_text(facts['ratio'])} of requests fail (threshold {threshold}){_usual(facts)}."
    else:
        said = f"It was. {peak} of requests failed at worst (threshold {threshold}), {share_text(facts['ratio'])} at {clock_text(c.end, c.started_at)}{_usual(facts)}."
    began = (
        f"It began at {clock_text(facts['onset'], c.started_at)}"
        if facts["onset"] is not None
        else "When it began could not be told"
    )
    count = facts["failed_requests"]
    return f"{said} {began}." if count is None else f"{said} {began}; {plural(count, 'request')} failed since."


def _usual(facts: Mapping[str, JSON]) -> str:
    """What is usual at this hour, last week and yesterday, as far as it is known."""
    known = [
        f"{share_text(facts[day])} {words}"
        for day, words in (("last_week", "last week"), ("yesterday", "yesterday"))
        if facts[day] is not None
    ]
    return f", against {' and '.join(known)} at this hour" if known else ""


CHECK = Check(
    "errors",
    "Is it real?",
    _queries,
    _judge,
    needs=("total",),
    optional=("failed, yesterday", "total, yesterday", "failed, last week", "total, last week"),
)
