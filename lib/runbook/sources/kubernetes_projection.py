"""What is kept of a Kubernetes object before anything is recorded: pure, named fields only, so nothing slips in.

Neither environment variables nor commands, arguments, mounts, managedFields, the last-applied annotation or what a
container said when it ended is kept: any of these may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runbook.model import JSON
from runbook.sources.kubernetes_objects import CHANGE_CAUSE, HASH, REVISION, REVISION_HISTORY

_ANNOTATIONS = (REVISION, REVISION_HISTORY, CHANGE_CAUSE)
_TELLING = re.compile(r"^(\S*kubectl (?:set env|set resources --env|patch|run|create|replace|annotate))\b.*", re.DOTALL)


def deployment(found: JSON) -> JSON:
    """Name, times, annotations of the rollout, selector, replicas, and conditions."""
    spec = _only(found["spec"], "replicas", "paused", "selector")
    status = _only(found.get("status"), "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    conditions = _each(found.get("status"), "conditions", _told_condition)
    return {"metadata": _metadata(found), "spec": spec, "status": {**status, "conditions": conditions}}


def replicaset(found: JSON) -> JSON:
    """Name, times, annotations of the rollout, names and images of the containers, replicas."""
    containers = [_only(one, "name", "image") for one in found["spec"]["template"]["spec"]["containers"]]
    return {
        "metadata": _metadata(found),
        "spec": {**_only(found["spec"], "replicas"), "template": {"spec": {"containers": containers}}},
        "status": _only(found.get("status"), "replicas", "readyReplicas", "availableReplicas"),
    }


def pod(found: JSON) -> JSON:
    """Name, times, owner, node, resources, and the states of its containers."""
    spec, status = found["spec"], found.get("status")
    sidecars = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    return {
        "metadata": _metadata(found),
        "spec": {
            **_only(spec, "nodeName"),
            "resources": _resources(spec),
            "containers": _each(spec, "containers", _container),
            "sidecars": [_container(one) for one in sidecars],
        },
        "status": {
            **_only(status, "phase", "reason", "startTime"),
            "conditions": _each(status, "conditions", _condition),
            "initContainerStatuses": _each(status, "initContainerStatuses", _container_status),
            "containerStatuses": _each(status, "containerStatuses", _container_status),
        },
    }


def event(found: JSON) -> JSON:
    """All that `kubectl get events` shows; who reported it is not kept."""
    return {
        "metadata": _only(found["metadata"], "name", "creationTimestamp"),
        "involvedObject": _only(found.get("involvedObject"), "kind", "name"),
        "series": _only(found.get("series"), "count", "lastObservedTime"),
        **_only(found, "type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime"),
    }


def usage(found: JSON) -> JSON:
    """Name, time and the usage of each container."""
    return {
        "metadata": _only(found["metadata"], "name"),
        **_only(found, "timestamp", "window"),
        "containers": [
            {**_only(one, "name"), "usage": _only(one["usage"], "cpu", "memory")} for one in found["containers"]
        ],
    }


def version(found: JSON) -> JSON:
    """What the API server says it is."""
    return _only(found, "gitVersion", "platform")


def _metadata(found: JSON) -> JSON:
    metadata = found["metadata"]
    kept = {name: metadata["annotations"][name] for name in _ANNOTATIONS if name in (metadata.get("annotations") or {})}
    if CHANGE_CAUSE in kept:
        kept[CHANGE_CAUSE] = _TELLING.sub(r"\1 …", kept[CHANGE_CAUSE])  # `--record` keeps the whole command line
    return {
        **_only(metadata, "name", "creationTimestamp", "deletionTimestamp"),
        "annotations": kept,
        "labels": _only(metadata.get("labels"), HASH),
        "ownerReferences": _each(metadata, "ownerReferences", lambda one: _only(one, "kind", "name")),
    }


def _container(container: JSON) -> JSON:
    return {**_only(container, "name", "image"), "resources": _resources(container)}


def _container_status(status: JSON) -> JSON:
    states = {
        which: {state: _state(how) for state, how in (status.get(which) or {}).items()}
        for which in ("state", "lastState")
    }
    return {**_only(status, "name", "ready", "restartCount"), **states}


def _state(state: JSON) -> JSON:
    return _only(state, "reason", "exitCode", "signal", "startedAt", "finishedAt")


def _condition(condition: JSON) -> JSON:
    return _only(condition, "type", "status", "reason", "lastUpdateTime", "lastTransitionTime")


def _told_condition(condition: JSON) -> JSON:
    """A deployment's: the message names the ReplicaSet that it is about."""
    return {**_condition(condition), **_only(condition, "message")}


def _resources(thing: JSON) -> JSON:
    resources = thing.get("resources") or {}
    return {
        which: _only(resources.get(which), "cpu", "memory") for which in ("requests", "limits") if which in resources
    }


def _only(thing: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    return {name: thing[name] for name in names if name in thing} if thing else {}


def _each(thing: Mapping[str, Any] | None, name: str, keep: Callable[[JSON], JSON]) -> list[JSON]:
    return [keep(one) for one in ((thing or {}).get(name) or [])]
