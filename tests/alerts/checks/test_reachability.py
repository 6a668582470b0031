"""Whether the service and its database can be reached: judged over answers of the real probe on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runbook.alerts.checks.requests.reachability import CHECK, FACTS, Facts
from runbook.config.schema import Environment
from runbook.investigation import investigator
from runbook.investigation.definitions import Context
from runbook.investigation.results import Results
from runbook.model import Result
from runbook.sources.connect import connect
from tests.canned import Canned, Reply
from tests.fakes import context

UNKNOWN = Facts(**dict.fromkeys(FACTS))
UP = replace(UNKNOWN, service_resolves=True, service_port_open=True, health_ok=True)


@pytest.fixture
def service() -> Iterator[Canned]:
    """A service that is healthy."""
    with Canned({"/health": Reply(b"ok")}) as server:
        yield server


@pytest.fixture
def listening() -> Iterator[str]:
    """An address that opens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def looked(base_url: str, database_address: str = "") -> Result:
    """What the check finds with these settings, asked for real."""
    environment = Environment(service="shop", base_url=base_url, database_address=database_address, deadline_seconds=60)
    about: Context = context(environment=environment)
    source = connect("here", environment)["probe"]
    answers = {name: source.ask(query) for name, query in CHECK.queries(about).items()}
    return investigator.judge(CHECK, about, answers, Results({}))


def test_a_service_that_is_reached(service: Canned) -> None:
    """Name, port and health are in order; of a database without an address nothing is known."""
    found = looked(service.url)
    assert (found.status, found.sentence) == ("normal", "Yes: /health answers.")
    assert found.facts == UP
    assert [row[:3] for row in found.tables[0].rows] == [
        ("name of the service", "127.0.0.1", "127.0.0.1"),
        ("port of the service", service.url.removeprefix("http://"), "open"),
        ("health of the service", "/health", "200"),
    ]


def test_the_database_is_tried_too(service: Canned, listening: str) -> None:
    """Where the settings say where the database is, its name and port are tried."""
    found = looked(service.url, listening)
    assert found.status == "normal" and "the database's port is open" in found.sentence
    assert found.facts == Facts(**dict.fromkeys(FACTS, True))


def test_a_database_that_refuses_is_named(service: Canned, closed: str) -> None:
    """A closed port of the database is abnormal, while the service is healthy."""
    found = looked(service.url, closed)
    assert found.status == "abnormal"
    assert f"the database's {closed}" in found.sentence and "connection refused" in found.sentence
    assert found.facts == replace(UP, database_resolves=True, database_port_open=False)


def test_the_first_step_that_fails_is_named(closed: str) -> None:
    """A port that does not open is why health does not answer, so only that is said; both are known."""
    found = looked(f"http://{closed}")
    assert found.status == "abnormal"
    assert closed in found.sentence and "/health" not in found.sentence
    assert found.facts == replace(UNKNOWN, service_resolves=True, service_port_open=False, health_ok=False)


def test_names_that_do_not_resolve_are_named() -> None:
    """Neither name resolves: each is named with its error."""
    found = looked("http://shop.invalid", "mysql.invalid:3306")
    assert found.sentence.startswith("No: shop.invalid does not resolve (")
    assert " and the database's mysql.invalid does not resolve (" in found.sentence
    assert found.facts == Facts(**dict.fromkeys(FACTS, False))


@pytest.mark.parametrize(("status", "judged"), [(503, "abnormal"), (302, "normal")])
def test_health_is_judged_by_its_status(status: int, judged: str) -> None:
    """A service that is reached but answers with an error is abnormal."""
    with Canned({"/health": Reply(b"", status)}) as server:
        found = looked(server.url)
    assert (found.status, found.facts.health_ok) == (judged, judged == "normal")
    assert ("503" in found.sentence) is (status == 503)


def test_what_answers_is_reached_by_whatever_proxy(service: Canned) -> None:
    """A name that only the proxy can resolve is no trouble, as long as health answers through it."""
    about = context(environment=Environment(service="shop", base_url="http://shop.invalid"))
    queries = CHECK.queries(about)
    source, through = (
        connect("here", Environment(service="shop", base_url=url))["probe"]
        for url in ("http://shop.invalid", service.url)
    )
    answers = {name: (through if name == "health_ok" else source).ask(query) for name, query in queries.items()}
    found = investigator.judge(CHECK, about, answers, Results({}))
    assert (found.status, found.facts.service_resolves) == ("normal", False)


def test_without_an_address_nothing_is_known(listening: str) -> None:
    """No address, no answer: not "reached", and what is to be set is said; the database's facts are still known."""
    assert looked("").status == "unknown"
    found = looked("", listening)
    assert found.status == "unknown"
    assert "base_url" in found.sentence
    assert found.facts.database_port_open is True
    assert found.facts.health_ok is None
