"""Prometheus: whatever goes wrong is one sentence, and what is asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook.config.schema import Auth
from runbook.config.schema import Prometheus as Settings
from runbook.errors import SettingsError
from runbook.sources.http.failures import NOT_TLS
from runbook.sources.prometheus.client import Prometheus, build_info, instant
from tests.canned import Canned, Reply, Request
from tests.certificates import TLS_TROUBLE, Authority
from tests.sources.prometheus.asking import CANARY, ONE, QUERY, UP, found, source
from tests.sources.refusals import refused


def test_a_refused_query_is_told_in_prometheus_own_words():
    """A 400 becomes one sentence with the address, Prometheus's own error, what to do and the query."""
    wrong = Reply({"status": "error", "errorType": "bad_data", "error": "parse error: unclosed parenthesis"}, 400)
    with Canned({QUERY: wrong}) as server:
        error = refused(source(server), instant("sum(up", 100))
    assert str(error).startswith(f"Prometheus at {server.url} refused the query (400 bad_data: parse error: unclosed")
    assert str(error).endswith("Query: sum(up")
    assert error.reason == "refused"


def test_a_server_that_repeats_our_secret_does_not_get_it_into_the_sentence(tmp_path: Path):
    """Whatever Prometheus's error text quotes of our credentials is struck out."""
    (tmp_path / "token").write_text(CANARY)

    def echo(request: Request) -> Reply:
        text = f"no tenant {request.headers['X-Tenant']} for {request.headers['Authorization']}"
        return Reply({"status": "error", "errorType": "bad_data", "error": text}, 422)

    auth = Auth(bearer_file=str(tmp_path / "token"), headers={"X-Tenant": "tenant-" + CANARY})
    with Canned(echo) as server:
        error = refused(source(server, auth=auth), instant("up", 100))
    assert "no tenant *** for ***" in str(error)
    assert CANARY not in str(error)


def test_credentials_in_the_url_are_used_and_never_shown():
    """User and password of a URL go into the header, and into no sentence."""
    with Canned({QUERY: Reply(b"no", 500)}) as server:
        config = Settings(url=server.url.replace("//", f"//someone:{CANARY}@") + "/")
        error = refused(Prometheus(config, 5), instant("up", 100))
        assert server.requests[0].headers["Authorization"].startswith("Basic ")
    assert CANARY not in str(error)
    assert "someone" not in str(error)
    assert server.url in str(error)


def test_a_redirect_is_not_followed(tmp_path: Path):
    """A login page's redirect is told; the credentials do not go where it points."""
    (tmp_path / "token").write_text(CANARY)
    with Canned(UP) as elsewhere:
        moved = Reply(b"", 302, {"Location": f"{elsewhere.url}{QUERY}?token={CANARY}"})
        with Canned({QUERY: moved}) as server:
            auth = Auth(bearer_file=str(tmp_path / "token"))
            error = refused(source(server, auth=auth), instant("up", 100))
        assert elsewhere.requests == []
    assert "redirects elsewhere (302)" in str(error)
    assert CANARY not in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_missing_rights_are_forbidden(status: int):
    """401 and 403 point at the credentials, and their reason is "forbidden"."""
    with Canned({QUERY: Reply(b"<html>who?</html>", status)}) as server:
        error = refused(source(server), instant("up", 100))
    assert error.reason == "forbidden"
    assert "check the credentials" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>",
        [],
        {"hello": 1},
        {"status": "success"},
        {"status": "success", "data": {"resultType": "vector", "result": 3}},
        {"status": "success", "data": {"resultType": "vector", "result": [7]}},
        {"status": "success", "data": {"resultType": "matrix", "result": []}},
    ],
)
def test_what_is_no_answer_of_prometheus_is_garbage(body: Any):
    """A page, or JSON of another shape, even with status 200, is an error and never an empty answer."""
    with Canned({QUERY: Reply(body)}) as server:
        assert refused(source(server), instant("up", 100)).reason == "garbage"


@pytest.mark.parametrize("key", ["histogram", "histograms"])
def test_native_histograms_are_refused(key: str):
    """A native histogram is refused with the functions that make numbers of it."""
    one = {"metric": {}, key: [100, {"count": "1", "sum": "2"}]}
    with Canned({QUERY: found(one)}) as server:
        error = refused(source(server), instant("rate(h[5m])", 100))
    assert "native histograms; wrap the query in histogram_quantile()" in str(error)


def test_prometheus_own_timeout_is_told_and_not_asked_for_again():
    """Prometheus is told to give up before we do; that it did comes back in its own words."""

    def late(request: Request) -> Reply:
        assert 0 < float(request.params["timeout"]) < 5
        return Reply({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503)

    with Canned(late) as server:
        error = refused(source(server), instant("up", 100))
    assert "gave the query up (query timed out); ask for a shorter" in str(error)
    assert error.reason == "timeout"


def test_a_missing_secret_is_a_matter_of_settings(tmp_path: Path):
    """A secret that is not there, is empty or cannot stand in a header is told before anything is sent."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lines").write_text(f"{CANARY}\n{CANARY}\n")
    for auth in (
        Auth(bearer_env="RUNBOOK_TEST_NOT_SET"),
        Auth(bearer_file=str(tmp_path / "absent")),
        Auth(bearer_file=str(tmp_path / "empty")),
        Auth(bearer_file=str(tmp_path / "lines")),
        Auth(headers={"X-Token": f"{CANARY}\r\nX-Other: 1"}),
        Auth(ca_file=str(tmp_path / "absent")),
        Auth(username="u", password_file=str(tmp_path / "lines"), bearer_file=str(tmp_path / "lines")),
    ):
        with Canned(UP) as server:
            with pytest.raises(SettingsError) as caught:
                source(server, auth=auth).ask(instant("up", 100))
            assert server.requests == []
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("words", "hosts", "days", "self_signed"), TLS_TROUBLE)
def test_tls_trouble_is_told_in_words(tmp_path: Path, words: str, hosts: list[str], days: int, self_signed: bool):
    """An expired, a foreign and a self-signed certificate are each called so."""
    authority = Authority(tmp_path)
    with Canned(UP, tls=authority.server_context("server", *hosts, days=days, self_signed=self_signed)) as server:
        error = refused(source(server, auth=Auth(ca_file=str(authority.file))), instant("up", 100))
    assert f"gave no answer (TLS failed: {words})" in str(error)


def test_https_to_a_plain_port_is_told():
    """TLS spoken to a server that has none is called so, and not "connection error"."""
    with Canned(UP) as server:
        config = Settings(url=server.url.replace("http", "https"))
        error = refused(Prometheus(config, 5), instant("up", 100))
    assert NOT_TLS.words in str(error)


def test_an_impossible_url_is_told():
    """A URL without scheme is the settings' fault, and the sentence shows how to write one."""
    assert "write it like http://" in str(refused(Prometheus(Settings(url="prometheus"), 1), build_info()))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_error_is_asked_again(method: Any, status: int):
    """After two gateway errors the third reply counts, for POST as for GET."""
    replies = iter([Reply(b"busy", status, {"Retry-After": "60"}), Reply(b"busy", status), found(ONE)])
    with Canned(lambda _: next(replies)) as server:
        answer = source(server, method=method).ask(instant("up", 100))
        assert [r.method for r in server.requests] == [method] * 3
    assert answer.completeness == "complete"


def test_a_lost_connection_is_asked_again():
    """A connection that the server closed meanwhile costs nothing."""
    with Canned(UP) as server:
        prometheus = source(server)
        port = int(server.url.rpartition(":")[2])
        prometheus.ask(instant("up", 100))
    with Canned(UP, port=port):
        assert prometheus.ask(instant("up", 100)).completeness == "complete"
