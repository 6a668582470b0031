"""Which GET requests answer a question, and how their answers are put together.

A question fails where its first request does; where a later one does, the answer is partial and a warning says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from runbook.errors import SourceError
from runbook.model import JSON
from runbook.sources import kubernetes_projection as projection
from runbook.sources.kubernetes_http import Connection, Refused
from runbook.sources.kubernetes_rollouts import was_reused
from runbook.sources.timelimit import TimeLimit


@dataclass(frozen=True)
class Resource:
    """A kind of object: its name as in RBAC, the path of its group, what is kept of each."""

    name: str
    group: str
    keep: Callable[[JSON], JSON]

    def path(self, namespace: str) -> str:
        """The path of the list of them in a namespace."""
        return f"{self.group}/namespaces/{namespace}/{self.name.partition('.')[0]}"


DEPLOYMENTS = Resource("deployments.apps", "/apis/apps/v1", projection.deployment)
REPLICASETS = Resource("replicasets.apps", "/apis/apps/v1", projection.replicaset)
PODS = Resource("pods", "/api/v1", projection.pod)
EVENTS = Resource("events", "/api/v1", projection.event)
USAGE = Resource("pods.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1", projection.usage)


class Question:
    """One question about a deployment, being asked: the requests share a time limit and collect warnings."""

    def __init__(self, connection: Connection, limit: TimeLimit, namespace: str, deployment: str) -> None:
        self._connection, self._limit = connection, limit
        self._namespace, self._deployment = namespace, deployment
        self.warnings: list[str] = []

    def deployment(self) -> JSON:
        """The deployment, its ReplicaSets, and what dates the ones used again."""
        deployment = self._get_deployment()
        data = {"deployment": deployment, **self._perhaps("replicasets", lambda: self._replicasets(deployment))}
        if any(was_reused(one) for one in data.get("replicasets", [])):
            about = f"involvedObject.kind=Deployment,involvedObject.name={self._deployment}"
            data |= self._perhaps("pods", lambda: self._list(PODS, labelSelector=selector(deployment)))
            data |= self._perhaps("events", lambda: self._list(EVENTS, fieldSelector=about))
        return data

    def pods(self) -> JSON:
        """The pods, and the ReplicaSets for their revisions."""
        deployment = self._get_deployment()
        found = self._list(PODS, labelSelector=selector(deployment))
        return {"pods": found, **(self._perhaps("replicasets", lambda: self._replicasets(deployment)) if found else {})}

    def events(self) -> JSON:
        """The events about the deployment, its ReplicaSets and their pods."""
        found = self._list(EVENTS)
        replicasets = self._perhaps("replicasets", lambda: self._replicasets(self._get_deployment()))
        names = [one["metadata"]["name"] for one in replicasets.get("replicasets", [])]
        return {"events": [one for one in found if is_about(one, self._deployment, names)]}

    def usage(self) -> JSON:
        """What metrics-server measured of the pods."""
        deployment = self._get_deployment()
        try:
            return {"usage": self._list(USAGE, labelSelector=selector(deployment))}
        except Refused as refused:
            raise self._explained(refused) from None

    def access(self) -> JSON:
        """For each thing to be read, whether it may be."""
        tries = [self._try("get", DEPLOYMENTS, self._deployment)]
        return {"access": [*tries, *(self._try("list", one) for one in (REPLICASETS, PODS, EVENTS, USAGE))]}

    def version(self) -> JSON:
        """The version of the API server."""
        return projection.version(self._connection.get("/version", {}, "read its version", self._limit))

    def _get_deployment(self) -> JSON:
        what = f"get deployments.apps {self._deployment} in namespace {self._namespace}"
        try:
            found = self._connection.get(
                f"{DEPLOYMENTS.path(self._namespace)}/{self._deployment}", {}, what, self._limit
            )
            return projection.deployment(found)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._connection.error(
                f"answered JSON of an unknown shape ({what})", "check that it is an API server", "garbage"
            ) from None

    def _replicasets(self, deployment: JSON) -> list[JSON]:
        found = self._list(REPLICASETS, labelSelector=selector(deployment))
        return [
            one
            for one in found
            if {"kind": "Deployment", "name": self._deployment} in one["metadata"]["ownerReferences"]
        ]

    def _list(self, resource: Resource, **params: str) -> list[JSON]:
        what = f"list {resource.name} in namespace {self._namespace}"
        found, all_of_them = self._connection.collect(
            resource.path(self._namespace), params, what, self._limit, resource.keep
        )
        if not all_of_them:
            self.warnings.append(
                f"Only the first {len(found):,} {resource.name} in namespace {self._namespace} were read."
            )
        return found

    def _perhaps(self, part: str, read: Callable[[], list[JSON]]) -> dict[str, Any]:
        """This part, or none of it and a warning."""
        try:
            return {part: read()}
        except SourceError as error:
            self.warnings.append(str(error))
            return {}

    def _try(self, verb: str, resource: Resource, name: str = "") -> JSON:
        what = f"{verb} {resource.name} in namespace {self._namespace}"
        path = resource.path(self._namespace) + (f"/{name}" if name else "")
        tried = {"verb": verb, "resource": resource.name}
        try:
            self._connection.get(path, {} if name else {"limit": "1"}, what, self._limit)
        except Refused as refused:
            if refused.status == 401:
                raise
            error = self._explained(refused) if resource is USAGE else refused
            return {**tried, "status": refused.status, "error": str(error)}
        return {**tried, "status": 200, "error": ""}

    def _explained(self, refused: Refused) -> SourceError:
        """The usual reasons why metrics.k8s.io does not answer: it is an add-on, and served by a program of its own."""
        if refused.status == 404:
            return self._connection.error(
                "has no usage: metrics.k8s.io is not served", "install metrics-server to see it", "refused"
            )
        if refused.status == 503:
            advice = "check that its pods run in kube-system"
            return self._connection.error(
                "has no usage: metrics-server does not answer it (503)", advice, "server error"
            )
        return refused


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
