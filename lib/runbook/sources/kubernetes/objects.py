"""What Kubernetes answered, as frozen values: pure, times in epoch seconds UTC, CPU in cores, memory in bytes.

Readers take an answer of `sources.kubernetes` (also a replayed one) and return () or {} where it holds no data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.model import JSON, Answer
from runbook.sources.kubernetes.quantity import quantity

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
CHANGE_CAUSE = "kubernetes.io/change-cause"
HASH = "pod-template-hash"
_STATUSES = ("initContainerStatuses", "containerStatuses")


@dataclass(frozen=True)
class Termination:
    """How a container ended: `reason` as Kubernetes gives it ("OOMKilled", "Error", "Completed")."""

    container: str
    reason: str
    exit_code: int
    finished_at: float | None


@dataclass(frozen=True)
class Container:
    """One container of a pod. `reason` says why it is not running ("CrashLoopBackOff"), "" if it runs.

    `message` is what the kubelet says of one that waits (`secret "x" not found`). Requests and limits are None where
    none is declared.
    """

    name: str
    image: str
    ready: bool
    restarts: int
    reason: str
    cpu_request: float | None
    cpu_limit: float | None
    memory_request: float | None
    memory_limit: float | None
    last_termination: Termination | None
    message: str


@dataclass(frozen=True)
class Pod:
    """One pod; its `containers` are the main ones, then the sidecars.

    `reason` is what `kubectl get pods` shows as STATUS where that differs from the phase, else "".
    `revision` is None where its ReplicaSet is gone or unknown; `restarts` is the sum over its containers,
    `last_termination` the newest of theirs. Requests and limits are the pod's: the sum over its containers,
    None as soon as one declares none. `unschedulable` is why the scheduler finds no node for it, "" where it does.
    `init_containers` are those that end before the others start; what became of them counts only in `reason`.
    """

    name: str
    revision: int | None
    replicaset: str
    node: str
    phase: str
    reason: str
    ready: bool
    restarts: int
    created_at: float
    started_at: float | None
    cpu_request: float | None
    cpu_limit: float | None
    memory_request: float | None
    memory_limit: float | None
    last_termination: Termination | None
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    unschedulable: str
    ip: str
    labels: Mapping[str, str]

    @property
    def over(self) -> bool:
        """Whether it ended for good (Evicted, Shutdown, Completed): it is listed until somebody clears it away."""
        return self.phase in ("Failed", "Succeeded")


@dataclass(frozen=True)
class Happening:
    """One Kubernetes event, `count` times, the last one at `last_at`; `type` is "Normal" or "Warning"."""

    kind: str
    name: str
    type: str
    reason: str
    message: str
    count: int
    last_at: float | None


@dataclass(frozen=True)
class Permission:
    """Whether one thing may be read, e.g. `verb` "list" and `resource` "pods"; `error` is "" where it may.

    The right to an `optional` one is granted by a file of its own, and most questions do without.
    """

    verb: str
    resource: str
    allowed: bool
    error: str
    optional: bool = False


def pods_of(answer: Answer) -> tuple[Pod, ...]:
    """The pods of a `pods` answer, by name."""
    data = answer.data or {}
    revisions = {one["metadata"]["name"]: _revision_number(one) for one in data.get("replicasets", [])}
    found = [_pod(one, revisions) for one in data.get("pods", [])]
    return tuple(sorted(found, key=lambda pod: pod.name))


def events_of(answer: Answer) -> tuple[Happening, ...]:
    """The events of an `events` answer, oldest first by the time they were last seen."""
    found = [happening(one) for one in (answer.data or {}).get("events", [])]
    return tuple(sorted(found, key=lambda one: (one.last_at or 0.0, one.kind, one.name, one.reason, one.message)))


def usage_of(answer: Answer) -> dict[str, tuple[float, float]]:
    """By pod: CPU cores and bytes of memory in use, as metrics-server last measured them."""
    return {one["metadata"]["name"]: _used(one["containers"]) for one in (answer.data or {}).get("usage", [])}


def access_of(answer: Answer) -> tuple[Permission, ...]:
    """What may be read, by an `access` answer; whatever is neither 401 nor 403 counts as allowed."""
    tried = (answer.data or {}).get("access", [])
    return tuple(
        Permission(
            one["verb"], one["resource"], one["status"] not in (401, 403), one["error"], one.get("optional", False)
        )
        for one in tried
    )


def version_of(answer: Answer) -> str:
    """The API server's version, e.g. "v1.36.3"; "" where it does not say."""
    return str((answer.data or {}).get("gitVersion", ""))


def happening(event: JSON) -> Happening:
    """A core/v1 event of either form: with first and last time and count, or with eventTime and series."""
    about, series = event.get("involvedObject") or {}, event.get("series") or {}
    once = seconds(event.get("eventTime"))
    return Happening(
        about.get("kind", ""),
        about.get("name", ""),
        event.get("type", ""),
        event.get("reason", ""),
        event.get("message", ""),
        event.get("count") or series.get("count") or 1,
        seconds(event.get("lastTimestamp"))
        or seconds(series.get("lastObservedTime"))
        or once
        or seconds(event["metadata"].get("creationTimestamp")),
    )


def seconds(time: str | None) -> float | None:
    """Kubernetes' time (RFC 3339, UTC) in epoch seconds; None for none."""
    return dt.datetime.fromisoformat(time).timestamp() if time else None


def annotation(thing: JSON, name: str) -> str:
    """The value of an annotation, "" if it is not there."""
    return str((thing["metadata"].get("annotations") or {}).get(name, ""))


def _revision_number(replicaset: JSON) -> int | None:
    text = annotation(replicaset, REVISION)
    return int(text) if text.isdecimal() else None


def _pod(pod: JSON, revisions: Mapping[str, int | None]) -> Pod:
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    owner = next((one["name"] for one in metadata.get("ownerReferences") or [] if one["kind"] == "ReplicaSet"), "")
    states = {one["name"]: one for which in _STATUSES for one in status.get(which) or []}
    running = [*spec["containers"], *spec.get("sidecars", [])]
    containers = tuple(_container(one, states.get(one["name"], {})) for one in running)
    early = tuple(_container(one, states.get(one["name"], {})) for one in spec.get("initContainers", []))
    conditions = status.get("conditions") or []
    whole = spec.get("resources") or {}
    return Pod(
        name=metadata["name"],
        revision=revisions.get(owner),
        replicaset=owner,
        node=spec.get("nodeName", ""),
        phase=status.get("phase", ""),
        reason=_pod_reason(pod),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        restarts=sum(c.restarts for c in containers),
        created_at=seconds(metadata["creationTimestamp"]) or 0.0,
        started_at=seconds(status.get("startTime")),
        cpu_request=_amount(whole, "requests", "cpu", _total(c.cpu_request for c in containers)),
        cpu_limit=_amount(whole, "limits", "cpu", _total(c.cpu_limit for c in containers)),
        memory_request=_amount(whole, "requests", "memory", _total(c.memory_request for c in containers)),
        memory_limit=_amount(whole, "limits", "memory", _total(c.memory_limit for c in containers)),
        last_termination=_newest(c.last_termination for c in containers),
        containers=containers,
        init_containers=early,
        unschedulable=_unschedulable(conditions),
        ip=status.get("podIP", ""),
        labels=metadata.get("labels") or {},
    )


def _container(container: JSON, status: JSON) -> Container:
    resources = container.get("resources") or {}
    return Container(
        container["name"],
        container.get("image", ""),
        bool(status.get("ready")),
        status.get("restartCount", 0),
        _state_reason(status.get("state") or {}),
        _amount(resources, "requests", "cpu"),
        _amount(resources, "limits", "cpu"),
        _amount(resources, "requests", "memory"),
        _amount(resources, "limits", "memory"),
        _newest(_termination(container["name"], status.get(state) or {}) for state in ("lastState", "state")),
        str(((status.get("state") or {}).get("waiting") or {}).get("message", "")),
    )


def _state_reason(state: JSON) -> str:
    if "waiting" in state:
        return str(state["waiting"].get("reason", ""))
    ended = state.get("terminated")
    if not ended:
        return ""
    return str(
        ended.get("reason") or (f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended['exitCode']}")
    )


def _termination(container: str, state: JSON) -> Termination | None:
    ended = state.get("terminated")
    if not ended:
        return None
    return Termination(container, ended.get("reason", ""), ended["exitCode"], seconds(ended.get("finishedAt")))


def _pod_reason(pod: JSON) -> str:
    """As kubectl's STATUS column: being deleted, else an unfinished init container, else a container, else the pod."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for one in status.get("initContainerStatuses") or []:
        reason = _state_reason(one.get("state") or {})
        if reason not in ("", "Completed", "PodInitializing"):
            return f"Init:{reason}"
    reasons = [_state_reason(one.get("state") or {}) for one in status.get("containerStatuses") or []]
    return next((reason for reason in reasons if reason), str(status.get("reason") or ""))


def _unschedulable(conditions: Iterable[JSON]) -> str:
    waits = (c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False")
    return next((str(c.get("message") or c.get("reason", "")) for c in waits), "")


def _newest(terminations: Iterable[Termination | None]) -> Termination | None:
    known = [one for one in terminations if one]
    return max(known, key=lambda one: one.finished_at or 0.0, default=None)


def _amount(resources: JSON, which: str, resource: str, otherwise: float | None = None) -> float | None:
    text = (resources.get(which) or {}).get(resource)
    return otherwise if text is None else quantity(text)


def _total(amounts: Iterable[float | None]) -> float | None:
    known = list(amounts)
    return None if None in known or not known else sum(one for one in known if one is not None)


def _used(containers: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    usages = [one["usage"] for one in containers]
    return sum(quantity(one.get("cpu", 0)) for one in usages), sum(quantity(one.get("memory", 0)) for one in usages)
