"""Does the connection pool have free connections? Those in use, idle and waited for, against its size, pod by pod."""

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
    sum_of,
    upper_quartile,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Chart, Query, Result, Status, Table
from runbook.sources.prometheus.client import matrix
from runbook.text.format import count_text, plural, share_text

FULL = 0.9  # of a pool in use: a burst finds no free connection
BUSY = 0.7  # of the open connections in use: hardly any is free when a request needs one
STATES = ("in_use", "idle", "waiting")
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The connections of all pods since the onset, against their pools; None where a state is not measured.

    `size` is one pod's pool as the settings say, `pool` that of all `pods`. `full_pods` are full, `top_pod` uses
    most, and `top_use` is its share of its pool (1: all of it). With `queueing`, more requests wait for a
    connection than before; with `small`, nearly all open connections are busy and no pool is full; `exhausted` is a
    full pool or a small one.
    """

    size: int
    pods: int
    pool: int
    in_use: float
    idle: float | None
    waiting: float | None
    in_use_before: float | None
    idle_before: float | None
    waiting_before: float | None
    full_pods: int
    top_pod: str
    top_use: float
    queueing: bool
    small: bool
    exhausted: bool


def _queries(c: Context) -> Mapping[str, Query]:
    gauge = metric(c.service, "database_connections")
    text = f"sum by ({c.service.pod_label}, state) (last_over_time({gauge}[{short_window(c)}s]))"
    return {"connections": over_window(c, text)}


def _by_state(c: Context, answer: Answer) -> dict[str, dict[str, Floats]]:
    """One series per pod, by state."""
    found: dict[str, dict[str, Floats]] = {}
    known = matrix(answer)
    for labels, row in zip(known.labels, known.values, strict=True):
        found.setdefault(labels.get("state", "?"), {})[labels.get(c.service.pod_label, "?")] = row
    return found


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    states = _by_state(c, answers["connections"])
    since = grid(c) >= split_time(c, earlier.onset)
    in_use = {pod: level for pod, row in states.get("in_use", {}).items() if (level := _high(row[since])) is not None}
    if not in_use:
        return Result("unknown", "Not known: no pod has reported its connection pool since the onset.")
    waiting = {pod: _high(row[since]) or 0.0 for pod, row in states.get("waiting", {}).items()}
    sums = {state: sum_of(c, states.get(state, {})) for state in STATES}
    levels = {state: change(c, sums[state], earlier.onset, upper_quartile) for state in STATES}
    facts = _facts(c.service.database_pool_size, round(_high(_count(states["in_use"])[since]) or 0), in_use, levels)
    lines = tuple(series(c, state.replace("_", " "), sums[state]) for state in STATES if state in states)
    title, limit = "Connections of the pools", float(facts.pool)
    chart = Chart("pool", title, "connections", lines, threshold=limit, limit="pool size")
    status: Status = "abnormal" if facts.exhausted or facts.queueing else "normal"
    return Result(status, _sentence(facts), facts, (chart,), (_table(facts.size, in_use, waiting),))


def _facts(size: int, pods: int, in_use: Mapping[str, float], levels: Mapping[str, Change]) -> Facts:
    """`in_use` is each pod's level since the onset, `levels` that of each state over all pods."""
    full = [pod for pod, used in in_use.items() if used >= FULL * size]
    top = max(sorted(in_use), key=lambda pod: in_use[pod])
    small = not full and _small(levels)
    return Facts(
        size=size,
        pods=pods,
        pool=size * pods,
        in_use=round(levels["in_use"].since, 1),
        idle=number(levels["idle"].since, 1),
        waiting=number(levels["waiting"].since, 1),
        in_use_before=number(levels["in_use"].before, 1),
        idle_before=number(levels["idle"].before, 1),
        waiting_before=number(levels["waiting"].before, 1),
        full_pods=len(full),
        top_pod=top,
        top_use=round(in_use[top] / size, 3),
        queueing=_queueing(levels["waiting"]),
        small=small,
        exhausted=bool(full or small),
    )


def _table(size: int, in_use: Mapping[str, float], waiting: Mapping[str, float]) -> Table:
    """The fullest pools."""
    ranked = sorted(in_use, key=lambda pod: (-in_use[pod], pod))[:SHOWN]
    rows = tuple(
        (pod, round(in_use[pod]), share_text(in_use[pod] / size), round(waiting.get(pod, 0.0))) for pod in ranked
    )
    return Table("pool", ("Pod", "In use", "% of its pool", "Waiting"), rows)


def _queueing(waiting: Change) -> bool:
    """At least one request waits for a connection, and twice as many as before."""
    return bool(waiting.since >= 1 and not waiting.times < 2)


def _small(levels: Mapping[str, Change]) -> bool:
    """Nearly all open connections are busy, more than before, and requests wait: the pools do not open more."""
    in_use, idle = levels["in_use"], levels["idle"]
    busy = in_use.since >= BUSY * (in_use.since + idle.since) and in_use.times >= 2
    return bool(busy and _queueing(levels["waiting"]))


def _count(rows: Mapping[str, Floats]) -> Floats:
    """How many pods report their pool."""
    return np.asarray(np.sum([~np.isnan(row) for row in rows.values()], axis=0), dtype=np.float64)


def _high(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return upper_quartile(known) if len(known) else None


def _sentence(facts: Facts) -> str:
    used = f"{count_text(facts.in_use)} of {count_text(facts.pool)} connections in use"
    before = f" ({count_text(facts.in_use_before)} before)" if facts.in_use_before is not None else ""
    waiting = facts.waiting or 0.0
    queue = f", {plural(round(waiting), 'request')} waiting for one" if waiting >= 1 else ""
    if facts.small:
        why = f"the pods open no more, so their pools are smaller than the {facts.size} connections in the settings"
        return f"No: {used}{before}{queue}; {why}."
    if facts.exhausted:
        where = "" if facts.full_pods == facts.pods else f"; full in {facts.full_pods} of {facts.pods} pods"
        return f"No: {used}{before}{queue}{where}."
    return f"{'Yes, but requests wait' if facts.queueing else 'Yes'}: {used}{before}{queue}."


CHECK = Check(
    "pool", "Does the connection pool have free connections?", Facts, _queries, _judge, requires=("connections",)
)
