"""Kubernetes: whatever goes wrong is one sentence, with what to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import UsageError
from runbook.model import Query
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.objects import events_of, pods_of
from runbook.sources.kubernetes.queries import (
    access,
    clock,
    deployment,
    events,
    nodes,
    pods,
    policies,
    previous_logs,
    secrets,
    usage,
    version,
)
from runbook.sources.kubernetes.rollouts import deployment_of, revisions
from tests.canned import Canned, Reply
from tests.certificates import TLS_TROUBLE, Authority
from tests.faulty import MODES, Faulty, Mode
from tests.sources.kubernetes.asking import ABOUT_WEB, FORBIDDEN, WEB
from tests.sources.kubernetes.server import TOKEN, kubeconfig, refusal, repeating, source, stage
from tests.sources.refusals import refused


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


@pytest.mark.parametrize(("words", "hosts", "days", "self_signed"), TLS_TROUBLE)
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
