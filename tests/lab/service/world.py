"""The simulated service: what it is asked at any time, and how it answers under given conditions.

Pure numpy, no clock and no disk. Arrays are (endpoint, pod, time), or (pod, time) where nothing depends on the
endpoint; times are seconds since the epoch. A live service uses the same functions with one pod and one time.

What goes wrong is told only by conditions (see QUANTITIES), which faults change. Everything else follows: a database
that refuses connections also makes requests slow and lets them wait; a surge of requests also heats the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Conditions = Mapping[str, Floats]

APP, SERVICE, DEPLOYMENT, CONTAINER, PORT = (
    "micro-frontend",
    "rust-micro-front-end",
    "rust-micro-front-end",
    "app",
    8080,
)
REPLICAS, POOL_SIZE = 6, 20
CPU_LIMIT, MEMORY_LIMIT = 0.4, 640 * 2**20
CACHE_FULL, CACHE_FILLING = 24 * 2**20, 2e4  # bytes, bytes/s
CAPACITY = 30.0  # requests/s that one pod lets in before it sheds
STATEMENT_TIMEOUT, POOL_TIMEOUT, CALL_TIMEOUT = 5.0, 3.0, 8.0
TOKEN_LIFE, LEEWAY = 900.0, 10.0  # seconds that a token is valid, and that a clock may be wrong
HEALTH_CHECKS = 0.2  # per second and pod, whatever the hour
DAY, WEEK = 86_400, 604_800


@dataclass(frozen=True)
class Endpoint:
    """One route. `share` of the users' requests; `queries` per request, in the order of QUERIES."""

    method: str
    path: str
    share: float
    cpu: float
    median: float
    queries: tuple[float, float, float] = (0.0, 0.0, 0.0)
    guarded: bool = False
    page: bool = False
    success: str = "200"
    missing: float = 0.0  # the share of requests for what does not exist


QUERIES = (("select", "users"), ("update", "users"), ("select", "sessions"))
QUERY_MEDIAN = np.array([0.0035, 0.007, 0.002])
ENDPOINTS = (
    Endpoint("GET", "/", 0.22, 0.003, 0.004, page=True),
    Endpoint("GET", "/health", 0.0, 0.0005, 0.001),
    Endpoint("GET", "/display", 0.30, 0.009, 0.012, (1.2, 0.0, 0.0), page=True, missing=0.012),
    Endpoint("GET", "/edit", 0.15, 0.009, 0.014, (1.0, 0.0, 1.0), guarded=True, page=True),
    Endpoint("POST", "/edit", 0.04, 0.007, 0.016, (0.2, 1.0, 1.0), guarded=True, success="302", missing=0.02),
    Endpoint("GET", "/api/username/:name", 0.23, 0.005, 0.007, (1.0, 0.0, 0.0), missing=0.03),
    Endpoint("POST", "/api/username/:name", 0.06, 0.007, 0.012, (0.0, 1.0, 1.0), guarded=True, missing=0.015),
)
SHARE = np.array([e.share for e in ENDPOINTS])
CPU = np.array([e.cpu for e in ENDPOINTS])[:, None, None]
MEDIAN = np.array([e.median for e in ENDPOINTS])[:, None, None]
PER_REQUEST = np.array([e.queries for e in ENDPOINTS])
ATTACKED = 4  # POST /edit
ASKING = (PER_REQUEST.sum(axis=1) > 0).astype(float)[:, None, None]  # whether it needs the database
GUARDED = np.array([e.guarded for e in ENDPOINTS], dtype=float)[:, None, None]
PAGE = np.array([e.page for e in ENDPOINTS], dtype=float)[:, None, None]
MISSING = np.array([e.missing for e in ENDPOINTS])[:, None, None]
USERS = np.array([e.path != "/health" for e in ENDPOINTS], dtype=float)[:, None, None]

# Why a request ends as it does, in the order in which it meets these obstacles.
REASONS = (
    "shed", "starved", "intruded", "guessed", "sprayed", "unauthorized", "expired", "overdue", "immature", "jwt",
    "auth_down", "auth_late", "memory", "config", "refused", "crowded", "unreachable", "unresolved",
    "denied", "pool", "locked", "query", "render", "background",
    "avatar_late", "missing", "ok",
)  # fmt: skip
FAILURES = (
    "shed",
    "starved",
    "jwt",
    "auth_down",
    "auth_late",
    "memory",
    "config",
    "refused",
    "crowded",
    "unreachable",
    "unresolved",
    "denied",
    "pool",
    "locked",
    "query",
    "render",
    "background",
)

REFUSED_LOGINS = (
    "guessed",
    "sprayed",
    "unauthorized",
    "expired",
    "overdue",
    "immature",
    "jwt",
    "auth_down",
    "auth_late",
)

# What may be otherwise than usual: its neutral value, and how several effects on it join.
QUANTITIES: dict[str, tuple[float, Literal["times", "either", "sum"]]] = {
    "traffic": (1.0, "times"),          # requests of users
    "db_refused": (0.0, "either"),      # probability that a query gets no connection
    "db_crowded": (0.0, "either"),      # the same, for the database has too many
    "db_unreachable": (0.0, "either"),  # the same, for connecting takes too long
    "db_unresolved": (0.0, "either"),   # the same, for the database's name does not resolve
    "db_denied": (0.0, "either"),       # the same, for the database does not take our password
    "db_slow": (1.0, "times"),          # duration of queries
    **{f"slow_{operation}_{table}": (1.0, "times") for operation, table in QUERIES},  # duration of one kind of query
    "db_locked": (0.0, "sum"),          # seconds that a query waits for a lock on the users
    "pool_size": (1.0, "times"),        # connections that a pod may have
    "held": (0.0, "sum"),               # connections of a pod that something keeps for itself
    "held_longer": (0.0, "sum"),        # seconds that a connection is kept beyond its query
    "jwt_rejected": (0.0, "either"),    # probability that a valid token does not verify
    "auth_down": (0.0, "either"),       # probability that a token cannot be verified at all
    "auth_slow": (0.0, "sum"),          # seconds that the auth service takes
    "avatar_slow": (0.0, "sum"),        # seconds that the avatar service takes, for which pages wait
    "bad_tokens": (0.0, "sum"),         # share of guarded requests with an expired token, beyond the usual
    "token_expired": (0.0, "either"),   # probability that a token is handed out too old
    "clock_behind": (0.0, "sum"),       # seconds: tokens seem to come from the future
    "clock_ahead": (0.0, "sum"),        # seconds: tokens seem to be old
    "attacks": (0.0, "sum"),            # requests/s to the whole service that guess tokens, all at ATTACKED
    "spread_attacks": (0.0, "sum"),     # the same, from many addresses and at many accounts
    "cracked": (0.0, "either"),         # probability that a guess from few addresses is right
    "render_failed": (0.0, "either"),   # probability that a page cannot be rendered
    "config_missing": (0.0, "either"),  # probability that a guarded request meets an absent setting
    "crash_after": (0.0, "sum"),        # seconds that a container lives; 0: for ever
    "node_down": (0.0, "either"),       # >= 0.5: the node is not ready, and nobody reaches the pod
    "cut": (0.0, "either"),             # >= 0.5: nobody reaches the pod, which is well
    "scrape_fails": (0.0, "either"),    # probability that a pod gives no metrics, though it serves
    "cpu_cost": (1.0, "times"),         # CPU of a request
    "cpu_limit": (1.0, "times"),        # the limit itself
    "queueing": (0.0, "sum"),           # seconds that a full queue holds a request
    "swapping": (0.0, "sum"),           # seconds that a request waits for pages of memory when that is full
    "working_set": (0.0, "sum"),        # bytes that a container needs beyond the usual
    "held_bytes": (0.0, "sum"),         # memory of each connection that is held
    "buffers": (0.0, "sum"),            # bytes of buffers that many requests at once need
    "leak": (0.0, "sum"),               # bytes/s that are never given back
    "caching": (0.0, "sum"),            # bytes/s by which the cache grows
    "slow": (1.0, "times"),             # duration of requests, for no reason the service can see
    "errors": (0.0, "either"),          # probability of an error of the everyday kinds, beyond the usual
    "warnings": (0.0, "sum"),           # needless log messages/s per pod
}  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """One quantity is otherwise between two times, for all pods or those of one revision, some slots, one node."""

    quantity: str
    size: float
    start: float
    end: float = float("inf")
    ramp: float = 0.0
    flicker: float = 0.0
    revision: int | None = None
    slots: tuple[int, ...] = ()
    node: str = ""

    def strength(self, times: Floats) -> Floats:
        """0 (absent) to about 1 (in full), at these times."""
        grown = np.clip((times - self.start) / self.ramp, 0.0, 1.0) if self.ramp else (times >= self.start) * 1.0
        return grown * (times < self.end) * (1.0 + self.flicker * wave(times, self.start))

    def concerns(self, revision: int, slot: int, node: str) -> bool:
        """Whether a pod is under it."""
        return self.revision in (None, revision) and (not self.slots or slot in self.slots) and self.node in ("", node)


@dataclass(frozen=True)
class Character:
    """What one simulated service is like in quiet times; drawn once per scenario."""

    seed: int
    peak: float
    background: float
    expired_tokens: float
    cpu: float
    speed: float
    memory: float
    restlessness: float
    refused_as_500: float
    jwt_as_401: float
    starved_as_504: float
    lost_sessions: float  # share of failed session lookups that count as failed logins
    taciturn: float  # share of error messages that do not say why


def character(seed: int) -> Character:
    """The service of this seed."""
    rng = np.random.default_rng([seed, 1])
    return Character(
        seed=seed,
        peak=rng.uniform(42, 78),
        background=rng.uniform(0.003, 0.0075),
        expired_tokens=rng.uniform(0.025, 0.06),
        cpu=rng.uniform(0.85, 1.25),
        speed=rng.uniform(0.8, 1.3),
        memory=rng.uniform(180, 250) * 2**20,
        restlessness=rng.uniform(0.02, 0.05),
        refused_as_500=rng.uniform(0.3, 0.95),
        jwt_as_401=rng.uniform(0.0, 0.3),
        starved_as_504=rng.uniform(0.4, 0.9),
        lost_sessions=rng.uniform(0.0, 0.6),
        taciturn=rng.uniform(0.0, 0.5),
    )


_HOURS = (0, 2, 4, 5.5, 7, 9, 11, 12.5, 14, 16, 18, 20, 21.5, 23, 24)
_LEVELS = (0.22, 0.11, 0.08, 0.10, 0.38, 0.80, 0.92, 0.84, 0.95, 1.0, 0.88, 0.93, 0.70, 0.36, 0.22)
_WEEKDAYS = np.array([0.97, 1.0, 1.0, 0.98, 0.95, 0.72, 0.66])  # Monday first


def usual_rate(who: Character, times: Floats) -> Floats:
    """Users' requests/s of the whole service: the day's rhythm, the weekday, a level of its own per day, slow waves."""
    days = np.floor(times / DAY).astype(int)
    hour = (times % DAY) / 3600
    level = {int(day): np.random.default_rng([who.seed, 2, int(day)]).normal(1.0, 0.05) for day in np.unique(days)}
    own = np.vectorize(level.get, otypes=[float])(days) if days.size else times
    rhythm = np.interp(hour, _HOURS, _LEVELS) * _WEEKDAYS[(days + 3) % 7]
    return who.peak * rhythm * own * (1.0 + who.restlessness * wave(times, who.seed))


def wave(times: Floats, phase: float) -> Floats:
    """Restless, smooth, between about -2 and 2; the same at the same time, whatever the window."""
    turns = np.random.default_rng(abs(int(phase))).uniform(0, 2 * np.pi, 4)
    return (
        sum(
            (
                np.sin(2 * np.pi * times / period + turn)
                for period, turn in zip((97, 310, 1130, 5900), turns, strict=True)
            ),
            np.zeros_like(times),
        )
        * 0.6
    )


def conditions(effects: Sequence[Effect], places: Sequence[tuple[int, int, str]], times: Floats) -> Conditions:
    """Every quantity for pods at (revision, slot, node), at times given per pod."""
    found = {name: np.full(times.shape, neutral) for name, (neutral, _) in QUANTITIES.items()}
    for effect in effects:
        under = np.array([effect.concerns(*place) for place in places], dtype=float)[:, None]
        found[effect.quantity] = _joined(effect, found[effect.quantity], effect.strength(times) * under)
    return found


def _joined(effect: Effect, sofar: Floats, strength: Floats) -> Floats:
    kind = QUANTITIES[effect.quantity][1]
    if kind == "times":
        return sofar * effect.size**strength
    if kind == "either":
        return 1.0 - (1.0 - sofar) * (1.0 - np.clip(effect.size * strength, 0.0, 1.0))
    return sofar + effect.size * np.maximum(strength, 0.0)


def asked(who: Character, weights: Floats, times: Floats, state: Conditions) -> Floats:
    """Requests/s by endpoint and pod: users go to the pods by weight (0: not ready), health checks to every one."""
    total = usual_rate(who, times) * state["traffic"]
    all_weights = weights.sum(axis=0)
    portion = np.divide(weights, all_weights, out=np.zeros_like(weights), where=all_weights > 0)
    users = SHARE[:, None, None] * (total * portion)[None]
    users[ATTACKED] += (state["attacks"] + state["spread_attacks"]) * portion
    return users + (1.0 - USERS) * HEALTH_CHECKS * (weights > 0)
