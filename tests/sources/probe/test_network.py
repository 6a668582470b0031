"""Names and ports: what the resolver and TCP show from here, of the settings' own hosts alone."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from runbook.config.schema import Environment
from runbook.errors import SourceError
from runbook.model import Query
from runbook.sources.connect import connect
from runbook.sources.deadline import Deadline
from runbook.sources.probe.network import Network, Place, place, port, resolve


@pytest.fixture
def listening() -> Iterator[Place]:
    """A port of this machine that opens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Place("127.0.0.1", server.getsockname()[1])


@pytest.fixture
def closed() -> Place:
    """A port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Place("127.0.0.1", server.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://shop.web.svc", Place("shop.web.svc", 80)),
        ("https://shop.web.svc/base", Place("shop.web.svc", 443)),
        ("http://Shop:8080", Place("shop", 8080)),
        ("http://me:canary@shop:8080", Place("shop", 8080)),
        ("mysql.web.svc:3306", Place("mysql.web.svc", 3306)),
        ("[::1]:3306", Place("::1", 3306)),
        ("mysql.web.svc", None),
        ("http://shop:port", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_a_place_is_read_off_an_address(address: str, found: Place | None) -> None:
    """A URL or "host:port" names a place; without a host or a port there is none."""
    assert place(address) == found
    if found:
        assert place(str(found)) == found


@pytest.mark.parametrize(
    "query", [resolve("evil.example"), port(Place("127.0.0.1", 22)), Query("probe", "port", "127.0.0.1")]
)
def test_only_what_the_settings_name_is_tried(query: Query, listening: Place) -> None:
    """Neither another host nor another port of the same host can be scanned, whatever a recorded query says."""

    def lookup(host: str) -> Sequence[str]:
        raise AssertionError(host)

    with pytest.raises(SourceError, match="no setting names it; add it as base_url or database_address"):
        Network([f"http://{listening}"], lookup=lookup).ask(query)


def test_a_name_stands_for_its_addresses() -> None:
    """A name that resolves shows its addresses, each once, and how long that took."""
    answer = Network(["http://localhost:8080"]).ask(resolve("localhost"))
    assert answer.completeness == "complete"
    assert "127.0.0.1" in answer.data["addresses"]
    assert len(set(answer.data["addresses"])) == len(answer.data["addresses"])
    assert 0 <= answer.data["latency_ms"] < 5000
    assert answer.data["error"] is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "host name not found"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "name server gave no answer"),
    ],
)
def test_a_name_that_does_not_resolve_is_evidence(error: OSError, words: str) -> None:
    """That there is no such name, or no name server, is a complete answer for the name and for its port alike."""

    def lookup(host: str) -> Sequence[str]:
        raise error

    network = Network(["http://shop.web.svc"], lookup=lookup)
    named, opened = network.ask(resolve("shop.web.svc")), network.ask(port(Place("shop.web.svc", 80)))
    assert (named.completeness, opened.completeness) == ("complete", "complete")
    assert named.data == {"host": "shop.web.svc", "addresses": [], "latency_ms": None, "error": words}
    assert (opened.data["open"], opened.data["error"]) == (False, words)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70])
def test_the_systems_resolver_knows_no_such_name(host: str) -> None:
    """A name that is none, or that nobody has, is told in words by the real resolver too."""
    data = Network([f"http://{host}"]).ask(resolve(host)).data
    assert data["addresses"] == []
    assert data["error"] in ("host name not found", "name server gave no answer")


def test_a_resolver_that_hangs_is_evidence_in_time() -> None:
    """No resolver can be cut, so it is left behind when the time is up, and that it hung is the answer."""
    released = threading.Event()

    def lookup(host: str) -> Sequence[str]:
        released.wait(60)
        return []

    began = time.monotonic()
    try:
        for query in (resolve("shop"), port(Place("shop", 80))):
            answer = Deadline(Network(["http://shop"], 0.3, lookup), 30).ask(query)
            assert (answer.completeness, answer.data["error"]) == ("complete", "no answer in time")
    finally:
        released.set()
    assert time.monotonic() - began < 20


def test_a_port_that_opens(listening: Place) -> None:
    """A port that somebody listens at is open, at the address that was reached."""
    data = Network(["", str(listening)]).ask(port(listening)).data
    assert 0 <= data.pop("latency_ms") < 5000
    assert data == {
        "host": "127.0.0.1",
        "port": listening.port,
        "open": True,
        "address": "127.0.0.1",
        "error": None,
    }


def test_a_port_that_is_refused_is_evidence(closed: Place) -> None:
    """That nobody listens is a complete answer with the trouble in words."""
    answer = Network([str(closed)]).ask(port(closed))
    assert answer.completeness == "complete"
    assert (answer.data["open"], answer.data["error"]) == (False, "connection refused")
    assert answer.data["latency_ms"] is None


def test_one_address_that_opens_is_enough(listening: Place) -> None:
    """A name with several addresses opens where any of them does, and the others' trouble is none."""
    where = Place("shop", listening.port)
    data = Network([str(where)], lookup=lambda host: ["127.0.0.2", "127.0.0.1"]).ask(port(where)).data
    assert (data["open"], data["address"], data["error"]) == (True, "127.0.0.1", None)


def test_packets_that_are_swallowed_are_a_time_out() -> None:
    """A port whose queue is full answers nothing, like one behind a firewall: no longer than the time that is given."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        where = Place("127.0.0.1", server.getsockname()[1])
        waiting = [socket.socket() for _ in range(8)]
        try:
            for one in waiting:
                one.setblocking(False)
                assert one.connect_ex((where.host, where.port)) in (0, errno.EINPROGRESS)
            began = time.monotonic()
            data = Network([str(where)], 0.5).ask(port(where)).data
            assert (data["open"], data["error"]) == (False, "no answer in time")
            assert time.monotonic() - began < 20
        finally:
            for one in waiting:
                one.close()


def test_the_settings_addresses_are_what_may_be_tried(listening: Place) -> None:
    """From the settings on: the service's and the database's places are tried, also where one of them is not set."""
    database = Environment(service="shop", database_address=str(listening))
    service = Environment(service="shop", base_url=f"http://{listening}")
    for environment in (database, service):
        answer = connect("here", environment)["probe"].ask(port(listening))
        assert answer.data["open"] is True
    refused = connect("here", service)["probe"].ask(port(Place("127.0.0.1", 1)))
    assert refused.completeness == "failed"
    assert "no setting names it" in refused.error
