"""Network policies, and which of them cut pods from a port: pure, from a `policies` answer.

The rules are Kubernetes': a pod that no policy of a direction selects may talk to all; one that some select may talk
to what at least one rule of any of them allows. Who stands behind an address or a label is not looked up, so a rule for
certain peers only is one that perhaps allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbook.model import JSON, Answer
from runbook.sources.kubernetes.objects import seconds

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Expression:
    """One requirement of a selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        """Whether labels meet it; as in Kubernetes, NotIn holds where there is no such label."""
        there, among = self.key in labels, labels.get(self.key) in self.values
        return {"In": among, "NotIn": not among, "Exists": there, "DoesNotExist": not there}[self.operator]


@dataclass(frozen=True)
class Port:
    """The ports of a rule: `first` to `last`, all where `first` is None; `name` is one that the other side knows."""

    protocol: str = "TCP"
    first: int | None = None
    last: int | None = None
    name: str = ""

    def covers(self, protocol: str, port: int) -> bool | None:
        """Whether it is among them; None where only the name is known."""
        if protocol != self.protocol:
            return False
        if self.name:
            return None
        return self.first is None or self.first <= port <= (self.last or self.first)


@dataclass(frozen=True)
class Rule:
    """One thing allowed: these ports (() for all), with everybody or with some peers only."""

    ports: tuple[Port, ...] = ()
    everybody: bool = True

    def allows(self, protocol: str, port: int) -> bool | None:
        """Whether it allows the port to everybody; None if perhaps."""
        covered = {one.covers(protocol, port) for one in self.ports} if self.ports else {True}
        if True in covered:
            return True if self.everybody else None
        return None if None in covered else False


@dataclass(frozen=True)
class Policy:
    """One network policy; a direction that it does not restrict is None, one with () allows nothing."""

    name: str
    labels: tuple[tuple[str, str], ...]
    expressions: tuple[Expression, ...]
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None
    created_at: float | None = None

    def selects(self, labels: Labels) -> bool:
        """Whether it is about pods with these labels; an empty selector is about all."""
        return all(labels.get(key) == value for key, value in self.labels) and all(
            one.holds(labels) for one in self.expressions
        )


@dataclass(frozen=True)
class Cut:
    """The policies by which pods cannot reach, or be reached at, a port: for `certain`, or `possible` for some peers.

    At most one of the two holds names; none does where everybody is allowed.
    """

    certain: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


def policies_of(answer: Answer) -> tuple[Policy, ...]:
    """The policies of a `policies` answer, by name; ports of the pods' own that have a name get their number."""
    data = answer.data or {}
    found = [_policy(one, data.get("ports") or {}) for one in data.get("policies", [])]
    return tuple(sorted(found, key=lambda policy: policy.name))


def labels_of(answer: Answer) -> Labels:
    """The labels that the deployment of a `policies` answer gives its pods."""
    return dict((answer.data or {}).get("labels") or {})


def cuts_egress(policies: Iterable[Policy], pod_labels: Labels, port: int, protocol: str = "TCP") -> Cut:
    """The policies by which pods with these labels cannot reach this port of others."""
    return _cut([(one.name, one.egress) for one in policies if one.selects(pod_labels)], protocol, port)


def cuts_ingress(policies: Iterable[Policy], pod_labels: Labels, port: int, protocol: str = "TCP") -> Cut:
    """The policies by which pods with these labels cannot be reached at this port of theirs."""
    return _cut([(one.name, one.ingress) for one in policies if one.selects(pod_labels)], protocol, port)


def _cut(selecting: Sequence[tuple[str, tuple[Rule, ...] | None]], protocol: str, port: int) -> Cut:
    restricting = {name: rules for name, rules in selecting if rules is not None}
    allowed = {rule.allows(protocol, port) for rules in restricting.values() for rule in rules}
    if not restricting or True in allowed:
        return Cut()
    names = tuple(sorted(restricting))
    return Cut(possible=names) if None in allowed else Cut(certain=names)


def _policy(policy: JSON, ports: Mapping[str, int]) -> Policy:
    spec = policy["spec"]
    selector = spec.get("podSelector") or {}
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return Policy(
        name=policy["metadata"]["name"],
        labels=tuple(sorted((selector.get("matchLabels") or {}).items())),
        expressions=tuple(
            Expression(one["key"], one["operator"], tuple(one.get("values") or ()))
            for one in selector.get("matchExpressions") or []
        ),
        ingress=_rules(spec.get("ingress"), "from", ports) if "Ingress" in types else None,
        egress=_rules(spec.get("egress"), "to", {}) if "Egress" in types else None,
        created_at=seconds(policy["metadata"].get("creationTimestamp")),
    )


def _rules(rules: Sequence[JSON] | None, peers: str, ports: Mapping[str, int]) -> tuple[Rule, ...]:
    return tuple(
        Rule(tuple(_port(port, ports) for port in one.get("ports") or []), not one.get(peers)) for one in rules or []
    )


def _port(port: JSON, ports: Mapping[str, int]) -> Port:
    protocol, given = port.get("protocol") or "TCP", port.get("port")
    number = ports.get(given, given) if isinstance(given, str) else given
    if isinstance(number, str):
        return Port(protocol, name=number)
    return Port(protocol, number, port.get("endPort"))
