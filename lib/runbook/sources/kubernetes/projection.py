"""What is kept of a Kubernetes object before anything is recorded: pure, named fields only, so nothing slips in.

Neither environment variables nor commands, arguments, mounts, managedFields, the last-applied annotation or what a
container said when it ended is kept: any of these may hold a secret. Of Secrets and ConfigMaps only names are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runbook.model import JSON
from runbook.sources.kubernetes.objects import CHANGE_CAUSE, HASH, REVISION, REVISION_HISTORY

MESSAGE = 300  # characters
LINE = 500

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
    """Name, times, labels, owner, node, address, resources, and the states of its containers."""
    spec, status = found["spec"], found.get("status")
    early = spec.get("initContainers") or []
    return {
        "metadata": {**_metadata(found), "labels": dict(found["metadata"].get("labels") or {})},
        "spec": {
            **_only(spec, "nodeName"),
            "resources": _resources(spec),
            "containers": _each(spec, "containers", _container),
            "sidecars": [_container(one) for one in early if one.get("restartPolicy") == "Always"],
            "initContainers": [_container(one) for one in early if one.get("restartPolicy") != "Always"],
        },
        "status": {
            **_only(status, "phase", "reason", "startTime", "podIP"),
            "conditions": _each(status, "conditions", _pod_condition),
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


def node(found: JSON) -> JSON:
    """Name, taints, whether it is cordoned, and its conditions with what they say."""
    return {
        "metadata": _only(found["metadata"], "name", "creationTimestamp"),
        "spec": {
            **_only(found.get("spec"), "unschedulable"),
            "taints": _each(found.get("spec"), "taints", lambda one: _only(one, "key", "value", "effect")),
        },
        "status": {"conditions": _each(found.get("status"), "conditions", _told_condition)},
    }


def policy(found: JSON) -> JSON:
    """Name, time, and the whole of what it allows: labels, addresses and ports."""
    return {
        "metadata": _only(found["metadata"], "name", "creationTimestamp"),
        "spec": _only(found["spec"], "podSelector", "policyTypes", "ingress", "egress"),
    }


def template_labels(deployment: JSON) -> dict[str, str]:
    """The labels that a deployment gives its pods."""
    return dict(deployment["spec"]["template"]["metadata"].get("labels") or {})


def template_ports(deployment: JSON) -> dict[str, int]:
    """The named ports of a deployment's pods."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    ports = [port for one in containers for port in one.get("ports") or []]
    return {port["name"]: port["containerPort"] for port in ports if port.get("name")}


def references(deployment: JSON) -> list[JSON]:
    """The Secrets and ConfigMaps that a deployment's pods need, each once: kind, name, and whether they do without."""
    found: dict[tuple[str, str], bool] = {}
    for kind, name, optional in _references(deployment["spec"]["template"]["spec"]):
        found[kind, name] = optional and found.get((kind, name), True)
    return [{"kind": kind, "name": name, "optional": found[kind, name]} for kind, name in sorted(found)]


def secret_row(row: JSON) -> JSON:
    """Name, type and age of one line of `kubectl get secrets`."""
    name, kind, _, age = row["cells"][:4]
    return {"name": name, "type": kind, "age": age}


def configmap_row(row: JSON) -> JSON:
    """Name and age of one line of `kubectl get configmaps`."""
    name, _, age = row["cells"][:3]
    return {"name": name, "type": "", "age": age}


def log_lines(text: bytes) -> list[str]:
    """The lines of a log, long ones cut."""
    return [cut(line, LINE) for line in text.decode("utf-8", "replace").splitlines()]


def cut(text: str, length: int) -> str:
    """The text, with an ellipsis for what is beyond its length."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


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
        which: {state: _state(state, how) for state, how in (status.get(which) or {}).items()}
        for which in ("state", "lastState")
    }
    return {**_only(status, "name", "ready", "restartCount"), **states}


def _state(name: str, how: JSON) -> JSON:
    """The message only where it waits: that is the kubelet's, while the one of an end is the container's own."""
    kept = _only(how, "reason", "exitCode", "signal", "startedAt", "finishedAt")
    return {**kept, **_message(how)} if name == "waiting" else kept


def _condition(condition: JSON) -> JSON:
    return _only(condition, "type", "status", "reason", "lastUpdateTime", "lastTransitionTime")


def _told_condition(condition: JSON) -> JSON:
    """A deployment's, whose message names the ReplicaSet that it is about, or a node's."""
    return {**_condition(condition), **_message(condition)}


def _pod_condition(condition: JSON) -> JSON:
    """What the scheduler says is kept: the other messages repeat the states of the containers."""
    return _told_condition(condition) if condition.get("type") == "PodScheduled" else _condition(condition)


def _message(thing: JSON) -> JSON:
    return {"message": cut(thing["message"], MESSAGE)} if thing.get("message") else {}


def _references(spec: JSON) -> Iterator[tuple[str, str, bool]]:
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        for one in container.get("env") or []:
            source = one.get("valueFrom") or {}
            yield from _named("secret", source.get("secretKeyRef"))
            yield from _named("configmap", source.get("configMapKeyRef"))
        for one in container.get("envFrom") or []:
            yield from _named("secret", one.get("secretRef"))
            yield from _named("configmap", one.get("configMapRef"))
    for volume in spec.get("volumes") or []:
        yield from _named("secret", volume.get("secret"), "secretName")
        for one in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
            yield from _named("secret", one.get("secret"))
            yield from _named("configmap", one.get("configMap"))
    for one in spec.get("imagePullSecrets") or []:
        yield from _named("secret", one)


def _named(kind: str, reference: JSON, key: str = "name") -> Iterator[tuple[str, str, bool]]:
    if reference and reference.get(key):
        yield kind, reference[key], bool(reference.get("optional"))


def _resources(thing: JSON) -> JSON:
    resources = thing.get("resources") or {}
    return {
        which: _only(resources.get(which), "cpu", "memory") for which in ("requests", "limits") if which in resources
    }


def _only(thing: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    return {name: thing[name] for name in names if name in thing} if thing else {}


def _each(thing: Mapping[str, Any] | None, name: str, keep: Callable[[JSON], JSON]) -> list[JSON]:
    return [keep(one) for one in ((thing or {}).get(name) or [])]
