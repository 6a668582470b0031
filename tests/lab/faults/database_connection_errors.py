"""What makes connections to the database fail: the faults of DatabaseConnectionErrors, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.lab.faults.high_error_rate import busy_hour, good_release, quiet
from tests.lab.faults.planning import Fault, Plan, Situation, both
from tests.lab.service.fleet import NODES
from tests.lab.service.standing import AUTH_PORT, DNS_PORT, Applied, policy
from tests.lab.service.world import DEPLOYMENT, POOL_SIZE, REPLICAS

QUERIES_PER_REQUEST = 1.3


def pool_shrunk(s: Situation) -> Plan:
    """A setting leaves the pool a connection or two, and has each tried out at length before it is used."""
    size = s.between(1.0, 2.4)
    needed = size * s.between(1.3, 2.5) / (s.rate * QUERIES_PER_REQUEST / REPLICAS)
    smaller, longer = s.effect("pool_size", size / POOL_SIZE), s.effect("held_longer", needed)
    steady = tuple(replace(effect, flicker=0.0) for effect in (smaller, longer))
    return Plan(tuple(replace(effect, end=smaller.end) for effect in steady))


def pool_held(s: Situation) -> Plan:
    """Something takes connections and does not give them back, until the pool has none left."""
    held = s.effect("held", POOL_SIZE * s.between(1.0, 1.05), ramp=s.between(60, 420))
    return Plan((replace(held, flicker=0.0),))


def database_full(s: Situation) -> Plan:
    """The database has no connection left for us: too many, of all its clients."""
    effects = [s.effect("db_crowded", s.between(0.15, 0.9), ramp=s.between(0, 180))]
    if s.between(0, 1) < 0.5:
        effects.append(s.effect("db_slow", s.between(2, 10), ramp=60))
    return Plan(tuple(effects))


def database_locked(s: Situation) -> Plan:
    """A long transaction locks the users: who waits for it keeps its connection, until the server has none left."""
    locked = s.effect("db_locked", s.between(2.0, 5.0), ramp=s.between(10, 120))
    full = replace(s.effect("db_crowded", s.between(0.05, 0.35), ramp=120), start=locked.start + 30, end=locked.end)
    return Plan((locked, full))


def database_overloaded(s: Situation) -> Plan:
    """Every query takes long, so that connections pile up on all sides."""
    slow = s.effect("db_slow", s.between(60, 250), ramp=s.between(60, 240))
    full = s.effect("db_crowded", s.between(0.08, 0.4), ramp=s.between(60, 240))
    return Plan((slow, replace(full, end=slow.end)))


def egress_denied(s: Situation) -> Plan:
    """A new network policy forgets the database's port: connections time out."""
    unreachable = s.effect("db_unreachable", s.between(0.85, 1.0), ramp=s.between(0, 120))
    spec = policy(DEPLOYMENT, "Egress", DNS_PORT, AUTH_PORT)
    return Plan((unreachable,), applied=(Applied("NetworkPolicy", "restrict-egress", s.at - s.between(5, 50), spec),))


def names_unresolved(s: Situation) -> Plan:
    """The database's name does not resolve, everywhere or on one node."""
    effect = s.effect("db_unresolved", s.between(0.3, 1.0), ramp=s.between(0, 60))
    if s.between(0, 1) < 0.4:
        effect = replace(effect, size=s.between(0.6, 1.0), node=NODES[int(s.rng.integers(len(NODES)))])
    return Plan((effect,))


def credentials_rotated(s: Situation) -> Plan:
    """The Secret got a new password that the database does not know; pods take it up one after the other."""
    denied = s.effect("db_denied", s.between(0.7, 1.0), ramp=s.between(30, 300))
    return Plan((denied,), applied=(Applied("Secret", "database-credentials", s.at - s.between(10, 120)),))


def credentials_revoked(s: Situation) -> Plan:
    """The database lets the account in no more."""
    return Plan((s.effect("db_denied", s.between(0.4, 1.0), ramp=s.between(0, 60)),))


def connection_blip(s: Situation) -> Plan:
    """A handful of connections of one pod fail."""
    seconds = s.between(20, 60)
    share = s.between(3, 12) / (s.rate * QUERIES_PER_REQUEST / REPLICAS * seconds * 1.6)
    blip = s.effect("db_refused", min(share, 0.5), minutes=(seconds / 60, seconds / 60))
    return Plan((replace(blip, slots=s.some(1, 1)),))


_fault = partial(Fault, alert="DatabaseConnectionErrors")
FAULTS = (
    _fault("pool-shrunk", ("pool",), pool_shrunk),
    _fault("pool-held", ("pool",), pool_held),
    _fault("connections-full", ("database",), database_full, database_state="full"),
    _fault("database-locked", ("database",), database_locked, database_state="locked"),
    _fault("database-overloaded", ("database",), database_overloaded, database_state="slow"),
    _fault("egress-denied", ("network",), egress_denied),
    _fault("names-unresolved", ("network",), names_unresolved),
    _fault("credentials-rotated", ("credentials",), credentials_rotated, database_state="denied"),
    _fault("credentials-revoked", ("credentials",), credentials_revoked, database_state="denied"),
    _fault("network+database", ("network", "database"), both(names_unresolved, database_full), database_state="full"),
    _fault("connections-quiet", (), quiet),
    _fault("connection-blip", (), connection_blip),
    _fault("connections-release", (), good_release),
    _fault("connections-busy", (), busy_hour),
)
