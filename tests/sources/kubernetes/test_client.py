"""Kubernetes: how it is asked, against a server that repeats a real API server's answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import access_of, version_of
from runbook.sources.kubernetes.queries import access, pods, version
from tests.canned import Canned, Reply
from tests.sources.kubernetes.asking import ABOUT_WEB, FORBIDDEN, WEB, answer_at
from tests.sources.kubernetes.server import refusal, repeating, source, stage


def test_access_tells_each_right(tmp_path: Path):
    """What may not be read is told with its remedy, one by one, and the question itself does not fail."""
    with Canned(repeating("bad_rollout", events=FORBIDDEN, usage=Reply(b"404 page not found", 404))) as server:
        found = {one.resource: one for one in access_of(source(tmp_path, server).ask(access(*WEB)))}
    assert [name for name, one in found.items() if not one.allowed] == ["events"]
    assert [name for name, one in found.items() if one.optional] == ["secrets", "configmaps", "nodes"]
    assert "apply deploy/rbac.yaml" in found["events"].error
    assert found["pods/log"].error == ""
    assert "metrics.k8s.io is not served" in found["pods.metrics.k8s.io"].error


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
