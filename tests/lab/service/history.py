"""Objects of a deployment that was rolled out several times in the past, to hand to `Kubernetes.backdate`.

cluster.backdate(rollout_history(deployment, [Rollout(monday, template_1), Rollout(today, template_2, "v2")]))
cluster.kubectl("rollout", "status", "deployment/web", "--namespace=shop")
cluster.backdate([aged(pod, today) for pod in cluster.get("pods", "shop")])
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.lab.servers.backdating import Object

Json: TypeAlias = "bool | float | str | list[Json] | dict[str, Json] | None"

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
HASH_LABEL = "pod-template-hash"
HASH_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes': no vowels, so no words


@dataclass(frozen=True)
class Rollout:
    """One rollout: when, to which pod template, and why."""

    at: dt.datetime
    template: Mapping[str, Any]
    cause: str = ""


def rollout_history(deployment: Object, rollouts: Sequence[Rollout]) -> list[Object]:
    """The ReplicaSets of these rollouts, oldest first, then the deployment, which runs the last one and adopts all."""
    last = rollouts[-1]
    sets = [_replica_set(deployment, rollout, number) for number, rollout in enumerate(rollouts, start=1)]
    sets[-1]["spec"]["replicas"] = deployment["spec"].get("replicas", 1)
    annotations = {**deployment["metadata"].get("annotations", {}), **_cause(last)}
    metadata = {
        **deployment["metadata"],
        "creationTimestamp": timestamp(rollouts[0].at),
        "annotations": annotations,
    }
    return [*sets, {**deployment, "metadata": metadata, "spec": {**deployment["spec"], "template": last.template}}]


def aged(live: Object, at: dt.datetime, *, created: dt.datetime | None = None) -> Object:
    """A live object as if all its status says had happened `at`, and it was `created` then, or at another time."""
    metadata = {**live["metadata"], "creationTimestamp": timestamp(created or at)}
    return {**live, "metadata": metadata, "status": _with_times(live.get("status", {}), timestamp(at))}


def timestamp(at: dt.datetime) -> str:
    """A time as Kubernetes writes it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _replica_set(deployment: Object, rollout: Rollout, number: int) -> dict[str, Any]:
    name = _hash(rollout.template)
    labels = {**rollout.template["metadata"]["labels"], HASH_LABEL: name}
    metadata = {
        "name": f"{deployment['metadata']['name']}-{name}",
        "namespace": deployment["metadata"]["namespace"],
        "labels": labels,
        "annotations": {REVISION: str(number), **_cause(rollout)},
        "creationTimestamp": timestamp(rollout.at),
    }
    template = {**rollout.template, "metadata": {**rollout.template["metadata"], "labels": labels}}
    selector = {"matchLabels": {**deployment["spec"]["selector"]["matchLabels"], HASH_LABEL: name}}
    spec = {"replicas": 0, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def _cause(rollout: Rollout) -> dict[str, str]:
    return {CHANGE_CAUSE: rollout.cause} if rollout.cause else {}


def _hash(template: Mapping[str, Any]) -> str:
    content = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(HASH_ALPHABET[byte % len(HASH_ALPHABET)] for byte in content[:10])


def _with_times(value: Json, time: str) -> Json:
    if isinstance(value, list):
        return [_with_times(one, time) for one in value]
    if isinstance(value, dict):
        return {key: time if _is_time(key, one) else _with_times(one, time) for key, one in value.items()}
    return value


def _is_time(key: str, value: Json) -> bool:
    return isinstance(value, str) and key.endswith(("Time", "At"))
