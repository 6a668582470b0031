"""Is there more traffic than usual? The request rate against the hours before, the day before and the week before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.requests.request_error_rate import total_rate
from runbook.alerts.checks.toolkit.series import (
    DAY,
    WEEK,
    Floats,
    change,
    grid,
    line,
    number,
    over_window,
    series,
    split_time,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result

SURGE = 2.0  # from twice the usual rate on it is a surge


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Requests per second since the onset, before it, and at the same hours of other days.

    `times`: how many times the highest of those (None: there were none before).
    """

    rate: float
    before: float | None
    times: float | None
    yesterday: float | None
    last_week: float | None
    surge: bool


def _queries(c: Context) -> Mapping[str, Query]:
    return {
        "now": over_window(c, total_rate(c)),
        "yesterday": over_window(c, total_rate(c), DAY),
        "last week": over_window(c, total_rate(c), WEEK),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    now = _grown_up(c, line(answers["now"]))
    level = change(c, now, earlier.onset)
    peak = change(c, now, earlier.onset, lambda values: float(np.percentile(values, 90)))
    if np.isnan(level.since):
        return Result("unknown", "Not known: no requests were counted since the alert.")
    usual = {name: _since(c, line(answers[name]), earlier.onset) for name in ("yesterday", "last week")}
    factors = [f for f in (level.times, *(peak.since / value for value in usual.values() if value)) if not np.isnan(f)]
    if not factors:
        return Result(
            "unknown",
            f"Not known: {_rate(level.since)}, and nothing to compare with, neither before nor on other days.",
        )
    factor = min(factors)
    facts = Facts(
        rate=round(level.since, 2),
        before=number(level.before, 2),
        times=number(factor, 2),
        yesterday=usual["yesterday"],
        last_week=usual["last week"],
        surge=bool(factor >= SURGE),
    )
    lines = (series(c, "same hours last week", line(answers["last week"]), "reference"), series(c, "now", now))
    chart = Chart("traffic", "Requests", "requests / s", lines)
    return Result("abnormal" if facts.surge else "normal", _sentence(facts), facts, (chart,))


def _grown_up(c: Context, rate: Floats) -> Floats:
    """Without the first five minutes of a series that begins in the window: its rate still grows to its true value."""
    known = np.flatnonzero(~np.isnan(rate))
    if not len(known) or not known[0]:
        return rate
    return np.where(grid(c) < grid(c)[known[0]] + max(300, c.step), np.nan, rate)


def _since(c: Context, values: Floats, onset: float | None) -> float | None:
    """The typical rate in the same hours as now, a day or a week before."""
    recent = values[grid(c) >= split_time(c, onset)]
    known = recent[~np.isnan(recent)]
    return number(float(np.median(known)), 2) if len(known) else None


def _sentence(facts: Facts) -> str:
    days = (
        (facts.before, "before"),
        (facts.yesterday, "at this hour yesterday"),
        (facts.last_week, "at this hour last week"),
    )
    against = [f"{_rate(rate)} {words}" for rate, words in days if rate is not None]
    known = f" ({', '.join(against)})" if against else ""
    if not facts.surge:
        return f"No: {_rate(facts.rate)}{known}."
    times = f"at least {facts.times:.1f} times the usual" if facts.times is not None else "from none before"
    return f"Yes: {_rate(facts.rate)}, {times}{known}."


def _rate(per_second: float) -> str:
    return f"{per_second:.0f} requests/s" if per_second >= 10 else f"{per_second:.2g} requests/s"


CHECK = Check(
    "traffic",
    "Is there more traffic than usual?",
    Facts,
    _queries,
    _judge,
    requires=("now",),
    optional=("yesterday", "last week"),
)
