"""DatabaseConnectionErrors: what its plans say and run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runbook.alerts.checks.database import database_server, pool
from runbook.alerts.checks.workload import policies, secrets
from runbook.alerts.database_connection_errors import ALERT
from runbook.alerts.mitigations.connections import restore_login, restore_network
from runbook.config.schema import Environment, Kubernetes
from runbook.model import Facts, Mitigation, Step
from runbook.text.shell import command
from tests.alerts.database_connection_errors.answers import CUT, results
from tests.fakes import ONSET, context, facts


def plan(cause: str, *found: Facts) -> Mitigation:
    environment = Environment(
        service="shop", kubernetes=Kubernetes(context="production"), database_address="mysql-primary:3306"
    )
    about = context(environment=environment)
    (one,) = [one for one in ALERT.causes if one.name == cause]
    return Mitigation(cause, *one.plan(about, results(*found)))


def shown(step: Step) -> str:
    return step.text or command(step.argv)


def commands(found: Mitigation) -> list[str]:
    return [shown(step) for step in found.steps]


NEW = replace(CUT, created=ONSET - 60)


def test_the_policy_is_named_saved_and_only_then_deleted():
    """Described by name, then deleted with a copy to come back from; name and port are tried in a pod."""
    found = plan("network", NEW)
    lead = "kubectl --context production -n web"
    assert commands(found)[:3] == [
        f"{lead} get networkpolicies",
        f"{lead} describe networkpolicy restrict",
        f"{lead} delete networkpolicy restrict",
    ]
    saved = (
        f"{lead} get networkpolicy restrict -o json | jq 'del(.metadata.resourceVersion, .metadata.uid)' "
        "> restrict.json && test -s restrict.json"
    )
    assert saved in found.steps[2].precondition
    assert command(found.steps[2].undo_argv) == f"{lead} apply -f restrict.json"
    assert any("getent hosts mysql-primary" in one for one in commands(found))
    assert [step.kind for step in found.steps if step.kind != "read"] == ["change"]


@pytest.mark.parametrize("changed", [{"near": False}, {"cuts": ("restrict", "deny")}, {"cuts": ()}], ids=str)
def test_an_old_policy_or_one_of_several_is_not_deleted(changed: dict[str, Any]):
    """Only the one policy that was created shortly before the onset is worth deleting."""
    found = plan("network", replace(NEW, **changed))
    assert not [one for one in commands(found) if " delete " in one]
    assert {step.kind for step in found.steps} == {"read"}


def test_a_larger_pool_is_compared_with_what_the_database_allows():
    """Half as much again, with the sum of all pods beside max_connections."""
    server = facts(database_server.Facts, max_connections=151)
    found = plan("pool", facts(pool.Facts, size=20, pods=6, in_use=120.0, pool=120), server)
    (step,) = [step for step in found.steps if "Raise the pool" in step.text]
    assert "from 20 to 30 per pod" in step.text
    assert "room for 180 connections of 6 pods: compare with its max_connections of 151" in step.precondition
    assert any("120 of 120 connections are in use" in step.watch for step in found.steps)


def test_the_process_that_blocks_is_ended_by_its_number():
    """Only where it is known, and only after looking whether it is still there."""
    blocked = plan("database", facts(database_server.Facts, blocking=7))
    assert "KILL 7" in shown(blocked.steps[0])
    assert "still shows process 7" in blocked.steps[0].precondition
    assert not any("KILL" in one for one in commands(plan("database")))
    longest = facts(database_server.Facts, longest_id=9, long=True)
    assert any("'KILL QUERY 9'" in one for one in commands(plan("database", longest)))
    assert not any("KILL" in one for one in commands(plan("database", replace(longest, long=False))))


def test_what_an_ended_idle_transaction_wrote_is_lost():
    """A statement can be run again; what a client wrote and did not commit before it fell idle cannot."""
    undone = [
        plan("database", facts(database_server.Facts, blocking=7, blocking_idle=idle)).steps[0].undo
        for idle in (True, False, None)
    ]
    assert undone[0] == "none: what it had not committed is lost"
    assert undone[1:] == ["start it again when the load is low"] * 2


def test_secrets_are_described_by_name():
    """The one created last first; names alone, and the procedure's rotation at the end."""
    known = facts(
        secrets.Facts, referenced=("configmap/web", "secret/database", "secret/jwt"), fresh=("secret/database",)
    )
    found = plan("credentials", known)
    assert [one for one in commands(found) if "describe secret" in one] == [
        "kubectl --context production -n web describe secret database",
        "kubectl --context production -n web describe secret jwt",
    ]
    assert commands(found)[-1].startswith("Rotate the credentials")
    assert found.steps[-1].kind == "manual"


@pytest.mark.parametrize("name", ["--all", "x; reboot", "$(reboot)", "`reboot`", "", "../x", "a\nb"])
def test_only_what_is_a_name_gets_into_a_command(name: str):
    """A deployment may refer to a Secret of any text, and options are text too: neither reaches a ready command."""
    odd = (
        facts(policies.Facts, cuts=(name,), may_cut=(name,), newest=name, created=ONSET, near=True),
        facts(secrets.Facts, fresh=(f"secret/{name}",), referenced=(f"secret/{name}",)),
    )
    for plan in (restore_network, restore_login):
        assert plan(context(), results(*odd)) == plan(context(), results()), name
