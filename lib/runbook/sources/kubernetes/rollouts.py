"""Which revisions a deployment has, and when each was rolled out: pure, from a `deployment` answer.

A ReplicaSet is made when its pod template is first rolled out, so its creation is the time of the rollout, unless it
was used again: `kubectl rollout undo` gives an old ReplicaSet a new number and leaves its creation time alone.
Kubernetes notes that in the annotation `revision-history`, but no time. What tells it then is later than the rollout
or at the same time, so the earliest that is after the revision before is nearest: an event that scaled the ReplicaSet
up (kept for an hour, but lumped together with others after ten), the creation of one of its pods, or the deployment's
Progressing condition (which moves until the rollout is through). If nothing of that is left, the time is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from runbook.model import JSON, Answer
from runbook.sources.kubernetes.objects import (
    CHANGE_CAUSE,
    REVISION,
    REVISION_HISTORY,
    annotation,
    happening,
    seconds,
)

Evidence = Literal["creation", "event", "pod", "condition", "none"]


@dataclass(frozen=True)
class Revision:
    """One revision of a deployment, as `kubectl rollout history` numbers it.

    `rolled_out_at` is when it was last rolled out, None where that is not known; `evidence` says what tells so.
    `created_at` is its ReplicaSet's, earlier where a roll-back used it again. `replicas` and `ready` count pods.
    """

    number: int
    replicaset: str
    images: tuple[str, ...]
    created_at: float
    rolled_out_at: float | None
    evidence: Evidence
    replicas: int
    ready: int
    change_cause: str
    current: bool


@dataclass(frozen=True)
class Deployment:
    """A deployment as it is now; pods are counted. `progress` is the Progressing condition's reason, "" for none."""

    name: str
    wanted: int
    ready: int
    available: int
    paused: bool
    progress: str


def deployment_of(answer: Answer) -> Deployment | None:
    """The deployment of a `deployment` answer."""
    found = (answer.data or {}).get("deployment")
    if not found:
        return None
    spec, status = found["spec"], found.get("status") or {}
    return Deployment(
        found["metadata"]["name"],
        spec.get("replicas", 1),
        status.get("readyReplicas", 0),
        status.get("availableReplicas", 0),
        bool(spec.get("paused")),
        _progressing(found).get("reason", ""),
    )


def revisions(answer: Answer) -> tuple[Revision, ...]:
    """The revisions of a `deployment` answer, lowest number first; () where it has no ReplicaSets."""
    data = answer.data or {}
    numbered = [one for one in data.get("replicasets", []) if annotation(one, REVISION).isdecimal()]
    found: list[Revision] = []
    for one in sorted(numbered, key=lambda one: int(annotation(one, REVISION))):
        found.append(_revision(one, data, after=found[-1] if found else None))
    return tuple(found)


def was_reused(replicaset: JSON) -> bool:
    """Whether a roll-back took this ReplicaSet up again, so that its creation is not its rollout."""
    return bool(annotation(replicaset, REVISION_HISTORY))


def _revision(replicaset: JSON, data: JSON, after: Revision | None) -> Revision:
    metadata, status = replicaset["metadata"], replicaset.get("status") or {}
    current = annotation(replicaset, REVISION) == annotation(data["deployment"], REVISION)
    at, evidence = _rollout(replicaset, data, after)
    return Revision(
        number=int(annotation(replicaset, REVISION)),
        replicaset=metadata["name"],
        images=tuple(one.get("image", "") for one in replicaset["spec"]["template"]["spec"]["containers"]),
        created_at=seconds(metadata["creationTimestamp"]) or 0.0,
        rolled_out_at=at,
        evidence=evidence,
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        change_cause=annotation(replicaset, CHANGE_CAUSE),
        current=current,
    )


def _rollout(replicaset: JSON, data: JSON, after: Revision | None) -> tuple[float | None, Evidence]:
    """When this revision was last rolled out, and what tells so."""
    if not was_reused(replicaset):
        return seconds(replicaset["metadata"]["creationTimestamp"]), "creation"
    name = replicaset["metadata"]["name"]
    # without a revision before, no event or pod tells this rollout from the first one
    again: dict[Evidence, list[float | None]] = {
        "event": _scale_ups(name, data.get("events", [])) if after else [],
        "pod": _pod_starts(name, data.get("pods", [])) if after else [],
        "condition": [_progress(name, data["deployment"])],
    }
    earliest = (after.rolled_out_at or after.created_at) if after else 0.0
    known: list[tuple[float, Evidence]] = [
        (at, evidence) for evidence, times in again.items() for at in times if at is not None and at > earliest
    ]
    return min(known, key=lambda one: one[0]) if known else (None, "none")


def _scale_ups(replicaset: str, events: Iterable[JSON]) -> list[float | None]:
    found = [happening(one) for one in events if one.get("reason") == "ScalingReplicaSet"]
    return [one.last_at for one in found if one.message.startswith(f"Scaled up replica set {replicaset} ")]


def _pod_starts(replicaset: str, pods: Iterable[JSON]) -> list[float | None]:
    owned = [one for one in pods if replicaset in (owner["name"] for owner in one["metadata"]["ownerReferences"])]
    return [seconds(one["metadata"]["creationTimestamp"]) for one in owned]


def _progress(replicaset: str, deployment: JSON) -> float | None:
    """When the rollout of this ReplicaSet last moved, if it is the last one of all."""
    condition = _progressing(deployment)
    return seconds(condition.get("lastUpdateTime")) if f'"{replicaset}"' in condition.get("message", "") else None


def _progressing(deployment: JSON) -> JSON:
    conditions = (deployment.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == "Progressing"), {})
