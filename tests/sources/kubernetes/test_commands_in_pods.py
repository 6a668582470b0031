"""Kubernetes: the two commands that may run in a pod, and when they may not."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import UsageError
from runbook.model import Query
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.containers import clocks_of, public_key_of
from runbook.sources.kubernetes.objects import access_of, pods_of
from runbook.sources.kubernetes.queries import access, clock, pods, public_key
from tests.canned import Canned, Reply, Request
from tests.sources.kubernetes.asking import FORBIDDEN, WEB, answer_at
from tests.sources.kubernetes.server import TOKEN, kubeconfig, refusal, repeating, source
from tests.sources.refusals import refused


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
