"""How the simulated service answers what it is asked, under given conditions: probabilities, durations, load.

Pure numpy; arrays as in `world`. One pass, in the order in which a request meets its obstacles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.lab.service.world import (
    ASKING,
    ATTACKED,
    CALL_TIMEOUT,
    CAPACITY,
    CPU,
    CPU_LIMIT,
    FAILURES,
    GUARDED,
    LEEWAY,
    MEDIAN,
    MISSING,
    PAGE,
    PER_REQUEST,
    POOL_SIZE,
    POOL_TIMEOUT,
    QUERIES,
    QUERY_MEDIAN,
    REASONS,
    REPLICAS,
    STATEMENT_TIMEOUT,
    TOKEN_LIFE,
    USERS,
    Character,
    Conditions,
    Floats,
)

AWAY = ("refused", "crowded", "unreachable", "unresolved", "denied")  # why the database gives no connection
ON_USERS = np.array([table == "users" for _, table in QUERIES], dtype=float)[:, None, None]
STEEPNESS, QUERY_STEEPNESS = 2.4, 2.6  # of log-logistic durations: p95 is 3.4 and 3.1 times the median

# How long requests take that do not end well: (median, steepness); the others take their usual time.
TEMPERS = {
    "quick": (0.0015, 2.4),
    "retry": (0.6, 2.2),
    "late": (4.3, 9.0),
    "connect": (3.1, 14.0),
    "given up": (8.05, 90.0),
}
TEMPER = {
    "shed": "quick",
    **dict.fromkeys(("guessed", "sprayed", "unauthorized", "expired", "overdue", "immature"), "quick"),
    "jwt": "quick",
    "auth_down": "retry",
    "starved": "late",
    **dict.fromkeys(("refused", "crowded", "unresolved", "denied"), "retry"),
    "unreachable": "connect",
    **dict.fromkeys(("auth_late", "avatar_late"), "given up"),
    "pool": "late",
    "locked": "late",
    "query": "late",
}


@dataclass(frozen=True)
class Response:
    """How pods answer. `outcomes` (reason, endpoint, pod, time) are probabilities; rates are per second and pod."""

    outcomes: Floats
    median: Floats
    queries: Floats
    query_median: Floats
    cpu: Floats
    in_use: Floats
    waiting: Floats
    connection_errors: Floats
    starved: Floats
    throttled: Floats  # share of the kernel's periods in which the CPU is taken away
    away: Floats  # probability that the database gives no connection

    @property
    def failing(self) -> Floats:
        """Probability of a 5xx, as good as."""
        return self.outcomes[[REASONS.index(reason) for reason in FAILURES]].sum(axis=0)


@dataclass(frozen=True)
class _Work:
    """What is asked of the pods, and how much of it is too much."""

    offered: Floats
    shed: Floats
    inside: Floats  # the requests that are let in, by endpoint
    load: Floats
    starved: Floats
    pressure: Floats  # 0: there is memory enough, to 1


@dataclass(frozen=True)
class _Database:
    """What queries meet on the way to the database and there; durations in seconds."""

    queries: Floats
    usual_median: Floats
    query_median: Floats
    backlog: Floats
    away: Floats
    demand: Floats  # connections
    free: Floats  # connections
    no_slot: Floats

    @property
    def too_long(self) -> Floats:
        """The share of requests by endpoint one of whose queries takes too long."""
        late = exceeds(STATEMENT_TIMEOUT, self.usual_median, 2.2)
        later = exceeds(STATEMENT_TIMEOUT, self.query_median, 2.2) - late
        return late.mean(axis=0) + np.einsum("eq,qpt->ept", np.minimum(PER_REQUEST, 1.0), later)


def respond(who: Character, rate: Floats, state: Conditions, *, fullness: Floats, cold: Floats) -> Response:
    """How pods answer requests at this rate; `fullness` is memory / limit, `cold` 1 just after a start, then to 0."""
    work = _work(who, rate, state, fullness)
    refused = _refusals(who, rate, state)
    verified = np.prod([1.0 - part for part in refused.values()], axis=0)
    database = _database(who, state, work, verified, cold=cold)
    obstacles = _before_the_page(state, work, refused) | _within_the_page(who, state, database, cold)
    demand, free, away = database.demand, database.free, database.away
    waited = POOL_TIMEOUT * database.no_slot + 0.15 * np.clip(demand / free - 0.7, 0.0, 0.5) + 0.5 * away
    own = _own_time(who, state, work, cold)
    in_queries = np.einsum("eq,qpt->ept", PER_REQUEST, database.query_median)
    elsewhere = _elsewhere(state, work)
    return Response(
        outcomes=_one_after_the_other(obstacles, rate.shape),
        median=own + in_queries + ASKING * waited + database.backlog * USERS + elsewhere,
        queries=database.queries * (1.0 - away) * (1.0 - database.no_slot),
        query_median=database.query_median,
        cpu=np.minimum(work.load, 0.985) * CPU_LIMIT * state["cpu_limit"],
        in_use=np.minimum(demand, POOL_SIZE),
        waiting=database.queries.sum(axis=0) * waited * np.where(demand > 0.7 * free, 1.0, away),
        starved=work.starved,
        throttled=np.clip((work.load - 0.6) / 0.45, 0.0, 0.97) ** 2,
        connection_errors=database.queries.sum(axis=0) * away * 1.6,
        away=away,
    )


def _work(who: Character, rate: Floats, state: Conditions, fullness: Floats) -> _Work:
    offered = (rate * USERS).sum(axis=0)
    shed = overflow(offered / CAPACITY)
    inside = rate * (1.0 - shed * USERS)
    load = (0.012 + (inside * CPU).sum(axis=0) * who.cpu * state["cpu_cost"] + offered * shed * 0.002) / (
        CPU_LIMIT * state["cpu_limit"]
    )
    return _Work(offered, shed, inside, load, overflow(load), np.clip((fullness - 0.9) / 0.1, 0.0, 1.0))


def _refusals(who: Character, rate: Floats, state: Conditions) -> dict[str, Floats]:
    """Probability that a request does not get past the check of its token, by reason."""
    bad_token = np.clip(who.expired_tokens + state["bad_tokens"], 0.0, 0.98) * np.ones_like(rate)
    overdue, immature = (
        np.clip((state[wrong] - LEEWAY) / TOKEN_LIFE, 0.0, 1.0) for wrong in ("clock_ahead", "clock_behind")
    )
    guesses = {quantity: _guesses(rate, state[quantity]) for quantity in ("attacks", "spread_attacks")}
    return {
        "intruded": guesses["attacks"] * state["cracked"],
        "guessed": guesses["attacks"],
        "sprayed": guesses["spread_attacks"],
        "unauthorized": GUARDED * bad_token,
        "expired": GUARDED * state["token_expired"],
        "overdue": GUARDED * overdue,
        "immature": GUARDED * immature,
        "jwt": GUARDED * state["jwt_rejected"],
        "auth_down": GUARDED * state["auth_down"],
        "auth_late": GUARDED * exceeds(CALL_TIMEOUT, state["auth_slow"], STEEPNESS) * (state["auth_slow"] > 0),
    }


def _database(who: Character, state: Conditions, work: _Work, verified: Floats, *, cold: Floats) -> _Database:
    queries = np.einsum("ept,eq->qpt", work.inside * verified * (1.0 - work.starved), PER_REQUEST)
    contention = 1.0 + (queries.sum(axis=(0, 1)) / 300.0) ** 2
    usual_median = (
        QUERY_MEDIAN[:, None, None] * who.speed * state["db_slow"] * contention * (1.0 + 2.0 * work.starved + cold)
    )
    query_median = usual_median * _slowness(state) + ON_USERS * state["db_locked"]
    backlog = 4.0 * (1.0 - np.exp(-6.0 * np.maximum(work.load - 1.0, 0.0)))
    hold = np.minimum(query_median * 1.35, STATEMENT_TIMEOUT) + 0.003 + 0.25 * backlog + state["held_longer"]
    away = _away(state)
    demand = (queries * hold).sum(axis=0) * (1.0 - away)
    free = np.maximum(POOL_SIZE * state["pool_size"] - state["held"], 0.05)
    return _Database(queries, usual_median, query_median, backlog, away, demand, free, overflow(demand / free))


def _before_the_page(state: Conditions, work: _Work, refused: Mapping[str, Floats]) -> dict[str, Floats]:
    """Probability of each reason not to be let in, and what a pod lacks to go on."""
    return {
        "shed": work.shed * USERS,
        "starved": np.where(USERS > 0, work.starved, 0.3 * work.starved),
        **refused,
        "memory": 0.4 * work.pressure * (0.2 + 0.8 * USERS),
        "config": GUARDED * state["config_missing"],
    }


def _within_the_page(who: Character, state: Conditions, database: _Database, cold: Floats) -> dict[str, Floats]:
    """Probability of each reason to fail or to be late while the page is made."""
    too_long = database.too_long
    locked = np.minimum(state["db_locked"], 1.0)
    return {
        **{reason: ASKING * state[f"db_{reason}"] for reason in AWAY},
        "pool": ASKING * database.no_slot,
        "locked": ASKING * too_long * locked,
        "query": ASKING * too_long,
        "render": PAGE * state["render_failed"],
        "background": (1.0 - (1.0 - who.background) * (1.0 - state["errors"]) * (1.0 - 0.05 * cold)) * USERS,
        "avatar_late": PAGE * exceeds(CALL_TIMEOUT, state["avatar_slow"], STEEPNESS) * (state["avatar_slow"] > 0),
        "missing": MISSING,
    }


def _own_time(who: Character, state: Conditions, work: _Work, cold: Floats) -> Floats:
    """The median time that a request spends in the service itself."""
    busy = 1.0 / (1.0 - np.minimum(work.load, 0.97))
    return (MEDIAN + CPU * (busy - 1.0)) * who.speed * state["slow"] * (1.0 + 6.0 * work.pressure + 2.0 * cold)


def _elsewhere(state: Conditions, work: _Work) -> Floats:
    """The time that a request waits for other services, in a queue, or for pages of memory."""
    queueing = state["queueing"] * np.clip((work.offered / CAPACITY - 0.75) / 0.25, 0.0, 1.0)
    return (
        GUARDED * state["auth_slow"]
        + PAGE * state["avatar_slow"]
        + USERS * (queueing + state["swapping"] * work.pressure)
    )


def _away(state: Conditions) -> Floats:
    """Probability that a query gets no connection from the database, for whatever reason."""
    away = state[f"db_{AWAY[0]}"]
    for reason in AWAY[1:]:
        away = away + (1.0 - away) * state[f"db_{reason}"]
    return away


def _slowness(state: Conditions) -> Floats:
    """How many times longer each kind of query takes than it should."""
    return np.array([state[f"slow_{operation}_{table}"] for operation, table in QUERIES])


def _guesses(rate: Floats, attacks: Floats) -> Floats:
    """The share of requests that guess tokens, for so many guesses/s at the whole service."""
    found = np.zeros_like(rate)
    found[ATTACKED] = np.minimum(attacks / REPLICAS / np.maximum(rate[ATTACKED], 1e-9), 1.0)
    return found


def _one_after_the_other(obstacles: Mapping[str, Floats], shape: tuple[int, ...]) -> Floats:
    """Probability of ending at each obstacle, and last of none."""
    left = np.ones(shape)
    outcomes = np.empty((len(REASONS), *shape))
    for number, reason in enumerate(REASONS[:-1]):
        outcomes[number] = left * np.clip(obstacles[reason], 0.0, 1.0)
        left = left - outcomes[number]
    outcomes[-1] = left
    return outcomes


_BURSTS = np.exp(0.15 * np.array([-1.5, -0.75, 0.0, 0.75, 1.5]))


def overflow(load: Floats) -> Floats:
    """The share of the work that does not fit, for demand / capacity; bursts let a little overflow before 1."""
    return sum(
        (np.maximum(0.0, 1.0 - 1.0 / np.maximum(load * burst, 1e-9)) for burst in _BURSTS), np.zeros_like(load)
    ) / len(_BURSTS)


def exceeds(limit: float, median: Floats, steepness: float) -> Floats:
    """How probably a log-logistic duration is longer than the limit."""
    return 1.0 / (1.0 + (limit / np.maximum(median, 1e-9)) ** steepness)
