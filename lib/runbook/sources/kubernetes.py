"""Kubernetes: a few read-only questions about one deployment, and readers that turn their answers into values.

`Kubernetes.ask` is the only part that talks to anybody, with GET requests only; the readers are pure. What it records is
a projection (`kubernetes_projection`): no environment values, secrets, tokens or annotations but those of the rollout.
Times are epoch seconds, UTC; CPU in cores, memory in bytes. `deploy/rbac.yaml` is all that it needs to be allowed.
"""

from __future__ import annotations

import re
from runbook.errors import UsageError
from runbook.model import Query
from runbook.sources.kubernetes_objects import (
    Container,
    Happening,
    Pod,
    Termination,
    events_of,
    pods_of,
    usage_of,
    version_of,
)
from runbook.sources.kubernetes_rollouts import Deployment, Revision, deployment_of, revisions

__all__ = [
    "Container",
    "Deployment",
    "Happening",
    "Pod",
    "Revision",
    "Termination",
    "access",
    "deployment",
    "deployment_of",
    "events",
    "events_of",
    "pods",
    "pods_of",
    "revisions",
    "usage",
    "usage_of",
    "version",
    "version_of",
]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")


def deployment(namespace: str, name: str) -> Query:
    """A deployment and its revisions; see `revisions` and `deployment_of`."""
    return _about(
        namespace,
        name,
        "deployment",
        "kubectl -n {0} get deployment/{1} -o wide && kubectl -n {0} rollout history deployment/{1}",
    )


def pods(namespace: str, deployment: str) -> Query:
    """The pods of a deployment, with the revision each belongs to; see `pods_of`. Empty if there is none."""
    return _about(namespace, deployment, "pods", "kubectl -n {0} get pods -o wide | grep '^{1}-'")


def events(namespace: str, deployment: str) -> Query:
    """The events of a deployment, its ReplicaSets and their pods, gone ones too; see `events_of`."""
    return _about(namespace, deployment, "events", "kubectl -n {0} get events --sort-by=.lastTimestamp | grep '/{1}'")


def usage(namespace: str, deployment: str) -> Query:
    """CPU and memory that the pods of a deployment use now; see `usage_of`. Empty until metrics-server measured once."""
    return _about(namespace, deployment, "usage", "kubectl -n {0} top pods | grep '^{1}-'")


def access(namespace: str, deployment: str) -> Query:
    """Which of the things that the other questions need may be read, by trying."""
    return _about(namespace, deployment, "access", "kubectl -n {0} auth can-i --list")


def version() -> Query:
    """What the API server says it is; see `version_of`."""
    return Query("kubernetes", "version", "kubectl version")


def _about(namespace: str, name: str, kind: str, command: str) -> Query:
    if len(namespace) > 63 or not _LABEL.fullmatch(namespace):
        raise UsageError(
            f"{namespace[:80]!r} is not the name of a namespace; correct `namespace` of the service in runbook.toml."
        )
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is not the name of a deployment; correct `deployment` of the service in runbook.toml."
        )
    return Query("kubernetes", kind, command.format(namespace, name), {"namespace": namespace, "deployment": name})
