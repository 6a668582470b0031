"""What makes requests slow: the faults of SlowResponses, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from tests.lab.faults.high_error_rate import MEAN_CPU, busy_hour, good_release, quiet
from tests.lab.faults.planning import Fault, Plan, Situation, both
from tests.lab.service.fleet import Rollout
from tests.lab.service.world import CAPACITY, CPU_LIMIT, MEMORY_LIMIT, POOL_SIZE, QUERIES, QUERY_MEDIAN, REPLICAS

QUERY_SECONDS = ((0.55, 0.95), (2.4, 3.6), (1.0, 1.8))  # of each kind of query without its index
QUERIES_PER_REQUEST = 1.3


def query_slow(s: Situation) -> Plan:
    """One kind of query has lost its index; the others are as fast as ever."""
    number = int(s.rng.integers(len(QUERIES)))
    operation, table = QUERIES[number]
    times = s.between(*QUERY_SECONDS[number]) / (QUERY_MEDIAN[number] * s.who.speed)
    return Plan((s.effect(f"slow_{operation}_{table}", times, ramp=s.between(20, 240)),))


def queries_slow(s: Situation) -> Plan:
    """The whole database is slow."""
    times = s.between(0.45, 0.9) / (QUERY_MEDIAN[0] * s.who.speed)
    return Plan((s.effect("db_slow", times, ramp=s.between(30, 300)),))


def pool_too_small(s: Situation) -> Plan:
    """A setting leaves the pool a few connections, which are kept longer than needed: requests queue for them."""
    size = s.between(1.6, 3.4)
    longer = size * s.between(1.15, 1.7) / (s.rate * QUERIES_PER_REQUEST / REPLICAS)
    smaller, kept = s.effect("pool_size", size / POOL_SIZE), s.effect("held_longer", longer)
    return Plan((replace(smaller, flicker=0.0), replace(kept, end=smaller.end)))


def pool_drained(s: Situation) -> Plan:
    """Something takes all connections for itself."""
    return Plan((replace(s.effect("held", POOL_SIZE * 1.0, ramp=s.between(60, 300)), flicker=0.0),))


def _cpu_cost(s: Situation, least: float, most: float) -> float:
    """How much more CPU a request must need for the limit to be reached so many times over."""
    return CPU_LIMIT * s.between(least, most) / (s.rate / REPLICAS * MEAN_CPU * s.who.cpu)


def cpu_bound(s: Situation) -> Plan:
    """Requests need about all the CPU that there is: they wait for it."""
    return Plan((s.effect("cpu_cost", _cpu_cost(s, 1.06, 1.3), ramp=s.between(20, 240)),))


def cpu_taken(s: Situation) -> Plan:
    """The pods get less CPU than their requests need."""
    usual = s.rate / REPLICAS * MEAN_CPU * s.who.cpu / CPU_LIMIT + 0.012 / CPU_LIMIT
    return Plan((s.effect("cpu_limit", usual / s.between(1.06, 1.3), ramp=s.between(10, 120)),))


def memory_tight(s: Situation) -> Plan:
    """Memory has grown to just below the limit: what is needed is read from disk over and over."""
    growing = s.between(60, 300)
    needed = s.effect("working_set", MEMORY_LIMIT * s.between(0.99, 1.03) - s.who.memory, ramp=growing)
    needed = replace(needed, start=s.at - growing, flicker=0.0)
    return Plan((needed, replace(s.effect("swapping", s.between(3.5, 8.0)), end=needed.end)))


def auth_slow(s: Situation) -> Plan:
    """The auth service takes seconds to look at a token."""
    return Plan((s.effect("auth_slow", s.between(1.6, 4.0), ramp=s.between(0, 180)),))


def avatars_slow(s: Situation) -> Plan:
    """The avatar service takes seconds, and every page waits for it."""
    return Plan((s.effect("avatar_slow", s.between(1.1, 3.5), ramp=s.between(0, 180)),))


def queue_full(s: Situation) -> Plan:
    """Several times the requests: as many as the pods let in, after a while in the queue."""
    factor = float(np.clip(CAPACITY * REPLICAS * s.between(0.98, 1.15) / s.rate, 2.3, 10.0))
    surge = s.effect("traffic", factor, ramp=s.between(20, 240))
    queue = s.effect("queueing", s.between(1.8, 4.5))
    return Plan((surge, replace(queue, end=surge.end)))


def slow_release(s: Situation) -> Plan:
    """A release in which everything takes long."""
    slow = s.of_release(s.effect("slow", s.between(90, 320)))
    return Plan((slow,), (Rollout(s.at, s.between(12, 40)),))


def heavy_release(s: Situation) -> Plan:
    """A release that needs many times the CPU."""
    heavy = s.of_release(s.effect("cpu_cost", _cpu_cost(s, 1.15, 1.5)))
    return Plan((heavy,), (Rollout(s.at, s.between(12, 40)),))


def slow_moment(s: Situation) -> Plan:
    """Everything is slow for half a minute."""
    return Plan((s.effect("slow", s.between(25, 60), minutes=(0.35, 0.7)),))


_fault = partial(Fault, alert="SlowResponses")
FAULTS = (
    _fault("query-slow", ("database",), query_slow, hours=(9.0, 21.0)),
    _fault("queries-slow", ("database",), queries_slow, database_state="slow"),
    _fault("pool-too-small", ("pool",), pool_too_small),
    _fault("pool-drained", ("pool",), pool_drained),
    _fault("cpu-bound", ("resources",), cpu_bound, hours=(8.5, 20.5)),
    _fault("cpu-taken", ("resources",), cpu_taken, hours=(8.5, 20.5)),
    _fault("memory-tight", ("resources",), memory_tight),
    _fault("auth-service-slow", ("dependency",), auth_slow),
    _fault("avatar-service-slow", ("dependency",), avatars_slow),
    _fault("queue-full", ("traffic",), queue_full, hours=(9.0, 20.5)),
    _fault("slow-release", ("deployment",), slow_release),
    _fault("heavy-release", ("deployment",), heavy_release, hours=(8.5, 20.5)),
    _fault("dependency+traffic", ("dependency", "traffic"), both(auth_slow, queue_full), hours=(9.0, 20.5)),
    _fault("fast-quiet", (), quiet),
    _fault("slow-moment", (), slow_moment),
    _fault("fast-release", (), good_release),
    _fault("fast-busy", (), busy_hour),
)
