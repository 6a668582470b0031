"""Kubernetes: refusals, faults, pages and what is recorded, with a server that repeats a real API server's answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import SourceError, UsageError
from runbook.model import Answer, Query
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.containers import clocks_of, previous_logs_of, public_key_of
from runbook.sources.kubernetes.network_policies import labels_of, policies_of
from runbook.sources.kubernetes.nodes import nodes_of
from runbook.sources.kubernetes.objects import access_of, events_of, pods_of, usage_of, version_of
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
from runbook.sources.kubernetes.rollouts import deployment_of, revisions
from tests.canned import Canned, Reply, Request
from tests.certificates import Authority
from tests.faulty import MODES, Faulty, Mode
from tests.lab.service.shop import CANARY
from tests.sources.kubernetes.server import EVENTS, TOKEN, kubeconfig, refusal, repeating, source, stage

WEB = ("shop", "web")
ABOUT_WEB = [ask(*WEB) for ask in (deployment, pods, events, usage, previous_logs, nodes, policies, secrets)]
FORBIDDEN = refusal(403, 'User "oncall" cannot do that')
MIB = 1024 * 1024
STAGES = ["rolled_back", "bad_rollout", "undone_half-way", "rolled_back_again"]


def refused(asked: Kubernetes, query: Query) -> SourceError:
    with pytest.raises(SourceError) as caught:
        asked.ask(query)
    return caught.value


def answer_at(moment: str, query: Query, folder: Path) -> Answer:
    with Canned(repeating(moment)) as server:
        return source(folder, server).ask(query)


# What goes wrong


@pytest.mark.parametrize("mode", MODES)
def test_every_fault_is_one_sentence_in_time(mode: Mode, tmp_path: Path):
    """Whatever a server does, there is one sentence with its address and no secret, before the time is up."""
    with Faulty(mode) as server:
        began = time.monotonic()
        error = refused(source(tmp_path, server.url, seconds=1.5), deployment(*WEB))
        assert time.monotonic() - began < 3.5
        assert str(error).startswith(f"Kubernetes at {server.url} ")
    assert str(error).endswith(".")
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("down", "unreachable"),
        ("hanging", "timeout"),
        ("trickling body", "timeout"),
        ("500", "server error"),
        ("401", "forbidden"),
        ("403", "forbidden"),
        ("nonsense", "garbage"),
        ("half a body", "garbage"),
    ],
)
def test_a_fault_has_its_reason(mode: Mode, reason: str, tmp_path: Path):
    """The kinds of failure are told apart."""
    with Faulty(mode) as server:
        assert refused(source(tmp_path, server.url, seconds=1.0), pods(*WEB)).reason == reason


@pytest.mark.parametrize(
    ("query", "resource", "named"),
    [
        (deployment(*WEB), "deployments", "get deployments.apps web in namespace shop"),
        (pods(*WEB), "pods", "list pods in namespace shop"),
        (events(*WEB), "events", "list events in namespace shop"),
        (usage(*WEB), "usage", "list pods.metrics.k8s.io in namespace shop"),
        (policies(*WEB), "networkpolicies", "list networkpolicies.networking.k8s.io in namespace shop"),
    ],
)
def test_a_missing_right_is_named_with_its_remedy(query: Query, resource: str, named: str, tmp_path: Path):
    """A 403 says what may not be read, and which file grants it."""
    with Canned(repeating("bad_rollout", **{resource: FORBIDDEN})) as server:
        error = refused(source(tmp_path, server), query)
    assert f"does not let us {named} (403); apply deploy/rbac.yaml" in str(error)
    assert error.reason == "forbidden"


def test_expired_credentials_name_the_context(tmp_path: Path):
    """A 401 says which login to renew."""
    with Canned(lambda _: refusal(401, "Unauthorized")) as server:
        error = refused(source(tmp_path, server), version())
    assert f"does not accept our credentials (401); renew those of context here of {tmp_path}" in str(error)


def test_a_deployment_that_is_not_there_points_at_the_settings(tmp_path: Path):
    """A 404 says which names to correct."""
    with Canned(repeating("bad_rollout")) as server:
        error = refused(source(tmp_path, server), deployment("shop", "wbe"))
    assert "get deployments.apps wbe in namespace shop (404); correct `deployment` and `namespace`" in str(error)
    assert error.reason == "refused"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"404 page not found\n", 404), "metrics.k8s.io is not served; install metrics-server"),
        (Reply(b"service unavailable\n", 503), "metrics-server does not answer it (503); check that its pods run"),
    ],
)
def test_usage_without_metrics_server_is_told_plainly(reply: Reply, words: str, tmp_path: Path):
    """Whether metrics-server is not installed or not running, the sentence says so."""
    with Canned(repeating("bad_rollout", usage=reply)) as server:
        assert words in str(refused(source(tmp_path, server), usage(*WEB)))


def test_a_missing_part_makes_the_answer_partial(tmp_path: Path):
    """Pods are told without their revisions where the ReplicaSets may not be read, and a warning says why."""
    with Canned(repeating("bad_rollout", replicasets=FORBIDDEN)) as server:
        answer = source(tmp_path, server).ask(pods(*WEB))
    assert answer.completeness == "partial"
    assert "does not let us list replicasets.apps in namespace shop" in answer.warnings[0]
    assert {pod.revision for pod in pods_of(answer)} == {None}
    assert len(pods_of(answer)) == 3


def test_a_deployment_without_its_replicasets_is_partial(tmp_path: Path):
    """The deployment alone is still told, without any revision."""
    with Canned(repeating("bad_rollout", replicasets=FORBIDDEN)) as server:
        answer = source(tmp_path, server).ask(deployment(*WEB))
    assert (answer.completeness, revisions(answer)) == ("partial", ())
    assert deployment_of(answer) is not None


def test_events_of_a_deployment_that_is_gone_are_still_told(tmp_path: Path):
    """Where the deployment cannot be found, its own events are left, and the answer is partial."""
    with Canned(repeating("bad_rollout", deployments=refusal(404, "gone"))) as server:
        answer = source(tmp_path, server).ask(events(*WEB))
    assert answer.completeness == "partial"
    assert {event.kind for event in events_of(answer)} == {"Deployment"}


@pytest.mark.parametrize("body", [b"<html>login</html>", b"", [], 7, {}, {"items": 7}, {"items": [7]}, {"items": [{}]}])
@pytest.mark.parametrize("query", ABOUT_WEB, ids=lambda query: query.kind)
def test_what_is_no_answer_of_kubernetes_is_garbage(query: Query, body: Any, tmp_path: Path):
    """A page, or JSON of another shape, even with status 200, is an error and never an empty answer."""
    with Canned(lambda _: Reply(body)) as server:
        assert refused(source(tmp_path, server), query).reason == "garbage"


def test_values_that_cannot_be_read_are_garbage(tmp_path: Path):
    """An amount or a time that Kubernetes would never write fails the question and not the notebook."""
    found = stage("bad_rollout")["answers"]["/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dweb"]
    found["items"][0]["containers"][0]["usage"]["cpu"] = "much"
    with Canned(repeating("bad_rollout", usage=Reply(found))) as server:
        assert refused(source(tmp_path, server), usage(*WEB)).reason == "garbage"


def test_a_server_that_repeats_our_secret_does_not_get_it_into_the_sentence(tmp_path: Path):
    """The server's own words are quoted, but not what they quote of our credentials."""
    with Canned(lambda request: refusal(500, f"etcd is away, {request.headers['Authorization']}")) as server:
        error = refused(source(tmp_path, server), version())
    assert "answered 500 when asked to read its version: etcd is away, Bearer [redacted]" in str(error)
    assert TOKEN not in str(error)


def test_a_redirect_is_not_followed(tmp_path: Path):
    """A login page's redirect is told; the credentials do not go where it points."""
    with Canned({}) as elsewhere:
        moved = Reply(b"", 302, {"Location": f"{elsewhere.url}/version?{TOKEN}"})
        with Canned({"/version": moved}) as server:
            error = refused(source(tmp_path, server), version())
        assert elsewhere.requests == []
    assert "redirects elsewhere (302)" in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("words", "hosts", "days", "self_signed"),
    [
        ("the certificate has expired", ["127.0.0.1"], -2, False),
        ("the certificate is for another address", ["10.1.2.3"], 30, False),
        ("the certificate is self-signed", ["127.0.0.1"], 30, True),
    ],
)
def test_tls_trouble_is_told_in_words(tmp_path: Path, words: str, hosts: list[str], days: int, self_signed: bool):
    """An expired, a foreign and a self-signed certificate are each called so, and the kubeconfig's entry is named."""
    authority = Authority(tmp_path)
    tls = authority.server_context("server", *hosts, days=days, self_signed=self_signed)
    with Canned(repeating("bad_rollout"), tls=tls) as server:
        file = kubeconfig(tmp_path, server.url, {"certificate-authority": authority.file.name})
        error = refused(Kubernetes(Settings(kubeconfig=str(file)), 5), version())
    assert f"gave no answer (TLS failed: {words}); check the cluster's entry in context here of {file}" in str(error)


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("", "web"),
        ("shop", ""),
        ("Shop", "web"),
        ("shop/../kube-system", "web"),
        ("shop", "web?watch=1"),
        ("shop", "web/scale"),
        ("shop", "web;rm -rf /"),
        ("shop", "-web"),
        ("shop", "web-"),
        ("shop", "web\n"),
        ("s" * 64, "web"),
        ("shop", "w" * 254),
        ("a.b", "web"),
    ],
)
@pytest.mark.parametrize(
    "ask", [deployment, pods, events, usage, previous_logs, nodes, policies, secrets, clock, access]
)
def test_a_strange_name_is_refused_before_anything_is_asked(ask: Any, namespace: str, name: str):
    """Only names that Kubernetes itself takes become a question, a path and a command to paste."""
    with pytest.raises(UsageError, match=r"is not the name of a (namespace|deployment); correct"):
        ask(namespace, name)


# Pages


def pages(request: Request, total: int) -> Reply:
    """A list of numbered events, as many to a page as asked for."""
    first, size = int(request.params.get("continue", "0")), int(request.params["limit"])
    numbers = range(first, min(first + size, total))
    following = {"continue": str(first + size)} if first + size < total else {}
    items = [
        {"metadata": {"name": str(n)}, "involvedObject": {"kind": "Deployment", "name": "web"}, "reason": str(n)}
        for n in numbers
    ]
    return Reply({"kind": "EventList", "metadata": following, "items": items})


def paged(total: int, expire: int = 0) -> Any:
    """The stage with so many events; the first `expire` later pages are gone (410)."""
    rest, left = repeating("bad_rollout"), [expire]

    def answer(request: Request) -> Reply:
        if not request.path.startswith(EVENTS):
            return rest(request)
        if "continue" in request.params and left[0] > 0:
            left[0] -= 1
            return refusal(410, "The provided continue parameter is too old")
        return pages(request, total)

    return answer


def test_a_list_that_keeps_expiring_fails(tmp_path: Path):
    """After three attempts at a list whose pages go stale, the sentence says so."""
    with Canned(paged(1200, expire=9)) as server:
        error = refused(source(tmp_path, server), events(*WEB))
    assert "let its pages expire while we were reading them (list events in namespace shop); run again" in str(error)


def test_a_list_that_expired_is_read_anew(tmp_path: Path):
    """A page that is gone (410) restarts the list, and nothing is counted twice."""
    with Canned(paged(1200, expire=1)) as server:
        answer = source(tmp_path, server).ask(events(*WEB))
    assert answer.completeness == "complete"
    assert sorted(int(event.reason) for event in events_of(answer)) == list(range(1200))


def test_an_endless_list_is_cut_and_told(tmp_path: Path):
    """Beyond 10,000 objects the answer is partial and says how many were read."""
    with Canned(paged(30_000)) as server:
        answer = source(tmp_path, server).ask(events(*WEB))
    assert answer.completeness == "partial"
    assert answer.warnings == ("Only the first 10,000 events in namespace shop were read.",)


# Revisions, from real answers


@pytest.mark.parametrize("moment", STAGES)
def test_nothing_secret_is_recorded(moment: str, tmp_path: Path):
    """Environment values, arguments, change causes with `set env`, managedFields and annotations stay behind."""
    raw = json.dumps(stage(moment))
    assert all(word in raw for word in (CANARY, "managedFields", "last-applied-configuration"))
    for query in [*ABOUT_WEB, access(*WEB), version()]:
        log = {"log": Reply(b"a line\n")} if query.kind == "previous_logs" else {}
        with Canned(repeating(moment, **log)) as server:
            recorded = json.dumps(source(tmp_path, server).ask(query).data)
        assert not any(
            word in recorded for word in (CANARY, TOKEN, "managedFields", "last-applied", "DATABASE", "args")
        )


def test_a_bad_rollout_is_told_from_the_good_revision_before(tmp_path: Path):
    """Of three revisions, the last one is current, not ready, and dated by its ReplicaSet."""
    answer = answer_at("bad_rollout", deployment(*WEB), tmp_path)
    old, good, bad = revisions(answer)
    assert answer.completeness == "complete"
    assert (old.number, old.replicas, old.change_cause) == (2, 0, "second")
    assert (good.number, good.replicas, good.ready, good.current, good.change_cause) == (3, 2, 2, False, "first")
    assert (bad.number, bad.replicas, bad.ready, bad.current) == (4, 1, 0, True)
    assert bad.images == ("registry.example/web:v3", "registry.example/proxy:1")
    assert bad.change_cause == "kubectl set env …"
    assert bad.replicaset.startswith("web-")
    assert (bad.rolled_out_at, bad.evidence) == (bad.created_at, "creation")
    assert bad.rolled_out_at == pytest.approx(stage("bad_rollout")["began"], abs=2)


@pytest.mark.parametrize(
    ("moment", "number", "evidence"),
    [
        ("rolled_back", 3, ["event"]),
        ("undone_half-way", 5, ["condition"]),
        (
            "rolled_back_again",
            7,
            ["event", "pod"],
        ),  # which of the many events Kubernetes lumps together, it draws by lot
    ],
)
def test_a_roll_back_is_dated_when_it_happened(moment: str, number: int, evidence: list[str], tmp_path: Path):
    """`rollout undo` uses the first ReplicaSet again; its rollout is now and not when that was created."""
    current = revisions(answer_at(moment, deployment(*WEB), tmp_path))[-1]
    assert (current.number, current.current) == (number, True)
    assert current.evidence in evidence
    assert current.images[0] == "registry.example/web:v1"
    assert current.rolled_out_at == pytest.approx(stage(moment)["began"], abs=2)
    assert current.created_at < stage("rolled_back")["began"] - 2


def test_a_roll_back_whose_events_are_gone_is_dated_by_its_pods(tmp_path: Path):
    """An hour later the events are gone; the oldest pod since the revision before tells the time as well."""
    with Canned(repeating("rolled_back", events=Reply({"items": []}))) as server:
        current = revisions(source(tmp_path, server).ask(deployment(*WEB)))[-1]
    assert current.evidence == "pod"
    assert current.rolled_out_at == pytest.approx(stage("rolled_back")["began"], abs=2)


def test_a_roll_back_that_nothing_dates_is_not_dated(tmp_path: Path):
    """Superseded, without events or pods, a revision used again has no time rather than a wrong one."""
    answer = answer_at("rolled_back", deployment(*WEB), tmp_path)
    answer.data.update(events=[], pods=[])
    answer.data["deployment"]["status"]["conditions"] = []
    assert (revisions(answer)[-1].rolled_out_at, revisions(answer)[-1].evidence) == (None, "none")


def test_the_deployment_counts_its_pods(tmp_path: Path):
    """Wanted, ready and available pods, and how the rollout goes."""
    found = deployment_of(answer_at("bad_rollout", deployment(*WEB), tmp_path))
    assert found is not None
    assert (found.name, found.wanted, found.ready, found.available) == ("web", 2, 2, 2)
    assert found.progress in ("NewReplicaSetCreated", "ReplicaSetUpdated")


def test_an_answer_without_data_has_no_revisions():
    """A failed answer reads as nothing, for every reader."""
    for query in [*ABOUT_WEB, access(*WEB), version()]:
        empty = Answer(query, "failed", error="down")
        assert not any(
            read(empty)
            for read in (
                revisions,
                pods_of,
                events_of,
                usage_of,
                access_of,
                version_of,
                deployment_of,
                previous_logs_of,
                nodes_of,
                policies_of,
                labels_of,
                public_key_of,
                clocks_of,
            )
        )


# Pods, events and usage, from real answers


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


def test_events_are_those_of_the_deployment_and_no_other(tmp_path: Path):
    """Events of the deployment, its ReplicaSets and pods, gone ones too; `web-db` has a name that begins alike."""
    raw = stage("undone_half-way")["answers"]["/api/v1/namespaces/shop/events"]["items"]
    found = events_of(answer_at("undone_half-way", events(*WEB), tmp_path))
    assert any(event["involvedObject"]["name"].startswith("web-db") for event in raw)
    assert not any(event.name.startswith("web-db") for event in found)
    assert {event.kind for event in found} == {"Deployment", "ReplicaSet", "Pod"}
    now = {pod.name for pod in pods_of(answer_at("undone_half-way", pods(*WEB), tmp_path))}
    assert {event.name for event in found if event.kind == "Pod"} > now
    assert ("Warning", "BackOff") in {(event.type, event.reason) for event in found}
    assert [event.last_at for event in found] == sorted(event.last_at or 0 for event in found)


def test_both_forms_of_an_event_have_their_times(tmp_path: Path):
    """The scheduler's events carry eventTime only, the others their last time; all are dated and counted."""
    found = events_of(answer_at("bad_rollout", events(*WEB), tmp_path))
    scheduled = next(event for event in found if event.reason == "Scheduled")
    assert scheduled.last_at is not None
    assert scheduled.last_at % 1 > 0
    assert all(event.last_at and event.count >= 1 for event in found)


def test_a_series_of_events_counts_and_ends():
    """An event that repeats under events.k8s.io carries its count and its last time in `series`."""
    event = {
        "metadata": {"name": "e", "creationTimestamp": "2026-01-15T10:40:00Z"},
        "involvedObject": {"kind": "Pod", "name": "web-1"},
        "eventTime": "2026-01-15T10:40:00.500000Z",
        "series": {"count": 7, "lastObservedTime": "2026-01-15T10:45:00.000000Z"},
    }
    found = events_of(Answer(events(*WEB), "complete", {"events": [event]}))[0]
    assert (found.count, found.last_at) == (7, 1768473900.0)


def test_usage_is_added_up_by_pod(tmp_path: Path):
    """CPU in cores and memory in bytes, over the containers of each pod."""
    found = usage_of(answer_at("bad_rollout", usage(*WEB), tmp_path))
    assert set(found) <= {pod.name for pod in pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path))}
    assert all(0.4 < cpu < 0.6 and memory == 600 * MIB for cpu, memory in found.values())


def test_no_pods_is_empty(tmp_path: Path):
    """A deployment scaled to nothing has an empty answer, and no failure."""
    with Canned(repeating("bad_rollout", pods=Reply({"items": []}), usage=Reply({"items": []}))) as server:
        asked = source(tmp_path, server)
        assert [asked.ask(query).completeness for query in (pods(*WEB), usage(*WEB))] == ["empty", "empty"]


# How it is asked


def test_access_tells_each_right(tmp_path: Path):
    """What may not be read is told with its remedy, one by one, and the question itself does not fail."""
    with Canned(repeating("bad_rollout", events=FORBIDDEN, usage=Reply(b"404 page not found", 404))) as server:
        found = {one.resource: one for one in access_of(source(tmp_path, server).ask(access(*WEB)))}
    assert [name for name, one in found.items() if not one.allowed] == ["events"]
    assert [name for name, one in found.items() if one.optional] == ["secrets", "configmaps", "nodes"]
    assert "apply deploy/rbac.yaml" in found["events"].error
    assert found["pods/log"].error == ""
    assert "metrics.k8s.io is not served" in found["pods.metrics.k8s.io"].error


@pytest.mark.parametrize("query", [public_key(*WEB, "/etc/keys/jwt.pem"), clock(*WEB)], ids=lambda query: query.kind)
def test_no_command_runs_unless_the_settings_allow_it(query: Query, tmp_path: Path):
    """Without `exec = true` what needs a command in a pod is refused in one sentence, and nobody is asked."""
    with Canned(repeating("bad_rollout")) as server:
        error = refused(source(tmp_path, server), query)
        assert server.requests == []
    assert str(error).startswith("Kubernetes is not asked to run a command in a pod; set `exec = true`")


def looking_inside(folder: Path, server: Canned, seconds: float = 5.0) -> Kubernetes:
    """The source, allowed to run its two commands."""
    return Kubernetes(Settings(kubeconfig=str(kubeconfig(folder, server.url)), exec=True), seconds)


@pytest.mark.parametrize("query", [public_key(*WEB, "/etc/keys/jwt.pem"), clock(*WEB)], ids=lambda query: query.kind)
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (FORBIDDEN, "does not let us create pods/exec of web-"),
        (refusal(500, f"no, {TOKEN}"), "answered 500 when asked to create pods/exec of web-"),
        (Reply(b"<html>login</html>"), "answered 200 when asked to create pods/exec of web-"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), "gave no answer"),
    ],
)
def test_a_command_that_is_not_let_through_is_told(query: Query, reply: Reply, words: str, tmp_path: Path):
    """A refusal, a failure, a page and a redirect instead of the websocket: one sentence each, without our secret."""
    with Canned(repeating("bad_rollout", exec=reply)) as server:
        error = refused(looking_inside(tmp_path, server), query)
    assert words in str(error)
    assert TOKEN not in str(error)
    assert ("apply deploy/rbac-exec.yaml" in str(error)) == (reply is FORBIDDEN)


def test_a_command_that_hangs_is_cut_in_time(tmp_path: Path):
    """A server that never opens the websocket costs no more than the time there is."""
    answers = repeating("bad_rollout")

    def hanging(request: Request) -> Reply:
        if "/exec" in request.path:
            time.sleep(4)
        return answers(request)

    with Canned(hanging) as server:
        began = time.monotonic()
        error = refused(looking_inside(tmp_path, server, 1.0), clock(*WEB))
        assert time.monotonic() - began < 3
    assert error.reason == "timeout"


def test_what_runs_in_a_pod_is_the_one_command(tmp_path: Path):
    """The words of the command go to a running pod one by one, without shell and without input."""
    with Canned(repeating("bad_rollout", exec=FORBIDDEN)) as server:
        refused(looking_inside(tmp_path, server), public_key(*WEB, "/etc/keys/jwt.pem"))
        sent = urlsplit(server.requests[-1].path)
        assert server.requests[-1].headers["Upgrade"] == "websocket"
    ready = [pod.name for pod in pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path)) if pod.ready]
    assert sent.path.split("/")[-2] in ready
    assert parse_qs(sent.query) == {
        "container": ["app"],
        "stdout": ["true"],
        "stderr": ["true"],
        "command": ["head", "-n", "3", "/etc/keys/jwt.pem"],
    }


@pytest.mark.parametrize("ask", [partial(public_key, *WEB, "/k"), partial(clock, *WEB)], ids=["public_key", "clock"])
def test_a_command_runs_in_the_container_that_is_named(ask: Callable[..., Query], tmp_path: Path):
    """Else in the pod's first, maybe a sidecar; a name that needs quoting is refused before anything is asked."""
    with Canned(repeating("bad_rollout", exec=FORBIDDEN)) as server:
        for query in (ask(), ask(container="proxy")):
            refused(looking_inside(tmp_path, server), query)
        sent = [urlsplit(one.path).query for one in server.requests if "/exec" in one.path]
    assert {parse_qs(query)["container"][0] for query in sent} == {"app", "proxy"}
    assert " -c proxy -- " in ask(container="proxy").text
    with pytest.raises(UsageError, match=r"is not the name of a container; correct `container` of the service"):
        ask(container="a;b")


def test_without_a_running_pod_there_is_nothing_to_look_into(tmp_path: Path):
    """A deployment scaled to nothing has no key and no clock, and that is an empty answer."""
    with Canned(repeating("bad_rollout", pods=Reply({"items": []}))) as server:
        asked = looking_inside(tmp_path, server)
        answers = [asked.ask(query) for query in (public_key(*WEB, "/k"), clock(*WEB))]
    assert [answer.completeness for answer in answers] == ["empty", "empty"]
    assert (public_key_of(answers[0]), clocks_of(answers[1])) == (None, ())


def test_access_tries_commands_only_where_they_are_allowed(tmp_path: Path):
    """The right to run commands is looked at, without running one, where the settings want it."""
    with Canned(repeating("bad_rollout", exec=FORBIDDEN)) as server:
        told, off = (
            access_of(one.ask(access(*WEB))) for one in (looking_inside(tmp_path, server), source(tmp_path, server))
        )
    (permission,) = [one for one in told if one.resource == "pods/exec"]
    assert (permission.verb, permission.allowed, permission.optional) == ("create", False, True)
    assert "pods/exec" not in {one.resource for one in off}


@pytest.mark.parametrize(
    "path", ["", "jwt.pem", "/etc/../jwt.pem", "/a b", "/a;b", "/$(id)", "/a\n", "//a", "/a/", "/.", "/é", "-c"]
)
def test_a_strange_path_is_refused_before_anything_is_asked(path: str):
    """Only an absolute path that needs no quoting becomes a command."""
    with pytest.raises(UsageError, match=r"is not the absolute path of a file; correct `jwt_public_key_path`"):
        public_key(*WEB, path)


def test_only_get_requests_are_sent(tmp_path: Path):
    """The source reads: no question of its sends anything but GET, nor any body."""
    with Canned(repeating("rolled_back")) as server:
        asked = source(tmp_path, server)
        for query in [*ABOUT_WEB, access(*WEB), version()]:
            asked.ask(query)
        assert {request.method for request in server.requests} == {"GET"}
        assert {request.body for request in server.requests} == {b""}


def test_the_version_is_the_servers(tmp_path: Path):
    """The version is told as Kubernetes writes it."""
    assert version_of(answer_at("bad_rollout", version(), tmp_path)) == "v1.36.3"


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        ({"matchLabels": {"app": "web", "example.com/tier": "a_b"}}, "app=web,example.com/tier=a_b"),
        ({"matchLabels": {"app": ""}}, "app="),
        (
            {
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x", "y"]},
                    {"key": "b", "operator": "NotIn", "values": ["z"]},
                    {"key": "c", "operator": "Exists"},
                    {"key": "d", "operator": "DoesNotExist"},
                ]
            },
            "a in (x,y),b notin (z),c,!d",
        ),
    ],
)
def test_the_deployments_own_selector_finds_its_pods(chosen: Any, sent: str, tmp_path: Path):
    """Labels and expressions of every kind reach the API server whole."""
    found = stage("bad_rollout")["answers"]["/apis/apps/v1/namespaces/shop/deployments/web"]
    found["spec"]["selector"] = chosen
    instead = {"deployments": Reply(found), "pods": Reply({"items": []})}
    with Canned(repeating("bad_rollout", **instead)) as server:
        source(tmp_path, server).ask(pods(*WEB))
        assert server.requests[-1].params["labelSelector"] == sent


def test_many_threads_may_ask_at_once(tmp_path: Path):
    """All questions together give the answers that each gives alone."""
    with Canned(repeating("rolled_back")) as server, ThreadPoolExecutor(8) as pool:
        asked = source(tmp_path, server)
        timeless = [query for query in ABOUT_WEB if query.kind != "secrets"]
        alone = [asked.ask(query).data for query in timeless]
        together = list(pool.map(lambda query: asked.ask(query).data, timeless * 8))
    assert together == alone * 8


def test_a_busy_server_is_asked_again(tmp_path: Path):
    """Too many requests and a gateway's errors cost a moment, not the answer."""
    replies = iter([refusal(429, "slow down"), Reply(b"bad gateway", 502), Reply({"gitVersion": "v1.36.3"})])
    with Canned(lambda _: next(replies)) as server:
        assert version_of(source(tmp_path, server).ask(version())) == "v1.36.3"


def test_a_query_names_the_command_a_person_would_paste():
    """Every question about a deployment shows a kubectl command with its names."""
    for query in ABOUT_WEB:
        assert query.text.startswith("kubectl -n shop ")
        assert "web" in query.text
        assert query.params == {"namespace": "shop", "deployment": "web"}


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True))
def test_every_name_that_kubernetes_takes_is_taken(name: str):
    """Names of the right form become a query whose command holds them unquoted."""
    assert f"-n {name} " in kubernetes.pods(name, name).text
