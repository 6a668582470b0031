"""Kubernetes: a few read-only questions about one deployment, and readers that turn their answers into values.

`Kubernetes.ask` is the only part that talks to anybody, with GET requests only; the readers are pure. What it records is
a projection (`kubernetes_projection`): no environment values, secrets, tokens or annotations but those of the rollout.
Times are epoch seconds, UTC; CPU in cores, memory in bytes. `deploy/rbac.yaml` is all that it needs to be allowed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runbook import settings
from runbook.errors import UsageError
from runbook.model import JSON, Answer, Completeness, Query
from runbook.sources.kubernetes_objects import (
    Container,
    Happening,
    Permission,
    Pod,
    Termination,
    access_of,
    events_of,
    pods_of,
    usage_of,
    version_of,
)
from runbook.sources.kubernetes_rollouts import Deployment, Revision, deployment_of, revisions
from runbook.wellformed import is_namespace, is_object

if TYPE_CHECKING:  # on the first question only: 0.2 s
    from runbook.sources.kubernetes_http import Connection

__all__ = [
    "Container",
    "Deployment",
    "Happening",
    "Kubernetes",
    "Permission",
    "Pod",
    "Revision",
    "Termination",
    "access",
    "access_of",
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
    if not is_namespace(namespace):
        raise UsageError(
            f"{namespace[:80]!r} is not the name of a namespace; correct `namespace` of the service in runbook.toml."
        )
    if not is_object(name):
        raise UsageError(
            f"{name[:80]!r} is not the name of a deployment; correct `deployment` of the service in runbook.toml."
        )
    return Query("kubernetes", kind, command.format(namespace, name), {"namespace": namespace, "deployment": name})


_READERS: Mapping[str, Callable[[Answer], Any]] = {
    "deployment": revisions,
    "pods": pods_of,
    "events": events_of,
    "usage": usage_of,
    "access": access_of,
    "version": version_of,
}


class Kubernetes:
    """One cluster as one user; many threads may ask at once.

    `seconds` bounds each question with all its requests, by cutting the connection. Keep it a little below the
    Deadline around it: the sentence from here names the address.
    """

    def __init__(self, config: settings.Kubernetes, seconds: float = 18.0) -> None:
        self._config, self._seconds = config, seconds
        self._opening = threading.Lock()

    def ask(self, query: Query) -> Answer:
        """The parts of the answer by name: complete, empty, or partial with a warning for each part that failed.

        Raises SourceError if nothing can be answered, SettingsError if the kubeconfig does not lead to a cluster.
        """
        from runbook.sources.kubernetes_questions import Question
        from runbook.sources.timelimit import TimeLimit

        began = time.monotonic()
        with self._opening:
            connection = self._connection
        with TimeLimit(self._seconds) as limit:
            question = Question(
                connection, limit, query.params.get("namespace", ""), query.params.get("deployment", "")
            )
            data = getattr(question, query.kind)()
        warnings = tuple(dict.fromkeys(question.warnings))
        answer = Answer(query, _completeness(query, data, warnings), data, warnings, seconds=time.monotonic() - began)
        try:
            _READERS[query.kind](answer)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise connection.error(
                "answered JSON of an unknown shape", "check that it is an API server", "garbage"
            ) from None
        return answer

    @cached_property
    def _connection(self) -> Connection:
        from runbook.sources.kubeconfig import login
        from runbook.sources.kubernetes_http import Connection

        return Connection(login(self._config))


def _completeness(query: Query, data: JSON, warnings: tuple[str, ...]) -> Completeness:
    if warnings:
        return "partial"
    return "complete" if data.get(query.kind, data) else "empty"
