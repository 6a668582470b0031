"""Network policies: what they cut, by the rules of Kubernetes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.model import Answer
from runbook.sources.kubernetes.network_policies import (
    Cut,
    Expression,
    Policy,
    Port,
    Rule,
    cuts_egress,
    cuts_ingress,
    labels_of,
    policies_of,
)
from runbook.sources.kubernetes.queries import policies
from tests.canned import Canned, Reply
from tests.sources.kubernetes.server import repeating, source

WEB = ("shop", "web")
LABELS = {"app": "web"}


def policy(spec: dict[str, Any], name: str = "p") -> Policy:
    """One policy as the API server would send it."""
    found = {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}
    (read,) = policies_of(Answer(policies(*WEB), "complete", {"policies": [found], "ports": {"http": 8080}}))
    return read


ports = st.builds(
    Port,
    st.sampled_from(["TCP", "UDP"]),
    st.sampled_from([None, 53, 3306]),
    st.sampled_from([None, 5000]),
    st.sampled_from(["", "mysql"]),
)
rules = st.builds(Rule, st.lists(ports, max_size=2).map(tuple), st.booleans())
selectors = st.sampled_from([(), (("app", "web"),), (("app", "db"),)])
some = st.lists(
    st.builds(
        Policy,
        st.sampled_from("abcdef"),
        selectors,
        st.just(()),
        st.none() | st.lists(rules, max_size=2).map(tuple),
        st.none() | st.lists(rules, max_size=2).map(tuple),
    ),
    max_size=4,
    unique_by=lambda one: one.name,
)
OPEN = Policy("open", (), (), (Rule(),), (Rule(),))
CLOSED = Policy("closed", (), (), (), ())


def severity(cut: Cut) -> int:
    """0 for all allowed, 1 for perhaps, 2 for nothing."""
    return 2 if cut.certain else 1 if cut.possible else 0


@given(some, rules)
def test_a_further_rule_never_cuts(known: list[Policy], rule: Rule):
    """Rules only add: what was allowed stays allowed, whichever policy that restricts already gets one more."""
    more = [one if one.egress is None else replace(one, egress=(*one.egress, rule)) for one in known]
    assert severity(cuts_egress(more, LABELS, 3306)) <= severity(cuts_egress(known, LABELS, 3306))


@given(some)
def test_one_open_policy_opens_all(known: list[Policy]):
    """A rule without ports and peers allows everything, whatever else there is."""
    assert cuts_egress([*known, OPEN], LABELS, 3306) == cuts_ingress([*known, OPEN], LABELS, 8080) == Cut()


@given(some)
def test_a_policy_without_rules_allows_nothing_of_its_own(known: list[Policy]):
    """An empty policy closes what was open to all, and changes nothing where others restrict already."""
    restricted = any(one.egress is not None and one.selects(LABELS) for one in known)
    before, after = (cuts_egress(some_of, LABELS, 3306) for some_of in (known, [*known, CLOSED]))
    assert severity(after) == (severity(before) if restricted else 2)
    if severity(after):
        assert "closed" in after.certain + after.possible


@given(some)
def test_policies_about_other_pods_change_nothing(known: list[Policy]):
    """Only policies that select the pods count, in any order."""
    ours = [one for one in known if one.selects(LABELS)]
    assert cuts_egress(known, LABELS, 3306) == cuts_egress(ours[::-1], LABELS, 3306)
    assert cuts_ingress(known, LABELS, 8080) == cuts_ingress(ours[::-1], LABELS, 8080)


@given(some)
def test_the_directions_do_not_mix(known: list[Policy]):
    """What restricts ingress says nothing of egress."""
    without = [replace(one, ingress=None) for one in known]
    assert cuts_egress(known, LABELS, 3306) == cuts_egress(without, LABELS, 3306)
    assert cuts_ingress(without, LABELS, 8080) == Cut()


def test_no_policy_allows_all():
    """A pod that no policy selects may talk to everybody, and everybody to it."""
    assert cuts_egress([], LABELS, 3306) == cuts_ingress([], LABELS, 8080) == Cut()


@pytest.mark.parametrize(
    ("spec", "egress", "ingress"),
    [
        ({"policyTypes": ["Egress"]}, Cut(certain=("p",)), Cut()),
        ({"policyTypes": ["Ingress"]}, Cut(), Cut(certain=("p",))),
        ({}, Cut(), Cut(certain=("p",))),  # defaults to Ingress
        ({"egress": []}, Cut(), Cut(certain=("p",))),
        ({"egress": [{"ports": [{"port": 53}]}]}, Cut(certain=("p",)), Cut(certain=("p",))),  # and Egress with rules
        ({"egress": [{}], "ingress": [{}]}, Cut(), Cut()),
        ({"egress": [{"ports": [{"port": 3306}]}], "policyTypes": ["Egress"]}, Cut(), Cut()),
        (
            {"egress": [{"ports": [{"port": 3306, "protocol": "UDP"}]}], "policyTypes": ["Egress"]},
            Cut(certain=("p",)),
            Cut(),
        ),
        ({"egress": [{"ports": [{"port": 3000, "endPort": 3400}]}], "policyTypes": ["Egress"]}, Cut(), Cut()),
        (
            {"egress": [{"ports": [{"port": 3000, "endPort": 3305}]}], "policyTypes": ["Egress"]},
            Cut(certain=("p",)),
            Cut(),
        ),
        ({"egress": [{"ports": [{"protocol": "TCP"}]}], "policyTypes": ["Egress"]}, Cut(), Cut()),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}], "policyTypes": ["Egress"]},
            Cut(possible=("p",)),
            Cut(),
        ),
        (
            {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 53}]}], "policyTypes": ["Egress"]},
            Cut(certain=("p",)),
            Cut(),
        ),
        ({"egress": [{"ports": [{"port": "mysql"}]}], "policyTypes": ["Egress"]}, Cut(possible=("p",)), Cut()),
        ({"ingress": [{"ports": [{"port": "http"}]}]}, Cut(), Cut()),  # our own port's name is known
        ({"ingress": [{"ports": [{"port": "grpc"}]}]}, Cut(), Cut(possible=("p",))),
        ({"ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080}]}]}, Cut(), Cut(possible=("p",))),
        ({"ingress": [{"from": [], "ports": [{"port": 8080}]}]}, Cut(), Cut()),
    ],
)
def test_what_a_policy_cuts(spec: dict[str, Any], egress: Cut, ingress: Cut):
    """Directions, ports, ranges, names and peers of a single policy, for port 3306 out and 8080 in."""
    assert cuts_egress([policy(spec)], LABELS, 3306) == egress
    assert cuts_ingress([policy(spec)], LABELS, 8080) == ingress


def test_names_can_be_cut_off_apart_from_the_database():
    """The protocol is a matter of its own: a policy may allow the database and forget the name server."""
    only_database = policy({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 3306}]}]})
    assert cuts_egress([only_database], LABELS, 3306) == Cut()
    assert cuts_egress([only_database], LABELS, 53, "UDP") == Cut(certain=("p",))


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        (Expression("app", "In", ("web", "api")), True),
        (Expression("app", "In", ("api",)), False),
        (Expression("tier", "In", ("web",)), False),
        (Expression("app", "NotIn", ("web",)), False),
        (Expression("tier", "NotIn", ("web",)), True),
        (Expression("app", "Exists"), True),
        (Expression("tier", "Exists"), False),
        (Expression("app", "DoesNotExist"), False),
        (Expression("tier", "DoesNotExist"), True),
    ],
)
def test_expressions_select_as_in_kubernetes(expression: Expression, holds: bool):
    """All four operators, on a label that is there and one that is not."""
    assert Policy("p", (), (expression,), None, None).selects(LABELS) == holds


def test_the_recorded_policy_lets_the_database_be_reached_perhaps(tmp_path: Path):
    """A real policy: the database by its label, Prometheus by its namespace, everything else closed."""
    with Canned(repeating("bad_rollout")) as server:
        answer = source(tmp_path, server).ask(policies(*WEB))
    known, labels = policies_of(answer), labels_of(answer)
    assert labels["app"] == "web"
    assert cuts_egress(known, labels, 3306) == cuts_ingress(known, labels, 8080) == Cut(possible=("web",))
    assert cuts_egress(known, labels, 443) == cuts_ingress(known, labels, 9090) == Cut(certain=("web",))
    assert cuts_egress(known, labels, 53, "UDP") == Cut()
    assert cuts_egress(known, {"app": "web-db"}, 443) == Cut()


def test_a_namespace_without_policies_is_empty(tmp_path: Path):
    """No policy is an empty answer, with the labels all the same."""
    with Canned(repeating("bad_rollout", networkpolicies=Reply({"items": []}))) as server:
        answer = source(tmp_path, server).ask(policies(*WEB))
    assert (answer.completeness, policies_of(answer), labels_of(answer)["app"]) == ("empty", (), "web")
