"""Kubernetes: a few read-only questions about one deployment, and readers that turn their answers into values.

`Kubernetes.ask` is the only part that talks to anybody, with GET requests only; the readers are pure. What it records
is a projection (projection.py): no environment values, secrets, tokens or annotations but those of the rollout.
Times are epoch seconds, UTC; CPU in cores, memory in bytes. `deploy/rbac.yaml` is all that it needs to be allowed, but
for nodes, names of Secrets, and commands in pods, whose rights stand in files of their own beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runbook.config import schema
from runbook.errors import SourceError
from runbook.model import JSON, Answer, Completeness, Query
from runbook.sources.kubernetes.containers import (
    clocks_of,
    previous_logs_of,
    public_key_of,
)
from runbook.sources.kubernetes.network_policies import policies_of
from runbook.sources.kubernetes.nodes import nodes_of
from runbook.sources.kubernetes.objects import (
    access_of,
    events_of,
    pods_of,
    usage_of,
    version_of,
)
from runbook.sources.kubernetes.rollouts import revisions
from runbook.sources.kubernetes.secrets import secrets_of

if TYPE_CHECKING:  # on the first question only: 0.2 s
    from runbook.sources.kubernetes.http import Connection

_READERS: Mapping[str, Callable[[Answer], Any]] = {
    "deployment": revisions,
    "pods": pods_of,
    "events": events_of,
    "usage": usage_of,
    "previous_logs": previous_logs_of,
    "nodes": nodes_of,
    "policies": policies_of,
    "secrets": secrets_of,
    "public_key": public_key_of,
    "clock": clocks_of,
    "access": access_of,
    "version": version_of,
}
_INSIDE = ("public_key", "clock")  # what needs a command to run in a pod


class Kubernetes:
    """One cluster as one user; many threads may ask at once.

    `seconds` bounds each question with all its requests, by cutting the connection. Keep it a little below the
    Deadline around it: the sentence from here names the address.
    """

    def __init__(self, config: schema.Kubernetes, seconds: float = 18.0) -> None:
        self._config, self._seconds = config, seconds
        self._opening = threading.Lock()

    def ask(self, query: Query) -> Answer:
        """The parts of the answer by name: complete, empty, or partial with a warning for each part that failed.

        Raises SourceError if nothing can be answered, SettingsError if the kubeconfig does not lead to a cluster.
        """
        from runbook.sources.http.timelimit import TimeLimit
        from runbook.sources.kubernetes.requests import Question

        if query.kind in _INSIDE and not self._config.exec:
            raise SourceError(
                "Kubernetes is not asked to run a command in a pod; "
                "set `exec = true` in `kubernetes` of the environment in runbook.toml to allow it.",
                "refused",
            )
        began = time.monotonic()
        with self._opening:
            connection = self._connection
        with TimeLimit(self._seconds) as limit:
            question = Question(connection, limit, query.params, inside=self._config.exec)
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
        from runbook.sources.kubernetes.http import Connection
        from runbook.sources.kubernetes.kubeconfig import login

        return Connection(login(self._config))


def _completeness(query: Query, data: JSON, warnings: tuple[str, ...]) -> Completeness:
    if warnings:
        return "partial"
    return "complete" if data.get(query.kind, data) else "empty"
