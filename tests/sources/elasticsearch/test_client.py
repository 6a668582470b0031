"""Elasticsearch: completeness, errors and credentials against a server with canned answers; questions and readings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runbook.config.schema import Auth
from runbook.config.schema import Elasticsearch as Settings
from runbook.errors import SourceError
from runbook.model import Answer, Query
from runbook.sources.elasticsearch.client import (
    Elasticsearch,
    errors_over_time,
    field,
    field_types,
    fields,
    histogram,
    hits,
    info,
    newest_errors,
    sample_of_errors,
    search,
    terms,
    time_of,
    top_values,
    total,
    version,
)
from tests.canned import Canned, Reply
from tests.certificates import Authority
from tests.fakes import SERVICE

CANARY = "canary-91c3"
GENUINE = {"X-Elastic-Product": "Elasticsearch"}
HTML = {"Content-Type": "text/html"}
LOGS = search("logs-*", {"size": 1})


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


def answer(data: Any, query: Query = LOGS) -> Answer:
    return Answer(query, "complete", data)


# What goes wrong


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


# Completeness


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


# How it is asked


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


# Questions


def body_of(query: Query) -> Any:
    return msgspec.json.decode(query.text)


def test_the_newest_errors_are_asked_as_the_procedure_does():
    """App and level by `match`, the time range in milliseconds with its end excluded, newest first."""
    body = body_of(newest_errors(SERVICE, 100, 200.5, 7))
    app, level = body["query"]["bool"]["must"]
    assert app == {"match": {"app": {"query": "rust-micro-front-end", "operator": "and"}}}
    assert {"match": {"level": "error"}} in level["bool"]["should"]
    assert body["query"]["bool"]["filter"] == [
        {"range": {"timestamp": {"gte": 100_000, "lt": 200_500, "format": "epoch_millis"}}}
    ]
    assert body["sort"] == [{"timestamp": {"order": "desc", "unmapped_type": "date"}}]
    assert body["size"] == 7


def test_any_of_several_phrases_is_looked_for():
    """One phrase has to occur; of several, one."""
    one, other = ({"match_phrase": {"message": text}} for text in ("no answer", "refused"))
    assert body_of(newest_errors(SERVICE, 0, 60, level="", phrases=("refused",)))["query"]["bool"]["must"][1:] == [
        other
    ]
    either = body_of(newest_errors(SERVICE, 0, 60, level="", phrases=("no answer", "refused")))
    assert either["query"]["bool"]["must"][1:] == [{"bool": {"should": [one, other], "minimum_should_match": 1}}]


def test_field_names_are_the_services_own():
    """Every field of a question comes from the service's profile."""
    service = msgspec.structs.replace(
        SERVICE, time_field="@t", level_field="log.level", app_field="svc", message_field="msg", index="i"
    )
    queries = [
        newest_errors(service, 0, 60, phrases=("x",)),
        errors_over_time(service, 0, 60, 30, phrases=("x",)),
        sample_of_errors(service, 0, 60, 5, phrases=("x",)),
        top_values(service, 0, 60, "ip", level="warn", phrases=("x",)),
    ]
    for query in queries:
        assert query.params == {"index": "i"}
        for name in ('"@t"', '"log.level"', '"svc"', '"msg"'):
            assert name in query.text
        for name in ('"timestamp"', '"level"', '"app"', '"message"'):
            assert name not in query.text


def test_counts_cover_the_window_with_zeros():
    """Whole intervals from the first one on, empty ones included, counted exactly."""
    body = body_of(errors_over_time(SERVICE, 130, 250, 60))
    buckets = body["aggs"]["over_time"]["date_histogram"]
    assert buckets["fixed_interval"] == "60s"
    assert (buckets["min_doc_count"], buckets["extended_bounds"]) == (0, {"min": 120_000, "max": 249_999})
    assert body["query"]["bool"]["filter"][0]["range"]["timestamp"]["gte"] == 120_000
    assert body["track_total_hits"] is True


def test_a_sample_is_uniform_and_the_same_again():
    """Documents are ranked by a seeded random number alone; equal questions have equal keys."""
    query = sample_of_errors(SERVICE, 0, 60, 100, seed=3)
    score = body_of(query)["query"]["function_score"]
    assert score["functions"] == [{"random_score": {"seed": 3, "field": "_seq_no"}}]
    assert score["boost_mode"] == "replace"
    assert query.key == sample_of_errors(SERVICE, 0, 60, 100, seed=3).key
    assert query.key != sample_of_errors(SERVICE, 0, 60, 100, seed=4).key


def test_hostile_text_stays_text():
    """A phrase with quotes and braces is a JSON string in the body, whatever it holds."""
    phrase = '"}}],"should":[{"match_all":{}}]'
    assert body_of(newest_errors(SERVICE, 0, 60, phrases=(phrase,)))["query"]["bool"]["must"][2] == {
        "match_phrase": {"message": phrase}
    }


# Readings


def test_a_count_that_stopped_is_a_lower_bound():
    """10,000 with relation gte is not exact; a search that did not count says so too."""
    assert total(answer({"hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": []}})) == (10_000, False)
    assert total(answer({"hits": {"total": {"value": 7, "relation": "eq"}, "hits": []}})) == (7, True)
    assert total(answer({"hits": {"hits": [{}, {}]}})) == (2, False)


def test_a_histogram_is_two_arrays():
    """The begin of each interval in epoch seconds, and its count; two empty ones without an answer."""
    buckets = [{"key": 60_000, "doc_count": 2}, {"key": 120_000, "doc_count": 0}]
    times, counts = histogram(answer({"aggregations": {"over_time": {"buckets": buckets}}}))
    np.testing.assert_array_equal(times, [60, 120])
    np.testing.assert_array_equal(counts, [2, 0])
    times, counts = histogram(Answer(LOGS, "failed", error="x"))
    assert (len(times), len(counts)) == (0, 0)


def test_terms_say_what_they_leave_out():
    """The documents of all other values are counted beside the most frequent ones."""
    buckets = [{"key": "10.0.0.1", "doc_count": 5}, {"key": 1, "key_as_string": "true", "doc_count": 2}]
    data = {"aggregations": {"top": {"buckets": buckets, "sum_other_doc_count": 9}}}
    assert terms(answer(data)) == ((("10.0.0.1", 5), ("true", 2)), 9)


def test_a_field_is_found_nested_or_dotted():
    """Both spellings of a dotted field are read; what is not there is None."""
    assert field({"a": {"b": {"c": 1}}}, "a.b.c") == 1
    assert field({"a.b.c": 1}, "a.b.c") == 1
    assert field({"a": {"b.c": 1}}, "a.b.c") == 1
    assert field({"a": {"b": 1}}, "a.b.c") is None
    assert field({"a": "text"}, "a.b") is None


@pytest.mark.parametrize("document", [{"a": {"pod": "x"}}, {"a.pod": "x"}, {"a": {"pod": {"keyword": "x"}}}])
def test_the_keyword_beside_a_text_is_read_as_the_text(document: dict[str, object]):
    """What an index calls a.pod.keyword was logged as a.pod."""
    assert field(document, "a.pod.keyword") == "x"


@pytest.mark.parametrize(
    "value",
    [
        "1970-01-12T13:46:40Z",
        "1970-01-12T13:46:40",
        "1970-01-12T15:46:40.000000000+02:00",
        1_000_000,
        1_000_000.0,
        "1000000",
    ],
)
def test_the_time_of_a_document(value: Any):
    """ISO 8601, UTC unless it says otherwise, or an epoch number gives epoch seconds."""
    assert time_of({"@timestamp": value}, "@timestamp") == 1_000_000
    assert time_of({"t": 1_768_473_600_123}, "t") == 1_768_473_600.123


@pytest.mark.parametrize("document", [{}, {"t": None}, {"t": "yesterday"}, {"t": [1]}])
def test_a_document_without_time_has_none(document: Any):
    """A missing or unreadable time is NaN."""
    assert np.isnan(time_of(document, "t"))
