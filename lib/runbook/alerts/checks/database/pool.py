"""Has the connection pool room? Connections in use, idle and waited for, against the pool's size, pod by pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.series import (
    Change,
    Floats,
    change,
    grid,
    metric,
    number,
    over_window,
    series,
    short_window,
    split_time,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Chart, Query, Result, Table
from runbook.sources.prometheus.client import matrix
from runbook.text.format import count_text, plural, share_text

FULL = 0.9  # of a pool in use: bursts meet no free connection
BUSY = 0.7  # of the open connections in use: nearly none is free when a request wants one
STATES = ("in_use", "idle", "waiting")
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    size: TODO
    pods: TODO
    pool: TODO
    full_pods: TODO
    top_pod: TODO
    top_use: TODO
    queueing: TODO
    small: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    gauge = metric(c.service, "database_connections")
    text = f"sum by ({c.service.pod_label}, state) (last_over_time({gauge}[{short_window(c)}s]))"
    return {"connections": over_window(c, text)}


def _by_state(c: Context, answer: Answer) -> dict[str, dict[str, Floats]]:
    """One series per pod and state."""
    found: dict[str, dict[str, Floats]] = {}
    known = matrix(answer)
    for labels, row in zip(known.labels, known.values, strict=True):
        found.setdefault(labels.get("state", "?"), {})[labels.get(c.service.pod_label, "?")] = row
    return found


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    onset, size = earlier.onset, c.service.database_pool_size
    states = _by_state(c, answers["connections"])
    since = grid(c) >= split_time(c, onset)
    in_use = {pod: level for pod, row in states.get("in_use", {}).items() if (level := _high(row[since])) is not None}
    if not in_use:
        return Result("unknown", "Not known: no pod has told of its pool since the onset.")
    sums = {state: _sum(c, states.get(state, {})) for state in STATES}
    pods = round(_high(_count(states["in_use"])[since]) or 0)
    levels = {state: change(c, sums[state], onset, _percentile) for state in STATES}
    waiting = {pod: _high(row[since]) or 0.0 for pod, row in states.get("waiting", {}).items()}
    full = sorted(pod for pod, used in in_use.items() if used >= FULL * size)
    top = max(sorted(in_use), key=lambda pod: in_use[pod])
    facts = Facts(
        size=size,
        pods=pods,
        pool=size * pods,
        **{state: number(levels[state].since, 1) for state in STATES},
        **{f"{state}_before": number(levels[state].before, 1) for state in STATES},
        full_pods=len(full),
        top_pod=top,
        top_use=number(in_use[top] / size, 3),
        queueing=bool(levels["waiting"].since >= 1 and not levels["waiting"].times < 2),
        small=bool(not full and _small(levels)),
    )
    facts.exhausted = bool(full or facts.small)
    lines = tuple(series(c, state.replace("_", " "), sums[state]) for state in STATES if state in states)
    chart = Chart(
        "pool", "Connections of the pools", "connections", lines, threshold=float(size * pods), limit="pool size"
    )
    ranked = sorted(in_use, key=lambda pod: (-in_use[pod], pod))[:SHOWN]
    rows = tuple(
        (pod, round(in_use[pod]), share_text(in_use[pod] / size), round(waiting.get(pod, 0.0))) for pod in ranked
    )
    table = Table("pool", ("Pod", "In use", "Of its pool", "Waiting"), rows)
    return Result(
        "abnormal" if facts.exhausted or facts.queueing else "normal", _sentence(facts), facts, (chart,), (table,)
    )


def _small(levels: Mapping[str, Change]) -> bool:
    """Nearly all open connections are busy, more than before, and requests wait: the pools open no more than that."""
    in_use, idle, waiting = (levels[state] for state in STATES)
    busy = in_use.since >= BUSY * (in_use.since + idle.since) and in_use.times >= 2
    return bool(busy and waiting.since >= 1 and not waiting.times < 2)


def _count(rows: Mapping[str, Floats]) -> Floats:
    """How many pods tell of their pool."""
    return np.asarray(np.sum([~np.isnan(row) for row in rows.values()], axis=0), dtype=np.float64)


def _percentile(values: Floats) -> float:
    return float(np.percentile(values, 75))


def _high(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return _percentile(known) if len(known) else None


def _sum(c: Context, rows: Mapping[str, Floats]) -> Floats:
    """Of all pods; NaN where none tells."""
    if not rows:
        return np.full(len(grid(c)), np.nan)
    every = np.stack(list(rows.values()))
    return np.where(np.isnan(every).all(axis=0), np.nan, np.nansum(every, axis=0))


def _sentence(facts: Facts) -> str:
    used = f"{count_text(facts.in_use)} of {count_text(facts.pool)} connections in use"
    before = f" ({count_text(facts.in_use_before)} before)" if facts.in_use_before is not None else ""
    waiting = facts.waiting
    queue = f", {plural(round(waiting), 'request')} waiting for one" if waiting and waiting >= 1 else ""
    if facts.small:
        return f"No: {used}{before}{queue}; the pods open no more, so their pools are smaller than {facts.size}."
    if facts.exhausted:
        where = "" if facts.full_pods == facts.pods else f"; full in {facts.full_pods} of {facts.pods} pods"
        return f"No: {used}{before}{queue}{where}."
    return f"{'Yes, yet requests wait' if facts.queueing else 'Yes'}: {used}{before}{queue}."


CHECK = Check("pool", "Has the connection pool room?", Facts, _queries, _judge, requires=("connections",))
