"""Does memory keep growing? A leak, a plateau or a sawtooth by pod, and the time left until the container's limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook import model
from runbook.alerts.checks.toolkit.memory_growth import (
    FULL,
    HOUR,
    MIB,
    Growth,
    calm_seconds,
    first_seen,
    only_new_grow,
    resident,
    trend_of,
)
from runbook.alerts.checks.toolkit.series import (
    Floats,
    grid,
    number,
    over_window,
    pods,
    series,
    shown_of,
)
from runbook.alerts.checks.workload import changes
from runbook.alerts.thresholds import MEMORY
from runbook.analysis.trend import Shape
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Series, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import Pod, pods_of
from runbook.text.format import bytes_text, plural
from runbook.text.time import clock_text, duration_text

SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The trend of the fullest pod's memory since the onset (`since`; None: not known), and which pods grow.

    Memory in bytes, None where it is not finite; slopes in bytes per second with their 95 % interval. `resets` counts
    the falls of memory, such as restarts. `request` and `limit` are the container's, None where none is declared or
    known. Until the limit, seconds with their interval, and `full_at` in epoch seconds: None where memory does not grow
    or the limit is not known. `only_new_grow`: the suspect revision's pods grow from their start, no others ever did;
    `calm_seconds`: for how long its first pod that grows ran before it began to. None where that is not known.
    """

    pod: str
    shape: Shape
    grows: bool
    bytes_per_second: float
    bytes_per_second_low: float
    bytes_per_second_high: float
    since: float | None
    resets: int
    pods: int
    growing_pods: int
    growing: tuple[str, ...]
    now: float | None
    most: float | None
    limit: float | None
    request: float | None
    at_limit: bool | None
    seconds_left: float | None
    full_at: float | None
    seconds_left_low: float | None
    seconds_left_high: float | None
    only_new_grow: bool | None
    calm_seconds: float | None


def _queries(c: Context) -> Mapping[str, Query]:
    return {
        "memory": over_window(c, resident(c.service)),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    onset = earlier.onset
    since = grid(c) >= (c.start if onset is None else onset)
    here = {pod.name: pod for pod in pods_of(answers["pods"])} if answers["pods"].usable else {}
    rows = pods(c, answers["memory"])
    judged = (_growth(c, row, since, pod=pod, declared=here.get(pod)) for pod, row in rows.items())
    found = [one for one in judged if one is not None]
    ranked = sorted(found, key=lambda one: (-float(np.nanmax(one.row[since])), one.pod))
    if not ranked:
        return Result("unknown", "Not known: no pod has enough values of resident memory since the onset.")
    rollout = earlier.facts(changes.Facts)
    new = {name for name, pod in here.items() if pod.revision == (rollout.revision if rollout else None)}
    calm = _calm(c, [one.row for one in found if one.pod in new and one.grows])
    facts = _facts(c, ranked, onset, only_new=only_new_grow(c, found, new, rows), calm=calm)
    return Result(
        "abnormal" if facts.grows else "normal",
        _sentence(c, ranked[0], facts),
        facts,
        (_chart(c, ranked, since),),
        (_table(ranked),),
    )


def _growth(c: Context, row: Floats, since: NDArray[np.bool_], *, pod: str, declared: Pod | None) -> Growth | None:
    """None where a pod has too few values since the onset."""
    containers = declared.containers if declared else ()
    container = next((one for one in containers if c.service.container in ("", one.name)), None)
    limit = container.memory_limit if container else None
    found = trend_of(c, np.where(since, row, np.nan), limit)
    return Growth(pod, row, found, container) if found else None


def _facts(
    c: Context, ranked: Sequence[Growth], onset: float | None, *, only_new: bool | None, calm: float | None
) -> Facts:
    top = ranked[0]
    slope = top.trend.slope
    left = top.left(slope.value)
    return Facts(
        pod=top.pod,
        shape=top.trend.shape,
        grows=top.grows,
        bytes_per_second=round(slope.value, 1),
        bytes_per_second_low=round(slope.low, 1),
        bytes_per_second_high=round(slope.high, 1),
        since=onset,
        resets=len(top.trend.resets),
        pods=len(ranked),
        growing_pods=sum(1 for one in ranked if one.grows),
        growing=tuple(one.pod for one in ranked if one.grows),
        now=number(top.now, 0),
        most=number(top.most, 0),
        limit=top.limit,
        request=top.container.memory_request if top.container else None,
        at_limit=None if not top.limit else bool(top.most >= FULL * top.limit),
        seconds_left=_rounded(left),
        full_at=None if left is None else c.end + left,
        seconds_left_low=_rounded(top.left(slope.high)),
        seconds_left_high=_rounded(top.left(slope.low)),
        only_new_grow=only_new,
        calm_seconds=calm,
    )


def _calm(c: Context, rows: Sequence[Floats]) -> float | None:
    """How long the oldest of these pods ran before its memory began to grow."""
    return number(calm_seconds(c, min(rows, key=lambda row: first_seen(c, row))), 0) if rows else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else number(seconds, 0)


def _sentence(c: Context, top: Growth, facts: Facts) -> str:
    growing = f"{facts.growing_pods} of {plural(facts.pods, 'pod')} {'grows' if facts.growing_pods == 1 else 'grow'}"
    if not top.grows:
        room = f" below its limit ({bytes_text(facts.limit)})" if facts.limit else ""
        falling = f"is falling, now at {bytes_text(top.now)}{',' if room else ''}"
        level = falling if facts.shape == "falling" else f"has levelled off at {bytes_text(top.now)}, a plateau"
        others = f"; {growing}" if facts.growing_pods else ""
        return f"No: memory of the fullest pod {level}{room}{others}."
    if facts.shape == "sawtooth":
        how = (
            f"Yes, in a sawtooth: memory of the fullest pod fell {facts.resets} times and then grew by {top.pace} again"
        )
    else:
        since = f" since {clock_text(facts.since, c.started_at)}" if facts.since else ""
        how = f"Yes: memory of the fullest pod grows steadily by {top.pace}{since}"
    return f"{how}; {growing}. {_left(facts)}."


def _left(facts: Facts) -> str:
    """When a pod that grows reaches its limit, as a sentence without its end."""
    if not facts.limit or facts.seconds_left is None:
        return "Its container's limit is not known"
    limit = f"its limit ({bytes_text(facts.limit)})"
    if not facts.seconds_left:
        return f"It has reached {limit}"
    left = duration_text(facts.seconds_left)
    soonest, latest = facts.seconds_left_low, facts.seconds_left_high
    if soonest is None or latest is None or duration_text(soonest) == duration_text(latest):
        return f"It will reach {limit} in {left}"
    return f"It will reach {limit} in {left} ({duration_text(soonest)} to {duration_text(latest)})"


def _chart(c: Context, ranked: Sequence[Growth], since: NDArray[np.bool_]) -> Chart:
    """Memory of the fullest pods, and the trend of the fullest one."""
    top = ranked[0]
    lines = [series(c, one.pod, one.row, scale=1 / MIB) for one in ranked[:SHOWN]]
    if top.trend.shape == "growing":
        lines.insert(0, _line(c, top, since))
    limit = MEMORY.of(c.service.thresholds) / MIB
    return Chart(
        "memory-by-pod", shown_of("Resident memory by pod", SHOWN, len(ranked)), "MiB", tuple(lines), threshold=limit
    )


def _line(c: Context, top: Growth, since: NDArray[np.bool_]) -> Series:
    """The trend as a line through the median of the values that it was fitted to."""
    slope = top.trend.slope.value
    free = np.where(since & ~(top.row >= FULL * (top.limit or np.inf)), top.row, np.nan)
    middle = float(np.nanmedian(free - slope * grid(c)))
    return series(c, "trend", np.where(since, middle + slope * grid(c), np.nan), "reference", scale=1 / MIB)


def _table(ranked: Sequence[Growth]) -> Table:
    columns = (
        "Pod",
        "Now (MiB)",
        "Peak (MiB)",
        "Growth (MiB/h)",
        "Shape",
        "Request (MiB)",
        "Limit (MiB)",
        "Time until the limit",
    )
    return Table("memory-by-pod", columns, tuple(_row(one) for one in ranked[:SHOWN]))


def _row(one: Growth) -> tuple[str | int | float | None, ...]:
    slope = one.trend.slope.value
    left = one.left(slope)
    request = one.container.memory_request if one.container else None
    return (
        one.pod,
        round(one.now / MIB),
        round(one.most / MIB),
        f"{slope * HOUR / MIB:+,.0f}",
        one.trend.shape,
        *(f"{value / MIB:,.0f}" if value else "none" for value in (request, one.limit)),
        duration_text(left) if left is not None else "",
    )


CHECK = Check(
    "memory_trend",
    "Does memory keep growing: a leak, a plateau or a sawtooth?",
    Facts,
    _queries,
    _judge,
    requires=("memory",),
    optional=("pods",),
    reads=(changes.Facts,),
)
