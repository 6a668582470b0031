"""Elasticsearch: refusals, how complete an answer is, and how it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.config.schema import Auth
from runbook.config.schema import Elasticsearch as Settings
from runbook.errors import SourceError
from runbook.model import Answer, Query
from runbook.sources.elasticsearch.client import (
    Elasticsearch,
    field_types,
    fields,
    hits,
    info,
    search,
    terms,
    total,
    version,
)
from tests.canned import Canned, Reply
from tests.certificates import Authority

CANARY = "canary-91c3"
GENUINE = {"X-Elastic-Product": "Elasticsearch"}
LOGS = search("logs-*", {"size": 1})
HTML = {"Content-Type": "text/html"}


def found(documents: int = 1, *, shards: int = 2, failures: Any = (), **more: Any) -> Reply:
    """A response to a search."""
    return Reply(
        {
            "timed_out": False,
            "_shards": {"total": shards, "failed": len(failures), "failures": list(failures)},
            "hits": {"total": {"value": documents, "relation": "eq"}, "hits": [{"_source": {"n": 1}}] * documents},
            **more,
        },
        headers=GENUINE,
    )


def complaint(status: int, kind: str, reason: str, **more: Any) -> Reply:
    """An error as Elasticsearch words it."""
    cause = {"type": kind, "reason": reason}
    return Reply({"error": {"root_cause": [cause], **cause, **more}, "status": status}, status, GENUINE)


def source(server: Canned, **settings: Any) -> Elasticsearch:
    return Elasticsearch(Settings(url=server.url, **settings), 5.0)


def ask(reply: Reply, query: Query = LOGS) -> Answer:
    with Canned(lambda _: reply) as server:
        return source(server).ask(query)


def refusal(reply: Reply, query: Query = LOGS) -> SourceError:
    with pytest.raises(SourceError) as caught:
        ask(reply, query)
    return caught.value


def test_a_refused_search_is_told_in_elasticsearch_own_words():
    """A 400 becomes one sentence with the innermost reason, what to do and the query."""
    inner = {"index": "logs-1", "shard": 0, "reason": {"type": "illegal_argument_exception", "reason": "no fielddata"}}
    error = refusal(complaint(400, "search_phase_execution_exception", "all shards failed", failed_shards=[inner]))
    assert "refused the query (400 illegal_argument_exception: no fielddata); check the field names" in str(error)
    assert str(error).endswith('Query: {"size":1}')
    assert error.reason == "refused"


@pytest.mark.parametrize(("status", "reason"), [(401, "forbidden"), (403, "forbidden"), (500, "server error")])
def test_a_status_without_reason_is_told_as_such(status: int, reason: str):
    """A proxy's error page is not quoted; its status says what to check."""
    error = refusal(Reply(f"<html>{CANARY}</html>".encode(), status, HTML))
    assert f"answered {status};" in str(error)
    assert error.reason == reason
    assert CANARY not in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_missing_rights_do_not_quote_who_we_are(status: int):
    """What Elasticsearch says about our user stays out of the sentence; the credentials are pointed at."""
    error = refusal(complaint(status, "security_exception", f"action is unauthorized for API key [{CANARY}]"))
    assert error.reason == "forbidden"
    assert "check the credentials" in str(error)
    assert CANARY not in str(error)


def test_another_product_is_named_plainly():
    """OpenSearch, or a proxy that hides what it is, is refused with that explanation."""
    error = refusal(Reply({"hits": {}}))
    assert "is not Elasticsearch; OpenSearch and proxies that drop the header" in str(error)


def test_a_client_of_the_wrong_version_is_told_how_to_mend_it():
    """The 400 about media types that a 9.x client gets from an 8.x server says which client to install."""
    said = "Accept version must be either version 8 or 7, but found 9"
    error = refusal(complaint(400, "media_type_header_exception", said))
    assert 'install "elasticsearch>=8.19,<9"' in str(error)


def test_a_redirect_is_not_followed():
    """A login page's redirect is told."""
    assert "redirects elsewhere (302)" in str(refusal(Reply(b"", 302, {"Location": "http://127.0.0.1:1/login"})))


@pytest.mark.parametrize("body", [b"{ nonsense", b"\xff\xfe"])
def test_a_broken_body_is_garbage(body: bytes):
    """A 200 whose body is no JSON is an error and never an empty answer."""
    assert refusal(Reply(body, headers=GENUINE)).reason == "garbage"


@pytest.mark.parametrize("body", [[], {}, {"hits": 3}, {"took": 1, "timed_out": False}])
def test_json_of_another_shape_is_garbage(body: Any):
    """JSON that is no search response is an error and never an empty answer."""
    assert refusal(Reply(body, headers=GENUINE)).reason == "garbage"


def test_an_expired_certificate_is_called_so(tmp_path: Path):
    """TLS trouble is told in the same words as everywhere."""
    authority = Authority(tmp_path)
    expired = authority.server_context("server", "127.0.0.1", days=-1)
    with Canned({}, tls=expired) as server, pytest.raises(SourceError, match="TLS failed: the certificate has expired"):
        source(server, auth=Auth(ca_file=str(authority.file))).ask(LOGS)


def test_a_gateway_error_is_asked_again():
    """A 503 of a proxy costs a second request, not the answer."""
    replies = iter([Reply(b"busy", 503, HTML), found()])
    with Canned(lambda _: next(replies)) as server:
        assert source(server).ask(LOGS).completeness == "complete"


def test_a_time_out_of_the_search_is_partial():
    """`timed_out` raises nothing in the client: it is partial here, with a warning that names the index."""
    one = ask(found(timed_out=True))
    assert one.completeness == "partial"
    assert one.warnings == ("Elasticsearch ran out of time on logs-*; counts and hits cover a part of it.",)


def test_failed_shards_are_partial_and_named():
    """A failed shard makes the answer partial even without a hit, and is named with its reason."""
    failure = {"shard": 1, "index": "logs-7", "reason": {"type": "circuit_breaking_exception", "reason": "too large"}}
    one = ask(found(0, failures=[failure]))
    assert one.completeness == "partial"
    assert one.warnings == ("1 of 2 shards failed: logs-7 [1]: too large.",)


def test_a_missing_index_is_empty():
    """No index, whether named or by wildcard, is an empty answer that says so."""
    for reply in (complaint(404, "index_not_found_exception", "no such index [logs]"), found(0, shards=0)):
        one = ask(reply)
        assert (one.completeness, one.warnings) == ("empty", ("No index matches logs-*.",))
        assert (hits(one), total(one), terms(one)) == ((), (0, True), ((), 0))


def test_zero_hits_are_empty():
    """An index without a match is empty, without a warning."""
    one = ask(found(0))
    assert (one.completeness, one.warnings) == ("empty", ())


def test_the_answer_is_the_raw_response():
    """The data is the response's body, plain JSON, and the body sent is the query's text."""
    with Canned(lambda _: found(2)) as server:
        one = source(server).ask(LOGS)
        sent = server.requests[0]
    assert one.data == found(2).body
    assert sent.path == "/logs-*/_search"
    body = json.loads(sent.body)
    assert body.pop("timeout").endswith("ms")
    assert body == {"size": 1}


def test_a_missing_field_is_seen():
    """Fields that do not exist are absent from the types; if none exists the answer is empty."""
    caps = {"indices": ["logs-1"], "fields": {"level": {"text": {}, "keyword": {}}, "timestamp": {"date": {}}}}
    one = ask(Reply(caps, headers=GENUINE), fields("logs-*", ["level", "timestamp", "app"]))
    assert field_types(one) == {"level": ("keyword", "text"), "timestamp": ("date",)}
    none = ask(Reply({"indices": [], "fields": {}}, headers=GENUINE), fields("logs-*", ["app"]))
    assert (none.completeness, field_types(none)) == ("empty", {})


def test_the_version_is_told():
    """The server's version is in its answer to `info`."""
    assert version(ask(Reply({"version": {"number": "9.5.3"}}, headers=GENUINE), info())) == "9.5.3"


def test_credentials_reach_the_server(tmp_path: Path):
    """Basic, bearer and API key arrive, read anew for each question."""
    secret = tmp_path / "secret"
    for auth, before in (
        (Auth(api_key_file=str(secret)), "ApiKey "),
        (Auth(bearer_file=str(secret), headers={"X-Tenant": "shop"}), "Bearer "),
    ):
        with Canned(lambda _: found()) as server:
            elasticsearch = source(server, auth=auth)
            for value in ("first", "second"):
                secret.write_text(value + "\n")
                elasticsearch.ask(LOGS)
            assert [r.headers["Authorization"] for r in server.requests] == [f"{before}first", f"{before}second"]
            assert server.requests[0].headers.get("X-Tenant") == auth.headers.get("X-Tenant")
    with Canned(lambda _: found()) as server:
        source(server, auth=Auth(username="u", password_file=str(secret))).ask(LOGS)
        assert server.requests[0].headers["Authorization"] == "Basic dTpzZWNvbmQ="


def test_a_path_below_the_host_is_kept():
    """A cluster behind a proxy's path is asked there."""
    with Canned(lambda _: found()) as server:
        Elasticsearch(Settings(url=f"{server.url}/es/"), 5).ask(LOGS)
        assert server.requests[0].path == "/es/logs-*/_search"


def test_own_authority_is_trusted(tmp_path: Path):
    """A server with a certificate of our own authority is reached with `ca_file`, and called unknown without."""
    authority = Authority(tmp_path)
    with Canned(lambda _: found(), tls=authority.server_context("server", "127.0.0.1")) as server:
        assert source(server, auth=Auth(ca_file=str(authority.file))).ask(LOGS).completeness == "complete"
        with pytest.raises(SourceError, match="signed by an unknown authority"):
            source(server).ask(LOGS)


def test_the_warning_header_of_an_open_cluster_stays_silent(capfd: pytest.CaptureFixture[str]):
    """A cluster without security warns in every response; that is no line on stderr."""
    warning = {**GENUINE, "Warning": '299 Elasticsearch-8.1 "security features are not enabled"'}
    code = f"""
import sys; sys.path.insert(0, {str(Path.cwd())!r})
from tests.canned import Canned, Reply
from runbook.config.schema import Elasticsearch as Settings
from runbook.sources.elasticsearch.client import Elasticsearch, info
with Canned(lambda _: Reply({{"version": {{}}}}, headers={warning!r})) as server:
    Elasticsearch(Settings(url=server.url)).ask(info())
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert capfd.readouterr().err == ""


def test_importing_it_is_cheap():
    """The module can be imported without the client, which takes a second."""
    code = "import sys, runbook.sources.elasticsearch; print('elasticsearch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
