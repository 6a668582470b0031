"""What Kubernetes would tell, as events, of the simulated service in the hour before a given time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.service.fleet import FOR_EVER, Fleet, Pod
from tests.lab.service.objects import Object, timestamp, waiting_message
from tests.lab.service.world import CONTAINER, DEPLOYMENT, REPLICAS

EVENTS_KEPT = 3600.0  # as the API server's default
NODE_GRACE = 40.0  # seconds without a word from a node until it is not ready


@dataclass(frozen=True)
class Told:
    """One event, or some alike: about which object, what, how often, and when first and last."""

    kind: str
    name: str
    type: str
    reason: str
    message: str
    count: int
    first: float
    last: float


def _once(kind: str, name: str, reason: str, message: str, *, at: float, type_: str = "Normal") -> Told:
    return Told(kind, name, type_, reason, message, 1, at, at)


def events(fleet: Fleet, namespace: str, at: float) -> list[Object]:
    """What happened to deployment and pods in the hour before."""
    since = at - EVENTS_KEPT
    of_pods = (event for pod in fleet.pods for tell in _OF_A_POD for event in tell(fleet, pod, at))
    found = [*_rollout_events(fleet), *of_pods]
    return [_event(namespace, number, event) for number, event in enumerate(found) if since <= event.last <= at]


def _rollout_events(fleet: Fleet) -> Iterator[Told]:
    for old, new in zip(fleet.revisions, fleet.revisions[1:], strict=False):
        for slot in range(1 if new.stuck else REPLICAS):
            time = new.created + slot * new.seconds
            up = f"Scaled up replica set {DEPLOYMENT}-{new.hash} from {slot} to {slot + 1}"
            yield _once("Deployment", DEPLOYMENT, "ScalingReplicaSet", up, at=time)
            if new.stuck:
                return
            down = f"Scaled down replica set {DEPLOYMENT}-{old.hash} from {REPLICAS - slot} to {REPLICAS - slot - 1}"
            yield _once("Deployment", DEPLOYMENT, "ScalingReplicaSet", down, at=time + 8)


def _begun(fleet: Fleet, pod: Pod, at: float) -> Iterator[Told]:
    assigned = f"Successfully assigned {pod.name} to {fleet.node_name(pod.node)}"
    yield _once("Pod", pod.name, "Scheduled", assigned, at=pod.created)
    begun = [life.start for life in pod.lives if life.start <= at]
    if begun:
        started = f"Started container {CONTAINER}"
        yield Told("Pod", pod.name, "Normal", "Started", started, len(begun), begun[0], begun[-1])


def _crashed(_: Fleet, pod: Pod, at: float) -> Iterator[Told]:
    ended = [life.end for life in pod.lives if life.reason in ("OOMKilled", "Error") and life.end <= at]
    if len(ended) > 1:
        words = f"Back-off restarting failed container {CONTAINER} in pod {pod.name}"
        count, last = 3 * (len(ended) - 1), min(at, ended[-1] + 8)
        yield Told("Pod", pod.name, "Warning", "BackOff", words, count, ended[1], last)
    if ended:
        unready = "Readiness probe failed: connect: connection refused"
        yield Told("Pod", pod.name, "Warning", "Unhealthy", unready, len(ended), ended[0], ended[-1])


def _stuck(fleet: Fleet, pod: Pod, at: float) -> Iterator[Told]:
    reason = fleet.revision(pod).stuck
    if reason:
        count, first = 1 + int((at - pod.created) / 30), pod.created + 3
        yield Told("Pod", pod.name, "Warning", "Failed", waiting_message(reason), count, first, max(first, at - 11))


def _lost_or_ended(_: Fleet, pod: Pod, __: float) -> Iterator[Told]:
    if pod.lost[0] < pod.deleted:
        since = pod.lost[0] + NODE_GRACE
        yield _once("Pod", pod.name, "NodeNotReady", "Node is not ready", at=since, type_="Warning")
    if pod.deleted < FOR_EVER:
        yield _once("Pod", pod.name, "Killing", f"Stopping container {CONTAINER}", at=pod.deleted)


_OF_A_POD = (_begun, _crashed, _stuck, _lost_or_ended)


def _event(namespace: str, number: int, told: Told) -> Object:
    of_deployment = told.kind == "Deployment"
    about = {"kind": told.kind, "name": told.name, "namespace": namespace}
    name, first = f"{told.name}.{number:04x}", timestamp(told.first)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": first},
        "involvedObject": {"apiVersion": "apps/v1" if of_deployment else "v1", **about},
        "type": told.type,
        "reason": told.reason,
        "message": told.message,
        "count": told.count,
        "firstTimestamp": first,
        "lastTimestamp": timestamp(told.last),
        "source": {"component": "deployment-controller" if of_deployment else "kubelet"},
    }
