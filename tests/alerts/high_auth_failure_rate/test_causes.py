"""HighAuthFailureRate: which cause comes first."""

from __future__ import annotations

import pytest

from runbook.alerts.causes.high_auth_failure_rate import (
    ATTACKS,
    AUTH_SERVICE,
    BRUTE_FORCE,
    CLOCK,
    KEY,
    SPREAD_ATTACK,
    TOKENS,
)
from runbook.alerts.checks.logins import (
    accounts,
    addresses,
    auth_service,
    failures_by_node,
    login_failure_rate,
    rejection_reasons,
    signing_key,
)
from runbook.alerts.high_auth_failure_rate import ALERT
from runbook.investigation.definitions import Cause
from runbook.investigation.ranking import of
from runbook.investigation.results import Results
from runbook.model import Facts
from tests.alerts.high_auth_failure_rate.answers import FACTS, FEW, GUESSES, NO_SHARES, TAKEN, Given, logged, results

MANY: Given = {**GUESSES, addresses.Facts: {"many": True, "distinct": 640}}
ON_ONE_NODE: Given = {failures_by_node.Facts: {"one_node": True, "node": "n1", "alike": False}}


def first(seen: Results) -> tuple[str, str]:
    verdict = of(ALERT, seen)[0]
    return verdict.cause, verdict.state


class TestCauses:
    @pytest.mark.parametrize(
        ("changed", "cause"),
        [
            ([logged(key=0.9)], KEY),
            ([logged(key=0.9), {signing_key.Facts: {"replaced": "secret/jwt", "replaced_before": 60}}], KEY),
            ([logged(tokens=0.9)], TOKENS),
            ([logged(auth_service=0.9), {auth_service.Facts: {"failing": True, "per_minute": 40.0}}], AUTH_SERVICE),
            ([FEW], BRUTE_FORCE),
            ([FEW, TAKEN], BRUTE_FORCE),
            ([MANY], SPREAD_ATTACK),
            ([logged(clock=0.9), ON_ONE_NODE], CLOCK),
            ([logged(tokens=0.9), ON_ONE_NODE], CLOCK),
        ],
    )
    def test_the_right_one_comes_first(self, changed: list[Given], cause: Cause):
        """What was seen supports the one cause that it speaks for."""
        assert first(results(*changed)) == (cause.name, "supported")

    def test_nothing_seen_supports_nothing(self):
        """Logins that fail without any further sign have no supported cause."""
        assert not [v for v in of(ALERT, results()) if v.state == "supported"]

    @pytest.mark.parametrize(
        "check", [kind for kind in FACTS if kind not in (login_failure_rate.Facts, accounts.Facts)]
    )
    def test_missing_data_supports_nothing_new(self, check: type[Facts]):
        """Whichever check could not run, no cause is supported that was not."""
        supported = {v.cause for v in of(ALERT, results(unknown=[check])) if v.state == "supported"}
        assert supported == set()

    def test_logs_that_name_no_reason_refute_none(self):
        """Where the logs say no more than before, neither the key nor the tokens are cleared by that."""
        silent: Given = {rejection_reasons.Facts: {"reasons_given": None, "shares": NO_SHARES}}
        states = {v.cause: v.state for v in of(ALERT, results(silent))}
        assert states[KEY.name] == states[TOKENS.name] == "not tested"

    def test_an_attack_is_not_tested_without_addresses(self):
        """Without knowing where failures come from, neither attack is refuted."""
        states = {v.cause: v.state for v in of(ALERT, results(GUESSES, unknown=[addresses.Facts]))}
        assert {states[cause.name] for cause in ATTACKS} == {"not tested"}

    @pytest.mark.parametrize("cause", ALERT.causes, ids=lambda cause: cause.name)
    def test_each_has_a_phrase_whatever_else_is_known(self, cause: Cause):
        """A cause's phrase needs nothing but the facts that the cause requires."""
        assert cause.phrase(results(unknown=[kind for kind in FACTS if kind not in cause.requires]))
