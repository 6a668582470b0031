"""The service's own endpoints: what counts as an answer, and how trouble is told."""

from __future__ import annotations

import pytest

from runbook.alerts.checks import endpoints
from runbook.model import JSON, Answer, Result
from tests.fakes import context

WELL = {"status": 200, "latency_ms": 12.0, "error": None}


def judged(health: JSON) -> Result:
    asked = endpoints.queries(context())
    data = dict(zip(asked, (health, WELL), strict=True))
    answers = {path: Answer(query, "complete", data[path]) for path, query in asked.items()}
    return endpoints.judge(context(), answers, {})


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
