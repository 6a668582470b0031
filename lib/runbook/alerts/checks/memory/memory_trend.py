"""Does the memory grow? A leak, a plateau or a sawtooth by pod, and the time left until the container's limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from runbook.alerts.checks.memory.growth import (
    FULL,
    HOUR,
    MIB,
    Growth,
    calm_seconds,
    first_seen,
    of,
    only_new_grow,
    resident,
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
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Chart, Query, Result, Series, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.objects import Pod, pods_of
from runbook.text.format import bytes_text, clock_text, duration_text, plural

SHOWN = 6


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
    judged = (_growth(c, pod, row, since, here.get(pod)) for pod, row in rows.items())
    found = [one for one in judged if one is not None]
    ranked = sorted(found, key=lambda one: (-float(np.nanmax(one.row[since])), one.pod))
    if not ranked:
        return Result("unknown", "Not known: too few values of resident memory since the onset.")
    revision = fact(earlier, "changes", "revision")
    new = {name for name, pod in here.items() if pod.revision == revision}
    facts = {
        **_facts(c, ranked, onset),
        "only_new_grow": only_new_grow(c, found, new, rows),
        "calm_seconds": _calm(c, [one.row for one in found if one.pod in new and one.grows]),
    }
    return Result(
        "abnormal" if facts.grows else "normal",
        _sentence(c, ranked[0], facts),
        facts,
        (_chart(c, ranked, since),),
        (_table(ranked),),
    )


def _growth(c: Context, pod: str, row: Floats, since: NDArray[np.bool_], declared: Pod | None) -> Growth | None:
    """None where a pod has told too few values since the onset."""
    containers = declared.containers if declared else ()
    container = next((one for one in containers if c.service.container in ("", one.name)), None)
    limit = container.memory_limit if container else None
    found = of(c, np.where(since, row, np.nan), limit)
    return Growth(pod, row, found, container) if found else None


def _facts(c: Context, ranked: Sequence[Growth], onset: float | None) -> dict[str, JSON]:
    top = ranked[0]
    slope = top.trend.slope
    left = top.left(slope.value)
    return {
        "pod": top.pod,
        "shape": top.trend.shape,
        "grows": top.grows,
        "bytes_per_second": number(slope.value, 1),
        "bytes_per_second_low": number(slope.low, 1),
        "bytes_per_second_high": number(slope.high, 1),
        "since": onset,
        "resets": len(top.trend.resets),
        "pods": len(ranked),
        "growing_pods": sum(1 for one in ranked if one.grows),
        "growing": [one.pod for one in ranked if one.grows],
        "now": number(top.now, 0),
        "most": number(top.most, 0),
        "limit": top.limit,
        "request": top.container.memory_request if top.container else None,
        "at_limit": None if not top.limit else bool(top.most >= FULL * top.limit),
        "seconds_left": _rounded(left),
        "full_at": None if left is None else c.end + left,
        "seconds_left_low": _rounded(top.left(slope.high)),
        "seconds_left_high": _rounded(top.left(slope.low)),
    }


def _calm(c: Context, rows: Sequence[Floats]) -> float | None:
    """How long the oldest of these pods lived before it began to grow."""
    return number(calm_seconds(c, min(rows, key=lambda row: first_seen(c, row))), 0) if rows else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else number(seconds, 0)


def _sentence(c: Context, top: Growth, facts: Facts) -> str:
    pods = f"{facts.growing_pods} of {plural(facts.pods, 'pod')} {'grows' if facts.growing_pods == 1 else 'grow'}"
    if not top.grows:
        how = "falls" if facts.shape == "falling" else "has levelled off"
        others = f"; {pods}" if facts.growing_pods else ""
        return f"No: the fullest pod {how} at {bytes_text(facts.now)}, a plateau{_room(facts)}{others}."
    since = f" since {clock_text(facts.since, c.started_at)}" if facts.since else ""
    how = f"a sawtooth: after each of {facts.resets} fresh starts" if facts.shape == "sawtooth" else f"steadily{since}"
    return f"Yes, {how} by {top.pace} in the fullest pod; {pods}{_left(facts)}."


def _left(facts: Facts) -> str:
    if facts.seconds_left is None:
        return "" if facts.limit else "; its container's limit is not known"
    if not facts.seconds_left:
        return f"; its limit of {bytes_text(facts.limit)} is reached"
    left, soonest, latest = (
        None if facts[name] is None else duration_text(facts[name])
        for name in ("seconds_left", "seconds_left_low", "seconds_left_high")
    )
    span = f" ({soonest} to {latest})" if latest and soonest != latest else ""
    return f"; its limit of {bytes_text(facts.limit)} is reached in {left}{span}"


def _room(facts: Facts) -> str:
    return f" below its limit of {bytes_text(facts.limit)}" if facts.limit else ""


def _chart(c: Context, ranked: Sequence[Growth], since: NDArray[np.bool_]) -> Chart:
    """The fullest pods, and the trend of the fullest."""
    top = ranked[0]
    lines = [series(c, one.pod, one.row, scale=1 / MIB) for one in ranked[:SHOWN]]
    if top.trend.shape == "growing":
        lines.insert(0, _line(c, top, since))
    limit = c.service.thresholds.memory_bytes / MIB
    return Chart(
        "memory-by-pod", shown_of("Resident memory by pod", SHOWN, len(ranked)), "MiB", tuple(lines), threshold=limit
    )


def _line(c: Context, top: Growth, since: NDArray[np.bool_]) -> Series:
    """The trend as a line through the middle of the values that it was taken from."""
    slope = top.trend.slope.value
    free = np.where(since & ~(top.row >= FULL * (top.limit or np.inf)), top.row, np.nan)
    middle = float(np.nanmedian(free - slope * grid(c)))
    return series(c, "trend", np.where(since, middle + slope * grid(c), np.nan), "reference", 1 / MIB)


def _table(ranked: Sequence[Growth]) -> Table:
    columns = ("Pod", "Now (MiB)", "Most", "Per hour", "Shape", "Request", "Limit", "Until the limit")
    return Table("memory-by-pod", columns, tuple(_row(one) for one in ranked[:SHOWN]))


def _row(one: Growth) -> tuple[str | int | float | None, ...]:
    slope = one.trend.slope.value
    left = one.left(slope)
    declared = [getattr(one.container, name, None) for name in ("memory_request", "memory_limit")]
    return (
        one.pod,
        round(one.now / MIB),
        round(one.most / MIB),
        f"{slope * HOUR / MIB:+,.0f}",
        one.trend.shape,
        *(f"{value / MIB:,.0f}" if value else "none" for value in declared),
        duration_text(left) if left is not None else "",
    )


CHECK = Check(
    "memory_trend",
    "Does it grow: a leak, a plateau or a sawtooth?",
    Facts,
    _queries,
    _judge,
    requires=("memory",),
    optional=("pods",),
)
