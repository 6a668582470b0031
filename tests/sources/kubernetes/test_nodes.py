"""Kubernetes' nodes: where pods are and were, and how their nodes are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook.errors import SourceError
from runbook.model import Answer
from runbook.sources.kubernetes.nodes import nodes_of
from runbook.sources.kubernetes.queries import nodes
from tests.canned import Canned, Reply
from tests.sources.kubernetes.server import refusal, repeating, source, stage

WEB = ("shop", "web")


def recorded(name: str) -> Any:
    return stage("bad_rollout")["answers"][f"/api/v1/nodes/{name}"]


def asked(folder: Path, **instead: Reply) -> Answer:
    with Canned(repeating("bad_rollout", **instead)) as server:
        return source(folder, server).ask(nodes(*WEB))


def test_the_nodes_under_the_pods_are_told(tmp_path: Path):
    """Each node with a pod of the deployment is ready, under no pressure, and counts its pods."""
    found = nodes_of(asked(tmp_path))
    assert [(one.name, one.ready, one.reason) for one in found] == [
        ("node-1", True, "KubeletReady"),
        ("node-2", True, "KubeletReady"),
    ]
    assert sum(one.pods for one in found) == 3
    assert all(one.since and not one.pressures and not one.taints and not one.cordoned for one in found)


def test_a_failing_node_says_how_and_since_when(tmp_path: Path):
    """Not ready, under pressure, tainted and cordoned: all of it is there, as kubectl spells it."""
    sick = recorded("node-1")
    sick["spec"] |= {
        "unschedulable": True,
        "taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
            {"key": "for", "value": "batch", "effect": "NoSchedule"},
        ],
    }
    at = "2026-01-15T10:40:00Z"
    sick["status"]["conditions"] = [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "x" * 400,
            "lastTransitionTime": at,
        },
        {"type": "MemoryPressure", "status": "True"},
        {"type": "DiskPressure", "status": "False"},
    ]
    node = next(one for one in nodes_of(asked(tmp_path, nodes=Reply(sick))) if one.name == "node-1")
    assert (node.ready, node.since, node.reason, len(node.message)) == (None, 1768473600.0, "NodeStatusUnknown", 300)
    assert (node.pressures, node.cordoned) == (("MemoryPressure",), True)
    assert node.taints == ("node.kubernetes.io/unreachable:NoExecute", "for=batch:NoSchedule")


def test_a_node_that_is_gone_is_told_and_no_failure(tmp_path: Path):
    """A node that left the cluster under its pods is found missing."""
    answer = asked(tmp_path, nodes=refusal(404, 'nodes "node-1" not found'))
    assert answer.completeness == "complete"
    assert {(one.ready, one.reason) for one in nodes_of(answer)} == {(None, "NotFound")}


def test_a_node_that_a_pod_left_is_still_looked_at(tmp_path: Path):
    """Where no pod is placed now, the events say where pods were."""
    answer = asked(tmp_path, pods=Reply({"items": []}))
    assert [(one.name, one.pods) for one in nodes_of(answer)] == [("node-1", 0), ("node-2", 0)]


def test_nodes_that_may_not_be_read_fail_with_the_file_that_grants_it(tmp_path: Path):
    """Without the cluster's role there is no answer, rather than one without nodes."""
    with pytest.raises(SourceError, match=r"does not let us get nodes node-\d \(403\); apply deploy/rbac-nodes\.yaml"):
        asked(tmp_path, nodes=refusal(403, "forbidden"))


def test_without_events_the_nodes_of_now_are_a_part(tmp_path: Path):
    """Where the events may not be read, the nodes of the pods there are make a partial answer."""
    answer = asked(tmp_path, events=refusal(403, "forbidden"))
    assert answer.completeness == "partial"
    assert "list events" in answer.warnings[0]
    assert [one.name for one in nodes_of(answer)] == ["node-1", "node-2"]


def test_of_many_nodes_those_with_failing_pods_are_read(tmp_path: Path):
    """Of more than twelve nodes only these are asked for, the ones with pods that are not ready first."""
    (pod, *_) = stage("bad_rollout")["answers"]["/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb"]["items"]
    ready, unready = ([{"type": "Ready", "status": status}] for status in ("True", "False"))
    crowd = [
        {**pod, "spec": {**pod["spec"], "nodeName": f"n{n:02}"}, "status": {"conditions": unready if n > 28 else ready}}
        for n in range(30)
    ]
    answer = asked(tmp_path, pods=Reply({"items": crowd}), nodes=refusal(404, "gone"))
    assert answer.completeness == "partial"
    assert "Only 12 of 32 nodes were read." in answer.warnings
    assert [one.name for one in nodes_of(answer)] == [*(f"n{n:02}" for n in range(11)), "n29"]


def test_a_deployment_without_pods_and_past_has_no_nodes(tmp_path: Path):
    """Nothing placed, nothing remembered: the answer is empty."""
    answer = asked(tmp_path, pods=Reply({"items": []}), events=Reply({"items": []}))
    assert (answer.completeness, nodes_of(answer)) == ("empty", ())
