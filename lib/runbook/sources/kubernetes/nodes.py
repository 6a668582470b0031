"""The nodes under a deployment's pods, as frozen values: pure, from a `nodes` answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from runbook.model import JSON, Answer
from runbook.sources.kubernetes.objects import seconds

_ASSIGNED = re.compile(r"Successfully assigned \S+ to (\S+)")


@dataclass(frozen=True)
class Node:
    """One node. `ready` is None where it does not say, or is gone from the cluster (`reason` is then "NotFound").

    `since`, `reason` and `message` are those of its Ready condition, `pressures` the other conditions that hold
    ("MemoryPressure"); `taints` as kubectl writes them. `pods` of the deployment are placed there now.
    """

    name: str
    ready: bool | None
    since: float | None
    reason: str
    message: str
    pressures: tuple[str, ...]
    taints: tuple[str, ...]
    cordoned: bool
    pods: int


def nodes_of(answer: Answer) -> tuple[Node, ...]:
    """The nodes of a `nodes` answer, by name."""
    data = answer.data or {}
    found = [_node(one, data["placed"].get(one["metadata"]["name"], 0)) for one in data.get("nodes", [])]
    return tuple(sorted(found, key=lambda node: node.name))


def placed(pods: Iterable[JSON]) -> dict[str, int]:
    """How many of these pods are on which node, the node with most pods that are not ready first."""
    here = [one for one in pods if one["spec"].get("nodeName")]
    unready = Counter(one["spec"]["nodeName"] for one in here if not _is_ready(one))
    every = Counter(one["spec"]["nodeName"] for one in here)
    return {name: every[name] for name in sorted(every, key=lambda name: (-unready[name], name))}


def formerly_placed(events: Iterable[JSON]) -> tuple[str, ...]:
    """The nodes that these events say pods were placed on."""
    found = (_ASSIGNED.match(one.get("message", "")) for one in events if one.get("reason") == "Scheduled")
    return tuple(sorted({one[1] for one in found if one}))


def _node(node: JSON, pods: int) -> Node:
    spec, conditions = node.get("spec") or {}, (node.get("status") or {}).get("conditions") or []
    ready: JSON = next((one for one in conditions if one["type"] == "Ready"), {})
    gone = {"reason": "NotFound", "message": "The cluster has no such node."} if node.get("gone") else {}
    return Node(
        name=node["metadata"]["name"],
        ready={"True": True, "False": False}.get(ready.get("status", "")),
        since=seconds(ready.get("lastTransitionTime")),
        reason=(gone or ready).get("reason", ""),
        message=(gone or ready).get("message", ""),
        pressures=tuple(
            sorted(one["type"] for one in conditions if one["type"] != "Ready" and one["status"] == "True")
        ),
        taints=tuple(_taint(one) for one in spec.get("taints") or []),
        cordoned=bool(spec.get("unschedulable")),
        pods=pods,
    )


def _taint(taint: JSON) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _is_ready(pod: JSON) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or [])
