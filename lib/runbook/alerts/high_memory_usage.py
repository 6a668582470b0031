"""HighMemoryUsage: a pod has used more than 500 MiB for fifteen minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.memory import growth, memory_correlates, memory_level, memory_trend
from runbook.alerts.checks.memory.growth import CALM_SECONDS, MIB
from runbook.alerts.checks.requests import endpoint_probes, traffic
from runbook.alerts.checks.toolkit.series import line, metric, since_mitigation, watched
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.memory import bound_cache, grant_memory, release_connections, restart_leaking
from runbook.alerts.shared_causes import DEPLOYMENT, times_as_many
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Context, Recovering, Results, Severity, Sign
from runbook.investigation.severity import RESPONSES
from runbook.model import Query, Series, Verdict
from runbook.sources.probe import http as probe
from runbook.text.format import bytes_text, clock_text, duration_text, plural, share_text

BUSY = 1.5  # times the usual requests: as much may well need more memory
AS_USUAL = 1.25
NAMED = 3  # pods that leak
SEVERITY: Severity = "medium"


def fullest(service: Service) -> str:
    """PromQL: resident memory of the pod that has most; one pod is enough, and six of them are one alert."""
    return f"max({metric(service, 'process_resident_memory_bytes')})"


def expression(service: Service) -> str:
    """The alerting rule's PromQL."""
    return f"{fullest(service)} > {service.thresholds.memory_bytes}"


WITH_CACHE = Sign(
    "companions", 0.6, lambda f: bool(f["cache_holds"]) and not f["rest_grows"], lambda f: "the cache holds it"
)
WITH_CONNECTIONS = Sign("companions", 0.6, lambda f: f["connections_rise"], lambda f: "the connections grow with it")
LEVEL = Sign("trend", 0.8, lambda f: f["grows"] is False, lambda f: "it does not grow any more")


def _leak(results: Results) -> str:
    """A memory leak, and in which pods."""
    facts = results["trend"].facts
    names = facts["growing"]
    where = " and ".join(names) if len(names) <= NAMED else f"{len(names)} of {plural(facts['pods'], 'pod')}"
    return f"a memory leak in {where}" if names else "a memory leak"


LEAK = Cause(
    "leak",
    "Memory leak",
    phrase=_leak,
    plan=restart_leaking,
    needs=("trend", "companions"),
    decides=(("companions", "rest_grows"),),
    supports=(
        Sign(
            "companions",
            0.5,
            lambda f: f["rest_grows"],
            lambda f: "it grows beyond its cache, and neither with the connections nor with the requests",
        ),
        Sign(
            "trend",
            0.2,
            lambda f: f["grows"],
            lambda f: f"it grows by {f['bytes_per_second'] * 3600 / MIB:,.0f} MiB/h and does not level off",
        ),
    ),
    refutes=(LEVEL, WITH_CACHE, WITH_CONNECTIONS),
)

CACHE = Cause(
    "cache",
    "Cache grows",
    phrase=lambda results: "a cache that grows",
    plan=bound_cache,
    needs=("companions",),
    decides=(("companions", "cache_holds"),),
    supports=(
        Sign(
            "companions",
            0.9,
            lambda f: f["cache_holds"],
            lambda f: f"the cache grew to {bytes_text(f['cache_height'])}, {share_text(f['cache_share'])} of what came",
        ),
    ),
    refutes=(
        Sign("companions", 0.9, lambda f: f["cache_holds"] is False, lambda f: "the cache holds little of what came"),
    ),
)

CONNECTIONS = Cause(
    "connections",
    "Connections not given back",
    phrase=lambda results: "connections that are not given back",
    plan=release_connections,
    needs=("companions",),
    decides=(("companions", "connections_rise"),),
    supports=(
        Sign(
            "companions",
            0.9,
            lambda f: f["connections_rise"],
            lambda f: (
                f"connections in use grew with it, from {f['connections_before']:,.0f} to {f['connections_height']:,.0f}"
            ),
        ),
    ),
    refutes=(
        Sign(
            "companions",
            0.9,
            lambda f: f["connections_rise"] is False,
            lambda f: "the connections in use do not grow with it",
        ),
        Sign(
            "companions",
            0.6,
            lambda f: f["requests_rise"],
            lambda f: "the requests grew, which explain the connections",
        ),
    ),
)

LOAD = Cause(
    "load",
    "Legitimate load",
    phrase=lambda results: f"legitimate load: {times_as_many(results['traffic'].facts)}",
    plan=grant_memory,
    needs=("traffic", "companions"),
    decides=(("traffic", "times"), ("companions", "requests_rise")),
    supports=(
        Sign("traffic", 0.5, lambda f: bool(f["times"] and f["times"] >= BUSY), times_as_many),
        Sign(
            "companions",
            0.4,
            lambda f: f["requests_rise"],
            lambda f: f"memory follows the requests (correlation {f['requests_alike']:.2f})",
        ),
        Sign("trend", 0.2, lambda f: f["shape"] == "steady", lambda f: "it has levelled off"),
    ),
    refutes=(
        Sign(
            "traffic", 0.9, lambda f: bool(f["times"] and f["times"] < AS_USUAL), lambda f: "as many requests as usual"
        ),
        Sign(
            "companions",
            0.6,
            lambda f: f["requests_rise"] is False,
            lambda f: "memory does not follow the requests",
        ),
        WITH_CACHE,
        WITH_CONNECTIONS,
    ),
)

RELEASE = replace(
    DEPLOYMENT,
    supports=(
        *DEPLOYMENT.supports,
        Sign(
            "trend",
            0.4,
            lambda f: f["only_new_grow"],
            lambda f: "its pods grow from their start, those before did not",
        ),
    ),
    refutes=(
        *DEPLOYMENT.refutes,
        Sign(
            "trend",
            0.7,
            lambda f: f["calm_seconds"] is not None and f["calm_seconds"] >= CALM_SECONDS,
            lambda f: f"its first pod ran for {duration_text(f['calm_seconds'])} before it began to grow",
        ),
    ),
)


def remark(results: Results, verdicts: Sequence[Verdict]) -> str:
    """When the fullest pod reaches its limit, where that is before anybody has to respond."""
    facts = results["trend"].facts
    left = facts.get("seconds_left")
    within = RESPONSES[SEVERITY].seconds
    if results["memory"].status != "abnormal" or left is None or within is None or left >= within:
        return ""
    if not left:
        return f"The fullest pod has reached its limit of {bytes_text(facts['limit'])}: it may be killed at any moment."
    return (
        f"In {duration_text(left)}, at {clock_text(facts['full_at'])}, the fullest pod reaches its limit of "
        f"{bytes_text(facts['limit'])} and is killed."
    )


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    return {"fullest": since_mitigation(c, fullest(c.service), end)}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["fullest"], line(answers["fullest"]) / MIB)


def _probes(c: Context) -> Mapping[str, Query]:
    return {path: probe.get(path) for path in (c.service.health_path, c.service.display_path)}


ALERT = Alert(
    name="HighMemoryUsage",
    summary=lambda limits: f"A pod uses more than {bytes_text(limits.memory_bytes)} of memory",
    meaning=lambda limits: (
        f"The resident memory of a pod has been above {bytes_text(limits.memory_bytes)} for at least fifteen minutes."
    ),
    impact="Near its limit a pod gets slow, and beyond it is killed: requests under way fail, the other pods get its share.",
    severity=SEVERITY,
    hold_seconds=900,
    expression=expression,
    checks=(
        memory_level.CHECK,
        changes.watching(growth.SIGNAL),
        memory_trend.CHECK,
        memory_correlates.CHECK,
        resource_limits.CHECK,
        traffic.CHECK,
        error_messages.CHECK,
        endpoint_probes.CHECK,
    ),
    causes=(LEAK, CACHE, CONNECTIONS, LOAD, RELEASE),
    recovery=Recovering(
        "Resident memory of the fullest pod",
        "MiB",
        900,
        lambda service: service.thresholds.memory_bytes / MIB,
        _recovery_queries,
        _recovery_series,
        _probes,
    ),
    escalate_if=(
        "a container is killed for its memory, or the limit is reached within 15 minutes",
        "the pods are as full again within an hour of a restart",
        "no cause is supported and the service's authors are not on call",
    ),
    remark=remark,
)
