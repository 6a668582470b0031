"""Prometheus: completeness, errors and credentials against a server with canned answers; arrays from answers."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.config.schema import Auth
from runbook.config.schema import Prometheus as Settings
from runbook.errors import ParameterError, SettingsError, SourceError
from runbook.model import Answer, Query
from runbook.sources.http.failures import NOT_TLS
from runbook.sources.prometheus.client import (
    Prometheus,
    build_info,
    instant,
    label_matchers,
    label_names,
    label_values,
    matrix,
    quote,
    range_,
    series,
    vector,
    version,
)
from tests.canned import Canned, Reply, Request
from tests.certificates import Authority

QUERY, RANGE = "/api/v1/query", "/api/v1/query_range"
CANARY = "canary-7d1f"


def found(*result: Any, kind: str = "vector", **more: Any) -> Reply:
    """A reply of the query API."""
    return Reply({"status": "success", "data": {"resultType": kind, "result": list(result)}, **more})


ONE = {"metric": {"__name__": "up", "job": "x"}, "value": [100, "1"]}
UP = {QUERY: found(ONE)}


def source(server: Canned, seconds: float = 5.0, **settings: Any) -> Prometheus:
    return Prometheus(Settings(url=server.url, **settings), seconds)


def refusal(prometheus: Prometheus, query: Query) -> SourceError:
    with pytest.raises(SourceError) as caught:
        prometheus.ask(query)
    return caught.value


def range_answer(result: list[Any], start: int, end: int, step: int) -> Answer:
    data = {"resultType": "matrix", "result": result}
    return Answer(range_("x", start, end, step), "complete" if result else "empty", data)


# What goes wrong


def test_a_refused_query_is_told_in_prometheus_own_words():
    """A 400 becomes one sentence with the address, Prometheus's own error, what to do and the query."""
    wrong = Reply({"status": "error", "errorType": "bad_data", "error": "parse error: unclosed parenthesis"}, 400)
    with Canned({QUERY: wrong}) as server:
        error = refusal(source(server), instant("sum(up", 100))
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
        error = refusal(source(server, auth=auth), instant("up", 100))
    assert "no tenant *** for ***" in str(error)
    assert CANARY not in str(error)


def test_credentials_in_the_url_are_used_and_never_shown():
    """User and password of a URL go into the header, and into no sentence."""
    with Canned({QUERY: Reply(b"no", 500)}) as server:
        config = Settings(url=server.url.replace("//", f"//someone:{CANARY}@") + "/")
        error = refusal(Prometheus(config, 5), instant("up", 100))
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
            error = refusal(source(server, auth=auth), instant("up", 100))
        assert elsewhere.requests == []
    assert "redirects elsewhere (302)" in str(error)
    assert CANARY not in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_missing_rights_are_forbidden(status: int):
    """401 and 403 point at the credentials, and their reason is "forbidden"."""
    with Canned({QUERY: Reply(b"<html>who?</html>", status)}) as server:
        error = refusal(source(server), instant("up", 100))
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
        assert refusal(source(server), instant("up", 100)).reason == "garbage"


@pytest.mark.parametrize("key", ["histogram", "histograms"])
def test_native_histograms_are_refused(key: str):
    """A native histogram is refused with the functions that make numbers of it."""
    one = {"metric": {}, key: [100, {"count": "1", "sum": "2"}]}
    with Canned({QUERY: found(one)}) as server:
        error = refusal(source(server), instant("rate(h[5m])", 100))
    assert "native histograms; wrap the query in histogram_quantile()" in str(error)


def test_prometheus_own_timeout_is_told_and_not_asked_for_again():
    """Prometheus is told to give up before we do; that it did comes back in its own words."""

    def late(request: Request) -> Reply:
        assert 0 < float(request.params["timeout"]) < 5
        return Reply({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503)

    with Canned(late) as server:
        error = refusal(source(server), instant("up", 100))
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


@pytest.mark.parametrize(
    ("words", "hosts", "days", "self_signed"),
    [
        ("the certificate has expired", ["127.0.0.1"], -2, False),
        ("the certificate is for another address", ["10.1.2.3"], 30, False),
        ("the certificate is self-signed", ["127.0.0.1"], 30, True),
    ],
)
def test_tls_trouble_is_told_in_words(tmp_path: Path, words: str, hosts: list[str], days: int, self_signed: bool):
    """An expired, a foreign and a self-signed certificate are each called so."""
    authority = Authority(tmp_path)
    with Canned(UP, tls=authority.server_context("server", *hosts, days=days, self_signed=self_signed)) as server:
        error = refusal(source(server, auth=Auth(ca_file=str(authority.file))), instant("up", 100))
    assert f"gave no answer (TLS failed: {words})" in str(error)


def test_https_to_a_plain_port_is_told():
    """TLS spoken to a server that has none is called so, and not "connection error"."""
    with Canned(UP) as server:
        config = Settings(url=server.url.replace("http", "https"))
        error = refusal(Prometheus(config, 5), instant("up", 100))
    assert NOT_TLS.words in str(error)


def test_an_impossible_url_is_told():
    """A URL without scheme is the settings' fault, and the sentence shows how to write one."""
    assert "write it like http://" in str(refusal(Prometheus(Settings(url="prometheus"), 1), build_info()))


# What is asked again


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


# Completeness


def test_warnings_make_an_answer_partial():
    """The API's warnings are kept and say that data may be missing; its hints are kept and say nothing of it."""
    with Canned({QUERY: found(ONE, warnings=["store x is down"], infos=["not a counter"])}) as server:
        answer = source(server).ask(instant("up", 100))
    assert (answer.completeness, answer.warnings) == ("partial", ("store x is down", "not a counter"))
    with Canned({QUERY: found(ONE, infos=["not a counter"])}) as server:
        answer = source(server).ask(instant("up", 100))
    assert (answer.completeness, answer.warnings) == ("complete", ("not a counter",))


def test_no_series_is_empty_unless_something_was_missing():
    """Nothing found is empty; nothing found by a server that warned is partial, for we do not know."""
    with Canned({QUERY: found()}) as server:
        assert source(server).ask(instant("up", 100)).completeness == "empty"
    with Canned({QUERY: found(warnings=["store x is down"])}) as server:
        assert source(server).ask(instant("up", 100)).completeness == "partial"


def test_the_answer_is_the_raw_data():
    """The data is what the API sent under `data`, plain JSON."""
    with Canned(UP) as server:
        assert source(server).ask(instant("up", 100)).data == {"resultType": "vector", "result": [ONE]}


# How it is asked


def test_a_long_range_is_split_and_joined_without_a_seam():
    """25,000 points take three requests, of at most 11,000 points; each time comes back once, warnings too."""
    step, end = 15, 24_999 * 15

    def points(request: Request) -> Reply:
        times = range(int(request.params["start"]), int(request.params["end"]) + 1, step)
        assert len(times) <= 11_000
        old = {"metric": {"i": "old"}, "values": [[t, str(t)] for t in times if t < 300_000]}
        new = {"metric": {"i": "new"}, "values": [[t, str(t)] for t in times if t >= 300_000]}
        result = [one for one in (new, old) if one["values"]]
        return found(*result, kind="matrix", warnings=["slow"])

    with Canned(points) as server:
        answer = source(server).ask(range_("x", 0, end, step))
        assert len(server.requests) == 3
    whole = matrix(answer)
    rows = {labels["i"]: row for labels, row in zip(whole.labels, whole.values, strict=True)}
    np.testing.assert_array_equal(np.fmax(rows["old"], rows["new"]), whole.times)
    assert [len(one["values"]) for one in answer.data["result"]] == [20_000, 5_000]
    assert answer.warnings == ("slow",)


def test_an_impossible_range_is_prometheus_to_refuse():
    """A range that ends before it starts, or without a step, is sent as it is and refused in Prometheus's words."""
    for query in (range_("x", 100, 0, 60), range_("x", 0, 100, 0)):
        wrong = Reply({"status": "error", "errorType": "bad_data", "error": "no such range"}, 400)
        with Canned({RANGE: wrong}) as server:
            assert "no such range" in str(refusal(source(server), query))


def test_one_failed_part_fails_a_long_range():
    """A split range without all of its parts is not passed off as whole."""

    def broken_later(request: Request) -> Reply:
        if request.params["start"] == "0":
            return found({"metric": {}, "values": [[0, "1"]]}, kind="matrix")
        return Reply({"status": "error", "errorType": "internal", "error": "disk"}, 500)

    with Canned(broken_later) as server:
        assert "(500 internal: disk)" in str(refusal(source(server), range_("x", 0, 20_000, 1)))


@pytest.mark.parametrize(
    ("query", "path", "params"),
    [
        (instant("up", 100), QUERY, {"query": "up", "time": "100"}),
        (range_("up", 0, 60, 30), RANGE, {"query": "up", "start": "0", "end": "60", "step": "30"}),
        (series("up", 0, 60), "/api/v1/series", {"match[]": "up", "start": "0", "end": "60"}),
        (label_names("up", 0, 60), "/api/v1/labels", {"match[]": "up", "start": "0", "end": "60"}),
        (label_values("job", "up", 0, 60), "/api/v1/label/job/values", {"match[]": "up", "start": "0", "end": "60"}),
        (build_info(), "/api/v1/status/buildinfo", {}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_query_asks_its_own_path(query: Query, path: str, params: dict[str, str], method: Any):
    """Every kind of query reaches its path with its parameters, in either method."""
    data: Any = {"version": "2"} if query.kind == "build info" else ["x"]
    replies = {path: Reply({"status": "success", "data": data}), QUERY: found(ONE), RANGE: found(kind="matrix")}
    with Canned(replies) as server:
        source(server, method=method).ask(query)
        sent = server.requests[0]
    assert sent.path.partition("?")[0] == path
    assert {name: value for name, value in sent.params.items() if name != "timeout"} == params


@pytest.mark.parametrize(("choice", "sent"), [("auto", "identity"), ("off", "identity"), ("on", "gzip, deflate")])
def test_a_near_server_is_asked_not_to_compress(choice: Any, sent: str):
    """On loopback compression is asked for only if the settings say so."""
    with Canned(UP) as server:
        source(server, gzip=choice).ask(instant("up", 100))
        assert server.requests[0].headers["Accept-Encoding"].startswith(sent)


@pytest.fixture
def environment() -> Iterator[None]:
    """A secret in the environment."""
    os.environ["RUNBOOK_TEST_SECRET"] = CANARY
    yield
    del os.environ["RUNBOOK_TEST_SECRET"]


@pytest.mark.usefixtures("environment")
def test_credentials_reach_the_server(tmp_path: Path):
    """Basic, bearer and API key, from environment or file, and a tenant's header arrive as they should."""
    (tmp_path / "secret").write_text(CANARY + "\n")
    file = str(tmp_path / "secret")
    for auth, expected in (
        (Auth(), None),
        (Auth(username="u", password_env="RUNBOOK_TEST_SECRET"), "Basic dTpjYW5hcnktN2QxZg=="),
        (Auth(username="u", password_file=file), "Basic dTpjYW5hcnktN2QxZg=="),
        (Auth(bearer_env="RUNBOOK_TEST_SECRET"), f"Bearer {CANARY}"),
        (Auth(api_key_file=file, headers={"X-Scope-OrgID": "shop"}), f"ApiKey {CANARY}"),
    ):
        with Canned(UP) as server:
            source(server, auth=auth).ask(instant("up", 100))
            assert server.requests[0].headers.get("Authorization") == expected
            assert server.requests[0].headers.get("X-Scope-OrgID") == auth.headers.get("X-Scope-OrgID")


def test_a_token_file_is_read_anew_each_time(tmp_path: Path):
    """A rotated token is used by the next question."""
    token = tmp_path / "token"
    with Canned(UP) as server:
        prometheus = source(server, auth=Auth(bearer_file=str(token)))
        for value in ("first", "second"):
            token.write_text(value)
            prometheus.ask(instant("up", 100))
        assert [r.headers["Authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]


def test_own_authority_and_client_certificate(tmp_path: Path):
    """A server of our own authority that wants a client certificate is reached with one; without, that is told."""
    authority = Authority(tmp_path)
    context = authority.server_context("server", "127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 tells after the request, and may lose the message
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    certificate, key = map(str, authority.issue("client"))
    with Canned(UP, tls=context) as server:
        mine = Auth(ca_file=str(authority.file), client_cert_file=certificate, client_key_file=key)
        assert source(server, auth=mine).ask(instant("up", 100)).completeness == "complete"
        error = refusal(source(server, auth=Auth(ca_file=str(authority.file))), instant("up", 100))
    assert "client certificate" in str(error)


def test_many_threads_share_one_source(capfd: pytest.CaptureFixture[str]):
    """Forty questions at once come back right, and no library complains about it."""
    with Canned(lambda r: found({"metric": {}, "value": [0, r.params["time"]]})) as server:
        prometheus = source(server)
        with ThreadPoolExecutor(40) as pool:
            answers = pool.map(prometheus.ask, [instant("up", at) for at in range(40)])
            assert [vector(answer)[0][1] for answer in answers] == list(range(40))
    assert capfd.readouterr().err == ""


def test_importing_it_is_cheap():
    """The module can be imported without pandas or requests, which take half a second each."""
    code = "import sys, runbook.sources.prometheus; print(sorted({'pandas', 'requests', 'urllib3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Arrays


def test_series_are_aligned_with_gaps():
    """Values stand at their times; where a series has none there is NaN, and infinities stay."""
    answer = range_answer(
        [
            {"metric": {"i": "a"}, "values": [[0, "1"], [60, "NaN"], [120, "+Inf"], [180, "-Inf"]]},
            {"metric": {"i": "b"}, "values": [[60, "0.5"], [180, "1e-3"]]},
        ],
        0,
        180,
        60,
    )
    result = matrix(answer)
    np.testing.assert_array_equal(result.times, [0, 60, 120, 180])
    np.testing.assert_array_equal(result.values, [[1, np.nan, np.inf, -np.inf], [np.nan, 0.5, np.nan, 0.001]])
    assert (result.times.dtype, result.values.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(result.sum(), [1, 0.5, np.inf, -np.inf])
    np.testing.assert_array_equal(result.select({"i": "b"}).values, result.values[1:])
    assert len(result.select({"i": "c"})) == 0


def test_a_server_with_a_grid_of_its_own():
    """Points beside the asked grid go to the nearest time, those outside of it nowhere, least to the other end."""
    values = [[at, str(at)] for at in (40, 100, 160, 220)]
    result = matrix(range_answer([{"metric": {}, "values": values}], 60, 180, 60))
    np.testing.assert_array_equal(result.values, [[40, 100, 160]])
    shifted = matrix(range_answer([{"metric": {}, "values": values[:3]}], 90, 210, 60))
    np.testing.assert_array_equal(shifted.values, [[100, 160, np.nan]])


def test_no_series_makes_a_matrix_of_none():
    """An empty answer has its times, no rows, and a sum without values."""
    result = matrix(range_answer([], 0, 120, 60))
    assert result.values.shape == (0, 3)
    assert np.isnan(result.sum()).all()


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.dictionaries(st.integers(0, 40), st.floats(), min_size=1), max_size=5),
    st.integers(0, 2**33),
    st.integers(1, 10_000),
)
def test_any_values_come_back_at_their_times(rows: list[dict[int, float]], start: int, step: int):
    """Whatever numbers a server sends for whatever points of the grid, each is found at its time and only there."""
    result = [
        {"metric": {"i": str(i)}, "values": [[start + k * step, repr(row[k])] for k in sorted(row)]}
        for i, row in enumerate(rows)
    ]
    values = matrix(range_answer(result, start, start + 40 * step, step)).values
    expected = [[row.get(k, np.nan) for k in range(41)] for row in rows]
    np.testing.assert_array_equal(values, np.array(expected, dtype=float).reshape(len(rows), 41))


def test_instant_values():
    """A vector gives labels and values, a scalar one value without labels, no answer none."""
    data = {"resultType": "vector", "result": [ONE, {"metric": {"i": "b"}, "value": [100, "NaN"]}]}
    (first, one), (_, missing) = vector(Answer(instant("up", 100), "complete", data))
    assert (first, one) == ({"__name__": "up", "job": "x"}, 1.0)
    assert np.isnan(missing)
    scalar = {"resultType": "scalar", "result": [100, "5"]}
    assert vector(Answer(instant("5", 100), "complete", scalar)) == (({}, 5.0),)
    assert vector(Answer(instant("up", 100), "failed", None, error="x")) == ()


def test_a_version_may_be_missing():
    """A Prometheus built from source says no version, which is not an error."""
    assert version(Answer(build_info(), "complete", {"version": "2.42.0"})) == "2.42.0"
    assert version(Answer(build_info(), "complete", {"version": ""})) == ""
    assert version(Answer(build_info(), "failed", None, error="x")) == ""


# Quoting


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_a_quoted_value_cannot_break_out(value: str):
    """Between the outer quotes there is no bare quote, backslash or line break, and unquoting gives the value back."""
    literal = quote(value)
    assert (literal[0], literal[-1]) == ('"', '"')
    assert unquote(literal[1:-1]) == value
    assert literal.isprintable() or not value.isascii()


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), st.text(), max_size=3))
def test_matchers_stand_between_braces(labels: dict[str, str]):
    """Each label is one matcher, whatever its value holds."""
    expected = ",".join(f"{name}={quote(value)}" for name, value in labels.items())
    assert label_matchers(labels) == expected


@pytest.mark.parametrize("name", ["", "a-b", 'a="1"', "1a", "a\n", "ä"])
def test_a_label_name_must_be_one(name: str):
    """A label name cannot be quoted, so anything but a name is refused."""
    with pytest.raises(ParameterError, match="is not a label name"):
        label_matchers({name: "x"})
    with pytest.raises(ParameterError):
        label_values(name, "up", 0, 1)


def test_text_that_is_no_unicode_is_refused():
    """A lone surrogate cannot be sent, and says so instead of failing in a client library."""
    with pytest.raises(ParameterError):
        quote("\ud800")


def unquote(inner: str) -> str:
    """Go's reading of a double-quoted string; an AssertionError where it would have ended."""
    out, rest = "", iter(inner)
    plain = {"\\": "\\", '"': '"', "n": "\n"}
    for character in rest:
        assert character not in '"\n'
        if character == "\\":
            kind = next(rest)
            character = chr(int(next(rest) + next(rest), 16)) if kind == "x" else plain[kind]
        out += character
    return out
