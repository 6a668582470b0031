"""HighAuthFailureRate: what its plans say and run."""

from __future__ import annotations

import msgspec
import pytest

from runbook.alerts.checks.logins import addresses, failures_by_node, takeover
from runbook.alerts.checks.logins.addresses import LoudAddress
from runbook.alerts.checks.logins.failures_by_field import PHRASE
from runbook.alerts.high_auth_failure_rate import ALERT
from runbook.alerts.mitigations.attacks import keep_out, withstand
from runbook.alerts.mitigations.logins import restore_key, set_clocks
from runbook.config.schema import Environment, Kubernetes
from runbook.investigation.definitions import Context, Planned
from runbook.model import JSON, Step
from runbook.text.shell import command
from tests import fakes
from tests.alerts.high_auth_failure_rate.answers import FEW, TAKEN, Given, context, logged, results


def shown(step: Step) -> str:
    return command(step.argv) if step.argv else step.text


def texts(planned: Planned) -> list[str]:
    return [shown(step) for step in planned[1]]


def at_proxy(**given: object) -> Context:
    service = msgspec.structs.replace(fakes.SERVICE, proxy_deployment="edge", jwt_public_key_path="/keys/jwt.pem")
    environment = Environment(service="shop", kubernetes=Kubernetes(context="production"))
    return context(service=service, environment=environment, **given)


class TestPlans:
    def test_exactly_the_addresses_found_are_blocked(self):
        """Each loud address has a ready command at the proxy, undone by its opposite, IPv6 by its own tool."""
        _, steps = keep_out(at_proxy(), results(FEW))
        rules = [(command(one.argv), command(one.undo_argv)) for one in steps if "DROP" in one.argv]
        lead = "kubectl --context production -n web exec deployment/edge -- "
        assert rules == [
            (f"{lead}iptables -A INPUT -s 203.0.113.7 -j DROP", f"{lead}iptables -D INPUT -s 203.0.113.7 -j DROP"),
            (f"{lead}ip6tables -A INPUT -s 2001:db8::9 -j DROP", f"{lead}ip6tables -D INPUT -s 2001:db8::9 -j DROP"),
        ]

    @pytest.mark.parametrize("address", ["1.2.3.4; reboot", "$(id)", "0.0.0.0/0", "none", None, 7])
    def test_nothing_but_an_address_gets_into_a_command(self, address: JSON):
        """What is no address is left out, whatever the facts say."""
        odd: Given = {
            addresses.Facts: {"loud": (LoudAddress(address, 900),)},
            takeover.Facts: {"addresses": (address,)},
        }
        for make in (keep_out, withstand):
            assert not [text for text in texts(make(at_proxy(), results(FEW, odd))) if "DROP" in text]

    def test_without_a_proxy_by_name_the_address_is_named(self):
        """A profile without the proxy has no command, but says which address to block."""
        assert "Block 203.0.113.7 at the proxy." in texts(keep_out(context(), results(FEW)))

    def test_taken_accounts_come_first(self):
        """Accounts that somebody got into are closed before anything else."""
        assert "admin" in texts(keep_out(at_proxy(), results(FEW, TAKEN)))[0]

    def test_what_is_not_known_blocks_and_closes_nothing(self):
        """Without addresses and without successes in the logs, the plans still limit the attempts."""
        nothing_known = results(unknown=[addresses.Facts, takeover.Facts])
        for make in (keep_out, withstand):
            steps = make(at_proxy(), nothing_known)[1]
            assert "rate limiting" in shown(steps[0])
            assert not [one for one in steps if one.kind == "change"]

    def test_the_key_is_read_where_it_is(self):
        """Mounted, its age, its first lines, its expiry: each has its command, and none of them changes anything."""
        read = [one for one in restore_key(at_proxy(), results(logged(key=0.9)))[1] if one.kind == "read"]
        shown_together = " | ".join(map(shown, read))
        for words in (
            "describe deployment",
            "get secrets",
            "head -n 3 /keys/jwt.pem",
            "| openssl x509 -noout",
        ):
            assert words in shown_together

    def test_the_node_with_the_wrong_clock_is_named(self):
        """The node is set right by name, and its pods can be moved away."""
        seen: Given = {failures_by_node.Facts: {"one_node": True, "node": "n1", "failing_pods": ("web-1", "x; y")}}
        said = texts(set_clocks(at_proxy(), results(seen)))
        assert any(text.startswith("On n1: chronyc") for text in said)
        assert "kubectl --context production -n web cordon n1" in said
        assert [text for text in said if "delete" in text] == ["kubectl --context production -n web delete pod/web-1"]

    def test_a_node_that_is_not_known_is_not_cordoned(self):
        """Without the node's name its clock is set right in words alone."""
        steps = set_clocks(at_proxy(), results(unknown=[failures_by_node.Facts]))[1]
        assert not [one for one in steps if one.kind == "change"]


def test_few_enough_queries():
    """Not more than 64 questions, so that all go out at once."""
    assert sum(len(check.queries(at_proxy())) for check in ALERT.checks) <= 64
    assert PHRASE in next(iter(ALERT.checks[2].queries(at_proxy()).values())).text
