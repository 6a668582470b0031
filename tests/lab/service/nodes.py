"""The nodes of a scenario that loses one: its own, since all scenarios share the cluster's. Pure."""

from __future__ import annotations

from tests.lab.servers.components import node
from tests.lab.service.events import NODE_GRACE
from tests.lab.service.fleet import FOR_EVER, NODES, Fleet
from tests.lab.service.objects import Object, timestamp

SILENT = "Kubelet stopped posting node status."
NOT_READY = {"lab.fault": "not-ready"}  # what keeps kwok from mending it


def own_nodes(fleet: Fleet) -> list[str]:
    """Names of the nodes that only this fleet has; none where it runs on the cluster's."""
    return [name for name in (fleet.node_name(one) for one in NODES) if name not in NODES]


def lost_nodes(fleet: Fleet, at: float) -> list[Object]:
    """Those that are not ready at a time, as they are then."""
    since = {fleet.node_name(pod.node): pod.lost[0] for pod in fleet.pods if pod.lost[0] <= at < pod.lost[1]}
    return [_lost(name, begun, fleet) for name, begun in sorted(since.items()) if begun < FOR_EVER]


def _lost(name: str, since: float, fleet: Fleet) -> Object:
    whole = node(name)
    metadata = {
        **whole["metadata"],
        "labels": whole["metadata"]["labels"] | NOT_READY,
        "creationTimestamp": timestamp(fleet.revisions[0].created - 86_400),
    }
    ready = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": SILENT,
        "lastHeartbeatTime": timestamp(since),
        "lastTransitionTime": timestamp(since + NODE_GRACE),
    }
    return {**whole, "metadata": metadata, "status": {**whole["status"], "conditions": [ready]}}
