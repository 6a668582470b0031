"""Kubernetes as a source, on a real API server: rollouts, pods, usage and pages, with kubectl as the witness."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runbook.errors import SourceError
from runbook.model import Query
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.containers import clocks_of, previous_logs_of, public_key_of
from runbook.sources.kubernetes.http import Connection, Request
from runbook.sources.kubernetes.kubeconfig import ClusterLogin, from_files, service_account
from runbook.sources.kubernetes.network_policies import Cut, cuts_egress, cuts_ingress, policies_of
from runbook.sources.kubernetes.nodes import Node, nodes_of
from runbook.sources.kubernetes.objects import events_of, pods_of, seconds, usage_of, version_of
from runbook.sources.kubernetes.queries import (
    access,
    clock,
    deployment,
    events,
    nodes,
    pods,
    policies,
    previous_logs,
    public_key,
    secrets,
    usage,
    version,
)
from runbook.sources.kubernetes.requests import Question
from runbook.sources.kubernetes.rollouts import deployment_of, revisions
from runbook.sources.kubernetes.secrets import secrets_of
from tests.lab.oncall_role import (
    ABOUT_WEB,
    BINDING,
    OPTIONAL,
    RBAC,
    ROLE,
    WEB,
    denied,
    grant,
    grant_more,
    refusals,
    source,
    take_back,
)
from tests.lab.servers import cluster as lab_cluster
from tests.lab.servers.cache import kubernetes_build
from tests.lab.servers.cluster import KubectlFailed
from tests.lab.servers.components import METRICS_NAME
from tests.lab.service.shop import CANARY, NAMESPACE, open_shop, policy, roll_back, roll_out
from tests.lab.service.shop import deployment as web

pytestmark = pytest.mark.lab

KEY = "/etc/keys/jwt_public.pem"
INSIDE = [public_key(*WEB, KEY), clock(*WEB)]
EXTRA = {"nodes": [nodes(*WEB)], "secrets": [secrets(*WEB)], "exec": INSIDE}
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
    ("create", "pods/exec"),
    ("get", "pods/exec"),
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
        crash(cluster)
        grant(cluster, ROLE["rules"])
        cluster.wait_for_metrics(NAMESPACE)
        yield cluster


def crash(cluster: lab_cluster.Kubernetes) -> None:
    """Let one pod of `web` have ended once, with last words."""
    pod = cluster.get("pods", NAMESPACE, "--selector=app=web")[0]
    cluster.write_logs(NAMESPACE, pod["metadata"]["name"], previous=[f"line {n}" for n in range(60)])
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "startedAt": "2026-01-15T10:39:00Z",
        "finishedAt": "2026-01-15T10:40:00Z",
    }
    first, *others = pod["status"]["containerStatuses"]
    statuses = [{**first, "restartCount": 1, "lastState": {"terminated": ended}}, *others]
    patch = json.dumps({"status": {"containerStatuses": statuses}})
    name = pod["metadata"]["name"]
    cluster.kubectl("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)


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
        assert denied(shop) == [name]
    finally:
        grant(shop, ROLE["rules"])


@pytest.mark.parametrize(
    ("file", "lacking", "words"),
    [
        ("nodes", "get nodes", "get nodes"),
        ("secrets", "list secrets", "list secrets"),
        ("secrets", "list configmaps", "list configmaps"),
        ("exec", "get pods/exec", "create pods/exec of"),
        ("exec", "create pods/exec", "create pods/exec of"),
    ],
)
def test_no_optional_rule_is_superfluous(shop: lab_cluster.Kubernetes, file: str, lacking: str, words: str):
    """Each of the optional files is needed for its questions, rule by rule, and the refusal names the file."""
    queries = EXTRA[file]
    role, _ = yaml.safe_load_all(OPTIONAL[file].read_text())
    rules = role["rules"]
    fewer = [one for one in rules if f"{one['verbs'][0]} {one['resources'][0]}" != lacking]
    assert len(fewer) == len(rules) - 1
    try:
        grant_more(shop, file, fewer)
        assert f"does not let us {words}" in refusals(shop, queries, inside=True)
        assert f"apply deploy/rbac-{file}.yaml" in refusals(shop, queries, inside=True)
        named = "create pods/exec" if file == "exec" else lacking
        assert named in denied(shop, optional=True, inside=True)
        grant_more(shop, file)
        assert refusals(shop, queries, inside=True) == ""
        assert named not in denied(shop, optional=True, inside=True)
    finally:
        take_back(shop, file)


@pytest.mark.parametrize("command", NOT_GRANTED, ids=" ".join)
def test_nothing_else_is_granted(shop: lab_cluster.Kubernetes, command: tuple[str, ...]):
    """No secrets, exec or deletion, no other namespace, nothing of the cluster: the API server refuses it."""
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
    assert [source(shop).ask(query).completeness for query in [*ABOUT_WEB, version()]] == ["complete"] * 7
    assert denied(shop) == []
    assert denied(shop, optional=True) == ["list secrets", "list configmaps", "get nodes"]


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
        found = connection.get(Request(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web", "get it"), limit)
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


@pytest.mark.parametrize(
    "query", [*ABOUT_WEB, nodes(*WEB), secrets(*WEB), access(*WEB), version()], ids=lambda query: query.kind
)
def test_the_command_of_a_query_can_be_pasted(shop: lab_cluster.Kubernetes, query: Query, tmp_path: Path):
    """The command shown with each answer works in a shell and speaks of the same things."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {kubernetes_build() / "k8slab"} kubectl "$@"\n')
    kubectl.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "KUBECONFIG": str(shop.kubeconfig())}
    done = subprocess.run(["sh", "-c", query.text], env=environment, capture_output=True, text=True, check=True)
    expected = {"version": "Server Version", "access": "Resources", "previous_logs": "line 59"}
    assert expected.get(query.kind, "web") in done.stdout


def test_usage_is_that_of_kubectl_top(shop: lab_cluster.Kubernetes):
    """Pods, cores and bytes agree with `kubectl top pods`."""
    found = usage_of(source(shop).ask(usage(*WEB)))
    lines = [line.split() for line in shop.kubectl("top", "pods", "-n", NAMESPACE, "--no-headers").splitlines()]
    told = {name: (cpu, memory) for name, cpu, memory in lines if not name.startswith("web-db")}
    assert set(found) == set(told)
    for name, (cpu, memory) in found.items():
        assert float(told[name][0].removesuffix("m")) / 1000 == pytest.approx(cpu, abs=0.02)
        assert float(told[name][1].removesuffix("Mi")) == memory / 1024**2


def test_the_last_words_are_those_of_kubectl(shop: lab_cluster.Kubernetes):
    """Of the container that ended, and of no other, the lines are those of `kubectl logs --previous --tail=40`."""
    (log,) = previous_logs_of(_asked(shop, previous_logs))
    command = ("logs", log.pod, "-c", log.container, "--previous", "--tail=40", "-n", NAMESPACE)
    assert list(log.lines) == shop.kubectl(*command).splitlines()
    assert (log.container, log.lines[0], log.lines[-1]) == ("app", "line 20", "line 59")


def test_no_value_of_a_secret_reaches_this_process(shop: lab_cluster.Kubernetes):
    """The value stands in the Secret and in an annotation that `kubectl apply` made; not one byte received holds it."""
    (secret,) = shop.get("secrets", NAMESPACE)
    value = base64.b64encode(CANARY.encode()).decode()
    assert secret["data"]["url"] == value
    assert CANARY in secret["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    heard = Listening(from_files([shop.kubeconfig()]))
    with TimeLimit(10) as limit:
        data = Question(heard, limit, secrets(*WEB).params).secrets()
    lists = b"".join(body for path, body in heard.bodies if path.endswith(("/secrets", "/configmaps")))
    assert b"web-database" in lists
    assert not any(word.encode() in lists for word in (CANARY, value))
    assert not any(word in json.dumps(data) for word in (CANARY, value))


class Listening(Connection):
    """A connection that keeps what came in."""

    def __init__(self, login: ClusterLogin) -> None:
        super().__init__(login)
        self.bodies: list[tuple[str, bytes]] = []

    def read(self, request: Request, limit: TimeLimit) -> bytes:
        body = super().read(request, limit)
        self.bodies.append((request.path, body))
        return body


def test_the_secret_that_nobody_made_is_missing(shop: lab_cluster.Kubernetes):
    """Names, type and age are kubectl's; of what the deployment refers to, the Secret that is not there is missing."""
    found = secrets_of(source(shop, "admin").ask(secrets(*WEB)))
    told = shop.kubectl("get", "secrets,configmaps", "-n", NAMESPACE, "-o", "name").split()
    assert [one.name for one in found.known] == sorted(told)
    assert found.missing == ("secret/web-jwt-key",)
    (database,) = [one for one in found.known if one.name == "secret/web-database"]
    created = seconds(shop.get("secrets", NAMESPACE)[0]["metadata"]["creationTimestamp"])
    assert database.type == "Opaque"
    assert database.created_at == pytest.approx(created, abs=61)


def test_a_node_that_fails_is_told_as_kubectl_shows_it(shop: lab_cluster.Kubernetes):
    """Not ready, tainted by Kubernetes and cordoned by a person: all of it is seen, and that pods are on it."""
    asked = source(shop, "admin")
    try:
        shop.kubectl("label", "node", "node-1", "lab.fault=not-ready")
        shop.kubectl("cordon", "node-1")
        node = _eventually_node(asked, "node-1", lambda one: one.ready is False and len(one.taints) > 1)
        assert (node.reason, node.message, node.cordoned) == ("KubeletNotReady", "container runtime is down", True)
        assert "node.kubernetes.io/not-ready:NoSchedule" in node.taints
        assert node.since == pytest.approx(time.time(), abs=30)
    finally:
        shop.kubectl("uncordon", "node-1")
        shop.kubectl("label", "node", "node-1", "lab.fault-")
        _eventually_node(asked, "node-1", lambda one: bool(one.ready) and not one.taints)


def test_policies_are_read_as_kubernetes_took_them(shop: lab_cluster.Kubernetes):
    """A policy that closes everything cuts for certain only together with no other that allows."""
    asked = source(shop)
    assert cuts_egress(policies_of(asked.ask(policies(*WEB))), {"app": "web"}, 3306) == Cut(possible=("web",))
    try:
        shop.apply([policy("closed", policyTypes=["Egress"], podSelector={})])
        known = policies_of(asked.ask(policies(*WEB)))
        assert cuts_egress(known, {"app": "web"}, 3306) == Cut(possible=("closed", "web"))
        assert cuts_egress(known, {"app": "web"}, 443) == Cut(certain=("closed", "web"))
        assert cuts_egress(known, {"app": "other"}, 3306) == Cut(certain=("closed",))
        assert cuts_ingress(known, {"app": "web"}, 8080) == Cut(possible=("web",))
    finally:
        shop.kubectl("delete", "networkpolicy", "closed", "-n", NAMESPACE)


def test_the_head_of_the_key_and_the_clocks_are_read_in_the_pods(shop: lab_cluster.Kubernetes):
    """Through the API server's websocket: three lines of the key, a clock 90 seconds ahead, told within its error."""
    names = [pod.name for pod in pods_of(_asked(shop, pods))]
    pem = "-----BEGIN PUBLIC KEY-----\nAAAA\nBBBB\nCCCC\n-----END PUBLIC KEY-----\n"
    for name in names:
        shop.let_look_inside(NAMESPACE, name, {KEY: pem}, clock=90)
    asked = source(shop, "admin", inside=True)
    found = _when(lambda: public_key_of(asked.ask(INSIDE[0])), lambda one: one is not None and one.form == "public key")
    assert (found.container, found.path, found.lines) == ("app", KEY, tuple(pem.splitlines()[:3]))
    for told in clocks_of(asked.ask(clock(*WEB))):
        assert told.offset is not None
        assert told.uncertainty is not None
        assert abs(told.offset - 90) <= told.uncertainty < 2
    absent = public_key_of(asked.ask(public_key(*WEB, "/etc/keys/none.pem")))
    assert absent is not None
    assert (absent.form, absent.lines) == ("unreadable", ())
    assert "No such file" in absent.error


def test_a_private_key_in_the_wrong_place_is_never_recorded(shop: lab_cluster.Kubernetes):
    """Where the path leads to a private key, the answer says so and holds nothing of it."""
    pem = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
    for pod in pods_of(_asked(shop, pods)):
        shop.let_look_inside(NAMESPACE, pod.name, {KEY: pem})
    asked = source(shop, "admin", inside=True)
    answer = _when(lambda: asked.ask(INSIDE[0]), lambda one: "private" in json.dumps(one.data))
    assert CANARY not in json.dumps(answer.data)
    found = public_key_of(answer)
    assert found is not None
    assert (found.form, found.lines) == ("private key", ())


def test_a_container_that_is_not_there_is_told(shop: lab_cluster.Kubernetes):
    """What the API server says of a wrong container is the sentence."""
    with pytest.raises(SourceError, match=r"container nope is not valid for pod web-"):
        source(shop, "admin", inside=True).ask(public_key(*WEB, KEY, "nope"))


def test_only_the_two_commands_run_in_the_lab(shop: lab_cluster.Kubernetes):
    """The lab's pods run on this machine, so any other command is not there."""
    name = pods_of(_asked(shop, pods))[0].name
    shop.let_look_inside(NAMESPACE, name, {})
    with pytest.raises(KubectlFailed, match="executable file not found"):
        _when(lambda: shop.kubectl("exec", name, "-n", NAMESPACE, "--", "id"), lambda _: True)


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
        assert found.wanted == 2
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
        assert "Insufficient cpu" in pod.unschedulable
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


def _when(read: Callable[[], Any], fits: Callable[[Any], bool]) -> Any:
    """What `read` gives once it fits: kwok takes up what it is told a moment later."""
    for _ in range(100):
        found = read()
        if fits(found):
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def _eventually_node(asked: Kubernetes, name: str, fits: Callable[[Node], bool]) -> Node:
    def read() -> Node:
        return next(one for one in nodes_of(asked.ask(nodes(*WEB))) if one.name == name)

    found: Node = _when(read, fits)
    return found


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
