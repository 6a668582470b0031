"""DatabaseConnectionErrors: when it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.alerts.database_connection_errors import ALERT
from runbook.clock import Frozen
from runbook.investigation.verification import verify
from tests.alerts.database_connection_errors.answers import ERRORS, P95, POOLED, Answering, Script, given
from tests.fakes import STARTED, Scripted, context, line, nothing


def recovery(script: Script) -> tuple[str, str]:
    source = Scripted(script)
    about = replace(context(alert=ALERT.name), mitigated_at=STARTED, now=STARTED + 1800, end=STARTED + 1800)
    found = verify(
        about,
        ALERT.recovery,
        ask=lambda queries: {name: source.ask(query) for name, query in queries.items()},
        clock=Frozen(about.now),
        tell=lambda progress: None,
    )
    return found.state, found.sentence


ANSWERING = given({"status": 200, "error": None})
CALM: Script = {
    ERRORS: line(lambda t: 0.0),
    P95: line(lambda t: 0.02),
    POOLED: line(lambda t: 6.0),
    ("/health",): ANSWERING,
    ("/api/",): ANSWERING,
}


def test_no_errors_and_queries_as_fast_as_before_are_a_recovery():
    """The procedure's two questions and the endpoints."""
    state, said = recovery(CALM)
    assert state == "recovered"
    assert said.startswith("Recovered: at or below 0.1 errors / s for the last 5 min")


def test_a_counter_that_restarted_pods_do_not_have_yet_is_calm():
    """After a restart nothing has failed, so there is no series of errors: the pods' pools say that they are there."""
    assert recovery({**CALM, ERRORS: nothing})[0] == "recovered"
    assert recovery({**CALM, ERRORS: nothing, POOLED: nothing})[0] == "not enough data"


@pytest.mark.parametrize(
    ("p95", "said"),
    [
        (line(lambda t: 2.0 if t > STARTED else 0.02), "but p95 of queries is 2 s (20 ms before)"),
        (line(lambda t: float("nan") if t > STARTED else 0.02), "but no query has finished"),
    ],
)
def test_queries_that_are_still_slow_are_no_recovery(p95: Answering, said: str):
    """Connections that succeed are half of it."""
    state, sentence = recovery({**CALM, P95: p95})
    assert state == "not recovered"
    assert said in sentence
