"""HighErrorRate: more than 5 % of requests fail for five minutes."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.alerts.checks.database import database_health
from runbook.alerts.checks.logins import authentication
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.requests import endpoint_probes, request_error_rate, scope, traffic
from runbook.alerts.checks.toolkit.series import FAILED, WINDOW, metric, recent, share, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import FAILED_REQUESTS
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.capacity import more_room
from runbook.alerts.mitigations.dependencies import restore_connections, restore_verification
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS, TRAFFIC, about, share_of, times_as_many
from runbook.alerts.thresholds import ERROR_RATIO
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Conclusive, Context, Recovering, Sign
from runbook.model import Query, Series
from runbook.text.format import plural, share_text


def expression(service: Service) -> str:
    """The alerting rule's PromQL; 0/0 gives no value, so that no traffic fires nothing."""
    failed, every = metric(service, "http_requests_total", FAILED), metric(service, "http_requests_total")
    return f"sum(rate({failed}[{WINDOW}])) / sum(rate({every}[{WINDOW}])) > {ERROR_RATIO.of(service.thresholds):g}"


DATABASE = Cause(
    "database",
    "Database",
    phrase=lambda results: "the database",
    plan=restore_connections,
    requires=(database_health.Facts,),
    conclusive=(Conclusive(database_health.Facts, "refusing"), Conclusive(database_health.Facts, "slow")),
    supports=(
        Sign(
            database_health.Facts,
            0.6,
            lambda f: f.refusing,
            lambda f: f"{f.errors_per_second:.1f} connection errors/s since the onset",
        ),
        Sign(database_health.Facts, 0.5, lambda f: f.slow, lambda f: f"p95 of queries {f.p95 * 1000:,.0f} ms"),
        Sign(database_health.Facts, 0.3, lambda f: f.exhausted, lambda f: "the connection pool is exhausted"),
        Sign(error_messages.Facts, 0.5, about("database"), share_of("database")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            database_health.Facts,
            0.8,
            lambda f: f.refusing is False and f.slow is False and not f.exhausted,
            lambda f: "no connection errors, queries as fast as before",
        ),
    ),
)

AUTHENTICATION = Cause(
    "authentication",
    "Authentication (JWT)",
    phrase=lambda results: "authentication (JWT)",
    plan=restore_verification,
    requires=(authentication.Facts,),
    conclusive=(Conclusive(authentication.Facts, "failing"),),
    supports=(
        Sign(
            authentication.Facts,
            0.5,
            lambda f: f.failing,
            lambda f: f"{share_text(f.since)} of authentication attempts fail",
        ),
        Sign(error_messages.Facts, 0.5, about("authentication"), share_of("authentication")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            authentication.Facts,
            0.8,
            lambda f: f.failing is False,
            lambda f: f"{share_text(f.since)} of attempts fail{', as before' if f.before is not None else ''}",
        ),
    ),
)

RESOURCES = Cause(
    "resources",
    "Resources exhausted",
    phrase=lambda results: "exhausted resources",
    plan=more_room,
    requires=(resource_limits.Facts,),
    conclusive=(
        Conclusive(resource_limits.Facts, "memory_reached"),
        Conclusive(resource_limits.Facts, "cpu_reached"),
        Conclusive(resource_limits.Facts, "oom_kills"),
    ),
    supports=(
        Sign(
            resource_limits.Facts,
            0.7,
            lambda f: bool(f.oom_kills),
            lambda f: f"{plural(f.oom_kills or 0, 'container')} killed for using too much memory",
        ),
        Sign(
            resource_limits.Facts,
            0.4,
            lambda f: f.memory_reached,
            lambda f: f"memory at {share_text(f.memory_used)} of its limit",
        ),
        Sign(
            resource_limits.Facts,
            0.5,
            lambda f: f.cpu_reached and (f.cpu_full_pods or 0) > 1,
            lambda f: f"CPU at {share_text(f.cpu_used)} of its limit in {f.cpu_full_pods} pods",
        ),
        Sign(error_messages.Facts, 0.4, about("resources"), share_of("resources")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            resource_limits.Facts,
            0.8,
            lambda f: f.memory_reached is False and f.cpu_reached is False and f.oom_kills == 0,
            lambda f: "memory and CPU below their limits",
        ),
        Sign(
            resource_limits.Facts, 0.6, lambda f: bool(f.heavier), lambda f: f"a new revision wants more: {f.heavier}"
        ),
        Sign(
            traffic.Facts,
            0.6,
            lambda f: f.surge,
            lambda f: f"{times_as_many(f)} explain the load",
        ),
    ),
)


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    sums = {"failed": FAILED_REQUESTS.part(c, recent(c)), "total": FAILED_REQUESTS.whole(c, recent(c))}
    return {name: since_mitigation(c, f"sum({text})", end) for name, text in sums.items()}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["total"], share(answers["failed"], answers["total"]) * 100)


ALERT = Alert(
    name="HighErrorRate",
    summary=lambda limits: f"More than {share_text(ERROR_RATIO.of(limits))} of requests fail",
    meaning=lambda limits: (
        f"More than {share_text(ERROR_RATIO.of(limits))} of HTTP requests have failed with a 5xx status"
        " for at least five minutes."
    ),
    impact=(
        "Users get error pages or lose what they submit. The service is degraded but still serves the other requests."
    ),
    severity="high",
    for_seconds=300,
    expression=expression,
    thresholds=(ERROR_RATIO,),
    checks=(
        request_error_rate.CHECK,
        changes.watching(FAILED_REQUESTS),
        scope.CHECK,
        endpoint_probes.CHECK,
        error_messages.CHECK,
        traffic.CHECK,
        resource_limits.CHECK,
        database_health.CHECK,
        authentication.CHECK,
    ),
    causes=(DATABASE, AUTHENTICATION, RESOURCES, DEPLOYMENT, TRAFFIC),
    recovery=Recovering(
        "Failed requests",
        "% of requests",
        300,
        lambda service: ERROR_RATIO.of(service.thresholds) * 100,
        _recovery_queries,
        _recovery_series,
        endpoint_probes.queries,
    ),
    escalate_if=(
        "the share of failed requests still rises 15 minutes after the mitigation, or is above 25 %",
        "no cause is supported, and another team owns the database or the cluster",
        "authentication fails from many addresses: then it may be an attack, call security",
    ),
)
