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


def respond(who: Character, rate: Floats, state: Conditions, *, fullness: Floats, cold: Floats) -> Response:
    """How pods answer requests at this rate; `fullness` is memory / limit, `cold` 1 just after a start, then to 0."""
    offered = (rate * USERS).sum(axis=0)
    shed = overflow(offered / CAPACITY)
    inside = rate * (1.0 - shed * USERS)
    load = (0.012 + (inside * CPU).sum(axis=0) * who.cpu * state["cpu_cost"] + offered * shed * 0.002) / (
        CPU_LIMIT * state["cpu_limit"]
    )
    starved = overflow(load)
    pressure = np.clip((fullness - 0.9) / 0.1, 0.0, 1.0)
    bad_token = np.clip(who.expired_tokens + state["bad_tokens"], 0.0, 0.98) * np.ones_like(rate)
    overdue, immature = (
        np.clip((state[wrong] - LEEWAY) / TOKEN_LIFE, 0.0, 1.0) for wrong in ("clock_ahead", "clock_behind")
    )
    guesses = {quantity: _guesses(rate, state[quantity]) for quantity in ("attacks", "spread_attacks")}
    refused = {
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
    verified = np.prod([1.0 - part for part in refused.values()], axis=0)

    queries = np.einsum("ept,eq->qpt", inside * verified * (1.0 - starved), PER_REQUEST)
    contention = 1.0 + (queries.sum(axis=(0, 1)) / 300.0) ** 2
    usual_median = (
        QUERY_MEDIAN[:, None, None] * who.speed * state["db_slow"] * contention * (1.0 + 2.0 * starved + cold)
    )
    query_median = usual_median * _slowness(state) + ON_USERS * state["db_locked"]
    backlog = 4.0 * (1.0 - np.exp(-6.0 * np.maximum(load - 1.0, 0.0)))
    hold = np.minimum(query_median * 1.35, STATEMENT_TIMEOUT) + 0.003 + 0.25 * backlog + state["held_longer"]
    away = _away(state)
    demand = (queries * hold).sum(axis=0) * (1.0 - away)
    free = np.maximum(POOL_SIZE * state["pool_size"] - state["held"], 0.05)
    all_queries = queries.sum(axis=0)
    no_slot = overflow(demand / free)
    late = exceeds(STATEMENT_TIMEOUT, usual_median, 2.2)
    later = exceeds(STATEMENT_TIMEOUT, query_median, 2.2) - late
    too_long = late.mean(axis=0) + np.einsum("eq,qpt->ept", np.minimum(PER_REQUEST, 1.0), later)
    locked = np.minimum(state["db_locked"], 1.0)

    obstacles = {
        "shed": shed * USERS,
        "starved": np.where(USERS > 0, starved, 0.3 * starved),
        **refused,
        "memory": 0.4 * pressure * (0.2 + 0.8 * USERS),
        "config": GUARDED * state["config_missing"],
        **{reason: ASKING * state[f"db_{reason}"] for reason in AWAY},
        "pool": ASKING * no_slot,
        "locked": ASKING * too_long * locked,
        "query": ASKING * too_long,
        "render": PAGE * state["render_failed"],
        "background": (1.0 - (1.0 - who.background) * (1.0 - state["errors"]) * (1.0 - 0.05 * cold)) * USERS,
        "avatar_late": PAGE * exceeds(CALL_TIMEOUT, state["avatar_slow"], STEEPNESS) * (state["avatar_slow"] > 0),
        "missing": MISSING,
    }
    waited = POOL_TIMEOUT * no_slot + 0.15 * np.clip(demand / free - 0.7, 0.0, 0.5) + 0.5 * away
    busy = 1.0 / (1.0 - np.minimum(load, 0.97))
    own = (MEDIAN + CPU * (busy - 1.0)) * who.speed * state["slow"] * (1.0 + 6.0 * pressure + 2.0 * cold)
    elsewhere = (
        GUARDED * state["auth_slow"]
        + PAGE * state["avatar_slow"]
        + USERS
        * (state["queueing"] * np.clip((offered / CAPACITY - 0.75) / 0.25, 0.0, 1.0) + state["swapping"] * pressure)
    )
    in_queries = np.einsum("eq,qpt->ept", PER_REQUEST, query_median)
    return Response(
        outcomes=_one_after_the_other(obstacles, rate.shape),
        median=own + in_queries + ASKING * waited + backlog * USERS + elsewhere,
        queries=queries * (1.0 - away) * (1.0 - no_slot),
        query_median=query_median,
        cpu=np.minimum(load, 0.985) * CPU_LIMIT * state["cpu_limit"],
        in_use=np.minimum(demand, POOL_SIZE),
        waiting=all_queries * waited * np.where(demand > 0.7 * free, 1.0, away),
        starved=starved,
        throttled=np.clip((load - 0.6) / 0.45, 0.0, 0.97) ** 2,
        connection_errors=all_queries * away * 1.6,
        away=away,
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
