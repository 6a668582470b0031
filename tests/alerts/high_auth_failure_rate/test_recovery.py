"""HighAuthFailureRate: when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from runbook.alerts.high_auth_failure_rate import ALERT
from runbook.clock import Frozen
from runbook.investigation.verification import verify
from runbook.model import Answer, Query, Recovery, failed
from tests.alerts.high_auth_failure_rate.answers import ALL, FAILED, context
from tests.fakes import STARTED, Scripted, line


def verified(login: Callable[[Query], Answer], share: float = 0.04) -> Recovery:
    """Recovery looked at half an hour after a mitigation, with endpoints that answer."""
    source = Scripted(
        {
            FAILED: line(lambda t: 50 * share),
            ALL: line(lambda t: 50.0),
            ("/edit",): login,
            ("/",): lambda query: Answer(query, "complete", {"status": 200, "error": None}),
        }
    )
    seen = context(mitigated_at=STARTED, now=STARTED + 1800, end=STARTED + 1800)

    def ask(queries: Mapping[str, Query]) -> Mapping[str, Answer]:
        return {name: source.ask(query) for name, query in queries.items()}

    return verify(seen, ALERT.recovery, ask=ask, clock=Frozen(seen.now), tell=lambda said: None)


class TestVerification:
    @pytest.mark.parametrize(("status", "state"), [(200, "recovered"), (401, "not recovered"), (302, "not recovered")])
    def test_a_valid_login_has_to_work(self, status: int, state: str):
        """Few failures for five minutes are a recovery where a login with a valid token works as well."""
        found = verified(lambda query: Answer(query, "complete", {"status": status, "error": None}))
        assert found.state == state
        assert "/edit with a valid token" in found.sentence

    def test_without_a_token_the_login_is_not_tested(self):
        """Without a token the recovery stands, and says that no login was tried."""
        found = verified(lambda query: failed(query, "The probe has no token for /edit; name one."))
        assert found.state == "recovered"
        assert "20 % of attempts" in found.sentence
        assert found.sentence.endswith(
            "Not tested: /edit with a valid token (The probe has no token for /edit; name one)."
        )

    def test_failures_that_go_on_are_no_recovery(self):
        """A valid login alone is no recovery while a third of them fail."""
        assert (
            verified(lambda query: Answer(query, "complete", {"status": 200, "error": None}), 0.33).state
            == "not recovered"
        )
