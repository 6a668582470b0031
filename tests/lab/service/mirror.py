"""Which pods there are: as a real cluster has them, or six of our own where there is none.

The live service follows its Deployment: whoever rolls out, rolls back, scales or deletes a pod changes the service.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.resources import apps_v1, core_v1

from tests.lab.service.fleet import Life
from tests.lab.service.objects import CHANGE, HASH, LABELS, MIB, REVISION, timestamp
from tests.lab.service.world import CONTAINER, DEPLOYMENT, REPLICAS

SECONDS_PER_POD = 8.0  # of a rollout without a cluster


@dataclass(frozen=True)
class Place:
    """A pod as its cluster sees it."""

    name: str
    revision: int
    version: str
    node: str
    ip: str


class Cluster(Protocol):
    """Where pods come from, and who wants to know how they are."""

    def places(self) -> list[Place]:
        """The pods that should run now."""
        ...

    def roll_out(self, change: str) -> None:
        """Begin to replace all pods by a new revision."""
        ...

    def tell(self, pod: str, lives: list[Life], *, running: bool, crashing: bool) -> None:
        """A pod's container started or ended; `lives` are those that ended."""
        ...

    def tell_usage(self, pod: str, cores: float, memory: float) -> None:
        """What a pod uses now."""
        ...


class Mirrored:
    """The pods of a Deployment in a real cluster."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._client = Client(config=KubeConfig.from_file(kubeconfig).get(), namespace=namespace, trust_env=False)

    def places(self) -> list[Place]:
        """Those that have an address and are not being deleted."""
        revisions = {(one.metadata.labels or {}).get(HASH): _revision(one) for one in self._list(apps_v1.ReplicaSet)}
        return [
            Place(
                pod.metadata.name,
                revisions.get(pod.metadata.labels.get(HASH), 0),
                pod.spec.containers[0].image.rpartition(":")[2],
                pod.spec.nodeName or "",
                pod.status.podIP,
            )
            for pod in self._list(core_v1.Pod)
            if pod.metadata.deletionTimestamp is None and pod.status and pod.status.podIP
        ]

    def roll_out(self, change: str) -> None:
        """Give the Deployment the image of the next version."""
        found = self._client.get(apps_v1.Deployment, DEPLOYMENT)
        image = found.spec.template.spec.containers[0].image
        stem, _, patch = image.rpartition(".")
        container = {"name": CONTAINER, "image": f"{stem}.{int(patch) + 1}"}
        template = {"spec": {"containers": [container]}}
        patched = {"metadata": {"annotations": {CHANGE: f"{change} {container['image'].rpartition(':')[2]}"}}}
        self._client.patch(apps_v1.Deployment, DEPLOYMENT, {**patched, "spec": {"template": template}})

    def tell(self, pod: str, lives: list[Life], *, running: bool, crashing: bool) -> None:
        """Into the pod's status; a pod that is gone by now needs no status."""
        now = timestamp(time.time())
        state: dict[str, Any] = {"running": {"startedAt": now}}
        if not running:
            state = {"waiting": {"reason": "CrashLoopBackOff"}} if crashing else {"terminated": _terminated(lives[-1])}
        container = {"name": CONTAINER, "ready": running, "started": running}
        container |= {"restartCount": len(lives) - (not running and not crashing), "state": state}
        container |= {"lastState": {"terminated": _terminated(lives[-1])} if lives else {}}
        conditions = [
            {"type": kind, "status": str(running), "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")
        ]
        self._patch(core_v1.PodStatus, pod, {"status": {"conditions": conditions, "containerStatuses": [container]}})

    def tell_usage(self, pod: str, cores: float, memory: float) -> None:
        """Into the annotations that kwok's metrics come from."""
        usage = {"cpu": f"{max(1, cores * 1000):.0f}m", "memory": f"{max(1, memory / MIB):.0f}Mi"}
        annotations = {f"kwok.x-k8s.io/usage-{name}": value for name, value in usage.items()}
        self._patch(core_v1.Pod, pod, {"metadata": {"annotations": annotations}})

    def _list(self, kind: Any) -> list[Any]:
        return list(self._client.list(kind, labels=LABELS))

    def _patch(self, kind: Any, pod: str, change: dict[str, Any]) -> None:
        try:
            self._client.patch(kind, pod, change)
        except ApiError as error:
            if error.status.code != 404:
                raise


class Alone:
    """Six pods of our own."""

    def __init__(self) -> None:
        self._rollouts = [0.0]

    def places(self) -> list[Place]:
        """One per slot, of the newest revision that has reached it."""
        now = time.time()
        return [self._place(slot, now) for slot in range(REPLICAS)]

    def roll_out(self, change: str) -> None:
        """One slot after the other."""
        self._rollouts.append(time.time())

    def tell(self, pod: str, lives: list[Life], *, running: bool, crashing: bool) -> None:
        """Nobody listens."""

    def tell_usage(self, pod: str, cores: float, memory: float) -> None:
        """Nobody listens."""

    def _place(self, slot: int, now: float) -> Place:
        revision = max(n for n, at in enumerate(self._rollouts) if at == 0 or now >= at + slot * SECONDS_PER_POD) + 1
        name = f"{DEPLOYMENT}-{revision:05d}-{'bcdfgh'[slot]}"
        return Place(name, revision, f"1.0.{revision}", f"node-{slot % 2 + 1}", f"10.244.{slot % 2}.{slot + 3}")


def _revision(replica_set: Any) -> int:
    return int((replica_set.metadata.annotations or {}).get(REVISION, 0))


def _terminated(life: Life) -> dict[str, Any]:
    times = {"startedAt": timestamp(life.start), "finishedAt": timestamp(life.end)}
    return {"exitCode": life.exit_code, "reason": life.reason, **times}
