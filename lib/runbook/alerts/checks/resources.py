"""Do the pods reach their limits? Memory and CPU against limits, and containers killed for their memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.series import WINDOW, change, metric, number, onset_of, over_window, pods, series
from runbook.model import JSON, Chart, Query, Result, Status, Table
from runbook.sources import kubernetes
from runbook.sources.kubernetes_objects import Pod, pods_of, usage_of
from runbook.wording import share_text

FULL = 0.9  # from 90 % of a limit on, it counts as reached
MIB = 1024 * 1024
SHOWN = 6


def _queries(c: Context) -> Mapping[str, Query]:
    pod = c.service.pod_label
    return {
        "memory": over_window(c, f"max by ({pod}) ({metric(c.service, 'process_resident_memory_bytes')})"),
        "cpu": over_window(c, f"sum by ({pod}) (rate({metric(c.service, 'process_cpu_seconds_total')}[{WINDOW}]))"),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
        "usage": kubernetes.usage(c.service.namespace, c.service.deployment),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    here = pods_of(answers["pods"]) if answers["pods"].usable else ()
    memory, cpu = pods(c, answers["memory"]), pods(c, answers["cpu"])
    if not memory and not cpu:
        return Result("unknown", "Not known: Prometheus has neither memory nor CPU of the pods.")
    limits = {"memory": _limit([p.memory_limit for p in here]), "cpu": _limit([p.cpu_limit for p in here])}
    tops = {"memory": _highest(c, memory, earlier), "cpu": _highest(c, cpu, earlier)}
    used = {name: tops[name][1] / limit if (limit := limits[name]) else float("nan") for name in limits}
    kills = _kills(c, here, earlier)
    facts: dict[str, JSON] = {
        "memory_top_pod": tops["memory"][0],
        "memory_bytes": number(tops["memory"][1], 0),
        "memory_limit": limits["memory"],
        "memory_used": number(used["memory"], 3),
        "cpu_top_pod": tops["cpu"][0],
        "cpu_cores": number(tops["cpu"][1], 3),
        "cpu_limit": limits["cpu"],
        "cpu_used": number(used["cpu"], 3),
        "cpu_full_pods": _full(c, cpu, limits["cpu"], earlier),
        "memory_full_pods": _full(c, memory, limits["memory"], earlier),
        "oom_kills": kills,
        "limits_known": bool(limits["memory"] or limits["cpu"]),
        "memory_reached": bool(used["memory"] >= FULL),
        "cpu_reached": bool(used["cpu"] >= FULL),
    }
    abnormal = bool(facts["memory_reached"] or facts["cpu_reached"] or kills)
    status: Status = "abnormal" if abnormal else "normal" if facts["limits_known"] else "unknown"
    return Result(status, _sentence(facts, answers), facts, _charts(c, memory, cpu, limits), _usage(here, answers))


def _limit(limits: list[float | None]) -> float | None:
    known = [limit for limit in limits if limit]
    return min(known) if known else None


def _highest(c: Context, by_pod: Mapping[str, np.ndarray], earlier: Results) -> tuple[str | None, float]:
    """The pod that uses most since the onset, and how much at its height (the 90th percentile of its samples)."""
    levels = {pod: change(c, values, onset_of(earlier), _high).since for pod, values in by_pod.items()}
    known = {pod: level for pod, level in levels.items() if not np.isnan(level)}
    return max(known.items(), key=lambda item: (item[1], item[0]), default=(None, float("nan")))


def _high(values: np.ndarray) -> float:
    return float(np.percentile(values, 90))


def _full(c: Context, by_pod: Mapping[str, np.ndarray], limit: float | None, earlier: Results) -> int:
    if not limit:
        return 0
    return sum(1 for values in by_pod.values() if change(c, values, onset_of(earlier), _high).since >= FULL * limit)


def _kills(c: Context, here: tuple[Pod, ...], earlier: Results) -> int:
    begin = (onset_of(earlier) or c.started_at) - 600
    ended = [p.last_termination for p in here if p.last_termination and p.last_termination.reason == "OOMKilled"]
    return sum(1 for t in ended if t.finished_at is not None and begin <= t.finished_at <= c.end)


def _sentence(facts: Mapping[str, JSON], answers: Answers) -> str:
    parts = [f"{facts['oom_kills']} containers were killed for their memory"] if facts["oom_kills"] else []
    for name in ("memory", "cpu"):
        if facts[f"{name}_used"] is not None:
            parts.append(
                f"{name.upper() if name == 'cpu' else name} at {share_text(facts[f'{name}_used'])} of its limit in the fullest pod"
            )
    if not facts["limits_known"]:
        said = answers["pods"].error or "the pods declare no limits"
        return f"Not known: limits are missing ({said.rstrip('.')})."
    reached = facts["memory_reached"] or facts["cpu_reached"] or facts["oom_kills"]
    return f"{'Yes' if reached else 'No'}: {', '.join(parts) or 'no usage known'}."


def _charts(
    c: Context, memory: Mapping[str, np.ndarray], cpu: Mapping[str, np.ndarray], limits: Mapping[str, float | None]
) -> tuple[Chart, ...]:
    def draw(name: str, title: str, unit: str, by_pod: Mapping[str, np.ndarray], scale: float) -> Chart:
        fullest = sorted(
            (pod for pod in by_pod if not np.isnan(by_pod[pod]).all()), key=lambda pod: -np.nanmax(by_pod[pod])
        )[:SHOWN]
        limit = limits[name]
        return Chart(
            name,
            title,
            unit,
            tuple(series(c, pod, by_pod[pod], scale=scale) for pod in fullest),
            threshold=limit * scale if limit else None,
        )

    return (
        draw("memory", "Resident memory by pod, against the limit", "MiB", memory, 1 / MIB),
        draw("cpu", "CPU by pod, against the limit", "cores", cpu, 1.0),
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


CHECK = Check("resources", "Do the pods reach their limits?", _queries, _judge, needs=("pods",), optional=("usage",))
