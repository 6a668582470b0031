"""DatabaseConnectionErrors: connections to the database keep failing for five minutes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.checks.database import (
    connection_error_logs,
    connection_errors,
    database_server,
    failing_pods,
    pool,
    query_latency,
)
from runbook.alerts.checks.database.connection_error_logs import gives, gives_others, gives_others_text, gives_text
from runbook.alerts.checks.database.connection_errors import FAILED_CONNECTIONS, per_second
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.requests import endpoint_probes, reachability, scope, traffic
from runbook.alerts.checks.toolkit.series import (
    WINDOW,
    Change,
    line,
    median,
    metric,
    recent,
    since_mitigation,
    times_of,
    watched,
)
from runbook.alerts.checks.workload import changes, policies, secrets
from runbook.alerts.mitigations.connections import enlarge_pool, relieve_database, restore_login, restore_network
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS
from runbook.alerts.thresholds import DATABASE_ERRORS
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Conclusive, Context, Recovering, Sign
from runbook.investigation.results import Results
from runbook.model import Query, Series
from runbook.sources.prometheus.client import range_
from runbook.text.format import plural
from runbook.text.time import duration_text


def expression(service: Service) -> str:
    """The alerting rule's PromQL: the procedure's rate, for the service as a whole."""
    counter = metric(service, connection_errors.COUNTER)
    return f"sum(rate({counter}[{WINDOW}])) > {DATABASE_ERRORS.of(service.thresholds):g}"


def _reason(reason: str) -> tuple[Sign[error_messages.Facts], ...]:
    """That the logs give this reason: in many messages, or in some among those that give another."""
    some, many = gives(reason, 0.1), gives(reason)
    return (
        Sign(error_messages.Facts, 0.6, many, gives_text(reason)),
        Sign(error_messages.Facts, 0.3, lambda f: some(f) and not many(f), gives_text(reason)),
    )


def _another(reason: str) -> Sign[error_messages.Facts]:
    """That the logs give other reasons."""
    return Sign(error_messages.Facts, 0.6, gives_others(reason), gives_others_text(reason))


def _overload(results: Results) -> str:
    """What overloads the database, as far as the server itself shows it."""
    server = results.facts(database_server.Facts)
    if server and server.locked:
        return f"an overloaded database: statements wait for locks held by process {server.blocking}"
    if server and server.full:
        return "an overloaded database: it has no connection left"
    return "an overloaded database"


def _network(results: Results) -> str:
    """The policy that blocks connections, where there is one."""
    found = results.facts(policies.Facts)
    return (
        f"the network policy {found.newest}"
        if found and found.cuts
        else "the network or DNS between service and database"
    )


def _full_pool(f: pool.Facts) -> str:
    """In which way the pools are full."""
    if f.small:
        return f"nearly all open connections are in use ({f.in_use:,.0f}), fewer than the pools' size ({f.pool:,})"
    return f"the pool is full in {f.full_pods} of {plural(f.pods, 'pod')}"


POOL = Cause(
    "pool",
    "Connection pool exhausted",
    phrase=lambda results: "an exhausted connection pool",
    plan=enlarge_pool,
    requires=(pool.Facts,),
    conclusive=(Conclusive(pool.Facts, "exhausted"),),
    supports=(
        Sign(
            pool.Facts,
            0.6,
            lambda f: f.exhausted,
            _full_pool,
        ),
        *_reason("pool"),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            pool.Facts,
            0.8,
            lambda f: not f.exhausted,
            lambda f: f"the pools have room: {f.in_use:,.0f} of {f.pool:,} connections in use",
        ),
        Sign(query_latency.Facts, 0.6, lambda f: f.slow, lambda f: "slow queries explain a full pool"),
        _another("pool"),
    ),
)

DATABASE = Cause(
    "database",
    "Database overloaded",
    phrase=_overload,
    plan=relieve_database,
    requires=(),
    conclusive=(Conclusive(query_latency.Facts, "slow"), Conclusive(error_messages.Facts, "explained")),
    supports=(
        *_reason("database"),
        Sign(
            query_latency.Facts,
            0.4,
            lambda f: f.slow,
            lambda f: f"p95 of queries is {duration_text(f.p95)}",
        ),
        Sign(database_server.Facts, 0.5, lambda f: f.full, lambda f: "the server has no connection left"),
        Sign(
            database_server.Facts,
            0.5,
            lambda f: f.locked,
            lambda f: f"{plural(f.waits or 0, 'statement')} waiting for locks in the server",
        ),
        Sign(
            database_server.Facts,
            0.3,
            lambda f: f.long,
            lambda f: (
                f"{plural(f.long_statements or 0, 'statement')} running for up to {duration_text(f.longest or 0)}"
            ),
        ),
    ),
    refutes=(
        ONLY_NEW_PODS,
        _another("database"),
    ),
)

NETWORK = Cause(
    "network",
    "Network or DNS",
    phrase=_network,
    plan=restore_network,
    requires=(),
    conclusive=(Conclusive(error_messages.Facts, "explained"),),
    supports=(
        *_reason("network"),
        Sign(
            policies.Facts,
            0.6,
            lambda f: bool(f.cuts) and f.near,
            lambda f: f"the policy {f.newest} has blocked the pods from port {f.port} since about the onset",
        ),
        Sign(
            policies.Facts,
            0.3,
            lambda f: bool(f.may_cut) and not f.cuts and f.near,
            lambda f: f"the policy {f.newest} may have blocked the pods from port {f.port} since about the onset",
        ),
        Sign(
            policies.Facts,
            0.1,
            lambda f: bool(f.cuts or f.may_cut) and not f.near,
            lambda f: f"the older policy {f.newest} may block the pods from port {f.port}",
        ),
        Sign(
            reachability.Facts,
            0.3,
            lambda f: f.database_resolves is False,
            lambda f: "the database's name does not resolve from here either",
        ),
        Sign(
            reachability.Facts,
            0.2,
            lambda f: f.database_resolves is True and f.database_port_open is False,
            lambda f: "the database's port cannot be reached from here either",
        ),
    ),
    refutes=(ONLY_NEW_PODS, _another("network")),
)

CREDENTIALS = Cause(
    "credentials",
    "Credentials",
    phrase=lambda results: "the credentials for the database",
    plan=restore_login,
    requires=(error_messages.Facts,),
    conclusive=(Conclusive(error_messages.Facts, "explained"),),
    supports=(
        *_reason("credentials"),
        Sign(
            secrets.Facts,
            0.3,
            lambda f: bool(f.fresh),
            secrets.fresh_text,
        ),
        Sign(
            secrets.Facts,
            0.3,
            lambda f: bool(f.missing),
            secrets.missing_text,
        ),
    ),
    refutes=(ONLY_NEW_PODS, _another("credentials")),
)


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    counter = metric(c.service, connection_errors.COUNTER)
    return {
        "errors": since_mitigation(c, f"sum(rate({counter}[{recent(c)}]))", end),
        "pods": since_mitigation(c, f"count({connection_errors.pooled(c)})", end),
        "query p95": since_mitigation(c, query_latency.p95(c, recent(c)), end),
        "query p95, before": range_(query_latency.p95(c, WINDOW), int(c.start), int(c.started_at), c.step),
    }


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["errors"], connection_errors.failing(answers))


def _problem(c: Context, answers: Answers) -> str:
    """The procedure's second question: are queries as fast as before the onset?"""
    asked = answers["query p95"]
    newest = times_of(asked.query) > asked.query.params["end"] - 300
    p95 = Change(median(line(answers["query p95, before"])), median(line(asked)[newest]))
    if np.isnan(p95.since):
        return "no query has finished, so their duration is not known"
    before = "" if np.isnan(p95.before) else f" ({duration_text(p95.before)} before)"
    return f"p95 of queries is {duration_text(p95.since)}{before}" if query_latency.is_slow(p95) else ""


ALERT = Alert(
    name="DatabaseConnectionErrors",
    summary=lambda limits: f"Connections to the database fail at more than {per_second(DATABASE_ERRORS.of(limits))}",
    meaning=lambda limits: (
        f"More than {DATABASE_ERRORS.of(limits):g} connections per second to the database have failed, "
        "across the whole service, for at least five minutes."
    ),
    impact="Pages that need the database are slow or fail; what users submit may be lost. Other pages still work.",
    severity="high",
    for_seconds=300,
    expression=expression,
    thresholds=(DATABASE_ERRORS,),
    checks=(
        connection_errors.CHECK,
        failing_pods.CHECK,
        changes.watching(FAILED_CONNECTIONS),
        scope.CHECK,
        endpoint_probes.CHECK,
        connection_error_logs.CHECK,
        pool.CHECK,
        query_latency.CHECK,
        database_server.CHECK,
        policies.CHECK,
        reachability.CHECK,
        secrets.CHECK,
        traffic.CHECK,
    ),
    causes=(POOL, DATABASE, NETWORK, CREDENTIALS, DEPLOYMENT),
    recovery=Recovering(
        what="Failed connections to the database",
        unit="errors / s",
        seconds=300,
        threshold=lambda service: DATABASE_ERRORS.of(service.thresholds),
        queries=_recovery_queries,
        series=_recovery_series,
        probes=endpoint_probes.queries,
        problem=_problem,
    ),
    escalate_if=(
        "connections still fail 15 minutes after the mitigation, or more than 25 % of requests fail",
        "no cause is supported and another team owns the database or the network",
        "credentials were changed and nobody knows by whom: call security",
    ),
)
