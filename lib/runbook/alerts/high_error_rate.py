"""HighErrorRate: more than 5 % of requests fail for five minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runbook.alerts.base import Alert, Answers, Cause, Context, Recovering, Sign
from runbook.alerts.checks import authentication, changes, database, endpoints, errors, logs, resources, scope, traffic
from runbook.alerts.checks.series import FAILED, HOLD_SECONDS, WINDOW, metric, share, times_of
from runbook.alerts.mitigations import mitigate
from runbook.model import JSON, Query, Series
from runbook.settings import Service
from runbook.sources.prometheus import range_
from runbook.wording import duration_text, plain_text, plural, share_text

Facts = Mapping[str, JSON]


def expression(service: Service) -> str:
    """The alerting rule's PromQL; 0/0 gives no value, so that no traffic fires nothing."""
    failed, every = metric(service, "http_requests_total", FAILED), metric(service, "http_requests_total")
    return f"sum(rate({failed}[{WINDOW}])) / sum(rate({every}[{WINDOW}])) > {service.thresholds.error_ratio:g}"


def about(subject: str, share: float = 0.3) -> Callable[[Facts], bool]:
    """Whether the additional log messages speak of a subject."""
    return lambda f: f["about"][subject] >= share


def told(subject: str) -> Callable[[Facts], str]:
    """The clause for it."""
    return lambda f: f"{share_text(f['about'][subject])} of the additional log messages speak of it"


def _times(f: Facts) -> str:
    """How much more traffic there is."""
    return f"{f['times']:.1f} times the usual requests" if f["times"] is not None else "requests where there were none"


ONLY_NEW_PODS = Sign(
    "changes",
    0.6,
    lambda f: f["only_new"] and bool(f["near"]),
    lambda f: f"only the pods of revision {f['revision']} suffer, the others do well",
)


DATABASE = Cause(
    "database",
    "Database",
    phrase=lambda results: "the database",
    needs=("errors", "database"),
    decides=(("database", "refusing"), ("database", "slow")),
    supports=(
        Sign(
            "database",
            0.6,
            lambda f: f["refusing"],
            lambda f: f"{f['errors_per_second']:.1f} connection errors/s since the onset",
        ),
        Sign("database", 0.5, lambda f: f["slow"], lambda f: f"p95 of queries {f['p95'] * 1000:,.0f} ms"),
        Sign("database", 0.3, lambda f: f["exhausted"], lambda f: "the connection pool is exhausted"),
        Sign("logs", 0.5, about("database"), told("database")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            "database",
            0.8,
            lambda f: f["refusing"] is False and f["slow"] is False and not f["exhausted"],
            lambda f: "no connection errors, queries as fast as before",
        ),
    ),
)

AUTHENTICATION = Cause(
    "authentication",
    "Authentication (JWT)",
    phrase=lambda results: "authentication (JWT)",
    needs=("errors", "authentication"),
    decides=(("authentication", "failing"),),
    supports=(
        Sign(
            "authentication",
            0.5,
            lambda f: f["failing"],
            lambda f: f"{share_text(f['since'])} of authentication attempts fail",
        ),
        Sign("logs", 0.5, about("authentication"), told("authentication")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            "authentication",
            0.8,
            lambda f: f["failing"] is False,
            lambda f: f"{share_text(f['since'])} of attempts fail{', as before' if f['before'] is not None else ''}",
        ),
    ),
)

RESOURCES = Cause(
    "resources",
    "Resources exhausted",
    phrase=lambda results: "exhausted resources",
    needs=("errors", "resources"),
    decides=(("resources", "memory_reached"), ("resources", "cpu_reached"), ("resources", "oom_kills")),
    supports=(
        Sign(
            "resources",
            0.7,
            lambda f: bool(f["oom_kills"]),
            lambda f: f"{plural(f['oom_kills'], 'container')} killed for using too much memory",
        ),
        Sign(
            "resources",
            0.4,
            lambda f: f["memory_reached"],
            lambda f: f"memory at {share_text(f['memory_used'])} of its limit",
        ),
        Sign(
            "resources",
            0.5,
            lambda f: f["cpu_reached"] and f["cpu_full_pods"] > 1,
            lambda f: f"CPU at {share_text(f['cpu_used'])} of its limit in {f['cpu_full_pods']} pods",
        ),
        Sign("logs", 0.4, about("resources"), told("resources")),
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            "resources",
            0.8,
            lambda f: f["memory_reached"] is False and f["cpu_reached"] is False and f["oom_kills"] == 0,
            lambda f: "memory and CPU below their limits",
        ),
        Sign(
            "traffic",
            0.6,
            lambda f: f["surge"],
            lambda f: f"{_times(f)} explain the load",
        ),
    ),
)

DEPLOYMENT = Cause(
    "deployment",
    "Bad deployment",
    phrase=lambda results: f"a bad deployment: revision {results['changes'].facts['revision']}",
    needs=("errors", "changes"),
    decides=(("changes", "near"),),
    supports=(
        Sign(
            "changes",
            0.4,
            lambda f: f["near"],
            lambda f: (
                f"errors began {duration_text(abs(f['distance']))} {'after' if f['distance'] >= 0 else 'before'} revision {f['revision']}"
            ),
        ),
        Sign(
            "changes",
            0.6,
            lambda f: f["only_new"] and f["near"],
            lambda f: (
                f"its pods fail {share_text(f['new_share'])} of requests, the others {share_text(f['old_share'])}"
            ),
        ),
        Sign(
            "logs",
            0.1,
            lambda f: bool(f["new"]) and f["new_share"] >= 0.3,
            lambda f: f"new message “{plain_text(f['new'][0], 100)}”",
        ),
    ),
    refutes=(
        Sign("changes", 0.9, lambda f: f["near"] is False, lambda f: "no rollout shortly before the onset"),
        Sign(
            "changes",
            0.7,
            lambda f: f["near"] and f["calm_minutes"] >= 5,
            lambda f: f"revision {f['revision']} served {f['calm_minutes']:.0f} min without trouble first",
        ),
        Sign("changes", 0.7, lambda f: f["near"] and f["alike"], lambda f: "the other revision fails alike"),
    ),
)

TRAFFIC = Cause(
    "traffic",
    "Traffic surge",
    phrase=lambda results: f"a traffic surge: {_times(results['traffic'].facts)}",
    needs=("errors", "traffic"),
    decides=(("traffic", "surge"),),
    supports=(
        Sign("traffic", 0.6, lambda f: f["surge"], _times),
        Sign(
            "scope",
            0.2,
            lambda f: f["overload_share"] >= 0.5,
            lambda f: f"{share_text(f['overload_share'])} of the failures are 503 or 429",
        ),
        Sign("logs", 0.4, about("traffic"), told("traffic")),
    ),
    refutes=(Sign("traffic", 0.9, lambda f: f["surge"] is False, lambda f: "as many requests as usual"),),
)


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    start = int(c.mitigated_at or c.started_at)
    step = c.service.scrape_interval_seconds
    failed, every = metric(c.service, "http_requests_total", FAILED), metric(c.service, "http_requests_total")
    window = f"{max(60, 4 * step)}s"
    return {
        "failed": range_(f"sum(rate({failed}[{window}]))", start, int(end), step),
        "total": range_(f"sum(rate({every}[{window}]))", start, int(end), step),
    }


def _recovery_series(c: Context, answers: Answers) -> Series:
    failing = share(answers["failed"], answers["total"])
    return Series("now", tuple(times_of(answers["total"].query)), tuple(failing * 100))


ALERT = Alert(
    name="HighErrorRate",
    summary="More than 5 % of requests fail",
    meaning="More than 5 % of HTTP requests have failed with a 5xx status for at least five minutes.",
    impact="Users get error pages or lose what they submit; the service is degraded but still serves the other requests.",
    severity="high",
    hold_seconds=HOLD_SECONDS,
    expression=expression,
    checks=(
        errors.CHECK,
        changes.CHECK,
        scope.CHECK,
        endpoints.CHECK,
        logs.CHECK,
        traffic.CHECK,
        resources.CHECK,
        database.CHECK,
        authentication.CHECK,
    ),
    causes=(DATABASE, AUTHENTICATION, RESOURCES, DEPLOYMENT, TRAFFIC),
    mitigate=mitigate,
    recovery=Recovering(
        "Share of failed requests",
        "% of requests",
        300,
        lambda service: service.thresholds.error_ratio * 100,
        _recovery_queries,
        _recovery_series,
    ),
    escalate_if=(
        "the share of failed requests still rises 15 minutes after the mitigation, or is above 25 %",
        "no cause is supported and the database or the cluster is somebody else's",
        "authentication fails from many addresses: then it may be an attack, call security",
    ),
)
