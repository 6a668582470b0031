"""What the service leans on: its database, and whoever verifies its tokens."""

from __future__ import annotations

from runbook.alerts.checks.database import database_health
from runbook.alerts.checks.requests import scope
from runbook.alerts.mitigations.commands import (
    deployment,
    kubectl,
    number,
    read,
    restart,
    setting_names,
    until_healthy,
    worst_pod,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import Step


def restore_connections(c: Context, results: Results) -> Plan:
    """From the network to the pool to the database itself."""
    facts = results.facts(database_health.Facts)
    used, pool = number(facts.in_use), number(facts.pool)
    use = f"now {used:,.0f} of {pool:,.0f} in use" if used is not None and pool else "its use is not known"
    return "Restore the database's connections", (
        *worst_pod(c, results, results.facts(scope.Facts).get("top_pod")),
        read(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "the database's endpoints are there and no policy cuts them off",
        ),
        read(
            setting_names(c),
            f"the names of the settings for the pool's size and time-outs; check that their values are as intended ({use})",
        ),
        *restart(c, results, "the database answers again, yet the pods keep broken connections"),
        Step(
            "Ask the database's owners for more capacity (CPU, connections, a read replica).",
            "the database itself is overloaded",
            "costs; a restart of the database drops all connections",
            "scale back",
            until_healthy(c),
        ),
    )


def restore_verification(c: Context, results: Results) -> Plan:
    """From the key that is mounted to whoever issued it."""
    return "Restore the verification of tokens", (
        read(
            kubectl(c, "describe", deployment(c)),
            "the JWT public key's Secret or ConfigMap is mounted where the service reads it",
        ),
        read(
            kubectl(c, "get", "secrets"),
            "the key's age: was it rotated just before the onset? Has its certificate expired?",
            "your account may list them (names and ages only)",
        ),
        *restart(c, results, "the right key is in place and the pods still hold the old one"),
        Step(
            "Ask the owners of the auth service whether it answers and whether its keys or certificates changed.",
            "the key is right",
            "none",
            "nothing to undo",
            "authentication failures fall to their level before",
        ),
    )
