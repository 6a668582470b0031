"""The simulated service as Kubernetes would have it at a time: objects for its `apply` and `backdate`. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab.service.fleet import READY_AFTER, Fleet, Life, Pod, Revision
from tests.lab.service.world import CONTAINER, CPU_LIMIT, DEPLOYMENT, MEMORY_LIMIT, PORT, REPLICAS

MIB = 2**20
LABELS = {"app": DEPLOYMENT}
HASH = "pod-template-hash"
REVISION, CHANGE = "deployment.kubernetes.io/revision", "kubernetes.io/change-cause"
HELD = {"lab.fault": "held"}  # kwok leaves such a pod alone
NEW_SECRET = "session-keys"  # what a release needs that nobody has made
Object = dict[str, Any]


def pods(fleet: Fleet, namespace: str, at: float, usage: Mapping[str, tuple[float, float]]) -> list[Object]:
    """The pods that exist then, without owners: their ReplicaSet adopts them. `usage`: cores and bytes by pod."""
    there = [pod for pod in fleet.pods if _there(pod, at)]
    return [_pod(fleet, pod, namespace, at, usage=usage.get(pod.name, (0.0, 0.0))) for pod in there]


def deployment(fleet: Fleet, namespace: str, at: float) -> list[Object]:
    """The deployment, after all its ReplicaSets; it runs the newest."""
    known = [revision for revision in fleet.revisions if revision.created <= at]
    ready = sum(1 for pod in fleet.pods if _there(pod, at) and _is_ready(pod, at))
    serving = [revision for revision in known if not revision.stuck][-1]
    wanted = {serving.number: REPLICAS} | {revision.number: 1 for revision in known if revision.stuck}
    sets = [_replica_set(revision, namespace, wanted.get(revision.number, 0)) for revision in known]
    return [*sets, _deployment(known, namespace, ready)]


def timestamp(time: float) -> str:
    """A time as Kubernetes writes it."""
    return dt.datetime.fromtimestamp(int(time), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _there(pod: Pod, at: float) -> bool:
    return pod.created <= at < pod.deleted


def _living(pod: Pod, at: float) -> Life | None:
    return next((life for life in pod.lives if life.start <= at < life.end), None)


def _is_ready(pod: Pod, at: float) -> bool:
    life = _living(pod, at)
    return life is not None and at >= life.start + READY_AFTER and not pod.lost[0] <= at < pod.lost[1]


def _template(revision: Revision) -> Object:
    resources = {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": f"{CPU_LIMIT * 1000:.0f}m", "memory": f"{MEMORY_LIMIT // MIB}Mi"},
    }
    secrets = {"DATABASE_PASSWORD": "database-credentials"}
    if revision.stuck == "CreateContainerConfigError":
        secrets["SESSION_KEY"] = NEW_SECRET
    container = {
        "name": CONTAINER,
        "image": f"{DEPLOYMENT}:{'latest-rc' if revision.stuck == 'ImagePullBackOff' else revision.version}",
        "ports": [{"containerPort": PORT}],
        "resources": resources,
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "value"}}}
            for name, secret in secrets.items()
        ],
        "volumeMounts": [{"name": "keys", "mountPath": "/etc/keys"}],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "keys", "secret": {"secretName": "jwt-public-key"}}],
        "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],  # nobody is evicted while we look
    }
    return {"metadata": {"labels": {**LABELS, HASH: revision.hash}}, "spec": spec}


def _pod(fleet: Fleet, pod: Pod, namespace: str, at: float, *, usage: tuple[float, float]) -> Object:
    revision = fleet.revision(pod)
    template = _template(revision)
    labels = template["metadata"]["labels"] | (HELD if revision.stuck else {})
    annotations = {
        "kwok.x-k8s.io/usage-cpu": f"{max(1, usage[0] * 1000):.0f}m",
        "kwok.x-k8s.io/usage-memory": f"{max(1, usage[1] / MIB):.0f}Mi",
    }
    metadata = {
        "name": pod.name,
        "namespace": namespace,
        "labels": labels,
        "annotations": annotations,
        "creationTimestamp": timestamp(pod.created),
    }
    spec = {**template["spec"], "nodeName": fleet.node_name(pod.node), "terminationGracePeriodSeconds": 30}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": _status(pod, revision, at)}


def _status(pod: Pod, revision: Revision, at: float) -> Object:
    past = [life for life in pod.lives if life.end <= at]
    living, ready = _living(pod, at), _is_ready(pod, at)
    lost = [pod.lost[0]] if pod.lost[0] <= at else []
    changed = max([life.end for life in past] + [living.start + READY_AFTER if living else pod.created] + lost)
    names = {"Initialized": True, "PodScheduled": True, "ContainersReady": ready, "Ready": ready}
    container = {
        "name": CONTAINER,
        "image": f"{DEPLOYMENT}:{revision.version}",
        "imageID": "",
        "ready": ready,
        "started": living is not None,
        "restartCount": max(0, len(past) if living else len(past) - 1),
        "state": _state(pod, revision, living, past),
        "lastState": {"terminated": _terminated(past[-1])} if past else {},
    }
    return {
        "phase": "Pending" if revision.stuck else "Running",
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


def waiting_message(reason: str) -> str:
    """Why a container does not start."""
    return {
        "CreateContainerConfigError": f'secret "{NEW_SECRET}" not found',
        "ImagePullBackOff": f'Back-off pulling image "{DEPLOYMENT}:latest-rc"',
    }[reason]


def _state(pod: Pod, revision: Revision, living: Life | None, past: Sequence[Life]) -> Object:
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
    if revision.stuck:
        return {"waiting": {"reason": revision.stuck, "message": waiting_message(revision.stuck)}}
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
    status = _deployment_status(newest, ready)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": status}


def _deployment_status(newest: Revision, ready: int) -> Object:
    moved = timestamp(newest.created + REPLICAS * newest.seconds)
    reason, has = (
        ("ReplicaSetUpdated", "is progressing")
        if newest.stuck
        else ("NewReplicaSetAvailable", "has successfully progressed")
    )
    message = f'ReplicaSet "{DEPLOYMENT}-{newest.hash}" {has}.'
    progress = {"type": "Progressing", "status": "True", "reason": reason, "message": message}
    available = {
        "type": "Available",
        "status": str(ready >= REPLICAS),
        "reason": "MinimumReplicasAvailable" if ready >= REPLICAS else "MinimumReplicasUnavailable",
    }
    conditions = [{**one, "lastUpdateTime": moved, "lastTransitionTime": moved} for one in (available, progress)]
    counts = {
        "replicas": REPLICAS + bool(newest.stuck),
        "updatedReplicas": 1 if newest.stuck else REPLICAS,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": REPLICAS + bool(newest.stuck) - ready,
    }
    return {
        "observedGeneration": 1,
        "conditions": conditions,
        **{name: count for name, count in counts.items() if count},
    }
