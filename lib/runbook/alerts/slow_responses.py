"""SlowResponses: 5 % of requests take longer than two seconds, for five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.logs import error_messages, warning_messages
from runbook.alerts.checks.requests import endpoint_probes, latency, paths, time_breakdown, traffic
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.series import WINDOW, line, recent, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import REQUEST_SECONDS
from runbook.alerts.checks.workload import changes, cpu_throttling
from runbook.alerts.mitigations.capacity import more_room
from runbook.alerts.mitigations.slowness import spare_dependency, speed_up_queries, widen_pool
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS, TRAFFIC, Facts, about, times_as_many, told
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Context, LoadTest, Recovering, Sign
from runbook.model import Query, Series
from runbook.text.format import duration_text, plural, share_text


def expression(service: Service) -> str:
    """The alerting rule's PromQL; without traffic the quantile is NaN, which is above nothing."""
    return f"{histogram.p95(service, histogram.REQUESTS, WINDOW)} > {service.thresholds.latency_p95_seconds:g}"


def slowest_queries(f: Facts) -> str:
    """E.g. "p95 of select users 2.3 s (11 ms before)"."""
    before = f" ({duration_text(f['p95_before'])} before)" if f["p95_before"] is not None else ""
    more = "" if f["alone"] or len(f["slow"]) < 2 else f", as {len(f['slow'])} of {f['kinds']} kinds of queries"
    return f"p95 of {f['worst']} {duration_text(f['p95'])}{before}{more}"


def no_room(f: Facts) -> str:
    """E.g. "the pool is full in 3 of 6 pods"; or smaller than it should be."""
    full, pods = f["full_pods"], f["pods"]
    return f"the pool is full in {full} of {plural(pods, 'pod')}" if full else "the pods open no more connections"


def most_time(part: str, words: str, least: float, weight: float) -> Sign:
    """For: much of the additional time is this part's."""
    return Sign(
        "time",
        weight,
        lambda f: bool(f["longer"]) and f[part] is not None and f[part] >= least,
        lambda f: f"{share_text(f[part])} of the additional time is {words}",
    )


def little_time(part: str, words: str, most: float, weight: float) -> Sign:
    """Against: hardly any of the additional time is this part's."""
    return Sign(
        "time",
        weight,
        lambda f: bool(f["longer"]) and f[part] is not None and f[part] < most,
        lambda f: f"{f'only {share_text(f[part])}' if f[part] else 'none'} of the additional time is {words}",
    )


ONLY_SOME = Sign(
    "paths",
    0.4,
    lambda f: f["some"],
    lambda f: f"only {len(f['slow'])} of {f['endpoints']} endpoints are slow; a lack for all would slow all",
)
SURGE = Sign("traffic", 0.6, lambda f: f["surge"], lambda f: f"{times_as_many(f)} explain the load")
SURGE_BESIDE = replace(SURGE, weight=0.3)  # it delays all endpoints alike, and makes no service answer late
SLOW_QUERIES = Sign("queries", 0.7, lambda f: f["any"], lambda f: f"slow queries explain it: {slowest_queries(f)}")

DATABASE = Cause(
    "database",
    "Database",
    phrase=lambda results: f"the database: {_slow_queries(results['queries'].facts)}",
    plan=speed_up_queries,
    needs=("queries",),
    decides=(("queries", "any"),),
    supports=(
        Sign("queries", 0.6, lambda f: f["any"], slowest_queries),
        most_time("queries", "in queries", 0.5, 0.5),
        Sign("logs", 0.2, about("database"), told("database")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign("queries", 0.9, lambda f: f["any"] is False, lambda f: f"queries are fast: {slowest_queries(f)}"),
        little_time("queries", "in queries", 0.2, 0.6),
    ),
)

POOL = Cause(
    "pool",
    "Connection pool",
    phrase=lambda results: "the connection pool: requests wait for a connection",
    plan=widen_pool,
    needs=("pool",),
    decides=(("pool", "queueing"), ("pool", "exhausted")),
    supports=(
        Sign(
            "pool",
            0.5,
            lambda f: f["queueing"],
            lambda f: f"{f['waiting']:,.0f} requests wait for a connection ({f['waiting_before'] or 0:,.0f} before)",
        ),
        Sign("pool", 0.3, lambda f: f["exhausted"], no_room),
        most_time("waiting", "waiting for a connection", 0.4, 0.5),
    ),
    refutes=(
        ONLY_NEW_PODS,
        SLOW_QUERIES,
        SURGE,
        Sign("pool", 0.9, lambda f: not f["queueing"] and not f["exhausted"], lambda f: "the pool has room"),
        little_time("waiting", "waiting for a connection", 0.2, 0.7),
    ),
)

RESOURCES = Cause(
    "resources",
    "CPU or memory",
    phrase=lambda results: f"too little {_short_of(results['resources'].facts)}",
    plan=more_room,
    needs=("resources",),
    decides=(("resources", "memory_reached"), ("resources", "cpu_reached")),
    supports=(
        Sign(
            "resources",
            0.5,
            lambda f: f["cpu_reached"],
            lambda f: f"CPU at {share_text(f['cpu_used'])} of its limit",
        ),
        Sign(
            "resources",
            0.5,
            lambda f: f["throttled"],
            lambda f: f"the CPU is taken away in {share_text(f['throttled_share'])} of the periods",
        ),
        Sign(
            "resources",
            0.5,
            lambda f: f["memory_reached"],
            lambda f: f"memory at {share_text(f['memory_used'])} of its limit",
        ),
        Sign("paths", 0.2, lambda f: f["all"], lambda f: "all endpoints are slow"),
        Sign("logs", 0.2, about("resources"), told("resources")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        ONLY_SOME,
        SURGE,
        Sign(
            "resources",
            0.8,
            lambda f: f["memory_reached"] is False and f["cpu_reached"] is False and not f["throttled"],
            lambda f: "memory and CPU below their limits",
        ),
        most_time("queries", "in queries", 0.5, 0.5),
        most_time("waiting", "waiting for a connection", 0.5, 0.5),
    ),
)

DEPENDENCY = Cause(
    "dependency",
    "External service",
    phrase=lambda results: "a slow external service",
    plan=spare_dependency,
    needs=("time",),
    decides=(("time", "rest"),),
    supports=(
        most_time("rest", "spent outside of queries, the pool and the CPU", 0.6, 0.45),
        Sign("paths", 0.3, lambda f: f["some"], lambda f: f"only some endpoints are slow: {', '.join(f['slow'][:3])}"),
        Sign(
            "paths",
            0.3,
            lambda f: bool(f["apart"]),
            lambda f: f"all endpoints are slow, but some much more: {', '.join(f['apart'][:3])}",
        ),
        Sign("logs", 0.4, about("dependency", 0.2), told("dependency")),
        Sign("slow_log", 0.4, about("dependency", 0.2), lambda f: "warnings speak of a slow service"),
    ),
    refutes=(
        ONLY_NEW_PODS,
        SURGE_BESIDE,
        SLOW_QUERIES,
        Sign("pool", 0.5, lambda f: f["queueing"], lambda f: "requests wait for a connection"),
        Sign(
            "resources",
            0.6,
            lambda f: bool(f["cpu_reached"] or f["throttled"]),
            lambda f: "the CPU is short: requests wait for it",
        ),
        Sign("resources", 0.6, lambda f: f["memory_reached"], lambda f: "memory is short: requests wait for it"),
        little_time("rest", "spent outside of queries, the pool and the CPU", 0.4, 0.8),
    ),
)


def _slow_queries(f: Facts) -> str:
    if not f["any"]:
        return "its queries take most of the additional time"
    if f["alone"]:
        return f"{f['worst']} is slow; it may lack an index"
    return f"{len(f['slow'])} of {f['kinds']} kinds of queries are slow, {f['worst']} above all"


def _short_of(f: Facts) -> str:
    lacking = {"CPU": f["cpu_reached"] or f["throttled"], "memory": f["memory_reached"]}
    return " and ".join(name for name, short in lacking.items() if short) or "CPU or memory"


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    return {"p95": since_mitigation(c, histogram.p95(c.service, histogram.REQUESTS, recent(c)), end)}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["p95"], line(answers["p95"]))


ALERT = Alert(
    name="SlowResponses",
    summary=lambda limits: f"5 % of requests take longer than {duration_text(limits.latency_p95_seconds)}",
    meaning=lambda limits: (
        f"The 95th percentile of request durations has been above {duration_text(limits.latency_p95_seconds)} for at least five minutes."
    ),
    impact="Users wait for pages and some give up; the service is degraded but still answers.",
    severity="high",
    hold_seconds=300,
    expression=expression,
    checks=(
        latency.CHECK,
        changes.watching(REQUEST_SECONDS),
        paths.CHECK,
        endpoint_probes.CHECK,
        time_breakdown.CHECK,
        slow_queries.CHECK,
        pool.CHECK,
        cpu_throttling.CHECK,
        traffic.CHECK,
        error_messages.reading(warning_messages.SUBJECTS),
        warning_messages.CHECK,
    ),
    causes=(DATABASE, POOL, RESOURCES, DEPENDENCY, DEPLOYMENT, TRAFFIC),
    recovery=Recovering(
        "Request duration, 95th percentile,",
        "s",
        300,
        lambda service: service.thresholds.latency_p95_seconds,
        _recovery_queries,
        _recovery_series,
        endpoint_probes.queries,
        load=LoadTest(50, lambda service: service.thresholds.latency_p95_seconds),
    ),
    escalate_if=(
        "p95 still rises 15 minutes after the mitigation, or is above 10 s",
        "requests begin to fail as well: run HighErrorRate",
        "no cause is supported and the database, the cluster or an external service is somebody else's",
    ),
)
