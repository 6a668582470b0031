"""Prometheus: how complete an answer is, and how it is asked."""

from __future__ import annotations

import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runbook.config.schema import Auth
from runbook.model import Query
from runbook.sources.prometheus.client import (
    build_info,
    instant,
    label_names,
    label_values,
    matrix,
    range_,
    series,
    vector,
)
from tests.canned import Canned, Reply, Request
from tests.certificates import Authority
from tests.sources.prometheus.asking import CANARY, ONE, QUERY, RANGE, UP, found, source
from tests.sources.refusals import refused


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
            assert "no such range" in str(refused(source(server), query))


def test_one_failed_part_fails_a_long_range():
    """A split range without all of its parts is not passed off as whole."""

    def broken_later(request: Request) -> Reply:
        if request.params["start"] == "0":
            return found({"metric": {}, "values": [[0, "1"]]}, kind="matrix")
        return Reply({"status": "error", "errorType": "internal", "error": "disk"}, 500)

    with Canned(broken_later) as server:
        assert "(500 internal: disk)" in str(refused(source(server), range_("x", 0, 20_000, 1)))


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
        error = refused(source(server, auth=Auth(ca_file=str(authority.file))), instant("up", 100))
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
