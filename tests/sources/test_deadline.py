"""Whatever a server does, each source answers within its deadline, and says where and what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from runbook.config.schema import Auth
from runbook.config.schema import Elasticsearch as ElasticsearchSettings
from runbook.config.schema import Prometheus as PrometheusSettings
from runbook.model import Answer, Query, Source
from runbook.sources.deadline import Deadline
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.sources.elasticsearch.client import Elasticsearch
from runbook.sources.http.timelimit import RetryInTime, TimeLimit
from runbook.sources.probe import http as probe
from runbook.sources.probe.http import Probe
from runbook.sources.prometheus import client as prometheus
from runbook.sources.prometheus.client import Prometheus
from tests.faulty import MODES, Faulty, Mode

SECRET = "canary-2f6b0c"
DEADLINE, SECONDS = 1.5, 1.2  # the source gives up a little before the deadline
SLACK = 0.5


@pytest.fixture
def token(tmp_path: Path) -> str:
    """A file that holds a secret."""
    (tmp_path / "token").write_text(SECRET + "\n")
    return str(tmp_path / "token")


def _prometheus(url: str, token: str) -> Source:
    return Prometheus(PrometheusSettings(url=url, auth=Auth(bearer_file=token)), SECONDS)


def _prometheus_by_get(url: str, token: str) -> Source:
    auth = Auth(username="u", password_file=token, headers={"X-Scope-OrgID": SECRET})
    return Prometheus(PrometheusSettings(url=url, method="GET", auth=auth), SECONDS)


def _elasticsearch(url: str, token: str) -> Source:
    return Elasticsearch(ElasticsearchSettings(url=url, auth=Auth(api_key_file=token)), SECONDS)


SOURCES: dict[str, tuple[Callable[[str, str], Source], Query]] = {
    "prometheus": (_prometheus, prometheus.range_("up", 0, 600, 60)),
    "prometheus by GET": (_prometheus_by_get, prometheus.instant("up", 0)),
    "elasticsearch": (_elasticsearch, elasticsearch.search("logs-*", {"size": 1})),
}
SAYS: dict[Mode, str] = {
    "down": "connection refused",
    "hanging": "no answer in time",
    "trickling headers": "no answer in time",
    "trickling body": "no answer in time",
    "500": "answered 500",
    "401": "answered 401",
    "403": "answered 403",
    "garbage": "not HTTP",
    "nonsense": "JSON",
    "half a body": "broke off half-way",
}
DOES: dict[Mode, str] = {
    "down": "check that it runs",
    "401": "check the credentials",
    "403": "check the credentials",
    "500": "then run again",
    "nonsense": "check that `url`",
}


@pytest.fixture(scope="module", autouse=True)
def _clients_loaded() -> Iterator[None]:
    """The clients' imports take seconds on a busy machine; they are not what is measured here."""
    import runbook.sources.elasticsearch.http
    import runbook.sources.prometheus.http  # noqa: F401

    yield


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SOURCES)
def test_every_fault_is_one_sentence_in_time(name: str, mode: Mode, token: str) -> None:
    """A failed answer comes within the deadline, names the address and what to do, and holds no secret."""
    make, query = SOURCES[name]
    with Faulty(mode) as server:
        answer, seconds = _timed(make(server.url, token), query)
        assert answer.completeness == "failed"
        assert seconds < DEADLINE + SLACK
        assert server.url in answer.error
        assert SAYS[mode] in answer.error
        assert DOES.get(mode, "; check ") in answer.error
        assert answer.error.endswith(".")
        assert SECRET not in answer.error


@pytest.mark.parametrize("mode", MODES)
def test_a_probe_takes_every_fault_as_evidence(mode: Mode) -> None:
    """A broken service is a complete answer within the deadline: a status or words, and the address."""
    with Faulty(mode) as server:
        answer, seconds = _timed(Probe(server.url, SECONDS), probe.get("/health"))
        assert answer.completeness == "complete"
        assert seconds < DEADLINE + SLACK
        assert answer.data["url"] == f"{server.url}/health"
        assert answer.data["error"] or answer.data["status"]
        if mode in ("down", "hanging", "trickling headers", "trickling body", "garbage", "half a body"):
            assert SAYS[mode] in answer.data["error"]


def test_a_cut_connection_is_not_tried_again() -> None:
    """Another try without time for it would only be cut as well, and its pause would outlast the deadline."""
    broken = urllib3.exceptions.ProtocolError("cut")
    with TimeLimit(60):
        assert RetryInTime(total=2).increment("GET", "/", error=broken).total == 1
    with TimeLimit(0.01) as limit, pytest.raises(urllib3.exceptions.ProtocolError):
        time.sleep(limit.remaining)
        RetryInTime(total=2).increment("GET", "/", error=broken)


def test_a_cut_connection_leaves_no_thread_behind() -> None:
    """The thread that asked a trickling server ends with its deadline, and is not left waiting."""
    with Faulty("trickling headers") as server:
        _timed(Prometheus(PrometheusSettings(url=server.url), 0.5), prometheus.build_info())
        asking = [thread for thread in threading.enumerate() if thread.name.startswith("ask-")]
        for thread in asking:
            thread.join(5)
        assert not any(thread.is_alive() for thread in asking)


def test_the_libraries_say_nothing_on_stderr(token: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Retries and time-outs are told in the answer alone: a notebook's cell shows no log lines."""
    for mode in ("down", "500", "hanging"):
        with Faulty(mode) as server:
            for make, query in SOURCES.values():
                _timed(make(server.url, token), query)
    assert capfd.readouterr().err == ""


def _timed(source: Source, query: Query) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = Deadline(source, DEADLINE).ask(query)
    return answer, time.monotonic() - began
