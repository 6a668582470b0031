"""The service's own endpoints: what counts as an answer, and how trouble is told."""

from __future__ import annotations

import pytest

from runbook.alerts.checks.requests import endpoint_probes
from runbook.investigation.results import Results
from runbook.model import JSON, Answer, Query, Result
from runbook.sources.probe import http as probe
from tests.fakes import context

WELL = {"status": 200, "latency_ms": 12.0, "error": None}


def judged(health: JSON) -> Result:
    asked = endpoint_probes.queries(context())
    data = dict(zip(asked, (health, WELL), strict=True))
    answers = {path: Answer(query, "complete", data[path]) for path, query in asked.items()}
    return endpoint_probes.judge(context(), answers, Results({}))


@pytest.mark.parametrize("status", [200, 204, 302])
def test_an_answer_is_normal(status: int) -> None:
    """2xx and 3xx are answers."""
    assert judged({**WELL, "status": status}).status == "normal"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": 503}, "/health answers 503"),
        ({"status": None, "error": "connection refused"}, "/health does not answer (connection refused)"),
        ({"error": "no answer in time"}, "/health answers 200, but not to its end (no answer in time)"),
    ],
)
def test_trouble_is_told(changes: dict[str, JSON], told: str) -> None:
    """An error, no answer at all, and an answer that broke off half-way are each abnormal, in words."""
    found = judged({**WELL, **changes})
    assert (found.status, found.sentence) == ("abnormal", f"No: {told}.")


def test_a_name_that_does_not_resolve_here_is_no_verdict_on_the_service() -> None:
    """A laptop need not know the cluster's names: what cannot be asked from here is not known, not abnormal."""
    nowhere = {"url": "http://web.svc/health", "status": None, "latency_ms": None, "error": "host name not found"}
    found = judged(nowhere)
    assert found.status == "unknown"
    assert "http://web.svc/health" in found.sentence and "host name not found" in found.sentence


@pytest.mark.parametrize(
    ("query", "data", "well"),
    [
        (probe.get("/edit"), {"status": 302, "error": None}, True),
        (probe.login("/edit"), {"status": 302, "error": None}, False),
        (probe.login("/edit"), {"status": 401, "error": None}, False),
        (probe.login("/edit"), {"status": 200, "error": None}, True),
        (probe.load("/"), {"failures": 0}, True),
        (probe.load("/"), {"failures": 1}, False),
    ],
)
def test_a_login_and_a_load_answer_well(query: Query, data: JSON, well: bool) -> None:
    """Who is sent to the login page is not logged in; a load test may not fail once."""
    assert probe.answers_well(Answer(query, "complete", data)) is well


def test_half_a_load_test_proves_nothing() -> None:
    """Requests that the time did not suffice for are not known to be answered."""
    assert not probe.answers_well(Answer(probe.load("/"), "partial", {"failures": 0}))
