"""Kubernetes: pods and their containers, from a real API server's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runbook.sources.kubernetes.objects import pods_of
from runbook.sources.kubernetes.queries import pods
from tests.canned import Canned, Reply
from tests.lab.service.shop import CANARY
from tests.sources.kubernetes.asking import MIB, WEB, answer_at
from tests.sources.kubernetes.server import repeating, source, stage


def test_pods_know_their_revision_and_how_their_containers_ended(tmp_path: Path):
    """The pod of the bad revision is killed for its memory and crash-loops, the others run."""
    found = pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path))
    bad = next(pod for pod in found if pod.revision == 4)
    good = [pod for pod in found if pod.revision == 3]
    assert [pod.name for pod in found] == sorted(pod.name for pod in found)
    assert (bad.reason, bad.ready, bad.phase) == ("CrashLoopBackOff", False, "Running")
    assert bad.restarts >= 1
    assert bad.last_termination is not None
    assert (bad.last_termination.reason, bad.last_termination.exit_code) == ("OOMKilled", 137)
    assert bad.last_termination.finished_at is not None
    assert bad.last_termination.finished_at >= bad.created_at
    assert bad.name.startswith(f"{bad.replicaset}-")
    assert [(pod.ready, pod.reason, pod.restarts, pod.last_termination) for pod in good] == [(True, "", 0, None)] * 2
    assert {pod.node for pod in found} <= {"node-1", "node-2"}


def test_a_pod_is_limited_where_all_its_containers_are(tmp_path: Path):
    """Requests and limits add up over the containers; one without a limit leaves the pod without."""
    pod = pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path))[0]
    app, proxy = pod.containers
    assert (app.cpu_request, app.cpu_limit, app.memory_request, app.memory_limit) == (0.2, 1.0, 256 * MIB, 512 * MIB)
    assert (proxy.cpu_request, proxy.cpu_limit, proxy.memory_request, proxy.memory_limit) == (
        None,
        None,
        64 * MIB,
        64 * MIB,
    )
    assert (pod.cpu_request, pod.cpu_limit, pod.memory_request, pod.memory_limit) == (None, None, 320 * MIB, 576 * MIB)


def good_pod() -> dict[str, Any]:
    """A ready pod as the API server sends it."""
    found = stage("bad_rollout")["answers"]["/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb"]["items"]
    return next(pod for pod in found if all(one["ready"] for one in pod["status"]["containerStatuses"]))


def test_a_sidecar_counts_as_a_container(tmp_path: Path):
    """A container that Kubernetes starts first and keeps running adds to limits, restarts and terminations."""
    good = good_pod()
    limits = {"cpu": "500m", "memory": "1Gi"}
    good["spec"]["initContainers"] = [
        {"name": "migrate", "image": "m", "resources": {"limits": limits}},
        {"name": "mesh", "image": "s", "restartPolicy": "Always", "resources": {"limits": limits}},
    ]
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-15T10:40:00Z"}}
    done = {"terminated": {"reason": "Completed", "exitCode": 0, "finishedAt": "2026-01-15T10:41:00Z"}}
    good["status"]["initContainerStatuses"] = [
        {"name": "migrate", "ready": True, "restartCount": 9, "state": done, "lastState": {}},
        {"name": "mesh", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": killed},
    ]
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        (pod,) = pods_of(source(tmp_path, server).ask(pods(*WEB)))
    assert [container.name for container in pod.containers] == ["app", "proxy", "mesh"]
    assert (pod.reason, pod.restarts, pod.memory_limit) == ("", 2, 1600 * MIB)
    assert pod.last_termination is not None
    assert (pod.last_termination.container, pod.last_termination.finished_at) == ("mesh", 1768473600.0)


@pytest.mark.parametrize(
    ("waiting", "reason"), [("CrashLoopBackOff", "Init:CrashLoopBackOff"), ("PodInitializing", "")]
)
def test_a_stuck_init_container_is_the_pods_reason(waiting: str, reason: str, tmp_path: Path):
    """As kubectl shows it: what keeps an init container from ending is told, that it is busy is not."""
    good = good_pod()
    good["status"]["initContainerStatuses"] = [
        {
            "name": "migrate",
            "ready": False,
            "restartCount": 3,
            "state": {"waiting": {"reason": waiting}},
            "lastState": {},
        }
    ]
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        (pod,) = pods_of(source(tmp_path, server).ask(pods(*WEB)))
    assert pod.reason == reason


def test_an_init_container_that_fails_is_told_with_its_end(tmp_path: Path):
    """What became of the containers that run before the others is there, with why they wait and how they ended."""
    good = good_pod()
    good["spec"]["initContainers"] = [{"name": "migrate", "image": "m"}]
    failed = {"terminated": {"reason": "Error", "exitCode": 3, "finishedAt": "2026-01-15T10:40:00Z", "message": CANARY}}
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
    good["status"]["initContainerStatuses"] = [
        {"name": "migrate", "ready": False, "restartCount": 3, "state": waits, "lastState": failed}
    ]
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        answer = source(tmp_path, server).ask(pods(*WEB))
    (pod,) = pods_of(answer)
    (migrate,) = pod.init_containers
    assert (pod.reason, migrate.reason, migrate.restarts) == ("Init:CrashLoopBackOff", "CrashLoopBackOff", 3)
    assert migrate.message == "back-off 10s restarting failed container"
    assert migrate.last_termination is not None
    assert migrate.last_termination.exit_code == 3
    assert CANARY not in json.dumps(answer.data)


def test_why_a_container_waits_is_told_and_cut(tmp_path: Path):
    """The kubelet's words for a container that cannot start are kept, 300 characters of them."""
    good = good_pod()
    said = ['secret "web-jwt-key" not found', "x" * 1000]
    for status, message in zip(good["status"]["containerStatuses"], said, strict=True):
        status["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        (pod,) = pods_of(source(tmp_path, server).ask(pods(*WEB)))
    assert [one.message for one in pod.containers] == [said[0], f"{'x' * 299}…"]


def test_a_pod_knows_its_address_and_labels(tmp_path: Path):
    """Address and labels are there to find the pod in logs, metrics and network policies."""
    for pod in pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path)):
        assert pod.ip.startswith("10.244.")
        assert pod.labels["app"] == "web"
        assert pod.unschedulable == ""


def test_a_pod_that_fits_nowhere_says_why(tmp_path: Path):
    """The scheduler's words stand at the pod, not only in events that pass."""
    good = good_pod()
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}
    good["status"]["conditions"] = [waits]
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        (pod,) = pods_of(source(tmp_path, server).ask(pods(*WEB)))
    assert pod.unschedulable == "0/2 nodes are available"


def test_pods_that_were_recorded_with_less_can_still_be_read(tmp_path: Path):
    """An older recording has no messages, addresses, labels or init containers; its pods are as they were."""
    answer = answer_at("bad_rollout", pods(*WEB), tmp_path)
    for pod in answer.data["pods"]:
        del pod["spec"]["initContainers"], pod["status"]["podIP"]
        pod["metadata"]["labels"] = {"pod-template-hash": pod["metadata"]["labels"]["pod-template-hash"]}
        for status in pod["status"]["containerStatuses"]:
            status["state"].get("waiting", {}).pop("message", "")
    now, before = pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path)), pods_of(answer)
    assert [(pod.name, pod.reason, pod.revision) for pod in now] == [(p.name, p.reason, p.revision) for p in before]


def test_a_pod_with_limits_of_its_own_has_these(tmp_path: Path):
    """Resources declared for the whole pod count before those of its containers."""
    good = good_pod()
    good["spec"]["resources"] = {"limits": {"cpu": "2", "memory": "2Gi"}}
    with Canned(repeating("bad_rollout", pods=Reply({"items": [good]}))) as server:
        (pod,) = pods_of(source(tmp_path, server).ask(pods(*WEB)))
    assert (pod.cpu_limit, pod.memory_limit, pod.memory_request) == (2.0, 2048 * MIB, 320 * MIB)
