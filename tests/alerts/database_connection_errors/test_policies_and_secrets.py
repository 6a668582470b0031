"""DatabaseConnectionErrors: policies that cut the database off, and secrets that changed."""

from __future__ import annotations

import datetime as dt

import pytest

from runbook.alerts.checks.workload import policies, secrets
from runbook.config.schema import Environment
from runbook.model import JSON
from tests.alerts.database_connection_errors.answers import DAY, Script, given, judged
from tests.fakes import ONSET, context

POLICIES, SECRETS = ("networkpolicies",), ("secrets,configmaps",)


def policy(name: str, created: float, *ports: int, peers: bool = False) -> JSON:
    rule: dict[str, JSON] = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    if peers:
        rule["to"] = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    made = dt.datetime.fromtimestamp(created, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [rule]}
    return {"metadata": {"name": name, "creationTimestamp": made}, "spec": spec}


def in_namespace(*found: JSON) -> Script:
    return {POLICIES: given({"policies": list(found), "labels": {"app": "web"}, "ports": {}})}


def test_a_new_policy_that_cuts():
    """Made a minute before the onset, and without the database's port: named, with its distance."""
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 60, 53)))
    assert (found.status, found.facts.cuts, found.facts.near) == ("abnormal", ("restrict",), True)
    assert "the policy restrict blocks connections from the service's pods to port 3306" in found.sentence
    assert "1 min before the onset" in found.sentence


def test_an_old_policy_that_cuts_is_named_but_is_not_near():
    """What has been there for a month did not cause what began today by itself."""
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 30 * DAY, 53)))
    assert (found.status, found.facts.near) == ("abnormal", False)


def test_the_database_s_own_port_is_what_counts():
    """The settings say where the database listens; a policy that allows that port cuts nothing."""
    about = context(environment=Environment(service="shop", database_address="db.example:6033"))
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 60, 6033)), about=about)
    assert (found.status, found.facts.cuts, found.facts.port) == ("normal", (), 6033)


def test_a_policy_for_some_addresses_may_cut():
    """Who stands behind an address is not looked up: perhaps."""
    found = judged(policies.CHECK, in_namespace(policy("some", ONSET - 60, 3306, peers=True)))
    assert (found.facts.cuts, found.facts.may_cut) == ((), ("some",))
    assert found.sentence.startswith("Perhaps:")


def test_no_policy_at_all_cuts_nothing():
    """None is an answer; that they may not be read is not."""
    none = judged(policies.CHECK, {POLICIES: given({"policies": [], "labels": {}, "ports": {}}, "empty")})
    assert (none.status, none.facts.policies) == ("normal", 0)
    assert judged(policies.CHECK, {}).status == "unknown"


def stored(age: str, asked_at: float, **changes: JSON) -> Script:
    known = [{"kind": "secret", "name": "database", "age": age, "type": "Opaque"}]
    needed = [{"kind": "secret", "name": "database", "optional": False}]
    data = {
        "referenced": needed,
        "asked_at": asked_at,
        "known": known,
        "listed": [{"kind": "secret"}, {"kind": "configmap"}],
    }
    return {SECRETS: given({**data, **changes})}


@pytest.mark.parametrize(
    ("age", "asked_at", "near"),
    [
        ("9m30s", ONSET + 500, True),
        ("25m", ONSET + 1200, True),
        ("120d", ONSET + 1200, False),
        ("2d", ONSET + 2 * DAY, None),
        ("3h", ONSET + 1200, False),
    ],
)
def test_a_secret_made_shortly_before(age: str, asked_at: float, near: bool | None):
    """As far as the age that Kubernetes prints is exact enough to say: two days later it is not."""
    found = judged(secrets.CHECK, stored(age, asked_at))
    assert found.facts.near is near
    assert (found.status == "unknown") is (near is None)
    assert found.facts.fresh == (("secret/database",) if near else ())


def test_a_secret_that_the_pods_do_not_use_is_none_of_theirs():
    """Made just then, but nothing that the pods refer to."""
    other = {"kind": "secret", "name": "tls", "age": "30m", "type": "Opaque"}
    old = {"kind": "secret", "name": "database", "age": "90d", "type": "Opaque"}
    found = judged(secrets.CHECK, stored("", ONSET + 1200, known=[other, old]))
    assert found.status == "normal" and found.sentence.endswith(f"{secrets.IN_PLACE}.")


def test_a_missing_secret_is_named():
    """The pods refer to one that is not there."""
    found = judged(secrets.CHECK, stored("9d", ONSET, known=[]))
    assert (found.status, found.facts.missing) == ("abnormal", ("secret/database",))
    assert "secret/database is missing" in found.sentence
