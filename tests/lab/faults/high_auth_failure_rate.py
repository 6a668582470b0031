"""What makes logins fail: the faults of HighAuthFailureRate, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.lab.faults.high_error_rate import busy_hour, good_release, quiet
from tests.lab.faults.planning import Fault, Plan, Situation, both
from tests.lab.service.fleet import NODES
from tests.lab.service.standing import Applied
from tests.lab.service.world import GUARDED, SHARE, TOKEN_LIFE, Effect

GUARDED_SHARE = float((SHARE * GUARDED[:, 0, 0]).sum())


def key_rotated(s: Situation) -> Plan:
    """The public key was replaced, and tokens are still signed with the old one; the Secret is minutes old."""
    rejected = s.effect("jwt_rejected", s.between(0.6, 1.0), ramp=s.between(0, 150))
    return Plan((rejected,), applied=(Applied("Secret", "jwt-public-key", s.at - s.between(15, 90)),))


def key_in_some_pods(s: Situation) -> Plan:
    """Some pods read the key anew and cannot use it; the others still have it in memory."""
    return Plan((replace(s.effect("jwt_rejected", s.between(0.85, 1.0), ramp=s.between(0, 60)), slots=s.some(3, 5)),))


def tokens_expired(s: Situation) -> Plan:
    """The issuer's certificate has expired, or it hands out tokens that are too old: everybody's login fails."""
    return Plan((s.effect("token_expired", s.between(0.35, 0.95), ramp=s.between(0, 240)),))


def auth_service_away(s: Situation) -> Plan:
    """The auth service does not answer, or not sensibly."""
    return Plan((s.effect("auth_down", s.between(0.6, 1.0), ramp=s.between(0, 90)),))


def auth_service_flaky(s: Situation) -> Plan:
    """One of the auth service's instances is broken: a part of the tokens cannot be checked."""
    return Plan((s.effect("auth_down", s.between(0.33, 0.6), ramp=s.between(0, 120)),))


def _attack(s: Situation, quantity: str) -> Effect:
    """More guesses than a third of all attempts."""
    return s.effect(quantity, s.rate * GUARDED_SHARE * s.between(0.55, 3.0), ramp=s.between(0, 120))


def brute_force(s: Situation) -> Plan:
    """A few addresses try tokens and passwords of a few accounts."""
    return Plan((_attack(s, "attacks"),))


def brute_force_success(s: Situation) -> Plan:
    """The same, and after some minutes a guess is right now and then."""
    attack = _attack(s, "attacks")
    found = replace(s, at=s.at + s.between(180, 420)).effect("cracked", s.between(3, 9) / (attack.size * 600))
    return Plan((attack, replace(found, end=attack.end)))


def spread_attack(s: Situation) -> Plan:
    """Hundreds of addresses try a long list of accounts, each a few times."""
    return Plan((_attack(s, "spread_attacks"),))


def clock_wrong(quantity: str, s: Situation) -> Plan:
    """The clock of one node goes wrong by more than a token lives."""
    wrong = s.effect(quantity, TOKEN_LIFE * s.between(0.95, 3.0), ramp=s.between(0, 60))
    return Plan((replace(wrong, flicker=0.0, node=NODES[int(s.rng.integers(len(NODES)))]),))


def auth_spike(s: Situation) -> Plan:
    """Many logins fail for a minute; over before anybody is called."""
    return Plan((s.effect("token_expired", s.between(0.2, 0.45), minutes=(0.6, 1.3)),))


ANY_TIME = (3.0, 22.0)  # attackers do not sleep
_fault = partial(Fault, alert="HighAuthFailureRate")
FAULTS = (
    _fault("key-rotated", ("key",), key_rotated),
    _fault("key-in-some-pods", ("key",), key_in_some_pods),
    _fault("tokens-expired", ("tokens",), tokens_expired),
    _fault("auth-service-away", ("auth_service",), auth_service_away),
    _fault("auth-service-flaky", ("auth_service",), auth_service_flaky),
    _fault("brute-force", ("brute_force",), brute_force, hours=ANY_TIME),
    _fault("brute-force-success", ("brute_force",), brute_force_success, hours=ANY_TIME),
    _fault("spread-attack", ("spread_attack",), spread_attack, hours=ANY_TIME),
    _fault("clock-behind", ("clock",), partial(clock_wrong, "clock_behind")),
    _fault("clock-ahead", ("clock",), partial(clock_wrong, "clock_ahead")),
    _fault("key+brute-force", ("key", "brute_force"), both(key_in_some_pods, brute_force)),
    _fault("auth-quiet", (), quiet),
    _fault("auth-spike", (), auth_spike),
    _fault("auth-release", (), good_release),
    _fault("auth-busy", (), busy_hour),
)
