"""The kinds of objects that are read of Kubernetes, and which of them belong to a deployment: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from runbook.model import JSON
from runbook.sources.kubernetes import projection


@dataclass(frozen=True)
class Resource:
    """A kind of object: its name as in RBAC, the path of its group, what is kept of each.

    `grant` is the file that gives the right to read it. Of one that is read as `printed`, the API server sends the
    lines of `kubectl get` alone: never the objects, nor their annotations, which may repeat what is in them.
    """

    name: str
    group: str
    keep: Callable[[JSON], JSON]
    grant: str = "deploy/rbac.yaml"
    printed: bool = False

    @property
    def optional(self) -> bool:
        """Whether the right to it is granted apart from the others."""
        return self.grant != "deploy/rbac.yaml"

    @property
    def accept(self) -> str:
        """The form in which it is asked for."""
        return "application/json;as=Table;g=meta.k8s.io;v=v1" if self.printed else "application/json"

    @property
    def params(self) -> dict[str, str]:
        """What is asked for in addition."""
        return {"includeObject": "None"} if self.printed else {}

    @property
    def part(self) -> str:
        """The member of a list that holds them."""
        return "rows" if self.printed else "items"

    def path(self, namespace: str) -> str:
        """The path of the list of them in a namespace."""
        return f"{self.group}/namespaces/{namespace}/{self.name.partition('.')[0]}"


DEPLOYMENTS = Resource("deployments.apps", "/apis/apps/v1", projection.deployment)
REPLICASETS = Resource("replicasets.apps", "/apis/apps/v1", projection.replicaset)
PODS = Resource("pods", "/api/v1", projection.pod)
EVENTS = Resource("events", "/api/v1", projection.event)
USAGE = Resource("pods.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1", projection.usage)
POLICIES = Resource("networkpolicies.networking.k8s.io", "/apis/networking.k8s.io/v1", projection.policy)
NODE_GRANT, SECRET_GRANT, EXEC_GRANT = (f"deploy/rbac-{what}.yaml" for what in ("nodes", "secrets", "exec"))
SECRETS = Resource("secrets", "/api/v1", projection.secret_row, SECRET_GRANT, printed=True)
CONFIGMAPS = Resource("configmaps", "/api/v1", projection.configmap_row, SECRET_GRANT, printed=True)


def selector(deployment: JSON) -> str:
    """A deployment's selector as the API takes it in a URL."""
    chosen = deployment["spec"]["selector"]
    terms = [f"{name}={value}" for name, value in (chosen.get("matchLabels") or {}).items()]
    return ",".join([*terms, *(_term(one) for one in chosen.get("matchExpressions") or [])])


def is_about(event: JSON, deployment: str, replicasets: Sequence[str]) -> bool:
    """Whether an event is about a deployment, one of these ReplicaSets, or a pod of theirs, there or gone."""
    kind, name = event["involvedObject"].get("kind"), event["involvedObject"].get("name", "")
    if kind == "Deployment":
        return bool(name == deployment)
    return name in replicasets if kind == "ReplicaSet" else kind == "Pod" and _is_pod_of(name, replicasets)


def _is_pod_of(pod: str, replicasets: Iterable[str]) -> bool:
    """Kubernetes names a pod after its ReplicaSet, a dash and five characters, after cutting the front to 58."""
    return any(pod[:-5] == f"{replicaset}-"[:58] for replicaset in replicasets)


def _term(expression: JSON) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or [])
    terms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return str(terms[expression["operator"]])
