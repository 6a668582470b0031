"""Probe: the service's own answers, and the refusal to look anywhere else."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Auth
from runbook.errors import ParameterError, SettingsError, SourceError
from runbook.model import Query
from runbook.sources.probe.http import Probe, get, load, login
from runbook.sources.probe.load_test import AT_ONCE, Shot, summary
from tests.canned import Canned, Reply, Request
from tests.certificates import Authority
from tests.fakes import context

LEAVING = [
    "",
    "health",
    "//evil.example/x",
    "/a//b",
    "http://evil.example/",
    "@evil.example/",
    ".evil.example/",
    ":81/",
    "/../admin",
    "/a/../../b",
    "/%2e%2e/admin",
    "/%252e%252e/admin",
    "/a%2f..%2fb",
    "/%2f/evil.example",
    "/\\evil.example",
    "/%5cevil.example",
    "/a\r\nHost: evil.example",
    "/a%0d%0aX: 1",
    "/a b",
    "/\x00",
    "/a#b",
]


@pytest.mark.parametrize("path", LEAVING)
def test_a_path_that_leaves_the_base_url_is_refused(path: str):
    """Nothing but a plain path below base_url can be asked for, and a recorded query gets no further either."""
    for kind, question in (("get", get), ("login", login), ("load", load)):
        with pytest.raises(ParameterError, match="a probe stays below base_url"):
            question(path)
        with pytest.raises(SourceError, match="refuses the path"):
            Probe("http://127.0.0.1:9").ask(Query("probe", kind, path, {"requests": 1}))
    with Canned({}) as server:
        with pytest.raises(SourceError, match="refuses the path"):
            Probe(server.url).ask(Query("probe", "get", path))
        assert server.requests == []


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=30))
def test_no_path_reaches_another_host(path: str):
    """Whatever text is accepted as a path, the URL made of it stays on its host and in its folder."""
    import requests

    try:
        query = get("/" + path)
    except ParameterError:
        return
    url = requests.Request("GET", "http://service.example:81/base" + query.text).prepare().url or ""
    assert url.startswith("http://service.example:81/base/")
    assert "/.." not in url.partition("?")[0]


@pytest.mark.parametrize(("words", "self_signed"), [("self-signed", True), ("signed by an unknown authority", False)])
def test_tls_trouble_is_evidence_in_words(tmp_path: Path, words: str, self_signed: bool):
    """A certificate that callers would refuse is what the probe reports."""
    context = Authority(tmp_path).server_context("server", "127.0.0.1", self_signed=self_signed)
    with Canned({}, tls=context) as server:
        data = Probe(server.url).ask(get("/health")).data
    assert (data["status"], data["error"]) == (None, f"TLS failed: the certificate is {words}")


def test_a_service_with_an_authority_of_its_own_is_reached(tmp_path: Path):
    """`base_url_ca_file` is trusted for every request, a login's included."""
    authority = Authority(tmp_path)
    with Canned({"/health": Reply(b"ok")}, tls=authority.server_context("server", "127.0.0.1")) as server:
        assert Probe(server.url, auth=Auth(ca_file=str(authority.file))).ask(get("/health")).data["status"] == 200


def test_an_answer_is_status_latency_and_the_beginning_of_its_body():
    """A healthy service gives its status, the time to its headers, its type and its text."""
    reply = Reply({"status": "ok"}, headers={"Content-Type": "application/health+json"})
    with Canned({"/health": reply}) as server:
        answer = Probe(server.url + "/").ask(get("/health?deep=1"))
        assert server.requests[0].path == "/health?deep=1"
    data = dict(answer.data)
    assert 0 < data.pop("latency_ms") < 5000
    assert data == {
        "url": f"{server.url}/health?deep=1",
        "status": 200,
        "error": None,
        "location": None,
        "content_type": "application/health+json",
        "body": '{"status": "ok"}',
        "truncated": False,
    }
    assert answer.completeness == "complete"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_status_is_asked_once_and_shown(status: int):
    """An error is what was looked for: it is not asked again, and its page is kept."""
    with Canned({"/health": Reply(b"broken", status)}) as server:
        data = Probe(server.url).ask(get("/health")).data
        assert len(server.requests) == 1
    assert (data["status"], data["body"], data["error"]) == (status, "broken", None)


def test_headers_that_stop_half_way_are_no_answer():
    """A status line alone, after which nothing comes, is a time-out and not an empty answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(Probe(url, 6.0).ask, get("/health"))
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: z")
                data = asked.result().data
    assert (data["status"], data["error"]) == (200, "no answer in time")


def test_a_long_or_binary_body_is_cut():
    """No more than 2 KB are kept, as text, and that there was more is said."""
    with Canned({"/": Reply(b"\xff" + b"x" * 100_000)}) as server:
        data = Probe(server.url).ask(get("/")).data
    assert data["body"] == "\ufffd" + "x" * 2047
    assert data["truncated"] is True


def test_a_redirect_is_shown_and_not_followed():
    """Where a redirect points is shown without its query string, and nobody goes there."""
    with Canned({}) as elsewhere:
        moved = Reply(b"", 307, {"Location": f"{elsewhere.url}/login?session=canary"})
        with Canned({"/": moved}) as server:
            data: dict[str, Any] = Probe(server.url).ask(get("/")).data
        assert elsewhere.requests == []
    assert (data["status"], data["location"]) == (307, f"{elsewhere.url}/login")


def test_credentials_of_the_base_url_are_used_and_not_recorded():
    """User and password of base_url reach the service, and stand in no answer."""
    with Canned({"/": Reply(b"ok")}) as server:
        answer = Probe(server.url.replace("//", "//someone:canary@")).ask(get("/"))
        assert server.requests[0].headers["Authorization"] == "Basic c29tZW9uZTpjYW5hcnk="
    assert "canary" not in str(answer)


def test_a_base_url_that_is_none_is_an_error():
    """That base_url is wrong says nothing about the service, so it is no evidence."""
    with pytest.raises(SourceError, match="not a valid URL"):
        Probe("service:80").ask(get("/"))


@pytest.fixture
def token(tmp_path: Path) -> Auth:
    """A token in a file."""
    (tmp_path / "token").write_text("canary-4f1c\n")
    return Auth(bearer_file=str(tmp_path / "token"))


def test_a_login_proves_who_we_are_and_keeps_nothing_of_the_page(token: Auth):
    """The token reaches the service, and neither it nor somebody's own page stands in the answer."""

    def page(request: Request) -> Reply:
        return Reply(f"Hello, you sent {request.headers['Authorization']}".encode())

    with Canned(page) as server:
        answer = Probe(server.url, auth=token).ask(login("/edit"))
        assert server.requests[0].headers["Authorization"] == "Bearer canary-4f1c"
    assert (answer.completeness, answer.data["status"], answer.data["body"]) == ("complete", 200, None)
    assert "canary" not in str(answer)


def test_a_login_is_not_followed_elsewhere(token: Auth):
    """Where the service sends us on, to another origin or not, the token does not go along."""
    with Canned({}) as elsewhere:
        moved = Reply(b"", 302, {"Location": f"{elsewhere.url}/login"})
        with Canned({"/edit": moved}) as server:
            data = Probe(server.url, auth=token).ask(login("/edit")).data
            assert len(server.requests) == 1
        assert elsewhere.requests == []
    assert (data["status"], data["location"]) == (302, f"{elsewhere.url}/login")


def test_only_a_login_sends_the_token(token: Auth):
    """Health checks and load tests need no token, so they carry none."""
    with Canned({"/health": Reply(b"ok")}) as server:
        probe = Probe(server.url, auth=token)
        probe.ask(get("/health"))
        probe.ask(load("/health", 3))
        assert len(server.requests) == 4
        assert not any("Authorization" in request.headers for request in server.requests)


def test_a_login_without_a_token_asks_nobody(tmp_path: Path):
    """A token that nobody named, or that is not there, says nothing about the service."""
    with Canned({}) as server:
        with pytest.raises(SourceError, match="has no token for /edit; name one by probe_token_env"):
            Probe(server.url).ask(login("/edit"))
        with pytest.raises(SettingsError, match="cannot be read"):
            Probe(server.url, auth=Auth(bearer_file=str(tmp_path / "none"))).ask(login("/edit"))
        assert server.requests == []


def test_a_load_test_is_how_long_and_how_often_it_failed():
    """Every request is made, a few at once; the times are the answers', the failures are counted by their words."""
    busy, most, lock, number = [0], [0], threading.Lock(), itertools.count()

    def work(request: Request) -> Reply:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            mine = next(number)
        time.sleep(0.02)
        with lock:
            busy[0] -= 1
        return Reply(b"x" * 10_000, 503 if mine % 10 == 0 else 200)

    with Canned(work) as server:
        answer = Probe(server.url, 60).ask(load("/api/username/test?deep=1"))
        assert {request.path for request in server.requests} == {"/api/username/test?deep=1"}
        assert len(server.requests) == 50
    data = dict(answer.data)
    assert answer.completeness == "complete"
    assert 1 < most[0] <= AT_ONCE
    assert 20 <= data.pop("median_ms") <= data.pop("p95_ms") <= data.pop("max_ms") < 30_000
    assert data == {
        "url": f"{server.url}/api/username/test?deep=1",
        "requests": 50,
        "made": 50,
        "failures": 5,
        "troubles": {"answers 503": 5},
    }


def test_a_load_test_ends_when_the_time_is_up():
    """A service that hangs is not asked fifty times: the rest is left out, and that it is, is said."""
    released = threading.Event()

    def hang(request: Request) -> Reply:
        released.wait(60)
        return Reply(b"")

    with Canned(hang) as server:
        began = time.monotonic()
        try:
            answer = Probe(server.url, 1.0).ask(load("/"))
        finally:
            released.set()
        assert time.monotonic() - began < 20
    assert answer.completeness == "partial"
    assert answer.warnings == ("only 5 of 50 requests fit into 1 s",)
    assert answer.data["troubles"] == {"no answer in time": 5}
    assert answer.data["median_ms"] is answer.data["p95_ms"] is answer.data["max_ms"] is None


def test_a_load_test_of_a_service_that_is_down_is_evidence():
    """Connections that are refused are failures in words."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    answer = Probe(url).ask(load("/", 7))
    assert (answer.completeness, answer.data["troubles"]) == ("complete", {"connection refused": 7})


def test_percentiles_are_times_that_were_measured():
    """The p95 of a hundred times is the 95th, of a few the longest; failures do not count as fast answers."""
    hundred = [Shot(n / 1000, "") for n in range(100, 0, -1)]
    found = summary([*hundred, Shot(0.0001, "answers 500")])
    assert (found["median_ms"], found["p95_ms"], found["max_ms"], found["failures"]) == (50.5, 95.0, 100.0, 1)
    assert summary([Shot(0.1, ""), Shot(0.3, "")])["p95_ms"] == 300.0


@pytest.mark.parametrize("requests", [0, -1, 201])
def test_a_load_test_stays_small(requests: int):
    """Nobody brings a service down by a query."""
    with pytest.raises(ParameterError, match="1 to 200 requests"):
        load("/", requests)


def test_no_investigation_loads_the_service():
    """A service in trouble gets no load from us: among what the alerts' checks ask there is no load test."""
    for name in SHIPPED.names:
        asked = [query for check in SHIPPED.load(name).checks for query in check.queries(context()).values()]
        assert asked
        assert not [query for query in asked if query.kind == "load"]
