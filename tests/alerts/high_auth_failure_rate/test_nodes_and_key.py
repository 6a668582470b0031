"""HighAuthFailureRate: failures by node, the signing key, and the reasons that messages give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from runbook.alerts.checks.logins import failures_by_node, signing_key
from runbook.alerts.checks.logins.rejection_reasons import reason
from runbook.config.schema import Environment, Kubernetes
from runbook.model import Answer, Query, Status
from tests import fakes
from tests.alerts.high_auth_failure_rate.answers import ALL, FAILED, FAULT, finding, stepping
from tests.fakes import ONSET, STARTED, nothing

BY_POD_FAILED, BY_POD = ("by (pod)", *FAILED), ("by (pod)", *ALL)


def by_pod(**shares: float) -> dict[tuple[str, ...], Callable[[Query], Answer]]:
    """Two attempts a second in each pod, of which this share fails since the onset."""

    def part(query: Query) -> Answer:
        return joined(query, {name: stepping(0.02, 2 * share) for name, share in shares.items()})

    def total(query: Query) -> Answer:
        return joined(query, {name: stepping(2.0, 2.0) for name in shares})

    return {BY_POD_FAILED: part, BY_POD: total}


def joined(query: Query, lines: Mapping[str, Callable[[Query], Answer]]) -> Answer:
    series = [
        {"metric": {"pod": name}, "values": one(query).data["result"][0]["values"]} for name, one in lines.items()
    ]
    return Answer(query, "complete", {"resultType": "matrix", "result": series})


def placed(**nodes: str) -> Callable[[Query], Answer]:
    """Running pods on these nodes."""

    def answer(query: Query) -> Answer:
        pods = [
            {
                "metadata": {"name": name, "creationTimestamp": "2026-01-10T00:00:00Z", "ownerReferences": []},
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": "Running"},
            }
            for name, node in nodes.items()
        ]
        return Answer(query, "complete", {"pods": pods, "replicasets": []})

    return answer


class TestFailuresByNode:
    def test_one_node_stands_out(self):
        """Where exactly the pods of one node refuse, that is said with the node's name."""
        answers = {**by_pod(a=0.9, b=0.95, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        result = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **answers})
        assert result.facts.one_node and result.facts.node == "n1"
        assert (result.facts.failing_pods, result.facts.good_pods) == (("a", "b"), ("c", "d"))
        assert result.sentence.startswith("No: 2 of 4 pods refuse logins, all on n1")

    def test_some_pods_of_a_node_are_no_node(self):
        """Where another pod of the same node is healthy, it is not the node."""
        answers = {**by_pod(a=0.9, b=0.03, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        facts = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **answers}).facts
        assert facts.some and not facts.one_node

    def test_without_the_cluster_the_node_is_not_known(self):
        """Pods that differ are seen without Kubernetes; whose node it is, is then not known."""
        facts = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **by_pod(a=0.9, b=0.03)}).facts
        assert facts.some and facts.one_node is None

    def test_all_alike(self):
        """Where every pod refuses, none stands out."""
        result = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.62)})
        assert result.status == "normal" and result.facts.alike

    @pytest.mark.parametrize(
        ("pod", "theirs", "skewed"),
        [("a", 600.0, "a is 10 min ahead"), ("a", -600.0, "a is 10 min behind"), ("a", 1.0, ""), ("b", 1.0, None)],
    )
    def test_clocks_are_read_where_that_is_allowed(self, pod: str, theirs: float, skewed: str | None):
        """A clock that is off by minutes is named; right ones clear the clocks where a failing pod's is among them."""

        def clock(query: Query) -> Answer:
            said = {"pod": pod, "sent": 1000.0, "received": 1000.2, "said": f"{1000.1 + theirs:.9f}", "error": ""}
            return Answer(query, "complete", {"clock": [said]})

        inside = Environment(service="shop", kubernetes=Kubernetes(exec=True))
        answers = {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.02), ("date -u",): clock}
        assert finding(failures_by_node.CHECK, answers, environment=inside).facts.skewed == skewed


FAULT_AT_PODS = {BY_POD_FAILED: nothing, BY_POD: nothing, **FAULT}


def secrets(
    *, age: str = "90d", name: str = "jwt-public-key", asked_at: float = STARTED + 1500
) -> Callable[[Query], Answer]:
    """A namespace with one key, asked for by default at the end of the window."""

    def answer(query: Query) -> Answer:
        known = [{"kind": "secret", "name": name, "type": "Opaque", "age": age}]
        data = {"referenced": [], "listed": [{"kind": "secret"}], "asked_at": asked_at, "known": known}
        return Answer(query, "complete", data)

    return answer


class TestSigningKey:
    def test_a_key_replaced_shortly_before(self):
        """A Secret created a minute and a half before the onset is named with that."""
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(age="34m")})
        assert result.facts.replaced == "secret/jwt-public-key"
        assert result.facts.replaced_before == 90
        assert result.sentence.startswith("Secret/jwt-public-key was created 90 s before the onset.")

    def test_an_old_key_may_have_been_edited_in_place(self):
        """A key's Secret that is months old may hold a new key: that none was created is said with this."""
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets()})
        assert result.status == "normal"
        assert "edited in place keeps its age" in result.sentence
        assert result.sentence.endswith("The key file was not read.")

    def test_an_age_in_days_says_nothing_of_an_hour(self):
        """Days later, a key's age no longer shows whether it was replaced shortly before the onset."""
        later = ONSET + 10.5 * 86_400
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(age="10d", asked_at=later)}, now=later)
        assert (result.status, result.facts.replaced) == ("unknown", None)
        assert result.facts.unclear == ("secret/jwt-public-key",)

    def test_no_key_by_name_is_unknown(self):
        """A namespace whose Secrets have other names says nothing of the key."""
        assert finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(name="database")}).status == "unknown"

    @pytest.mark.parametrize(
        ("form", "status"), [("public key", "normal"), ("private key", "abnormal"), ("empty", "abnormal")]
    )
    def test_the_file_is_read_where_that_is_allowed(self, form: str, status: Status):
        """What the file begins with is judged; anything but a public key or certificate is abnormal."""

        def head(query: Query) -> Answer:
            found = {"pod": "a", "container": "app", "path": "/keys/jwt.pem", "form": form, "lines": [], "error": ""}
            return Answer(query, "complete", {"public_key": found})

        inside = Environment(service="shop", kubernetes=Kubernetes(exec=True))
        service = msgspec.structs.replace(fakes.SERVICE, jwt_public_key_path="/keys/jwt.pem")
        answers = {**FAULT, ("get secrets",): secrets(), ("head -n 3",): head}
        assert finding(signing_key.CHECK, answers, environment=inside, service=service).status == status


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("JWT validation failed: InvalidSignature (kid 3f2a)", "key"),
        ("JWT validation failed: cannot read public key /etc/keys/x.pem", "key"),
        ("JWT validation failed: ExpiredSignature for user mia", "tokens"),
        ("authentication failure for user mia: token expired 12 s ago", "tokens"),
        ("JWT validation failed: ImmatureSignature", "clock"),
        ("token used before issued", "clock"),
        ("auth service request failed: certificate has expired", "auth_service"),
        ("authentication failure for user mia: bad password", "guesses"),
        ("database connection failed", ""),
        ("avatar service answered 502", ""),
    ],
)
def test_messages_say_why(message: str, named: str):
    """The reason that a message gives; the auth service's own certificate is not taken for an expired token."""
    assert reason(message) == named
