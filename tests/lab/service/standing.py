"""What stands beside the deployment in its namespace: Secrets and network policies, old ones and those of a fault."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.lab.service.objects import timestamp
from tests.lab.service.world import DEPLOYMENT, PORT

API = {"Secret": "v1", "NetworkPolicy": "networking.k8s.io/v1"}
MONTHS = 120 * 86_400.0
DATABASE_PORT, DNS_PORT, AUTH_PORT = 3306, 53, 8443
Object = dict[str, Any]


@dataclass(frozen=True)
class Applied:
    """An object that somebody applied at a time, in place of an older one of the same name; a Secret has no `spec`."""

    kind: Literal["Secret", "NetworkPolicy"]
    name: str
    at: float
    spec: Mapping[str, object] = field(default_factory=dict)


def policy(app: str, direction: Literal["Ingress", "Egress"], *ports: int) -> Mapping[str, object]:
    """Of the pods of an app, only these TCP ports are open in this direction."""
    rule = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    return {
        "podSelector": {"matchLabels": {"app": app}},
        "policyTypes": [direction],
        direction.lower(): [rule] if ports else [],
    }


USUAL = (
    Applied("Secret", "database-credentials", 0.0),
    Applied("Secret", "jwt-public-key", 3.1 * 86_400),
    Applied("Secret", "session-store", 9.4 * 86_400),
    Applied("NetworkPolicy", "allow-ingress", 1.2 * 86_400, policy(DEPLOYMENT, "Ingress", PORT)),
    Applied("NetworkPolicy", "mysql-ingress", 2.7 * 86_400, policy("mysql-primary", "Ingress", DATABASE_PORT)),
)


def standing(namespace: str, at: float, applied: Sequence[Applied]) -> list[Object]:
    """The objects that are there at a time; the usual ones are months old."""
    there = {(one.kind, one.name): (one, at - MONTHS + one.at) for one in USUAL}
    there |= {(one.kind, one.name): (one, one.at) for one in applied if one.at <= at}
    return [_object(namespace, one, created) for one, created in there.values()]


def _object(namespace: str, one: Applied, created: float) -> Object:
    content = {"spec": dict(one.spec)} if one.spec else {"data": _dummy(one.name)}
    metadata = {"name": one.name, "namespace": namespace, "creationTimestamp": timestamp(created)}
    return {"apiVersion": API[one.kind], "kind": one.kind, "metadata": metadata, **content}


def _dummy(name: str) -> Mapping[str, str]:
    """A Secret's data, plainly no secret."""
    return {"value": base64.b64encode(f"dummy {name} of the lab".encode()).decode()}
