"""What makes memory grow: the faults of HighMemoryUsage, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.lab.faults.high_error_rate import busy_hour, good_release, quiet
from tests.lab.faults.planning import Fault, Plan, Situation
from tests.lab.service.fleet import Rollout
from tests.lab.service.world import CACHE_FULL, CAPACITY, POOL_SIZE, REPLICAS, Effect

MIB = 2**20
HIGH = 500 * MIB
LONG = (85.0, 100.0)  # minutes


def _missing(s: Situation) -> float:
    """Bytes from the usual level to the threshold."""
    return HIGH - s.who.memory - CACHE_FULL


def _growth(s: Situation, quantity: str, share: float = 1.0) -> Effect:
    """So many bytes/s that the threshold is reached within half an hour to fifty minutes."""
    pace = share * _missing(s) / (60 * s.between(28, 50))
    return replace(s.effect(quantity, pace, minutes=LONG), flicker=0.0)


def leak(s: Situation) -> Plan:
    """Every pod leaks, each a little faster or slower than the others."""
    steady = _growth(s, "leak")
    return Plan(tuple(replace(steady, size=steady.size * s.between(0.85, 1.1), slots=(n,)) for n in range(REPLICAS)))


def leak_in_some_pods(s: Situation) -> Plan:
    """One pod or two leak: they got the requests that make it leak."""
    return Plan((replace(_growth(s, "leak"), slots=s.some(1, 2)),))


def leak_of_release(s: Situation) -> Plan:
    """A release that leaks slowly."""
    return Plan((s.of_release(_growth(s, "leak")),), (Rollout(s.at, s.between(12, 40)),))


def cache_growing(s: Situation) -> Plan:
    """The cache forgets nothing any more."""
    return Plan((_growth(s, "caching"),))


def connections_leaking(s: Situation) -> Plan:
    """Connections are taken and not given back, each with the result that it has read."""
    taken = s.effect("held", POOL_SIZE - 1.0, ramp=60 * s.between(30, 55), minutes=LONG)
    bytes_each = s.effect("held_bytes", _missing(s) / s.between(12.5, 15.0))
    return Plan((replace(taken, flicker=0.0), replace(bytes_each, start=0.0, end=taken.end, flicker=0.0)))


def load(s: Situation) -> Plan:
    """Twice to three times the requests, which need buffers beyond the usual ones."""
    factor = min(s.between(2.2, 3.0), 0.88 * CAPACITY * REPLICAS / s.rate)
    surge = s.effect("traffic", factor, ramp=s.between(60, 600), minutes=(45, 80))
    buffers = s.effect("buffers", _missing(s) + s.between(50, 75) * MIB)
    return Plan((surge, replace(buffers, start=0.0, end=surge.end, flicker=0.0)))


def cache_and_leak(s: Situation) -> Plan:
    """The cache forgets nothing, and beside it something leaks."""
    part = s.between(0.45, 0.6)
    return Plan((_growth(s, "caching", part), _growth(s, "leak", 1.0 - part)))


def memory_hump(s: Situation) -> Plan:
    """A pod needs much memory for some minutes, and gives it back."""
    needed = s.effect("working_set", _missing(s) + s.between(20, 60) * MIB, ramp=60, minutes=(4, 11))
    return Plan((replace(needed, slots=s.some(1, 3)),))


_fault = partial(Fault, alert="HighMemoryUsage")
FAULTS = (
    _fault("memory-leak", ("leak",), leak),
    _fault("leak-in-some-pods", ("leak",), leak_in_some_pods),
    _fault("leak-of-release", ("deployment", "leak"), leak_of_release),
    _fault("cache-growing", ("cache",), cache_growing),
    _fault("connections-leaking", ("connections",), connections_leaking),
    _fault("memory-load", ("load",), load, hours=(9.5, 19.5)),
    _fault("cache+leak", ("cache", "leak"), cache_and_leak),
    _fault("memory-quiet", (), quiet),
    _fault("memory-hump", (), memory_hump),
    _fault("memory-release", (), good_release),
    _fault("memory-busy", (), busy_hour),
)
