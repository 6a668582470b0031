"""DatabaseConnectionErrors: connections to the database fail, again and again, for five minutes."""

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
from runbook.alerts.checks.database.connection_error_logs import given, other, said, unsaid
from runbook.alerts.checks.database.connection_errors import FAILED_CONNECTIONS, per_second
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
from runbook.alerts.mitigations.connections import enlarge_pool, mend_login, open_the_way, relieve_database
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Context, Recovering, Results, Sign
from runbook.model import Query, Series
from runbook.sources.prometheus.client import range_
from runbook.text.format import duration_text, plural


def expression(service: Service) -> str:
    """The alerting rule's PromQL: the procedure's rate, of the whole service."""
    counter = metric(service, connection_errors.COUNTER)
    return f"sum(rate({counter}[{WINDOW}])) > {service.thresholds.database_errors_per_second:g}"


def _reason(reason: str) -> tuple[Sign, Sign]:
    """What the logs give as the reason: many messages, or some beside those that give another."""
    return (
        Sign("logs", 0.6, given(reason), said(reason)),
        Sign("logs", 0.3, lambda f: given(reason, 0.1)(f) and not given(reason)(f), said(reason)),
    )


def _another(reason: str) -> Sign:
    """That the logs give other reasons."""
    return Sign("logs", 0.6, other(reason), unsaid(reason))


def _overload(results: Results) -> str:
    """What overloads the database, as far as the server itself tells."""
    server = results["server"].facts if "server" in results else {}
    if server.get("locked"):
        return f"an overloaded database: statements wait for the locks of process {server['blocking']}"
    if server.get("full"):
        return "an overloaded database: it has no connection left"
    return "an overloaded database"


POOL = Cause(
    "pool",
    "Connection pool exhausted",
    phrase=lambda results: "an exhausted connection pool",
    plan=enlarge_pool,
    needs=("pool",),
    decides=(("pool", "exhausted"),),
    supports=(
        Sign(
            "pool",
            0.6,
            lambda f: f["exhausted"],
            lambda f: (
                f"all {f['in_use']:,.0f} connections that the pools open are in use, fewer than their size"
                if f["small"]
                else f"no connection is left in the pools of {f['full_pods']} of {plural(f['pods'], 'pod')}"
            ),
        ),
        *_reason("pool"),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            "pool",
            0.8,
            lambda f: not f["exhausted"],
            lambda f: f"the pools have room: {f['in_use']:,.0f} of {f['pool']:,} connections in use",
        ),
        Sign("query_durations", 0.6, lambda f: f["slow"], lambda f: "slow queries explain a full pool"),
        _another("pool"),
    ),
)

DATABASE = Cause(
    "database",
    "Database overloaded",
    phrase=_overload,
    plan=relieve_database,
    needs=(),
    decides=(("query_durations", "slow"), ("logs", "explained")),
    supports=(
        *_reason("database"),
        Sign(
            "query_durations",
            0.4,
            lambda f: f["slow"],
            lambda f: f"95 % of queries take up to {duration_text(f['p95'])}",
        ),
        Sign("server", 0.5, lambda f: f["full"], lambda f: "the server has no connection left"),
        Sign(
            "server",
            0.5,
            lambda f: f["locked"],
            lambda f: f"{plural(f['waits'], 'statement')} waiting for locks in the server",
        ),
        Sign(
            "server",
            0.3,
            lambda f: f["long"],
            lambda f: f"{plural(f['long_statements'], 'statement')} running for up to {duration_text(f['longest'])}",
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
    phrase=lambda results: (
        f"the network: the policy {results['policies'].facts['newest']}"
        if "policies" in results and results["policies"].facts.get("cuts")
        else "the network or DNS between service and database"
    ),
    plan=open_the_way,
    needs=(),
    decides=(("logs", "explained"),),
    supports=(
        *_reason("network"),
        Sign(
            "policies",
            0.6,
            lambda f: bool(f["cuts"]) and f["near"],
            lambda f: f"the policy {f['newest']} keeps the pods from port {f['port']} since about the onset",
        ),
        Sign(
            "policies",
            0.3,
            lambda f: bool(f["may_cut"]) and not f["cuts"] and f["near"],
            lambda f: f"the policy {f['newest']} may keep the pods from port {f['port']} since about the onset",
        ),
        Sign(
            "policies",
            0.1,
            lambda f: bool(f["cuts"] or f["may_cut"]) and not f["near"],
            lambda f: f"the older policy {f['newest']} may keep the pods from port {f['port']}",
        ),
        Sign(
            "reachability",
            0.3,
            lambda f: f["database_resolves"] is False,
            lambda f: "the database's name does not resolve here either",
        ),
        Sign(
            "reachability",
            0.2,
            lambda f: f["database_resolves"] is True and f["database_port_open"] is False,
            lambda f: "the database's port does not open here either",
        ),
    ),
    refutes=(ONLY_NEW_PODS, _another("network")),
)

CREDENTIALS = Cause(
    "credentials",
    "Credentials",
    phrase=lambda results: "the credentials for the database",
    plan=mend_login,
    needs=("logs",),
    decides=(("logs", "explained"),),
    supports=(
        *_reason("credentials"),
        Sign(
            "secrets",
            0.3,
            lambda f: bool(f["fresh"]),
            lambda f: f"{', '.join(f['fresh'])} made {duration_text(abs(f['fresh_distance']))} from the onset",
        ),
        Sign(
            "secrets",
            0.3,
            lambda f: bool(f["missing"]),
            lambda f: f"{', '.join(f['missing'])} missing",
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


def _amiss(c: Context, answers: Answers) -> str:
    """The procedure's second question: are queries as fast as before?"""
    asked = answers["query p95"]
    newest = times_of(asked.query) > asked.query.params["end"] - 300
    p95 = Change(median(line(answers["query p95, before"])), median(line(asked)[newest]))
    if np.isnan(p95.since):
        return "no query has ended that could be timed"
    before = "" if np.isnan(p95.before) else f" ({duration_text(p95.before)} before)"
    return f"95 % of queries take up to {duration_text(p95.since)}{before}" if query_latency.is_slow(p95) else ""


ALERT = Alert(
    name="DatabaseConnectionErrors",
    summary=lambda limits: (
        f"Connections to the database fail at more than {per_second(limits.database_errors_per_second)}"
    ),
    meaning=lambda limits: (
        f"More than {limits.database_errors_per_second:g} connections a second to the database have failed, over the whole service, for at least five minutes."
    ),
    impact="Pages that need the database come late or fail; what users submit may be lost. Pages without it still work.",
    severity="high",
    hold_seconds=300,
    expression=expression,
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
        "Failed connections to the database",
        "errors / s",
        300,
        lambda service: service.thresholds.database_errors_per_second,
        _recovery_queries,
        _recovery_series,
        endpoint_probes.queries,
        _amiss,
    ),
    escalate_if=(
        "connections still fail 15 minutes after the mitigation, or more than 25 % of requests fail",
        "no cause is supported and the database or the network is somebody else's",
        "credentials were changed and nobody knows by whom: call security",
    ),
)
