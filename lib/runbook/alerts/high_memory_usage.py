"""HighMemoryUsage: a pod has used more than 500 MiB for fifteen minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.memory import memory_correlates, memory_level, memory_trend
from runbook.alerts.checks.requests import endpoint_probes, traffic
from runbook.alerts.checks.toolkit import memory_growth
from runbook.alerts.checks.toolkit.memory_growth import CALM_SECONDS, MIB
from runbook.alerts.checks.toolkit.series import line, metric, since_mitigation, watched
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.memory import bound_cache, grant_memory, release_connections, restart_leaking
from runbook.alerts.shared_causes import DEPLOYMENT, times_as_many
from runbook.alerts.thresholds import MEMORY
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Conclusive, Context, Recovering, Severity, Sign
from runbook.investigation.results import Results
from runbook.investigation.severity import RESPONSES
from runbook.model import Query, Series, Verdict
from runbook.sources.probe import http as probe
from runbook.text.format import bytes_text, plural, share_text
from runbook.text.time import clock_text, duration_text

BUSY = 1.5  # times the usual requests: they may well need more memory
AS_USUAL = 1.25  # times the usual requests: below it there are as many as usual
NAMED = 3  # at most so many leaking pods are named
SEVERITY: Severity = "medium"


def fullest(service: Service) -> str:
    """PromQL: resident memory of the pod that uses most: one alert, however many pods are above the threshold."""
    return f"max({metric(service, 'process_resident_memory_bytes')})"


def expression(service: Service) -> str:
    """The alerting rule's PromQL."""
    return f"{fullest(service)} > {MEMORY.of(service.thresholds)}"


def _or_nan(value: float | None) -> float:
    """For a sentence, which says of NaN that it is not known."""
    return nan if value is None else value


WITH_CACHE = Sign(
    memory_correlates.Facts,
    0.6,
    lambda f: bool(f.cache_holds) and not f.rest_grows,
    lambda f: "the cache explains the growth",
)
WITH_CONNECTIONS = Sign(
    memory_correlates.Facts, 0.6, lambda f: f.connections_rise, lambda f: "connections in use rise with memory"
)
LEVEL = Sign(memory_trend.Facts, 0.8, lambda f: f.grows is False, lambda f: "memory no longer grows")


def _leak(results: Results) -> str:
    """A memory leak, and in which pods it is."""
    facts = results.required(memory_trend.Facts)
    names = facts.growing
    where = " and ".join(names) if len(names) <= NAMED else f"{len(names)} of {plural(facts.pods, 'pod')}"
    return f"a memory leak in {where}" if names else "a memory leak"


LEAK = Cause(
    "leak",
    "Memory leak",
    phrase=_leak,
    plan=restart_leaking,
    requires=(memory_trend.Facts, memory_correlates.Facts),
    conclusive=(Conclusive(memory_correlates.Facts, "rest_grows"),),
    supports=(
        Sign(
            memory_correlates.Facts,
            0.5,
            lambda f: f.rest_grows,
            lambda f: "memory without the cache grows, while neither connections nor requests rise with it",
        ),
        Sign(
            memory_trend.Facts,
            0.2,
            lambda f: f.grows,
            lambda f: f"memory grows by {memory_growth.pace_text(f.bytes_per_second)} and does not level off",
        ),
    ),
    refutes=(LEVEL, WITH_CACHE, WITH_CONNECTIONS),
)


def _cache(f: memory_correlates.Facts) -> str:
    """The cache and its share of the growth."""
    size, share = bytes_text(_or_nan(f.cache_height)), share_text(_or_nan(f.cache_share))
    return f"the cache grew to {size}, which explains {share} of the growth"


CACHE = Cause(
    "cache",
    "Cache grows",
    phrase=lambda results: "a cache that grows",
    plan=bound_cache,
    requires=(memory_correlates.Facts,),
    conclusive=(Conclusive(memory_correlates.Facts, "cache_holds"),),
    supports=(Sign(memory_correlates.Facts, 0.9, lambda f: f.cache_holds, _cache),),
    refutes=(
        Sign(
            memory_correlates.Facts,
            0.9,
            lambda f: f.cache_holds is False,
            lambda f: (
                f"the cache explains {f'only {share_text(f.cache_share)}' if f.cache_share else 'none'} of the growth"
            ),
        ),
    ),
)


def _connections(f: memory_correlates.Facts) -> str:
    """From how many connections in use to how many."""
    before, height = _or_nan(f.connections_before), _or_nan(f.connections_height)
    return f"connections in use rose with memory, from {before:,.0f} to {height:,.0f}"


CONNECTIONS = Cause(
    "connections",
    "Connections not released",
    phrase=lambda results: "connections that are not released",
    plan=release_connections,
    requires=(memory_correlates.Facts,),
    conclusive=(Conclusive(memory_correlates.Facts, "connections_rise"),),
    supports=(Sign(memory_correlates.Facts, 0.9, lambda f: f.connections_rise, _connections),),
    refutes=(
        Sign(
            memory_correlates.Facts,
            0.9,
            lambda f: f.connections_rise is False,
            lambda f: "connections in use do not rise with memory",
        ),
        Sign(
            memory_correlates.Facts,
            0.6,
            lambda f: f.requests_rise,
            lambda f: "requests rose too, which explains the connections",
        ),
    ),
)

LOAD = Cause(
    "load",
    "Legitimate load",
    phrase=lambda results: f"legitimate load: {times_as_many(results.required(traffic.Facts))}",
    plan=grant_memory,
    requires=(traffic.Facts, memory_correlates.Facts),
    conclusive=(Conclusive(traffic.Facts, "times"), Conclusive(memory_correlates.Facts, "requests_rise")),
    supports=(
        Sign(traffic.Facts, 0.5, lambda f: bool(f.times and f.times >= BUSY), times_as_many),
        Sign(
            memory_correlates.Facts,
            0.4,
            lambda f: f.requests_rise,
            lambda f: f"memory follows the requests (correlation {_or_nan(f.requests_alike):.2f})",
        ),
        Sign(memory_trend.Facts, 0.2, lambda f: f.shape == "steady", lambda f: "memory has levelled off"),
    ),
    refutes=(
        Sign(traffic.Facts, 0.9, lambda f: bool(f.times and f.times < AS_USUAL), lambda f: "as many requests as usual"),
        Sign(
            memory_correlates.Facts,
            0.6,
            lambda f: f.requests_rise is False,
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
            memory_trend.Facts,
            0.4,
            lambda f: f.only_new_grow,
            lambda f: "memory grows only in the new pods, and from their start",
        ),
    ),
    refutes=(
        *DEPLOYMENT.refutes,
        Sign(
            memory_trend.Facts,
            0.7,
            lambda f: f.calm_seconds is not None and f.calm_seconds >= CALM_SECONDS,
            lambda f: f"memory began to grow {duration_text(_or_nan(f.calm_seconds))} after the first new pod started",
        ),
    ),
)


def note(results: Results, verdicts: Sequence[Verdict]) -> str:
    """When the fullest pod will reach its limit, where that is before anybody has to respond."""
    real, facts = results.result(memory_level.Facts), results.facts(memory_trend.Facts)
    within = RESPONSES[SEVERITY].seconds
    if real is None or real.status != "abnormal" or facts is None or within is None:
        return ""
    if facts.seconds_left is None or facts.seconds_left >= within:
        return ""
    limit = bytes_text(_or_nan(facts.limit))
    if not facts.seconds_left:
        return f"The fullest pod has reached its limit ({limit}) and may be killed at any moment."
    left, time = duration_text(facts.seconds_left), clock_text(_or_nan(facts.full_at))
    return f"The fullest pod will reach its limit ({limit}) in {left}, at {time}, and be killed."


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    return {"fullest": since_mitigation(c, fullest(c.service), end)}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["fullest"], line(answers["fullest"]) / MIB)


def _probes(c: Context) -> Mapping[str, Query]:
    return {path: probe.get(path) for path in (c.service.health_path, c.service.display_path)}


ALERT = Alert(
    name="HighMemoryUsage",
    summary=lambda limits: f"A pod uses more than {bytes_text(MEMORY.of(limits))} of memory",
    meaning=lambda limits: (
        f"The resident memory of a pod has been above {bytes_text(MEMORY.of(limits))} for at least fifteen minutes."
    ),
    impact=(
        "Near its memory limit a pod gets slow. At the limit it is killed: its requests under way fail, and the other "
        "pods get its share of the traffic."
    ),
    severity=SEVERITY,
    for_seconds=900,
    expression=expression,
    thresholds=(MEMORY,),
    checks=(
        memory_level.CHECK,
        changes.watching(memory_growth.SIGNAL),
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
        lambda service: MEMORY.of(service.thresholds) / MIB,
        _recovery_queries,
        _recovery_series,
        _probes,
    ),
    escalate_if=(
        "a container is OOM-killed, or a pod will reach its limit within 15 minutes",
        "the pods are full again within an hour of a restart",
        "no cause is supported and the service's authors are not on call",
    ),
    note=note,
)
