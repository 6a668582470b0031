"""The simulated service as Kubernetes would have it at a given time: objects for `Kubernetes.apply` and `backdate`. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.lab.fleet import FOR_EVER, READY_AFTER, Fleet, Life, Pod, Revision
from tests.lab.world import CONTAINER, CPU_LIMIT, DEPLOYMENT, MEMORY_LIMIT, PORT, REPLICAS

MIB = 2**20
EVENTS_KEPT = 3600.0  # as the API server's default
LABELS = {"app": DEPLOYMENT}
HASH = "pod-template-hash"
REVISION, CHANGE = "deployment.kubernetes.io/revision", "kubernetes.io/change-cause"
Object = dict[str, Any]


def pods(fleet: Fleet, namespace: str, at: float, usage: Mapping[str, tuple[float, float]]) -> list[Object]:
    """The pods that exist then, without owners: their ReplicaSet adopts them. `usage`: cores and bytes by pod."""
    by_number = {revision.number: revision for revision in fleet.revisions}
    return [
        _pod(pod, by_number[pod.revision], namespace, at, usage.get(pod.name, (0.0, 0.0)))
        for pod in fleet.pods
        if _there(pod, at)
    ]


def deployment(fleet: Fleet, namespace: str, at: float) -> list[Object]:
    """The deployment, after all its ReplicaSets; it runs the newest."""
    known = [revision for revision in fleet.revisions if revision.created <= at]
    ready = sum(1 for pod in fleet.pods if _there(pod, at) and _is_ready(pod, at))
    sets = [_replica_set(revision, namespace, REPLICAS if revision is known[-1] else 0) for revision in known]
    return [*sets, _deployment(known, namespace, ready)]


def events(fleet: Fleet, namespace: str, at: float) -> list[Object]:
    """What happened to deployment and pods in the hour before."""
    since = at - EVENTS_KEPT
    found = [*_rollout_events(fleet), *(event for pod in fleet.pods for event in _pod_events(pod, at))]
    return [_event(namespace, number, *event) for number, event in enumerate(found) if since <= event[-1] <= at]


def timestamp(time: float) -> str:
    """A time as Kubernetes writes it."""
    return dt.datetime.fromtimestamp(int(time), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _there(pod: Pod, at: float) -> bool:
    return pod.created <= at < pod.deleted


def _living(pod: Pod, at: float) -> Life | None:
    return next((life for life in pod.lives if life.start <= at < life.end), None)


def _is_ready(pod: Pod, at: float) -> bool:
    life = _living(pod, at)
    return life is not None and at >= life.start + READY_AFTER


def _template(revision: Revision) -> Object:
    resources = {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": f"{CPU_LIMIT * 1000:.0f}m", "memory": f"{MEMORY_LIMIT // MIB}Mi"},
    }
    container = {
        "name": CONTAINER,
        "image": f"{DEPLOYMENT}:{revision.version}",
        "ports": [{"containerPort": PORT}],
        "resources": resources,
    }
    return {"metadata": {"labels": {**LABELS, HASH: revision.hash}}, "spec": {"containers": [container]}}


def _pod(pod: Pod, revision: Revision, namespace: str, at: float, usage: tuple[float, float]) -> Object:
    template = _template(revision)
    annotations = {
        "kwok.x-k8s.io/usage-cpu": f"{max(1, usage[0] * 1000):.0f}m",
        "kwok.x-k8s.io/usage-memory": f"{max(1, usage[1] / MIB):.0f}Mi",
    }
    metadata = {
        "name": pod.name,
        "namespace": namespace,
        "labels": template["metadata"]["labels"],
        "annotations": annotations,
        "creationTimestamp": timestamp(pod.created),
    }
    spec = {**template["spec"], "nodeName": pod.node, "terminationGracePeriodSeconds": 30}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": _status(pod, revision, at)}


def _status(pod: Pod, revision: Revision, at: float) -> Object:
    past = [life for life in pod.lives if life.end <= at]
    living, ready = _living(pod, at), _is_ready(pod, at)
    changed = max([life.end for life in past] + [living.start + READY_AFTER if living else pod.created])
    names = {"Initialized": True, "PodScheduled": True, "ContainersReady": ready, "Ready": ready}
    container = {
        "name": CONTAINER,
        "image": f"{DEPLOYMENT}:{revision.version}",
        "imageID": "",
        "ready": ready,
        "started": living is not None,
        "restartCount": max(0, len(past) if living else len(past) - 1),
        "state": _state(pod, living, past),
        "lastState": {"terminated": _terminated(past[-1])} if past else {},
    }
    return {
        "phase": "Running",
        "startTime": timestamp(pod.created + 1),
        "podIP": pod.ip,
        "podIPs": [{"ip": pod.ip}],
        "hostIP": "127.0.0.1",
        "conditions": [
            {
                "type": name,
                "status": str(holds),
                "lastTransitionTime": timestamp(changed if "eady" in name else pod.created),
            }
            for name, holds in names.items()
        ],
        "containerStatuses": [container],
    }


def _state(pod: Pod, living: Life | None, past: Sequence[Life]) -> Object:
    if living:
        return {"running": {"startedAt": timestamp(living.start)}}
    if past and past[-1] is pod.lives[-1]:
        return {"terminated": _terminated(past[-1])}
    if past:
        return {
            "waiting": {
                "reason": "CrashLoopBackOff",
                "message": f"back-off restarting failed container={CONTAINER} pod={pod.name}",
            }
        }
    return {"waiting": {"reason": "ContainerCreating"}}


def _terminated(life: Life) -> Object:
    return {
        "exitCode": life.exit_code,
        "reason": life.reason or "Completed",
        "startedAt": timestamp(life.start),
        "finishedAt": timestamp(life.end),
    }


def _replica_set(revision: Revision, namespace: str, replicas: int) -> Object:
    template = _template(revision)
    metadata = {
        "name": f"{DEPLOYMENT}-{revision.hash}",
        "namespace": namespace,
        "labels": template["metadata"]["labels"],
        "annotations": {REVISION: str(revision.number), CHANGE: revision.change},
        "creationTimestamp": timestamp(revision.created),
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def _deployment(known: Sequence[Revision], namespace: str, ready: int) -> Object:
    newest = known[-1]
    template = _template(newest)
    annotations = {REVISION: str(newest.number), CHANGE: newest.change}
    metadata = {
        "name": DEPLOYMENT,
        "namespace": namespace,
        "labels": LABELS,
        "annotations": annotations,
        "creationTimestamp": timestamp(known[0].created),
    }
    spec = {
        "replicas": REPLICAS,
        "minReadySeconds": 10,
        "selector": {"matchLabels": LABELS},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {**template, "metadata": {"labels": LABELS}},
    }
    moved = timestamp(newest.created + REPLICAS * newest.seconds)
    progress = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": f'ReplicaSet "{DEPLOYMENT}-{newest.hash}" has successfully progressed.',
    }
    available = {
        "type": "Available",
        "status": str(ready >= REPLICAS),
        "reason": "MinimumReplicasAvailable" if ready >= REPLICAS else "MinimumReplicasUnavailable",
    }
    conditions = [{**one, "lastUpdateTime": moved, "lastTransitionTime": moved} for one in (available, progress)]
    counts = {
        "replicas": REPLICAS,
        "updatedReplicas": REPLICAS,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": REPLICAS - ready,
    }
    status = {
        "observedGeneration": 1,
        "conditions": conditions,
        **{name: count for name, count in counts.items() if count},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": status}


Told = tuple[str, str, str, str, str, int, float, float]  # kind, name, type, reason, message, count, first, last


def _rollout_events(fleet: Fleet) -> Iterator[Told]:
    for old, new in zip(fleet.revisions, fleet.revisions[1:], strict=False):
        for slot in range(REPLICAS):
            time = new.created + slot * new.seconds
            up = f"Scaled up replica set {DEPLOYMENT}-{new.hash} from {slot} to {slot + 1}"
            yield "Deployment", DEPLOYMENT, "Normal", "ScalingReplicaSet", up, 1, time, time
            down = f"Scaled down replica set {DEPLOYMENT}-{old.hash} from {REPLICAS - slot} to {REPLICAS - slot - 1}"
            yield "Deployment", DEPLOYMENT, "Normal", "ScalingReplicaSet", down, 1, time + 8, time + 8


def _pod_events(pod: Pod, at: float) -> Iterator[Told]:
    yield (
        "Pod",
        pod.name,
        "Normal",
        "Scheduled",
        f"Successfully assigned {pod.name} to {pod.node}",
        1,
        pod.created,
        pod.created,
    )
    begun = [life for life in pod.lives if life.start <= at]
    if begun:
        yield (
            "Pod",
            pod.name,
            "Normal",
            "Started",
            f"Started container {CONTAINER}",
            len(begun),
            begun[0].start,
            begun[-1].start,
        )
    ended = [life for life in begun if life.reason in ("OOMKilled", "Error") and life.end <= at]
    if len(ended) > 1:
        yield (
            "Pod",
            pod.name,
            "Warning",
            "BackOff",
            f"Back-off restarting failed container {CONTAINER} in pod {pod.name}",
            3 * (len(ended) - 1),
            ended[1].end,
            min(at, ended[-1].end + 8),
        )
    if ended:
        unready = "Readiness probe failed: connect: connection refused"
        yield "Pod", pod.name, "Warning", "Unhealthy", unready, len(ended), ended[0].end, ended[-1].end
    if pod.deleted < FOR_EVER:
        yield "Pod", pod.name, "Normal", "Killing", f"Stopping container {CONTAINER}", 1, pod.deleted, pod.deleted


def _event(
    namespace: str,
    number: int,
    kind: str,
    name: str,
    type_: str,
    reason: str,
    message: str,
    count: int,
    first: float,
    last: float,
) -> Object:
    api = "apps/v1" if kind == "Deployment" else "v1"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{number:04x}", "namespace": namespace, "creationTimestamp": timestamp(first)},
        "involvedObject": {"apiVersion": api, "kind": kind, "name": name, "namespace": namespace},
        "type": type_,
        "reason": reason,
        "message": message,
        "count": count,
        "firstTimestamp": timestamp(first),
        "lastTimestamp": timestamp(last),
        "source": {"component": "deployment-controller" if kind == "Deployment" else "kubelet"},
    }
