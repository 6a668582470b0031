"""HighAuthFailureRate: whether to call security."""

from __future__ import annotations

import pytest

from runbook.alerts.checks.logins import addresses, takeover
from runbook.alerts.high_auth_failure_rate import ALERT, note
from runbook.investigation.ranking import of
from runbook.investigation.result import conclude
from runbook.investigation.results import Results
from runbook.model import Facts
from tests.alerts.high_auth_failure_rate.answers import FEW, TAKEN, investigator, logged, results


def headline(seen: Results) -> str:
    return conclude(ALERT, seen, of(ALERT, seen))[0]


class TestNote:
    def test_an_attack_calls_security(self):
        """A supported attack is said first, with its strongest reason."""
        said = headline(results(FEW))
        assert said.startswith(
            "Call security: this looks like an attack (94 % of the failed logins come from 2 addresses). Probably "
            "someone is guessing passwords and tokens from 2 addresses: 203.0.113.7 and 2001:db8::9."
        )

    def test_a_taken_account_calls_security_whatever_the_cause(self):
        """A success after many failures calls security even where another cause explains the failures."""
        said = headline(results(logged(key=0.9), TAKEN))
        assert said.startswith(
            "Call security: 203.0.113.7 logged in as admin after at least 10 failed attempts (600 in all)."
        )

    def test_a_taken_account_calls_security_below_the_threshold(self):
        """A success after many failures calls security although the alert does not hold."""
        assert headline(results(TAKEN, real=False)).startswith("Call security: 203.0.113.7 logged in as admin")

    def test_no_attack_with_the_data_for_it(self):
        """Where addresses and successes are known and another cause explains it, there is no sign of an attack."""
        assert headline(results(logged(key=0.9))).startswith("No sign of an attack. Probably the JWT key")

    @pytest.mark.parametrize("missing", [addresses.Facts, takeover.Facts])
    def test_without_the_data_it_is_not_known(self, missing: type[Facts]):
        """Without addresses or successes in the logs an attack cannot be excluded, and what is missing is said."""
        seen = results(logged(key=0.9), unknown=[missing])
        assert headline(seen).startswith("Not known whether it is an attack (")

    def test_what_nothing_explains_may_be_an_attack(self):
        """Failures that no cause explains are not said to be harmless."""
        assert "no supported cause explains the failures" in headline(results())

    def test_a_quiet_alert_needs_no_note(self):
        """Where logins do not fail, nothing is said of attacks."""
        quiet = results(real=False)
        assert note(quiet, of(ALERT, quiet)) == ""

    def test_everything_down(self):
        """With every source down nothing is known, and that is what is said."""
        found = investigator({}).investigation()
        assert {f.result.status for f in found.findings} == {"unknown"}
        assert {v.state for v in found.verdicts} == {"not tested"}
        assert found.headline.startswith("Not known whether it is an attack")
