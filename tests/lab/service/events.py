"""What Kubernetes would tell, as events, of the simulated service in the hour before a given time. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.lab.service.fleet import FOR_EVER, Fleet, Pod
from tests.lab.service.objects import Object, timestamp, waiting_message
from tests.lab.service.world import CONTAINER, DEPLOYMENT, REPLICAS

EVENTS_KEPT = 3600.0  # as the API server's default
NODE_GRACE = 40.0  # seconds without a word from a node until it is not ready
Told = tuple[str, str, str, str, str, int, float, float]  # kind, name, type, reason, message, count, first, last


def events(fleet: Fleet, namespace: str, at: float) -> list[Object]:
    """What happened to deployment and pods in the hour before."""
    since = at - EVENTS_KEPT
    found = [*_rollout_events(fleet), *(event for pod in fleet.pods for event in _pod_events(fleet, pod, at))]
    return [_event(namespace, number, *event) for number, event in enumerate(found) if since <= event[-1] <= at]


def _rollout_events(fleet: Fleet) -> Iterator[Told]:
    for old, new in zip(fleet.revisions, fleet.revisions[1:], strict=False):
        for slot in range(1 if new.stuck else REPLICAS):
            time = new.created + slot * new.seconds
            up = f"Scaled up replica set {DEPLOYMENT}-{new.hash} from {slot} to {slot + 1}"
            yield "Deployment", DEPLOYMENT, "Normal", "ScalingReplicaSet", up, 1, time, time
            if new.stuck:
                return
            down = f"Scaled down replica set {DEPLOYMENT}-{old.hash} from {REPLICAS - slot} to {REPLICAS - slot - 1}"
            yield "Deployment", DEPLOYMENT, "Normal", "ScalingReplicaSet", down, 1, time + 8, time + 8


def _pod_events(fleet: Fleet, pod: Pod, at: float) -> Iterator[Told]:
    yield (
        "Pod",
        pod.name,
        "Normal",
        "Scheduled",
        f"Successfully assigned {pod.name} to {fleet.node_name(pod.node)}",
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
    stuck = fleet.revision(pod).stuck
    if stuck:
        count = 1 + int((at - pod.created) / 30)
        yield (
            "Pod",
            pod.name,
            "Warning",
            "Failed",
            waiting_message(stuck),
            count,
            pod.created + 3,
            max(pod.created + 3, at - 11),
        )
    if pod.lost[0] < pod.deleted:
        since = pod.lost[0] + NODE_GRACE
        yield "Pod", pod.name, "Warning", "NodeNotReady", "Node is not ready", 1, since, since
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
