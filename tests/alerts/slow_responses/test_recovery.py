"""SlowResponses: when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runbook.alerts.slow_responses import ALERT
from runbook.clock import Frozen
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Query, Recovery
from tests.alerts.slow_responses.answers import Rate
from tests.fakes import STARTED, context, line


class Recovered:
    """A service that is fast again, and a load test with this outcome."""

    def __init__(self, p95: Rate, load: Mapping[str, Any]) -> None:
        self.p95, self.load, self.asked = p95, load, list[Query]()

    def verify(self) -> Recovery:
        now = context(alert="SlowResponses", mitigated_at=STARTED + 300)
        return verify(now, ALERT.recovery, ask=self.ask, clock=Frozen(now.now), tell=lambda message: None)

    def ask(self, queries: Mapping[str, Query]) -> dict[str, Answer]:
        self.asked += queries.values()
        return {name: self.answer(query) for name, query in queries.items()}

    def answer(self, query: Query) -> Answer:
        if query.source == "prometheus":
            return line(self.p95)(query)
        healthy = {"status": 200, "latency_ms": 12.0, "error": None}
        return Answer(query, "complete", dict(self.load) if query.kind == "load" else healthy)


QUICK = {"made": 50, "failures": 0, "median_ms": 30.0, "p95_ms": 120.0, "max_ms": 300.0}


@pytest.mark.parametrize(
    ("load", "state", "told"),
    [
        (QUICK, "recovered", "50 requests to /api/username/test (p95 120 ms) answer."),
        ({**QUICK, "p95_ms": 2400.0}, "not recovered", "(p95 2.4 s) do not answer as they should."),
        ({**QUICK, "failures": 3}, "not recovered", "(3 failed, p95 120 ms) do not answer as they should."),
        ({**QUICK, "failures": 50, "p95_ms": None}, "not recovered", "(50 failed) do not answer as they should."),
    ],
)
def test_it_is_over_when_the_load_test_says_so_too(load: dict[str, JSON], state: str, told: str) -> None:
    """p95 at or below the threshold for five minutes, and then 50 requests that are answered, and fast."""
    recovery = Recovered(lambda t: 0.05 if t > STARTED + 360 else 3.0, load).verify()
    assert recovery.state == state
    assert recovery.sentence.endswith(told)


def test_a_service_in_trouble_is_spared_the_load_test() -> None:
    """A service that is still slow is only asked whether it answers."""
    service = Recovered(lambda t: 3.0, QUICK)
    assert service.verify().state == "not recovered"
    assert not [query for query in service.asked if query.kind == "load"]
