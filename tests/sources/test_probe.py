"""Probe: the service's own answers, and the refusal to look anywhere else."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import ParameterError, SourceError
from runbook.model import Query
from runbook.sources.probe import Probe, get
from tests.canned import Canned, Reply
from tests.certificates import Authority

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
    with pytest.raises(ParameterError, match="a probe stays below base_url"):
        get(path)
    with Canned({}) as server:
        with pytest.raises(SourceError, match="refuses the path"):
            Probe(server.url).ask(Query("probe", "get", path))
        assert server.requests == []


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=30))
def test_no_path_reaches_another_host(path: str):
    """Whatever text is accepted as a path, the URL made of it stays on its host and in its folder."""
    from requests import Request

    try:
        query = get("/" + path)
    except ParameterError:
        return
    url = Request("GET", "http://service.example:81/base" + query.text).prepare().url or ""
    assert url.startswith("http://service.example:81/base/")
    assert "/.." not in url.partition("?")[0]


@pytest.mark.parametrize(("words", "self_signed"), [("self-signed", True), ("signed by an unknown authority", False)])
def test_tls_trouble_is_evidence_in_words(tmp_path: Path, words: str, self_signed: bool):
    """A certificate that callers would refuse is what the probe reports."""
    context = Authority(tmp_path).server_context("server", "127.0.0.1", self_signed=self_signed)
    with Canned({}, tls=context) as server:
        data = Probe(server.url).ask(get("/health")).data
    assert (data["status"], data["error"]) == (None, f"TLS failed: the certificate is {words}")


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
            asked = pool.submit(Probe(url, 3.0).ask, get("/health"))
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
