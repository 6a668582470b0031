"""InstanceDown: whether only the scrape is broken, and whether a policy cuts the service off."""

from __future__ import annotations

import pytest

from runbook.alerts.checks.requests import reachability
from runbook.alerts.checks.workload import pod_states, policies, scrape_only
from runbook.model import Facts, Result
from tests.alerts.instance_down.answers import FIRING, Answering, Words, down, given, judged, logged, of, time
from tests.fakes import ONSET, Scripted, facts

POLICIES: Words = ("networkpolicies",)


class TestScrapeOnly:
    def asked(self, now: Answering, health: bool | None = None, **instances: object) -> Result:
        """Two of six are down and ready; before, six of them logged 600 messages in 65 minutes."""
        told = {(FIRING,): now, ("terms",): logged(600)}
        ready, reached = facts(pod_states.Facts, well=("a", "b")), facts(reachability.Facts, health_ok=health)
        return judged(scrape_only.CHECK, told, down("a", "b", **instances), ready, reached)

    def test_those_that_log_on_are_only_unseen(self) -> None:
        """As many messages as usual from those that are down: only Prometheus misses them."""
        found = self.asked(logged(300, a=50, b=50, c=50))
        known = of(scrape_only.Facts, found)
        assert (found.status, known.talking, known.silent, known.messages) == ("abnormal", True, False, 100)
        assert found.sentence.startswith("Yes: 2 of 2 pods that Prometheus cannot reach are ready in Kubernetes and ")

    def test_those_that_fall_silent_are_cut_off(self) -> None:
        """Ready, and no message any more: no requests reach them."""
        found = self.asked(logged(200, c=50))
        known = of(scrape_only.Facts, found)
        assert (known.talking, known.silent, found.status) == (False, True, "normal")

    def test_messages_that_do_not_name_their_pod_tell_nothing(self) -> None:
        """Where the logs lack the pod's field, nobody has fallen silent: it is not known who logged."""
        known = of(scrape_only.Facts, self.asked(logged(300)))
        assert (known.talking, known.silent) == (None, None)

    def test_too_few_messages_tell_nothing(self) -> None:
        """Where hardly anything is logged, silence is no sign."""
        told = {(FIRING,): logged(0), ("terms",): logged(6)}
        found = judged(scrape_only.CHECK, told, down("a", "b"), facts(pod_states.Facts, well=("a",)))
        known = of(scrape_only.Facts, found)
        assert (known.talking, known.silent) == (None, None)

    def test_without_logs_the_service_itself_may_tell(self) -> None:
        """Nobody is up for Prometheus, yet the service answers."""
        known = of(scrape_only.Facts, self.asked(Scripted({}).ask, health=True, up=()))
        assert known.talking is None and known.nobody_up and known.answers

    def test_pods_that_are_not_ready_are_not_only_unseen(self) -> None:
        """Where Kubernetes calls none of them ready, it is not the scrape, whatever they log."""
        found = judged(
            scrape_only.CHECK, {("terms",): logged(100)}, down("a", "b"), facts(pod_states.Facts, well=(), gone=())
        )
        assert (found.status, of(scrape_only.Facts, found).talking) == ("normal", False)

    @pytest.mark.parametrize("earlier", [(), (facts(pod_states.Facts, well=(), gone=("a", "b")),)])
    def test_without_the_pods_it_is_not_known(self, earlier: tuple[Facts, ...]) -> None:
        """Whether the pods are ready is not known where nobody asked, or where they no longer exist."""
        found = judged(scrape_only.CHECK, {("terms",): logged(100)}, down("a", "b"), *earlier)
        assert (found.status, found.facts) == ("unknown", None)


def policy(*ports: int) -> Answering:
    rules = [{"ports": [{"protocol": "TCP", "port": port} for port in ports]}]
    one = {
        "metadata": {"name": "allow", "creationTimestamp": time(ONSET - 30)},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules},
    }
    return given({"policies": [one], "labels": {"app": "web"}, "ports": {}})


def test_a_policy_that_forgets_the_port_cuts_the_service_off() -> None:
    """Whether others reach the pods is judged at the port that Prometheus scrapes."""
    check = policies.guarding(policies.TO_SERVICE)
    shut = judged(check, {POLICIES: policy(8443)}, down("a"))
    known = of(policies.Facts, shut)
    assert (known.cuts, known.near, known.port) == (("allow",), True, 8080)
    assert all(word in shut.sentence for word in ("the policy allow", "8080"))
    assert of(policies.Facts, judged(check, {POLICIES: policy(8080)}, down("a"))).cuts == ()
