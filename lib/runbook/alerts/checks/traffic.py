"""Is there more traffic than usual? The request rate against the hours before, the day before and the week before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.errors import total_rate
from runbook.alerts.checks.series import DAY, WEEK, Floats, change, grid, line, number, onset_of, over_window, series
from runbook.model import JSON, Chart, Query, Result

SURGE = 2.0  # from twice the usual rate on it is a surge


def _queries(c: Context) -> Mapping[str, Query]:
    return {
        "now": over_window(c, total_rate(c)),
        "yesterday": over_window(c, total_rate(c), DAY),
        "last week": over_window(c, total_rate(c), WEEK),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    now = line(answers["now"])
    level = change(c, now, onset_of(earlier))
    peak = change(c, now, onset_of(earlier), lambda values: float(np.percentile(values, 90)))
    if np.isnan(level.since):
        return Result("unknown", "Not known: no requests were counted since the alert.")
    usual = {name: _since(c, line(answers[name]), onset_of(earlier)) for name in ("yesterday", "last week")}
    factors = [level.times, *(peak.since / value for value in usual.values() if value)]
    factor = min((f for f in factors if np.isfinite(f)), default=1.0)
    facts: dict[str, JSON] = {
        "rate": number(level.since, 2),
        "before": number(level.before, 2),
        "times": number(factor, 2),
        "yesterday": usual["yesterday"],
        "last_week": usual["last week"],
        "surge": factor >= SURGE,
    }
    lines = (series(c, "same hours last week", line(answers["last week"]), "reference"), series(c, "now", now))
    chart = Chart("traffic", "Requests", "requests / s", lines)
    return Result("abnormal" if facts["surge"] else "normal", _sentence(facts), facts, (chart,))


def _since(c: Context, values: Floats, onset: float | None) -> float | None:
    """The typical rate in the same hours as now, a day or a week before."""
    recent = values[grid(c) >= (onset if onset is not None else c.started_at)]
    known = recent[~np.isnan(recent)]
    return number(float(np.median(known)), 2) if len(known) else None


def _sentence(facts: Mapping[str, JSON]) -> str:
    against = [
        f"{facts[key]:.0f} {words}"
        for key, words in (("before", "before"), ("yesterday", "at this hour yesterday"), ("last_week", "last week"))
        if facts[key]
    ]
    known = f" ({', '.join(against)})" if against else ""
    if facts["surge"]:
        return f"Yes: {facts['rate']:.0f} requests/s, at least {facts['times']:.1f} times the usual{known}."
    return f"No: {facts['rate']:.0f} requests/s{known}."


CHECK = Check(
    "traffic",
    "Is there more traffic than usual?",
    _queries,
    _judge,
    needs=("now",),
    optional=("yesterday", "last week"),
)
