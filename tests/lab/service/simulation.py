"""One window of the service's life, drawn: what happened between two scrapes, by pod. Pure, the same by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.lab.service.answering import AWAY, QUERY_STEEPNESS, STEEPNESS, TEMPER, TEMPERS, Response
from tests.lab.service.behaviour import Behaviour, behave, unreachable
from tests.lab.service.expectation import LOOKUPS, UNSEEN, expected
from tests.lab.service.fleet import Fleet, Pod, existing, serving, starts
from tests.lab.service.world import (
    ENDPOINTS,
    GUARDED,
    POOL_SIZE,
    REASONS,
    REFUSED_LOGINS,
    Bools,
    Character,
    Effect,
    Floats,
    Integers,
)

LE = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, np.inf])
PERIODS = 10.0  # per second, after which the kernel grants CPU anew
MISSED, MISSED_STARVED = 0.0007, 0.2  # share of scrapes that time out, usually and with no CPU left
STATUSES = ("200", "302", "400", "401", "404", "500", "503", "504")


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, scraped every `step` seconds."""

    start: float
    end: float
    step: float = 15.0


@dataclass(frozen=True)
class Drawn:
    """What happened in a window; the last two axes are always (pod, time).

    Counts are of the time since the last scrape. `known`: the pod exists; `running`: its container does; `scraped`: and
    it answered the scrape in time; `mute`: its metrics endpoint is broken.
    """

    window: Window
    pods: tuple[Pod, ...]
    times: Floats
    known: Bools
    running: Bools
    scraped: Bools
    mute: Bools
    started: Floats
    ends: Integers  # (reason, endpoint, pod, time)
    requests: Integers  # (status, endpoint, pod, time)
    durations: Integers  # (bucket, endpoint, pod, time)
    query_durations: Integers  # (bucket, query, pod, time)
    connection_errors: Integers
    logins: Integers  # (success, failure; pod, time)
    cpu_seconds: Floats
    throttled: Integers  # of the kernel's PERIODS per second
    memory: Floats
    cache: Floats
    connections: Integers  # (in use, idle, waiting; pod, time)
    warnings: Integers
    namespace: str
    expected: Mapping[str, Floats]  # by alert, what its rule looks at, by time and without noise


def simulate(who: Character, fleet: Fleet, effects: Sequence[Effect], window: Window, *, namespace: str) -> Drawn:
    """Draw one window; the numbers depend on the order in which they are drawn."""
    rng = np.random.default_rng([who.seed, 4, int(window.start)])
    pods = fleet.within(window.start, window.end)
    times = _scrape_times(who, pods, window)
    weights = serving(pods, times, window.step) * np.array([_taste(who, pod) for pod in pods])[:, None]
    noise = _bursts(rng, times.shape)
    seen = behave(who, pods, effects, times, weights=weights, started=starts(pods, times), noise=noise)
    return _drawn(rng, who, seen, window, pods=pods, times=times, namespace=namespace)


def _drawn(
    rng: np.random.Generator,
    who: Character,
    seen: Behaviour,
    window: Window,
    *,
    pods: tuple[Pod, ...],
    times: Floats,
    namespace: str,
) -> Drawn:
    rate, response, state = seen.rate, seen.response, seen.state
    ends = np.moveaxis(rng.multinomial(rng.poisson(rate * window.step), np.moveaxis(response.outcomes, 0, -1)), -1, 0)
    running = ~np.isnan(seen.started)
    queries = rng.poisson(response.queries * window.step)
    connections = _connections(rng, seen)
    return Drawn(
        logins=_logins(rng, who, ends),
        window=window,
        pods=pods,
        times=times,
        known=existing(pods, times),
        running=running,
        scraped=_scraped(rng, seen),
        mute=running & (state["scrape_fails"] > 0),
        started=seen.started,
        ends=ends,
        requests=_by_status(rng, who, ends),
        durations=_durations(rng, ends, response),
        query_durations=_multinomial(rng, queries, _buckets(response.query_median, QUERY_STEEPNESS)),
        connection_errors=rng.poisson(response.connection_errors * window.step)
        + ends[REASONS.index("pool")].sum(axis=0),
        cpu_seconds=response.cpu * window.step * rng.normal(1.0, 0.03, times.shape).clip(0.8, 1.02) * running,
        throttled=_throttled(who, window, response) * running,
        memory=seen.memory + connections[2] * 0.25 * 2**20 + rng.normal(0, 1.5 * 2**20, times.shape),
        cache=seen.cache,
        connections=connections,
        warnings=rng.poisson(state["warnings"] * window.step) * running,
        namespace=namespace,
        expected=expected(who, seen, existing(pods, times)),
    )


def _scraped(rng: np.random.Generator, seen: Behaviour) -> Bools:
    missed = MISSED + MISSED_STARVED * seen.response.starved + seen.state["scrape_fails"]
    answered = rng.random(seen.started.shape) >= missed
    return ~np.isnan(seen.started) & answered & (unreachable(seen.state) == 0)


def _throttled(who: Character, window: Window, response: Response) -> Integers:
    """Drawn beside the others, whose numbers stay as they are."""
    aside = np.random.default_rng([who.seed, 15, int(window.start)])
    return aside.binomial(int(PERIODS * window.step), response.throttled)


def _connections(rng: np.random.Generator, seen: Behaviour) -> Integers:
    """In use, idle, and who waits for one."""
    limit = np.round(POOL_SIZE * seen.state["pool_size"]).astype(int)
    in_use = np.minimum(rng.poisson(seen.response.in_use) + np.round(seen.state["held"]).astype(int), limit)
    opened = np.clip(in_use + 5 + rng.integers(-1, 2, in_use.shape), 0, limit) * (1.0 - seen.response.away)
    waiting = rng.poisson(seen.response.waiting)
    return np.array([in_use, np.maximum(np.round(opened) - in_use, 0).astype(int), waiting])


def _logins(rng: np.random.Generator, who: Character, ends: Integers) -> Integers:
    """Successes and failures, as far as the service counts them."""
    guarded = ends[:, GUARDED[:, 0, 0] > 0].sum(axis=1)
    refused, lookups, unseen = (
        sum(guarded[REASONS.index(reason)] for reason in reasons) for reasons in (REFUSED_LOGINS, LOOKUPS, UNSEEN)
    )
    failures = refused + rng.binomial(lookups, who.lost_sessions)
    return np.array([guarded.sum(axis=0) - unseen - failures, failures])


def _scrape_times(who: Character, pods: Sequence[Pod], window: Window) -> Floats:
    """Each pod is scraped at a moment of its own within the interval, to the millisecond."""
    grid = np.arange(window.start, window.end, window.step)
    offsets = np.array([_own(who, pod, 5).uniform(0, window.step) for pod in pods])
    return np.round(grid[None] + offsets[:, None], 3)


def _own(who: Character, pod: Pod, what: int) -> np.random.Generator:
    return np.random.default_rng([who.seed, what, pod.revision, pod.slot])


def _taste(who: Character, pod: Pod) -> float:
    """No load balancer is quite fair."""
    return float(_own(who, pod, 6).normal(1.0, 0.04))


def _bursts(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.lognormal(0.0, 0.05, shape[1])[None, None] * rng.lognormal(0.0, 0.04, shape)[None]


def statuses(who: Character, reason: str, success: str) -> tuple[tuple[str, float], ...]:
    """The status codes that a reason ends in, with their shares."""
    mixed = {
        "starved": (("504", who.starved_as_504), ("503", 1 - who.starved_as_504)),
        "jwt": (("401", who.jwt_as_401), ("500", 1 - who.jwt_as_401)),
        "auth_down": (("503", 0.7), ("500", 0.3)),
        "memory": (("503", 0.5), ("500", 0.5)),
        **dict.fromkeys(AWAY, (("500", who.refused_as_500), ("503", 1 - who.refused_as_500))),
        "pool": (("503", 0.35), ("504", 0.65)),
        "background": (("500", 0.75), ("504", 0.15), ("503", 0.1)),
    }
    plain = {
        "shed": "503",
        **dict.fromkeys(("guessed", "sprayed", "unauthorized", "expired", "overdue", "immature"), "401"),
        "intruded": success,
        "config": "500",
        "locked": "500",
        "auth_late": "504",
        "avatar_late": success,
        "query": "504",
        "render": "500",
        "missing": "404",
        "ok": success,
    }
    return mixed.get(reason) or ((plain[reason], 1.0),)


def _by_status(rng: np.random.Generator, who: Character, ends: Integers) -> Integers:
    found = np.zeros((len(STATUSES), *ends.shape[1:]), dtype=np.int64)
    for number, endpoint in enumerate(ENDPOINTS):
        for reason, counts in zip(REASONS, ends[:, number], strict=True):
            shares = statuses(who, reason, endpoint.success)
            if reason == "missing" and endpoint.method == "POST":
                shares = (("400", 1.0),)
            first = rng.binomial(counts, shares[0][1]) if len(shares) > 1 else counts
            parts = [first, *([counts - first] if len(shares) == 2 else [])]
            if len(shares) == 3:
                second = rng.binomial(counts - first, shares[1][1] / (1 - shares[0][1]))
                parts += [second, counts - first - second]
            for (status, _), part in zip(shares, parts, strict=True):
                found[STATUSES.index(status), number] += part
    return found


def _durations(rng: np.random.Generator, ends: Integers, response: Response) -> Integers:
    usual = sum(ends[n] for n, reason in enumerate(REASONS) if reason not in TEMPER)
    found = _multinomial(rng, usual, _buckets(response.median, STEEPNESS))
    for temper, (median, steepness) in TEMPERS.items():
        counts = sum(ends[n] for n, reason in enumerate(REASONS) if TEMPER.get(reason) == temper)
        found += _multinomial(rng, counts, _buckets(np.array(median), steepness))
    return found


def _buckets(median: Floats, steepness: float) -> Floats:
    """Probability of each bucket, on a new last axis."""
    with np.errstate(divide="ignore"):
        below = 1.0 / (1.0 + (median[..., None] / LE) ** steepness)
    return np.diff(below, axis=-1, prepend=0.0)


def _multinomial(rng: np.random.Generator, counts: Integers, shares: Floats) -> Integers:
    return np.moveaxis(rng.multinomial(counts, shares), -1, 0)
