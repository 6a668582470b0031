"""Which pods cannot connect to the database: all or some?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.database.connection_errors import COUNTER, per_second, pooled
from runbook.alerts.checks.toolkit.series import (
    Floats,
    grid,
    metric,
    over_window,
    pods,
    series,
    short_window,
    shown_of,
    split_time,
)
from runbook.alerts.thresholds import DATABASE_ERRORS
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Table
from runbook.text.escape import plain_text
from runbook.text.format import count_text, plural, share_text

SHOWN, LINES = 10, 6
RECENT_SECONDS = 120
AFFECTED = 0.2  # of the mean rate of all pods: a pod above it counts as affected


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many pods are affected, of how many, and the pod with the most failed connections ("none" without any)."""

    affected: int
    pods: int
    all: bool
    top_pod: str


def _queries(c: Context) -> Mapping[str, Query]:
    pod = c.service.pod_label
    return {
        "errors": over_window(c, f"sum by ({pod}) (rate({metric(c.service, COUNTER)}[{short_window(c)}s]))"),
        "pods": over_window(c, f"sum by ({pod}) ({pooled(c)})"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    since = grid(c) >= split_time(c, earlier.onset)
    rates, pools = pods(c, answers["errors"]), pods(c, answers["pods"])
    known = {pod: _mean(rates[pod][since]) if pod in rates else 0.0 for pod in _there(c, {**rates, **pools})}
    total = sum(known.values())
    if not known:
        return Result("unknown", "Not known: no pod has reported its connections since the onset.")
    affected = [
        pod
        for pod, rate in known.items()
        if total > DATABASE_ERRORS.of(c.service.thresholds) / 2 and rate > AFFECTED * total / len(known)
    ]
    ranked = sorted(known, key=lambda pod: (-known[pod], pod))
    facts = Facts(
        affected=len(affected),
        pods=len(known),
        all=len(affected) == len(known),
        top_pod=ranked[0] if affected else "none",
    )
    counted = [pod for pod in ranked if pod in rates]
    lines = tuple(series(c, pod, rates[pod]) for pod in counted[:LINES])
    title = shown_of("Failed connections to the database by pod", LINES, len(counted))
    chart = Chart("errors-by-pod", title, "errors / s", lines)
    rows = tuple(
        (pod, per_second(known[pod]), share_text(known[pod] / total) if total else "") for pod in ranked[:SHOWN]
    )
    table = Table("errors-by-pod", ("Pod", "Failed connections", "% of all failures"), rows)
    return Result("abnormal" if affected else "normal", _sentence(facts), facts, (chart,) if lines else (), (table,))


def _there(c: Context, rows: Mapping[str, Floats]) -> list[str]:
    """The pods that report at the end of the window; all that ever did where none is left."""
    recent = grid(c) > c.end - max(RECENT_SECONDS, 2 * c.step)
    return [pod for pod, row in rows.items() if not np.isnan(row[recent]).all()] or list(rows)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def _sentence(facts: Facts) -> str:
    affected, every = facts.affected, facts.pods
    if not affected:
        return f"None: almost no connection fails in {plural(every, 'pod')}."
    if facts.all:
        return f"All {plural(every, 'pod')} cannot connect." if every > 1 else "The only pod cannot connect."
    some = f"{count_text(affected)} of {plural(every, 'pod')} cannot connect"
    return f"{some}; most failures are in {plain_text(facts.top_pod)}."


CHECK = Check("failing_pods", "Which pods cannot connect?", Facts, _queries, _judge, requires=("errors",))
