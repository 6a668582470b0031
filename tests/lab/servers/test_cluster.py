"""The lab's Kubernetes rolls out, fails, logs, measures and refuses as a real one does, and has a past."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import Any

import pytest

from tests.lab.servers.backdating import NotBackdated
from tests.lab.servers.cluster import KubectlFailed, Kubernetes
from tests.lab.servers.lab import Lab
from tests.lab.servers.processes import eventually
from tests.lab.service.history import Rollout, aged, rollout_history

pytestmark = pytest.mark.lab

MONDAY = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
TUESDAY = MONDAY + dt.timedelta(days=1)


def test_a_deployment_becomes_ready(lab: Lab) -> None:
    """Deployment, ReplicaSet, scheduler and the played kubelets work together on two nodes."""
    cluster = _namespace(lab, "ready")
    cluster.apply([_deployment("ready")])
    assert "successfully rolled out" in cluster.kubectl("rollout", "status", "deployment/web", "-n", "ready")
    assert {pod["spec"]["nodeName"] for pod in cluster.get("pods", "ready")} == {"node-1", "node-2"}


def test_rollouts_of_the_past_are_in_the_history(lab: Lab) -> None:
    """Backdated ReplicaSets show their age and revision, and `rollout undo` goes back to one of them."""
    cluster = _namespace(lab, "past")
    rollouts = [Rollout(MONDAY, _template("v1"), "first"), Rollout(TUESDAY, _template("v2"), "second")]
    cluster.backdate(rollout_history(_deployment("past"), rollouts))
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "past")
    sets = sorted(cluster.get("replicasets", "past"), key=lambda one: one["metadata"]["creationTimestamp"])
    assert [one["metadata"]["creationTimestamp"] for one in sets] == ["2024-05-06T09:00:00Z", "2024-05-07T09:00:00Z"]
    assert [one["status"]["replicas"] for one in sets] == [0, 2]
    history = cluster.kubectl("rollout", "history", "deployment/web", "-n", "past")
    assert [line.split() for line in history.splitlines()[2:4]] == [["1", "first"], ["2", "second"]]
    assert "y" in cluster.kubectl("get", "deployment", "web", "-n", "past", "--no-headers").split()[-1]
    cluster.kubectl("rollout", "undo", "deployment/web", "-n", "past", "--to-revision=1")
    assert eventually(lambda: _images(cluster, "past") == {"web:v1"})


def test_a_running_pod_can_be_aged(lab: Lab) -> None:
    """A live pod gets a past start, and keeps it although kwok and the controllers watch it."""
    cluster = _namespace(lab, "aged")
    cluster.apply([_deployment("aged")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "aged")
    cluster.backdate([aged(pod, TUESDAY, created=MONDAY) for pod in cluster.get("pods", "aged")])
    time.sleep(1)
    for pod in cluster.get("pods", "aged"):
        assert pod["metadata"]["creationTimestamp"] == "2024-05-06T09:00:00Z"
        assert pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] == "2024-05-07T09:00:00Z"


def test_an_owner_is_named_without_its_uid(lab: Lab) -> None:
    """A backdated object that names its owner by kind and name is owned by it."""
    cluster = _namespace(lab, "owned")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": "owned"}}
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    past = {"creationTimestamp": "2024-05-06T09:00:00Z", "ownerReferences": [reference]}
    owned = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": "owned", **past}}
    cluster.backdate([owned, owner])
    uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in cluster.get("configmaps", "owned")}
    live = next(one for one in cluster.get("configmaps", "owned") if one["metadata"]["name"] == "owned")
    assert live["metadata"]["ownerReferences"][0]["uid"] == uids["owner"]
    assert live["metadata"]["creationTimestamp"] == "2024-05-06T09:00:00Z"


def test_a_stored_event_is_told_once(lab: Lab) -> None:
    """An event of the past is there as it was given, and a second one of its name is refused."""
    cluster = _namespace(lab, "told")
    past = {"creationTimestamp": "2024-05-06T09:00:00Z"}
    involved = {"kind": "Pod", "namespace": "told", "name": "web"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "one", "namespace": "told", **past}}
    cluster.store([{**event, "involvedObject": involved, "reason": "BackOff", "type": "Warning"}])
    (found,) = cluster.get("events", "told", "--field-selector=reason=BackOff")
    assert found["metadata"]["creationTimestamp"] == "2024-05-06T09:00:00Z"
    assert found["involvedObject"] == involved and found["metadata"]["uid"]
    with pytest.raises(NotBackdated, match="there already: /registry/events/told/one"):
        cluster.store([event])


def test_a_kind_that_cannot_be_backdated_is_said(lab: Lab) -> None:
    """An object of a kind whose place in etcd is not known is refused by name."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "default"}}
    with pytest.raises(NotBackdated, match="keeps a Lease"):
        lab.kubernetes.backdate([lease])


def test_top_shows_the_usage_that_pods_are_annotated_with(lab: Lab) -> None:
    """metrics-server serves `kubectl top pods` from the annotations of the pods."""
    cluster = _namespace(lab, "top")
    cluster.apply([_deployment("top")])
    cluster.wait_for_metrics("top")
    assert "300Mi" in cluster.kubectl("top", "pods", "-n", "top")


@pytest.mark.parametrize(
    ("fault", "shown"), [("oom", "CrashLoopBackOff"), ("imagepull", "ImagePullBackOff"), ("not-ready", "0/1 .*Running")]
)
def test_a_fault_blocks_a_rollout(lab: Lab, fault: str, shown: str) -> None:
    """Pods with a fault show it in `get pods`, and their rollout does not succeed."""
    namespace = f"fault-{fault}"
    cluster = _namespace(lab, namespace)
    cluster.apply([_deployment(namespace, fault)])
    pods = eventually(lambda: _matching(cluster.kubectl("get", "pods", "-n", namespace), shown))
    assert pods
    with pytest.raises(KubectlFailed, match=r"timed out|exceeded"):
        cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=2s")


def test_a_pod_killed_for_its_memory_says_so(lab: Lab) -> None:
    """An OOM-killed container has the reason, the exit code and a restart on its record."""
    cluster = _namespace(lab, "oom")
    cluster.apply([_deployment("oom", "oom")])
    assert eventually(lambda: "terminated" in str(_container(cluster, "oom")))
    status = _container(cluster, "oom")
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert (status["lastState"]["terminated"]["exitCode"], status["restartCount"]) == (137, 1)


def test_a_node_loses_and_regains_its_readiness(lab: Lab) -> None:
    """A node with the fault is NotReady for as long as it carries the label."""
    cluster = lab.kubernetes
    cluster.kubectl("label", "node", "node-2", "lab.fault=not-ready")
    assert eventually(lambda: " NotReady " in cluster.kubectl("get", "node", "node-2"))
    cluster.kubectl("label", "node", "node-2", "lab.fault-")
    assert eventually(lambda: " Ready " in cluster.kubectl("get", "node", "node-2"))


def test_a_pod_logs_what_it_is_given(lab: Lab) -> None:
    """`kubectl logs` prints the lines of a pod, at their time, and `--previous` those before its restart."""
    cluster = _namespace(lab, "logs")
    cluster.apply([_deployment("logs")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "logs")
    pod = cluster.get("pods", "logs")[0]["metadata"]["name"]
    cluster.write_logs("logs", pod, current=["served"], previous=["OutOfMemoryError"], at=MONDAY)
    command = ["logs", pod, "-n", "logs", "--timestamps"]
    assert eventually(lambda: "served" in cluster.kubectl(*command))
    assert cluster.kubectl(*command) == "2024-05-06T09:00:00.000000000Z served\n"
    assert "OutOfMemoryError" in cluster.kubectl(*command, "--previous")


def test_the_user_on_call_has_only_the_rights_given(lab: Lab) -> None:
    """`oncall` is refused until a role is bound, and then still may not do more than the role says."""
    cluster = _namespace(lab, "rights")
    with pytest.raises(KubectlFailed, match="forbidden"):
        cluster.kubectl("get", "pods", "-n", "rights", user="oncall")
    cluster.kubectl("create", "rolebinding", "view", "--clusterrole=view", "--user=oncall", "-n", "rights")
    assert eventually(lambda: _allowed(cluster, "get", "pods", "-n", "rights"))
    with pytest.raises(KubectlFailed, match="forbidden"):
        cluster.kubectl("delete", "pod", "web", "-n", "rights", user="oncall")


def test_nobody_runs_a_program_through_the_cluster(lab: Lab) -> None:
    """`kubectl exec` does not reach the machine that the test runs on."""
    cluster = _namespace(lab, "exec")
    cluster.apply([_deployment("exec")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "exec")
    pod = cluster.get("pods", "exec")[0]["metadata"]["name"]
    with pytest.raises(KubectlFailed):
        cluster.kubectl("exec", pod, "-n", "exec", "--", "true")


def _namespace(lab: Lab, name: str) -> Kubernetes:
    lab.kubernetes.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    return lab.kubernetes


def _deployment(namespace: str, fault: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": _template("v1", fault)},
    }


def _template(version: str, fault: str = "") -> dict[str, Any]:
    labels = {"app": "web", **({"lab.fault": fault} if fault else {})}
    usage = {"kwok.x-k8s.io/usage-cpu": "250m", "kwok.x-k8s.io/usage-memory": "300Mi"}
    containers = [{"name": "web", "image": f"web:{version}"}]
    return {"metadata": {"labels": labels, "annotations": usage}, "spec": {"containers": containers}}


def _container(cluster: Kubernetes, namespace: str) -> dict[str, Any]:
    statuses = [pod["status"].get("containerStatuses", [{}])[0] for pod in cluster.get("pods", namespace)]
    return statuses[0] if statuses else {}


def _images(cluster: Kubernetes, namespace: str) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in cluster.get("pods", namespace)}


def _allowed(cluster: Kubernetes, *arguments: str) -> bool:
    try:
        cluster.kubectl(*arguments, user="oncall")
    except KubectlFailed:
        return False
    return True


def _matching(text: str, pattern: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(pattern, line)]
