"""SlowResponses: 5 % of requests take longer than two seconds, for five minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import nan

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.logs import error_messages, warning_messages
from runbook.alerts.checks.requests import endpoint_probes, latency, paths, time_breakdown, traffic
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.series import WINDOW, line, recent, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import REQUEST_SECONDS
from runbook.alerts.checks.workload import changes, cpu_throttling
from runbook.alerts.mitigations.capacity import more_room
from runbook.alerts.mitigations.slowness import spare_dependency, speed_up_queries, widen_pool
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS, TRAFFIC, about, share_of, times_as_many
from runbook.alerts.thresholds import LATENCY_P95
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Conclusive, Context, LoadTest, Recovering, Sign
from runbook.model import Query, Series
from runbook.text.format import plural, share_text
from runbook.text.time import duration_text


def expression(service: Service) -> str:
    """The alerting rule's PromQL; without traffic the quantile is NaN, which is above nothing."""
    return f"{histogram.p95(service, histogram.REQUESTS, WINDOW)} > {LATENCY_P95.of(service.thresholds):g}"


def slowest_queries(f: slow_queries.Facts) -> str:
    """E.g. "p95 of SELECT on table users is 2.3 s (11 ms before)"."""
    before = f" ({duration_text(f.p95_before)} before)" if f.p95_before is not None else ""
    more = "" if f.alone or len(f.slow) < 2 else f", and {len(f.slow)} of {f.kinds} kinds of queries are slow"
    return f"p95 of {slow_queries.statement(f)} is {duration_text(f.p95)}{before}{more}"


def full_pools(f: pool.Facts) -> str:
    """E.g. "the pool is full in 3 of 6 pods"; or smaller than it should be."""
    full, pods = f.full_pods, f.pods
    return f"the pool is full in {full} of {plural(pods, 'pod')}" if full else "the pods open no more connections"


@dataclass(frozen=True)
class Part:
    """One part of a request's time: its share of the additional time, and where that is spent, in words."""

    share: Callable[[time_breakdown.Facts], float | None]
    words: str

    def at_least(self, share: float, weight: float) -> Sign[time_breakdown.Facts]:
        """Much of the additional time is this part's."""
        return Sign(
            time_breakdown.Facts,
            weight,
            lambda f: f.longer and self._known(f) >= share,
            lambda f: f"{share_text(self._known(f))} of the additional time is spent {self.words}",
        )

    def below(self, share: float, weight: float) -> Sign[time_breakdown.Facts]:
        """Hardly any of the additional time is this part's."""
        return Sign(
            time_breakdown.Facts,
            weight,
            lambda f: f.longer and self._known(f) < share,
            lambda f: f"{self._little(f)} of the additional time is spent {self.words}",
        )

    def _known(self, f: time_breakdown.Facts) -> float:
        """NaN where it is not known, which is neither much nor little."""
        share = self.share(f)
        return nan if share is None else share

    def _little(self, f: time_breakdown.Facts) -> str:
        return f"only {share_text(self._known(f))}" if self.share(f) else "none"


IN_QUERIES = Part(lambda f: f.queries, "in queries")
WAITING = Part(lambda f: f.waiting, "waiting for a connection")
ELSEWHERE = Part(lambda f: f.rest, "outside of queries, the pool and the CPU")

ONLY_SOME = Sign(
    paths.Facts,
    0.4,
    lambda f: f.some,
    lambda f: (
        f"only {len(f.slow)} of {plural(f.endpoints, 'endpoint')} {'is' if len(f.slow) == 1 else 'are'} slow; "
        "too little CPU or memory would slow all of them"
    ),
)
SURGE = Sign(traffic.Facts, 0.6, lambda f: f.surge, lambda f: f"{times_as_many(f)} explain the load")
SURGE_BESIDE = replace(SURGE, weight=0.3)  # it delays all endpoints alike, and makes no external service slow
SLOW_QUERIES = Sign(
    slow_queries.Facts, 0.7, lambda f: f.any, lambda f: f"slow queries explain it: {slowest_queries(f)}"
)

DATABASE = Cause(
    "database",
    "Database",
    phrase=lambda results: f"the database: {_slow_queries(results.required(slow_queries.Facts))}",
    plan=speed_up_queries,
    requires=(slow_queries.Facts,),
    conclusive=(Conclusive(slow_queries.Facts, "any"),),
    supports=(
        Sign(slow_queries.Facts, 0.6, lambda f: f.any, slowest_queries),
        IN_QUERIES.at_least(0.5, weight=0.5),
        Sign(error_messages.Facts, 0.2, about("database"), share_of("database")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(slow_queries.Facts, 0.9, lambda f: not f.any, lambda f: f"queries are fast: {slowest_queries(f)}"),
        IN_QUERIES.below(0.2, weight=0.6),
    ),
)

POOL = Cause(
    "pool",
    "Connection pool",
    phrase=lambda results: "the connection pool: requests wait for a connection",
    plan=widen_pool,
    requires=(pool.Facts,),
    conclusive=(Conclusive(pool.Facts, "queueing"), Conclusive(pool.Facts, "exhausted")),
    supports=(
        Sign(
            pool.Facts,
            0.5,
            lambda f: f.queueing,
            lambda f: f"{f.waiting or 0:,.0f} requests wait for a connection ({f.waiting_before or 0:,.0f} before)",
        ),
        Sign(pool.Facts, 0.3, lambda f: f.exhausted, full_pools),
        WAITING.at_least(0.4, weight=0.5),
    ),
    refutes=(
        ONLY_NEW_PODS,
        SLOW_QUERIES,
        SURGE,
        Sign(
            pool.Facts,
            0.9,
            lambda f: not f.queueing and not f.exhausted,
            lambda f: "the pool has free connections",
        ),
        WAITING.below(0.2, weight=0.7),
    ),
)

RESOURCES = Cause(
    "resources",
    "CPU or memory",
    phrase=lambda results: f"too little {_short_of(results.required(cpu_throttling.Facts))}",
    plan=more_room,
    requires=(cpu_throttling.Facts,),
    conclusive=(Conclusive(cpu_throttling.Facts, "memory_reached"), Conclusive(cpu_throttling.Facts, "cpu_reached")),
    supports=(
        Sign(
            cpu_throttling.Facts,
            0.5,
            lambda f: f.cpu_reached,
            lambda f: f"CPU at {_percent(f.cpu_used)} of its limit",
        ),
        Sign(
            cpu_throttling.Facts,
            0.5,
            lambda f: f.throttled,
            lambda f: f"the worst pod is throttled in {_percent(f.throttled_share)} of its CPU periods",
        ),
        Sign(
            cpu_throttling.Facts,
            0.5,
            lambda f: f.memory_reached,
            lambda f: f"memory at {_percent(f.memory_used)} of its limit",
        ),
        Sign(paths.Facts, 0.2, lambda f: f.all, lambda f: "all endpoints are slow"),
        Sign(error_messages.Facts, 0.2, about("resources"), share_of("resources")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        ONLY_SOME,
        SURGE,
        Sign(
            cpu_throttling.Facts,
            0.8,
            lambda f: f.memory_reached is False and f.cpu_reached is False and not f.throttled,
            lambda f: "memory and CPU are below their limits",
        ),
        IN_QUERIES.at_least(0.5, weight=0.5),
        WAITING.at_least(0.5, weight=0.5),
    ),
)

DEPENDENCY = Cause(
    "dependency",
    "External service",
    phrase=lambda results: "a slow external service",
    plan=spare_dependency,
    requires=(time_breakdown.Facts,),
    conclusive=(Conclusive(time_breakdown.Facts, "rest"),),
    supports=(
        ELSEWHERE.at_least(0.6, weight=0.45),
        Sign(paths.Facts, 0.3, lambda f: f.some, lambda f: f"only some endpoints are slow: {', '.join(f.slow[:3])}"),
        Sign(
            paths.Facts,
            0.3,
            lambda f: bool(f.apart),
            lambda f: f"all endpoints are slow, some much more than the others: {', '.join(f.apart[:3])}",
        ),
        Sign(error_messages.Facts, 0.4, about("dependency", 0.2), share_of("dependency")),
        Sign(warning_messages.Facts, 0.4, about("dependency", 0.2), lambda f: "warnings name a slow external service"),
    ),
    refutes=(
        ONLY_NEW_PODS,
        SURGE_BESIDE,
        SLOW_QUERIES,
        Sign(pool.Facts, 0.5, lambda f: f.queueing, lambda f: "requests wait for a connection"),
        Sign(
            cpu_throttling.Facts,
            0.6,
            lambda f: bool(f.cpu_reached or f.throttled),
            lambda f: "there is too little CPU: requests wait for it",
        ),
        Sign(
            cpu_throttling.Facts,
            0.6,
            lambda f: f.memory_reached,
            lambda f: "there is too little memory: requests wait for it",
        ),
        ELSEWHERE.below(0.4, weight=0.8),
    ),
)


def _slow_queries(f: slow_queries.Facts) -> str:
    if not f.any:
        return "its queries take most of the additional time"
    worst = slow_queries.statement(f)
    if f.alone:
        return f"{worst} is slow; it may lack an index"
    return f"{len(f.slow)} of {f.kinds} kinds of queries are slow, {worst} most of all"


def _short_of(f: cpu_throttling.Facts) -> str:
    lacking = {"CPU": f.cpu_reached or f.throttled, "memory": f.memory_reached}
    return " and ".join(name for name, short in lacking.items() if short) or "CPU or memory"


def _percent(share: float | None) -> str:
    return share_text(nan if share is None else share)


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    return {"p95": since_mitigation(c, histogram.p95(c.service, histogram.REQUESTS, recent(c)), end)}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["p95"], line(answers["p95"]))


ALERT = Alert(
    name="SlowResponses",
    summary=lambda limits: f"5 % of requests take longer than {duration_text(LATENCY_P95.of(limits))}",
    meaning=lambda limits: (
        "The 95th percentile of request durations has been above "
        f"{duration_text(LATENCY_P95.of(limits))} for at least five minutes."
    ),
    impact="Users wait for pages and some give up; the service is degraded but still answers.",
    severity="high",
    for_seconds=300,
    expression=expression,
    thresholds=(LATENCY_P95,),
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
        what="Request duration, 95th percentile,",
        unit="s",
        seconds=300,
        threshold=lambda service: LATENCY_P95.of(service.thresholds),
        queries=_recovery_queries,
        series=_recovery_series,
        probes=endpoint_probes.queries,
        load=LoadTest(50, lambda service: LATENCY_P95.of(service.thresholds)),
    ),
    escalate_if=(
        "p95 still rises 15 minutes after the mitigation, or is above 10 s",
        "requests begin to fail as well: run HighErrorRate",
        "no cause is supported, and another team owns the database, the cluster or the external service",
    ),
)
