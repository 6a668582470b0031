"""Kubernetes as a source, on a real API server: rights, rollouts, pods, usage and pages, with kubectl as the witness."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runbook.errors import SourceError
from runbook.model import Query
from runbook.settings import Kubernetes as Settings
from runbook.sources.kubeconfig import service_account
from runbook.sources.kubernetes import (
    Kubernetes,
    access,
    access_of,
    deployment,
    deployment_of,
    events,
    events_of,
    pods,
    pods_of,
    revisions,
    usage,
    usage_of,
    version,
    version_of,
)
from runbook.sources.kubernetes_http import Connection, Request
from runbook.sources.timelimit import TimeLimit
from tests.lab import cluster as lab_cluster
from tests.lab.cache import kubernetes_build
from tests.lab.cluster import KubectlFailed
from tests.lab.components import METRICS_NAME
from tests.lab.shop import CANARY, NAMESPACE, open_shop, roll_back, roll_out
from tests.lab.shop import deployment as web

pytestmark = pytest.mark.lab

RBAC = Path(__file__).resolve().parent.parent.parent / "deploy" / "rbac.yaml"
ROLE, BINDING = yaml.safe_load_all(RBAC.read_text())
WEB = (NAMESPACE, "web")
ABOUT_WEB = [deployment(*WEB), pods(*WEB), events(*WEB), usage(*WEB)]
NOT_GRANTED = [
    ("get", "secrets"),
    ("get", "configmaps"),
    ("get", "pods", "--namespace=default"),
    ("get", "pods", "--all-namespaces"),
    ("get", "nodes"),
    ("get", "deployments"),
    ("delete", "pods", "--all"),
    ("scale", "deployment/web", "--replicas=9"),
    ("create", "token", "default"),
    ("create", "configmap", "x"),
]
FURTHER = [
    ("get", "pods"),
    ("watch", "pods"),
    ("get", "pods/log"),
    ("create", "pods/exec"),
    ("create", "pods/portforward"),
    ("delete", "pods"),
    ("list", "secrets"),
    ("update", "deployments"),
    ("update", "deployments/scale"),
    ("list", "deployments"),
    ("impersonate", "users"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_cluster.Kubernetes]:
    """A cluster of our own with the shop in it, where the group `oncall` has its role."""
    with lab_cluster.Kubernetes(tmp_path_factory.mktemp("kubernetes")) as cluster:
        open_shop(cluster)
        grant(cluster, ROLE["rules"])
        cluster.wait_for_metrics(NAMESPACE)
        yield cluster


def grant(cluster: lab_cluster.Kubernetes, rules: list[dict[str, Any]]) -> None:
    """Bind the role of deploy/rbac.yaml, with these rules instead of its own."""
    namespaced = [{**one, "metadata": {**one["metadata"], "namespace": NAMESPACE}} for one in (ROLE, BINDING)]
    cluster.apply([{**namespaced[0], "rules": rules}, namespaced[1]])


def source(cluster: lab_cluster.Kubernetes, user: str = "oncall") -> Kubernetes:
    return Kubernetes(Settings(kubeconfig=str(cluster.kubeconfig(user))), 15)


def refusals(cluster: lab_cluster.Kubernetes) -> str:
    """Why which of the questions are not, or not wholly, answered for `oncall`."""
    said: list[str] = []
    for query in ABOUT_WEB:
        try:
            said += source(cluster).ask(query).warnings
        except SourceError as error:
            said.append(str(error))
    return "\n".join(said)


# Rights


@pytest.mark.parametrize(
    "rule", ROLE["rules"], ids=lambda rule: f"{rule['verbs'][0]} {rule['resources'][0]} {rule['apiGroups'][0]}"
)
def test_no_rule_is_superfluous(shop: lab_cluster.Kubernetes, rule: dict[str, Any]):
    """Without any single rule of deploy/rbac.yaml a question is not wholly answered, and the missing right is named."""
    assert [len(rule[part]) for part in ("apiGroups", "resources", "verbs")] == [1, 1, 1]
    name = f"{rule['verbs'][0]} {'.'.join([*rule['resources'], *filter(None, rule['apiGroups'])])}"
    try:
        grant(shop, [one for one in ROLE["rules"] if one != rule])
        assert f"does not let us {name} " in refusals(shop)
        denied = [f"{one.verb} {one.resource}" for one in access_of(source(shop).ask(access(*WEB))) if not one.allowed]
        assert denied == [name]
    finally:
        grant(shop, ROLE["rules"])


@pytest.mark.parametrize("command", NOT_GRANTED, ids=" ".join)
def test_nothing_else_is_granted(shop: lab_cluster.Kubernetes, command: tuple[str, ...]):
    """No secrets, logs, exec or deletion, no other namespace, nothing of the cluster: the API server refuses it."""
    with pytest.raises(KubectlFailed, match=r"[Ff]orbidden"):
        shop.kubectl(f"--namespace={NAMESPACE}", *command, user="oncall")


@pytest.mark.parametrize("right", FURTHER, ids=" ".join)
def test_no_further_right_is_granted(shop: lab_cluster.Kubernetes, right: tuple[str, str]):
    """Asked directly, the API server says no to each right that would let one look into or change a pod."""
    with pytest.raises(KubectlFailed, match=r": no\n"):
        shop.kubectl("auth", "can-i", *right, f"--namespace={NAMESPACE}", user="oncall")


def test_a_user_without_the_role_is_told_of_it(shop: lab_cluster.Kubernetes):
    """Without the binding every question is refused, with the file that grants it."""
    try:
        shop.kubectl("delete", "rolebinding", BINDING["metadata"]["name"], "-n", NAMESPACE)
        assert refusals(shop).count("apply deploy/rbac.yaml") >= len(ABOUT_WEB)
    finally:
        grant(shop, ROLE["rules"])


def test_the_role_suffices(shop: lab_cluster.Kubernetes):
    """With deploy/rbac.yaml as it is, every question is answered completely."""
    assert [source(shop).ask(query).completeness for query in [*ABOUT_WEB, version()]] == ["complete"] * 5
    assert all(one.allowed and not one.error for one in access_of(source(shop).ask(access(*WEB))))


def test_a_service_account_in_the_cluster_may_ask(shop: lab_cluster.Kubernetes, tmp_path: Path):
    """Bound by the command that deploy/rbac.yaml shows, a pod's own account reads what it needs."""
    command = next(line for line in RBAC.read_text().splitlines() if "create rolebinding" in line)
    words = command.replace("THEIR_NAMESPACE:ACCOUNT", f"{NAMESPACE}:default").replace("NAMESPACE", NAMESPACE).split()
    shop.kubectl(*words[2:])
    (tmp_path / "token").write_text(shop.kubectl("create", "token", "default", "-n", NAMESPACE))
    config = json.loads(shop.kubeconfig().read_text())
    (tmp_path / "ca.crt").write_bytes(_decoded(config["clusters"][0]["cluster"]["certificate-authority-data"]))
    connection = Connection(service_account(tmp_path, shop.url))
    with TimeLimit(10) as limit:
        found = connection.get(
            Request(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web", "get it"), limit
        )
    assert found["metadata"]["name"] == "web"


# What is not there


def apiservice(registered: dict[str, Any], **service: Any) -> dict[str, Any]:
    """The registration of metrics.k8s.io, with these changes to where its server is."""
    spec = {**registered["spec"], "service": {**registered["spec"]["service"], **service}}
    return {
        "apiVersion": registered["apiVersion"],
        "kind": "APIService",
        "metadata": {"name": METRICS_NAME},
        "spec": spec,
    }


def test_a_deployment_that_is_not_there_is_told(shop: lab_cluster.Kubernetes):
    """A wrong name points at the settings."""
    with pytest.raises(SourceError, match=r"get deployments.apps wbe in namespace shop \(404\); correct `deployment`"):
        source(shop).ask(deployment(NAMESPACE, "wbe"))


@pytest.mark.parametrize("state", ["not installed", "down"])
def test_usage_without_metrics_server_is_told_plainly(shop: lab_cluster.Kubernetes, state: str):
    """An API that is not registered, and one whose server is away, are told apart in plain sentences."""
    registered = json.loads(shop.kubectl("get", "apiservice", METRICS_NAME, "-o", "json"))
    try:
        if state == "down":
            shop.apply([apiservice(registered, port=1)])
        else:
            shop.kubectl("delete", "apiservice", METRICS_NAME)
        words = {"not installed": "metrics.k8s.io is not served", "down": "metrics-server does not answer it"}
        assert _eventually_refused(shop, usage(*WEB), words[state])
    finally:
        shop.apply([apiservice(registered)])
        shop.wait_for_metrics(NAMESPACE)


# What is there


def test_the_version_is_kubectls(shop: lab_cluster.Kubernetes):
    """The version is the one that kubectl reports of the server."""
    told = json.loads(shop.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    assert version_of(source(shop).ask(version())) == told


@pytest.mark.parametrize("query", [*ABOUT_WEB, access(*WEB), version()], ids=lambda query: query.kind)
def test_the_command_of_a_query_can_be_pasted(shop: lab_cluster.Kubernetes, query: Query, tmp_path: Path):
    """The command shown with each answer works in a shell and speaks of the same things."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {kubernetes_build() / "k8slab"} kubectl "$@"\n')
    kubectl.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "KUBECONFIG": str(shop.kubeconfig())}
    done = subprocess.run(["sh", "-c", query.text], env=environment, capture_output=True, text=True, check=True)
    assert {"version": "Server Version", "access": "Resources"}.get(query.kind, "web") in done.stdout


def test_usage_is_that_of_kubectl_top(shop: lab_cluster.Kubernetes):
    """Pods, cores and bytes agree with `kubectl top pods`."""
    found = usage_of(source(shop).ask(usage(*WEB)))
    lines = [line.split() for line in shop.kubectl("top", "pods", "-n", NAMESPACE, "--no-headers").splitlines()]
    told = {name: (cpu, memory) for name, cpu, memory in lines if not name.startswith("web-db")}
    assert set(found) == set(told)
    for name, (cpu, memory) in found.items():
        assert float(told[name][0].removesuffix("m")) / 1000 == pytest.approx(cpu, abs=0.02)
        assert float(told[name][1].removesuffix("Mi")) == memory / 1024**2


def test_a_story_of_rollouts_is_told_as_it_happened(shop: lab_cluster.Kubernetes):
    """Rollouts, a bad one and two roll-backs: numbers and images as `rollout history` has them, times as they were."""
    began = {2: roll_out(shop, "v2", cause="second"), 3: roll_back(shop)}
    _check_history(shop, began, current=3)
    began[4] = roll_out(shop, "v3", fault="oom", cause="third")
    _check_history(shop, began, current=4)
    _check_pods(shop, "CrashLoopBackOff")
    assert any(
        pod.last_termination and pod.last_termination.reason == "OOMKilled" for pod in pods_of(_asked(shop, pods))
    )
    began[5] = roll_back(shop)
    _check_history(shop, {key: at for key, at in began.items() if key != 3}, current=5)
    assert CANARY not in json.dumps([source(shop).ask(query).data for query in ABOUT_WEB])


@pytest.mark.parametrize(("fault", "reason"), [("imagepull", "ImagePullBackOff"), ("not-ready", "")])
def test_pods_are_told_as_kubectl_shows_them(shop: lab_cluster.Kubernetes, fault: str, reason: str):
    """Status, restarts, readiness and node of each pod are those of `kubectl get pods`."""
    try:
        roll_out(shop, "v9", fault=fault)
        _check_pods(shop, reason)
        found = deployment_of(_asked(shop, deployment))
        assert found is not None
        assert (found.wanted, found.updated) == (2, 1)
    finally:
        roll_back(shop)


def test_a_pod_that_fits_nowhere_is_pending_with_its_reason_in_the_events(shop: lab_cluster.Kubernetes):
    """An impossible request leaves a pod pending; the scheduler's event says why."""
    try:
        big = web("big", replicas=1)
        big["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "64"}}
        shop.apply([big])
        happened = _eventually(lambda: events_of(source(shop).ask(events(NAMESPACE, "big"))), "FailedScheduling")
        assert "Insufficient cpu" in next(one.message for one in happened if one.reason == "FailedScheduling")
        (pod,) = pods_of(source(shop).ask(pods(NAMESPACE, "big")))
        assert (pod.phase, pod.ready, pod.node, pod.started_at) == ("Pending", False, "", None)
    finally:
        shop.kubectl("delete", "deployment", "big", "-n", NAMESPACE)


def test_a_long_list_is_read_to_its_end(shop: lab_cluster.Kubernetes):
    """1,200 events come in three pages of the real API server, each of them once."""
    times = {"firstTimestamp": "2026-01-15T10:40:00Z", "lastTimestamp": "2026-01-15T10:40:00Z"}
    about = {"kind": "Deployment", "name": "web", "namespace": NAMESPACE}
    batch = [
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"numbered-{n}", "namespace": NAMESPACE},
            "involvedObject": about,
            "reason": f"Numbered{n}",
            "type": "Normal",
            **times,
        }
        for n in range(1200)
    ]
    shop.kubectl("create", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": batch}))
    answer = source(shop).ask(events(*WEB))
    found = [one.reason for one in events_of(answer) if one.reason.startswith("Numbered")]
    assert answer.completeness == "complete"
    assert sorted(found) == sorted(f"Numbered{n}" for n in range(1200))


def _asked(cluster: lab_cluster.Kubernetes, ask: Any) -> Any:
    return source(cluster).ask(ask(*WEB))


def _check_history(cluster: lab_cluster.Kubernetes, began: dict[int, float], current: int) -> None:
    answer = _asked(cluster, deployment)
    found = revisions(answer)
    lines = cluster.kubectl("rollout", "history", "deployment/web", "-n", NAMESPACE).splitlines()
    told = {int(line.split()[0]): line.split(maxsplit=1)[1] for line in lines if line[:1].isdigit()}
    assert answer.completeness == "complete"
    assert {one.number: one.change_cause or "<none>" for one in found} == told
    assert [one.number for one in found if one.current] == [current]
    assert found[-1].number == current
    for one in found:
        if one.number in began:
            assert one.rolled_out_at == pytest.approx(began[one.number], abs=2.5), one
    ready = {
        one["metadata"]["name"]: one["status"].get("readyReplicas", 0) for one in cluster.get("replicasets", NAMESPACE)
    }
    assert all(ready[one.replicaset] == one.ready for one in found)


def _check_pods(cluster: lab_cluster.Kubernetes, reason: str) -> None:
    """All columns of kubectl's table, against ours; a pod in a fault's cycle may change between the two."""
    for _ in range(5):
        found = [pod for pod in pods_of(_asked(cluster, pods)) if pod.reason != "Terminating"]
        ours = {pod.name: (pod.reason or pod.phase, str(pod.restarts), pod.node) for pod in found}
        table = cluster.kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=web", "-o", "wide", "--no-headers")
        told = {words[0]: (words[2], words[3], words[-3]) for words in (line.split() for line in table.splitlines())}
        told = {name: row for name, row in told.items() if row[0] != "Terminating"}
        if ours == told and reason in {pod.reason for pod in found}:
            return
        time.sleep(0.3)
    assert ours == told
    assert reason in {pod.reason for pod in found}


def _eventually(read: Any, reason: str) -> Any:
    """What `read` gives once one of it has this reason."""
    for _ in range(50):
        found = read()
        if any(one.reason == reason for one in found):
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {reason} in {found}")


def _eventually_refused(cluster: lab_cluster.Kubernetes, query: Query, words: str) -> bool:
    """Whether the refusal has these words, after the API server noticed the change."""
    said = ""
    for _ in range(60):
        try:
            source(cluster).ask(query)
        except SourceError as error:
            said = str(error)
            if words in said:
                return True
        time.sleep(0.5)
    raise AssertionError(said)


def _decoded(data: str) -> bytes:
    return base64.b64decode(data)
