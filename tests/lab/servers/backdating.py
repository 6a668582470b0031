"""Objects with a past: created through the API, then written back below it with their creation time.

The API server sets `creationTimestamp` itself and keeps `status` to its own resource. In etcd an object is only a
value, which the API server also reads when it is JSON; controllers, ages and rollout history then go by what it says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from tests.lab.servers.cache import LabError

Object = Mapping[str, Any]
Identification = tuple[str, str, str]  # kind, namespace, name

# Where in etcd the objects of a kind are, below /registry.
STORED = {
    "ConfigMap": "configmaps",
    "ControllerRevision": "controllerrevisions",
    "CronJob": "cronjobs",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "Event": "events",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Job": "jobs",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "Node": "minions",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ReplicaSet": "replicasets",
    "Secret": "secrets",
    "Service": "services/specs",
    "StatefulSet": "statefulsets",
}
ATTEMPTS = 20  # a controller may change an object between our reading and our writing


class NotBackdated(LabError):
    """An object cannot be given a past."""


def backdate(
    wanted: Sequence[Object],
    read: Callable[[Sequence[Object]], list[dict[str, Any]]],
    rewrite: Callable[[str], str],
) -> None:
    """Give live objects the creation time, and the status if there is one, of those `wanted`.

    `read` returns them as they are now; `rewrite` stores lines of JSON and prints the keys of what has changed since.
    """
    waiting = {etcd_key(one): one for one in wanted}
    for _ in range(ATTEMPTS):
        lines = [_line(live, waiting[etcd_key(live)]) for live in read(list(waiting.values()))]
        changed = rewrite("\n".join(lines)).split()
        waiting = {key: waiting[key] for key in changed}
        if not waiting:
            return
    raise NotBackdated(f"These change faster than they can be written back: {', '.join(waiting)}.")


def store(new: Sequence[Object], rewrite: Callable[[str], str]) -> None:
    """Write objects that are not there yet as they are, by the same `rewrite`."""
    if there := rewrite("\n".join(map(_new_line, new))).split():
        raise NotBackdated(f"These are there already: {', '.join(there)}.")


def etcd_key(one: Object) -> str:
    """Where etcd keeps this object."""
    kind, namespace, name = identification(one)
    if kind not in STORED:
        raise NotBackdated(f"It is not written down where etcd keeps a {kind}; add it to STORED.")
    return "/".join(["/registry", STORED[kind], *([namespace] if namespace else []), name])


def identification(one: Object) -> Identification:
    """What tells it from all others."""
    metadata = one["metadata"]
    return one["kind"], metadata.get("namespace", ""), metadata["name"]


def owners(one: Object) -> list[Identification]:
    """Its owners that are named without their `uid`."""
    namespace = one["metadata"].get("namespace", "")
    references = one["metadata"].get("ownerReferences", [])
    return [(reference["kind"], namespace, reference["name"]) for reference in references if "uid" not in reference]


def with_owners(one: Object, uid: Callable[[Identification], str]) -> dict[str, Any]:
    """A copy in which each owner has its `uid`."""
    namespace = one["metadata"].get("namespace", "")
    references = [
        {"uid": uid((reference["kind"], namespace, reference["name"])), **reference}
        if "uid" not in reference
        else reference
        for reference in one["metadata"].get("ownerReferences", [])
    ]
    metadata = {**one["metadata"], **({"ownerReferences": references} if references else {})}
    return {**one, "metadata": metadata}


def by_ownership(objects: Sequence[Object]) -> list[list[Object]]:
    """The same in batches, owners before what they own, otherwise in the order given."""
    batches: list[list[Object]] = []
    waiting = list(objects)
    while waiting:
        names = {identification(one) for one in waiting}
        batch = [one for one in waiting if names.isdisjoint(owners(one))]
        if not batch:
            raise NotBackdated("Objects own each other in a circle.")
        batches.append(batch)
        waiting = [one for one in waiting if one not in batch]
    return batches


def _line(live: dict[str, Any], wanted: Object) -> str:
    key = etcd_key(live)
    revision = int(live["metadata"].pop("resourceVersion"))
    if "creationTimestamp" in wanted["metadata"]:
        live["metadata"]["creationTimestamp"] = wanted["metadata"]["creationTimestamp"]
    if "status" in wanted:
        live["status"] = wanted["status"]
    return json.dumps({"key": key, "revision": revision, "value": live})


def _new_line(one: Object) -> str:
    value = {**one, "metadata": {"uid": str(uuid4()), **one["metadata"]}}
    return json.dumps({"key": etcd_key(one), "revision": 0, "value": value})
