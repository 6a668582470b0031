"""What the service depends on: its database, and the service that issues its tokens."""

from __future__ import annotations

from runbook.alerts.checks.database import database_health
from runbook.alerts.checks.requests import scope
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.commands import by_hand, deployment, kubectl, look, read, restart, worst_pod
from runbook.alerts.mitigations.connections import pool_settings
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results


@plan(database_health.Facts, may_read=(scope.Facts, changes.Facts, resource_limits.Facts))
def restore_connections(c: Context, results: Results) -> Planned:
    """From the network to the pool to the database itself."""
    facts, scoped = results.facts(database_health.Facts), results.facts(scope.Facts, optional=True)
    return "Restore the database's connections", (
        *worst_pod(c, results, scoped.top_pod if scoped else None),
        read(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "Shows whether the database has endpoints, and the policies that could block them.",
        ),
        pool_settings(c, facts.in_use if facts else None, facts.pool if facts else None),
        *restart(c, results, "the database answers again, but the pods keep broken connections"),
        by_hand(
            c,
            "Ask the database's owners for more capacity (CPU, connections, a read replica).",
            precondition="the database itself is overloaded",
            risk="It costs money. A restart drops all connections.",
            undo="scale back",
        ),
    )


@plan(may_read=(changes.Facts,))
def restore_verification(c: Context, results: Results) -> Planned:
    """From the mounted key to the service that issued it."""
    return "Restore the verification of tokens", (
        read(
            kubectl(c, "describe", deployment(c)),
            "Shows whether the JWT public key's Secret or ConfigMap is mounted where the service reads it.",
        ),
        read(
            kubectl(c, "get", "secrets"),
            "Shows the key's age: was it rotated just before the onset? Has its certificate expired?",
            "your account may list them (names and ages only)",
        ),
        *restart(c, results, "the right key is in place and the pods still hold the old one"),
        look(
            "Ask the owners of the auth service whether it answers and whether its keys or certificates changed.",
            "Authentication failures fall to their level before the onset.",
            "the key is right",
        ),
    )
