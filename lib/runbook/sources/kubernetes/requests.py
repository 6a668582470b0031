"""Which GET requests answer a question, and how their answers are put together.

A question fails where its first request does; where a later one does, the answer is partial and a warning says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from runbook.errors import SourceError
from runbook.model import JSON
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes import containers, projection
from runbook.sources.kubernetes.http import Connection, Refused, Request
from runbook.sources.kubernetes.nodes import formerly_placed, placed
from runbook.sources.kubernetes.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    EVENTS,
    EXEC_GRANT,
    NODE_GRANT,
    PODS,
    POLICIES,
    REPLICASETS,
    SECRETS,
    USAGE,
    Resource,
    is_about,
    selector,
)
from runbook.sources.kubernetes.rollouts import was_reused

if TYPE_CHECKING:
    from runbook.sources.kubernetes.exec import Ran

T = TypeVar("T")
FEW = 3  # pods that are looked into
NODES = 12
LOG = {"previous": "true", "tailLines": "40", "limitBytes": "200000"}


class Question:
    """One question about a deployment, being asked: the requests share a time limit and collect warnings."""

    def __init__(
        self, connection: Connection, limit: TimeLimit, params: Mapping[str, JSON], inside: bool = False
    ) -> None:
        self._connection, self._limit, self._params, self._inside = connection, limit, params, inside
        self._namespace, self._deployment = params.get("namespace", ""), params.get("deployment", "")
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

    def previous_logs(self) -> JSON:
        """The last lines of containers that ended, in a few pods."""
        ended = containers.ended(self._pods(), FEW)
        return {"previous_logs": self._each(ended, lambda one: self._previous_log(*one))}

    def nodes(self) -> JSON:
        """The nodes that pods are on, then those that the events say they were on."""
        pods = self._pods()
        here = placed(pods)
        happened = self._perhaps("events", lambda: self.events()["events"]).get("events", [])
        names = [*here, *(name for name in formerly_placed(happened) if name not in here)]
        if len(names) > NODES:
            self.warnings.append(f"Only {NODES} of {len(names):,} nodes were read.")
        return {"nodes": self._each(names[:NODES], self._node), "placed": here}

    def policies(self) -> JSON:
        """The namespace's network policies, and the labels and ports that they are matched with."""
        deployment = self._get_deployment(_template)
        return {"policies": self._list(POLICIES), **deployment}

    def secrets(self) -> JSON:
        """What the pods refer to, and the names that there are."""
        referenced, asked_at = self._get_deployment(projection.references), time.time()
        lists = {
            **self._perhaps("secret", lambda: self._list(SECRETS)),
            **self._perhaps("configmap", lambda: self._list(CONFIGMAPS)),
        }
        known = [{"kind": kind, **row} for kind, rows in lists.items() for row in rows]
        return {
            "referenced": referenced,
            "asked_at": asked_at,
            "known": known,
            "listed": [{"kind": kind} for kind in lists],
        }

    def public_key(self) -> JSON:
        """The head of a file in one running pod, if it is that of a public key."""
        pods = containers.running(self._pods(), 1)
        return {"public_key": self._key_head(pods[0]) if pods else {}}

    def clock(self) -> JSON:
        """What a few running pods say the time is, and ours before and after."""
        return {"clock": self._each(containers.running(self._pods(), FEW), self._clock)}

    def access(self) -> JSON:
        """For each thing to be read, whether it may be."""
        lists = (REPLICASETS, PODS, EVENTS, USAGE, POLICIES, SECRETS, CONFIGMAPS)
        return {
            "access": [
                self._try("get", DEPLOYMENTS.name, self._named(DEPLOYMENTS, self._deployment), there=True),
                *(self._try("list", one.name, self._listing(one, limit="1"), optional=one.optional) for one in lists),
                self._try("get", "pods/log", self._log("any", "any")),
                self._try("get", "nodes", self._node_request("any"), optional=True),
                *(
                    [self._try("create", "pods/exec", self._exec("any", command="date"), optional=True)]
                    if self._inside
                    else []
                ),
            ]
        }

    def version(self) -> JSON:
        """The version of the API server."""
        return projection.version(self._connection.get(Request("/version", "read its version"), self._limit))

    def _get_deployment(self, keep: Callable[[JSON], Any] = projection.deployment) -> Any:
        request = self._named(DEPLOYMENTS, self._deployment)
        try:
            return keep(self._connection.get(request, self._limit))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._connection.error(
                f"answered JSON of an unknown shape ({request.what})", "check that it is an API server", "garbage"
            ) from None

    def _pods(self) -> list[JSON]:
        return self._list(PODS, labelSelector=selector(self._get_deployment()))

    def _previous_log(self, pod: str, container: str) -> JSON:
        said = self._connection.read(self._log(pod, container), self._limit)
        return {"pod": pod, "container": container, "lines": projection.log_lines(said)}

    def _node(self, name: str) -> JSON:
        try:
            return projection.node(self._connection.get(self._node_request(name), self._limit))
        except Refused as refused:
            if refused.status != 404:
                raise
            return {"metadata": {"name": name}, "gone": True}

    def _key_head(self, pod: JSON) -> JSON:
        name, path = pod["metadata"]["name"], self._params["path"]
        container = self._container(pod)
        ran = self._run(name, container, "head", "-n", "3", path)
        form, lines = ("unreadable", []) if ran.error else containers.key_head(ran.printed)
        return {"pod": name, "container": container, "path": path, "form": form, "lines": lines, "error": ran.error}

    def _clock(self, pod: JSON) -> JSON:
        name = pod["metadata"]["name"]
        ran = self._run(name, self._container(pod), "date", "-u", "+%s.%N")
        said = projection.cut(ran.printed.strip(), 40)
        return {"pod": name, "sent": ran.sent, "received": ran.received, "said": said, "error": ran.error}

    def _container(self, pod: JSON) -> str:
        """The one that is asked for, else the pod's first."""
        return str(self._params.get("container") or pod["spec"]["containers"][0]["name"])

    def _run(self, pod: str, container: str, *command: str) -> Ran:
        from runbook.sources.kubernetes.exec import run  # 30 ms, only where a command may run

        return run(self._connection, self._exec(pod, container=container), command, self._limit)

    def _replicasets(self, deployment: JSON) -> list[JSON]:
        found = self._list(REPLICASETS, labelSelector=selector(deployment))
        return [
            one
            for one in found
            if {"kind": "Deployment", "name": self._deployment} in one["metadata"]["ownerReferences"]
        ]

    def _list(self, resource: Resource, **params: str) -> list[JSON]:
        request = self._listing(resource, **params)
        found, all_of_them = self._connection.collect(request, self._limit, resource.keep, resource.part)
        if not all_of_them:
            self.warnings.append(
                f"Only the first {len(found):,} {resource.name} in namespace {self._namespace} were read."
            )
        return found

    def _listing(self, resource: Resource, **params: str) -> Request:
        what = f"list {resource.name} in namespace {self._namespace}"
        return Request(
            resource.path(self._namespace), what, {**resource.params, **params}, resource.accept, resource.grant
        )

    def _named(self, resource: Resource, name: str) -> Request:
        what = f"get {resource.name} {name} in namespace {self._namespace}"
        return Request(f"{resource.path(self._namespace)}/{name}", what)

    def _log(self, pod: str, container: str) -> Request:
        what = f"get pods/log of {pod} in namespace {self._namespace}"
        return Request(f"{PODS.path(self._namespace)}/{pod}/log", what, {"container": container, **LOG}, "*/*")

    def _exec(self, pod: str, **params: str) -> Request:
        what = f"create pods/exec of {pod} in namespace {self._namespace}"
        return Request(f"{PODS.path(self._namespace)}/{pod}/exec", what, params, grant=EXEC_GRANT)

    def _node_request(self, name: str) -> Request:
        return Request(f"/api/v1/nodes/{name}", f"get nodes {name}", grant=NODE_GRANT)

    def _perhaps(self, part: str, read: Callable[[], list[JSON]]) -> dict[str, Any]:
        """This part, or none of it and a warning."""
        try:
            return {part: read()}
        except SourceError as error:
            self.warnings.append(str(error))
            return {}

    def _each(self, things: Iterable[T], read: Callable[[T], JSON]) -> list[JSON]:
        """What can be read of these, with a warning for each that cannot; the error, where nothing can."""
        found: list[JSON] = []
        errors: list[SourceError] = []
        for one in things:
            try:
                found.append(read(one))
            except SourceError as error:
                errors.append(error)
        if errors and not found:
            raise errors[0]
        self.warnings += map(str, errors)
        return found

    def _try(self, verb: str, resource: str, request: Request, *, optional: bool = False, there: bool = False) -> JSON:
        """Whether it may be read; what need not be `there` is asked for by a name that nothing has."""
        tried = {"verb": verb, "resource": resource, "optional": optional}
        try:
            self._connection.get(request, self._limit)
        except Refused as refused:
            if refused.status == 401:
                raise
            if refused.status == 404 and verb != "list" and not there:
                return {**tried, "status": 404, "error": ""}
            error = self._explained(refused) if resource == USAGE.name else refused
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


def _template(deployment: JSON) -> JSON:
    return {"labels": projection.template_labels(deployment), "ports": projection.template_ports(deployment)}
