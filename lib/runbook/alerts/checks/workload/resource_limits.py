"""Do the pods reach their limits? Memory and CPU against limits, and containers killed for their memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.memory_growth import CALM_SECONDS, MIB, calm_seconds
from runbook.alerts.checks.toolkit.series import (
    Floats,
    change,
    metric,
    number,
    over_window,
    pods,
    rate_window,
    series,
    shown_of,
    split_time,
)
from runbook.alerts.checks.workload import changes
from runbook.alerts.checks.workload.changes import CALM_MINUTES
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Status, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import Pod, pods_of, usage_of
from runbook.text.format import plural, share_text

HEAVIER = 1.5  # times the memory of the pods before, a new revision is to blame for what it lacks
FULL = 0.9  # from 90 % of a limit on, it counts as reached
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Of memory (bytes) and CPU (cores): the fullest pod since the onset, its share of its limit, the limit, whether
    that is reached (None: use or limit is not known), how many pods have reached theirs, and what the fullest uses.

    `container` is the one that serves; `oom_kills` near the onset or since; `heavier` says how much more memory the
    pods of a suspected rollout hold than those before.
    """

    container: str | None
    oom_kills: int | None
    memory_top_pod: str | None
    memory_used: float | None
    memory_limit: float | None
    memory_reached: bool | None
    memory_full_pods: int | None
    cpu_top_pod: str | None
    cpu_used: float | None
    cpu_limit: float | None
    cpu_reached: bool | None
    cpu_full_pods: int | None
    memory_bytes: float | None
    cpu_cores: float | None
    heavier: str | None


def _queries(c: Context) -> Mapping[str, Query]:
    pod = c.service.pod_label
    return {
        "memory": over_window(c, f"max by ({pod}) ({metric(c.service, 'process_resident_memory_bytes')})"),
        "cpu": over_window(
            c, f"sum by ({pod}) (rate({metric(c.service, 'process_cpu_seconds_total')}[{rate_window(c)}]))"
        ),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
        "usage": kubernetes.usage(c.service.namespace, c.service.deployment),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    here = pods_of(answers["pods"]) if answers["pods"].usable else ()
    memory, cpu = pods(c, answers["memory"]), pods(c, answers["cpu"])
    if not memory and not cpu:
        return Result("unknown", "Not known: Prometheus has neither memory nor CPU of the pods.")
    container = _container(c, here)
    top_memory = _fullest(c, memory, _limits(here, container, "memory_limit"), earlier)
    top_cpu = _fullest(c, cpu, _limits(here, container, "cpu_limit"), earlier)
    kills = _kills(c, here, earlier)
    facts = Facts(
        container=container,
        oom_kills=kills,
        memory_top_pod=top_memory.pod,
        memory_used=top_memory.share,
        memory_limit=top_memory.limit,
        memory_reached=top_memory.reached,
        memory_full_pods=top_memory.full,
        cpu_top_pod=top_cpu.pod,
        cpu_used=top_cpu.share,
        cpu_limit=top_cpu.limit,
        cpu_reached=top_cpu.reached,
        cpu_full_pods=top_cpu.full,
        memory_bytes=number(top_memory.used, 0),
        cpu_cores=number(top_cpu.used, 3),
        heavier=_heavier(c, here, memory, earlier),
    )
    abnormal = bool(facts.memory_reached or facts.cpu_reached or kills)
    known = facts.memory_reached is not None or facts.cpu_reached is not None
    status: Status = "abnormal" if abnormal else "normal" if known else "unknown"
    charts = _charts(c, memory, cpu, {"memory": top_memory.limit, "cpu": top_cpu.limit})
    return Result(status, _sentence(facts, answers), facts, charts, _usage(here, answers))


@dataclass(frozen=True)
class _Top:
    """The pod that is nearest to its own limit: what it uses, its limit, and how many pods have reached theirs."""

    pod: str | None
    used: float
    limit: float | None
    full: int

    @property
    def share(self) -> float | None:
        """What it uses of its limit; None where either is not known."""
        return number(self.used / self.limit, 3) if self.limit else None

    @property
    def reached(self) -> bool | None:
        """Whether the limit counts as reached."""
        known = self.limit and not np.isnan(self.used)
        return bool(self.used / self.limit >= FULL) if known and self.limit else None


def _container(c: Context, here: tuple[Pod, ...]) -> str | None:
    """The container that serves: the profile's, else the first of a pod; the process metrics are of that one."""
    if c.service.container:
        return c.service.container
    return next((pod.containers[0].name for pod in here if pod.containers), None)


def _limits(here: tuple[Pod, ...], container: str | None, limit: str) -> dict[str, float]:
    """That container's limit by pod, where it has one."""
    found = {pod.name: getattr(one, limit) for pod in here for one in pod.containers if one.name == container}
    return {name: value for name, value in found.items() if value}


def _fullest(c: Context, by_pod: Mapping[str, Floats], limits: Mapping[str, float], earlier: Results) -> _Top:
    """By what each pod uses at its height since the onset; a pod that is gone counts by the others' lowest limit."""
    levels = {pod: change(c, values, earlier.onset, _high).since for pod, values in by_pod.items()}
    common = min(limits.values(), default=None)
    filled = {pod: used / limit if (limit := limits.get(pod, common)) else used for pod, used in levels.items()}
    known = {pod: value for pod, value in filled.items() if not np.isnan(value)}
    if not known:
        return _Top(None, float("nan"), common, 0)
    pod = max(sorted(known), key=lambda name: known[name])
    full = sum(1 for value in known.values() if value >= FULL) if common else 0
    return _Top(pod, levels[pod], limits.get(pod, common), full)


def _high(values: Floats) -> float:
    return float(np.percentile(values, 90))


def _heavier(c: Context, here: tuple[Pod, ...], memory: Mapping[str, Floats], earlier: Results) -> str | None:
    """What the pods of a rollout shortly before the onset hold against those before it, where it is much more.

    Not where those before grew likewise until they went, or where the new ones lived a while before they began to grow.
    """
    found = earlier.facts(changes.Facts, optional=True)
    if found is None or not found.near or found.rollout is None or found.alike or found.calm_minutes >= CALM_MINUTES:
        return None
    new = {pod.name for pod in here if pod.revision == found.revision}
    rows = [memory[pod] for pod in new if pod in memory]
    held = [level for row in rows if not np.isnan(level := change(c, row, earlier.onset, _high).since)]
    most = [float(np.nanmax(row)) for pod, row in memory.items() if pod not in new and not np.isnan(row).all()]
    if not most or not held or np.median(held) < HEAVIER * np.median(most):
        return None
    if min(calm_seconds(c, row) for row in rows) >= CALM_SECONDS:
        return None
    return f"its pods hold up to {np.median(held) / MIB:,.0f} MiB, those before {np.median(most) / MIB:,.0f} MiB"


def _kills(c: Context, here: tuple[Pod, ...], earlier: Results) -> int:
    begin = split_time(c, earlier.onset) - 600
    ended = [p.last_termination for p in here if p.last_termination and p.last_termination.reason == "OOMKilled"]
    return sum(1 for t in ended if t.finished_at is not None and begin <= t.finished_at <= c.end)


def _sentence(facts: Facts, answers: Answers) -> str:
    kills = facts.oom_kills
    parts = (
        [f"{plural(kills, 'container')} {'was' if kills == 1 else 'were'} killed for using too much memory"]
        if kills
        else []
    )
    for used, shown in ((facts.memory_used, "memory"), (facts.cpu_used, "CPU")):
        parts.append(
            f"{shown} at {share_text(used)} of its limit in the fullest pod"
            if used is not None
            else f"{shown} against its limit is not known"
        )
    if facts.memory_used is None and facts.cpu_used is None and not kills:
        said = answers["pods"].error or "the container declares no limits"
        return f"Not known: limits are missing ({said.rstrip('.')})."
    reached = facts.memory_reached or facts.cpu_reached or kills
    return f"{'Yes' if reached else 'No'}: {', '.join(parts)}."


def _charts(
    c: Context, memory: Mapping[str, Floats], cpu: Mapping[str, Floats], limits: Mapping[str, float | None]
) -> tuple[Chart, ...]:
    def draw(name: str, title: str, unit: str, *, by_pod: Mapping[str, Floats], scale: float) -> Chart:
        known = [pod for pod in by_pod if not np.isnan(by_pod[pod]).all()]
        fullest = sorted(known, key=lambda pod: -np.nanmax(by_pod[pod]))[:SHOWN]
        limit = limits[name]
        return Chart(
            name,
            shown_of(title, SHOWN, len(known)),
            unit,
            tuple(series(c, pod, by_pod[pod], scale=scale) for pod in fullest),
            threshold=limit * scale if limit else None,
            limit="limit",
        )

    return (
        draw("memory", "Resident memory by pod, against the limit", "MiB", by_pod=memory, scale=1 / MIB),
        draw("cpu", "CPU by pod, against the limit", "cores", by_pod=cpu, scale=1.0),
    )


def _usage(here: tuple[Pod, ...], answers: Answers) -> tuple[Table, ...]:
    """What `kubectl top pods` says, beside the limits."""
    if not answers["usage"].usable:
        return ()
    used = usage_of(answers["usage"])
    limits = {p.name: p for p in here}
    rows = tuple(
        (
            pod,
            f"{cpu:.2f}",
            _of(limits.get(pod), "cpu_limit", 1.0),
            f"{memory / MIB:,.0f}",
            _of(limits.get(pod), "memory_limit", 1 / MIB),
        )
        for pod, (cpu, memory) in sorted(used.items())[:12]
    )
    return (Table("usage", ("Pod", "CPU (cores)", "CPU limit", "Memory (MiB)", "Memory limit"), rows),) if rows else ()


def _of(pod: Pod | None, limit: str, scale: float) -> str:
    value = getattr(pod, limit, None)
    return f"{value * scale:,.4g}" if value else "none"


CHECK = Check(
    "resource_limits",
    "Do the pods reach their limits?",
    Facts,
    _queries,
    _judge,
    requires=("pods",),
    optional=("usage",),
)
