"""What takes instances away: the faults of InstanceDown, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.lab.faults.high_error_rate import good_release, quiet
from tests.lab.faults.planning import Fault, Plan, Situation, both
from tests.lab.service.fleet import NODES, OVERCOMMIT, Rollout
from tests.lab.service.standing import AUTH_PORT, Applied, policy
from tests.lab.service.world import DEPLOYMENT, MEMORY_LIMIT


def crash_loop(s: Situation) -> Plan:
    """A release whose containers end soon after their start, again and again."""
    crashing = s.of_release(s.effect("crash_after", s.between(6, 40)))
    return Plan((crashing,), (Rollout(s.at, s.between(15, 40)),))


def out_of_memory(s: Situation) -> Plan:
    """Some pods need more memory than they may have, minutes after each start: killed, and killed again."""
    pace = (OVERCOMMIT * MEMORY_LIMIT - s.who.memory) / s.between(35, 90)
    return Plan((replace(s.effect("leak", pace, minutes=(30, 70)), slots=s.some(1, 3), flicker=0.0),))


def node_lost(s: Situation) -> Plan:
    """One node is not ready any more; what ran on it is out of reach."""
    lost = s.effect("node_down", 1.0, minutes=(25, 70))
    return Plan((replace(lost, flicker=0.0, node=NODES[int(s.rng.integers(len(NODES)))]),))


def ingress_denied(s: Situation) -> Plan:
    """The network policy was put anew, and forgets the service's port: nobody reaches the pods."""
    cut = replace(s.effect("cut", 1.0), flicker=0.0)
    spec = policy(DEPLOYMENT, "Ingress", AUTH_PORT)
    return Plan((cut,), applied=(Applied("NetworkPolicy", "allow-ingress", s.at - s.between(2, 40), spec),))


def stuck_release(reason: str, change: str, s: Situation) -> Plan:
    """A rollout whose first pod cannot start; the old ones serve on."""
    return Plan(rollouts=(Rollout(s.at, s.between(15, 40), change, stuck=reason),))


def scrape_broken(s: Situation) -> Plan:
    """Some pods do not answer Prometheus, and everybody else."""
    return Plan((replace(s.effect("scrape_fails", 1.0), flicker=0.0, slots=s.some(1, 6)),))


def scrape_slow(s: Situation) -> Plan:
    """Collecting metrics takes longer than Prometheus waits, nearly always, in every pod."""
    return Plan((replace(s.effect("scrape_fails", s.between(0.94, 0.99)), flicker=0.0),))


def restarted_once(s: Situation) -> Plan:
    """One container ends, and is back within seconds."""
    ending = s.effect("crash_after", 1.0, minutes=(0.1, 0.15))
    return Plan((replace(ending, slots=s.some(1, 1)),))


_fault = partial(Fault, alert="InstanceDown")
FAULTS = (
    _fault("crash-loop", ("deployment",), crash_loop),
    _fault("killed-for-memory", ("memory",), out_of_memory),
    _fault("node-lost", ("node",), node_lost),
    _fault("ingress-denied", ("network",), ingress_denied),
    _fault("secret-missing", ("configuration",), partial(stuck_release, "CreateContainerConfigError", "configuration")),
    _fault("image-missing", ("configuration",), partial(stuck_release, "ImagePullBackOff", "release")),
    _fault("scrape-broken", ("scrape",), scrape_broken),
    _fault("scrape-slow", ("scrape",), scrape_slow),
    _fault("memory+node", ("memory", "node"), both(out_of_memory, node_lost)),
    _fault("up-quiet", (), quiet),
    _fault("up-release", (), good_release),
    _fault("restarted-once", (), restarted_once),
)
