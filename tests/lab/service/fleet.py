"""Pods over time: revisions, gradual rollouts, containers that end and start again. Pure, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tests.lab.service.world import DEPLOYMENT, MEMORY_LIMIT, REPLICAS, Bools, Character, Effect, Floats

LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes names of
NODES = ("node-1", "node-2")
FOR_EVER = float("inf")
STARTING, READY_AFTER = 2.0, 5.0  # seconds from creation to start, from start to ready
OVERCOMMIT = 1.25  # memory wanted / limit at which the kernel kills
BACKOFF_FIRST, BACKOFF_MOST, BACKOFF_FORGOTTEN = 10.0, 300.0, 600.0
COLD_SECONDS = 40.0


@dataclass(frozen=True)
class Life:
    """One container of a pod, from start to end; `memory` it starts with, `reason` and `exit_code` of its end."""

    start: float
    end: float = FOR_EVER
    reason: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Revision:
    """One version rolled out; `seconds` between one pod and the next; `stuck`: why its first pod never starts."""

    number: int
    created: float
    seconds: float
    hash: str
    version: str
    change: str
    stuck: str = ""


@dataclass(frozen=True)
class Pod:
    """One pod; the slot is its place among the replicas, which the next revision's pod takes over.

    `lost`: from when to when its node is not ready.
    """

    name: str
    revision: int
    slot: int
    node: str
    ip: str
    created: float
    deleted: float = FOR_EVER
    lives: tuple[Life, ...] = ()
    lost: tuple[float, float] = (FOR_EVER, FOR_EVER)

    @property
    def place(self) -> tuple[int, int, str]:
        """What decides which effects it is under."""
        return self.revision, self.slot, self.node


@dataclass(frozen=True)
class Fleet:
    """All revisions, oldest first, and all pods that there ever were."""

    revisions: tuple[Revision, ...]
    pods: tuple[Pod, ...]

    def within(self, start: float, end: float) -> tuple[Pod, ...]:
        """The pods that exist at some time of a window."""
        return tuple(pod for pod in self.pods if pod.created < end and pod.deleted > start)

    def revision(self, pod: Pod) -> Revision:
        """That of a pod."""
        return next(revision for revision in self.revisions if revision.number == pod.revision)

    def node_name(self, node: str) -> str:
        """Scenarios share the cluster's nodes, but one that loses a node has nodes of its own."""
        alone = any(pod.lost[0] < FOR_EVER for pod in self.pods)
        return f"{node}-{self.revisions[-1].hash[:5]}" if alone else node


@dataclass(frozen=True)
class Rollout:
    """A new revision at a time, one pod after the other; or, where it is stuck, one pod that never starts."""

    at: float
    seconds_per_pod: float
    change: str = "release"
    stuck: str = ""


def fleet(who: Character, now: float, rollouts: Sequence[Rollout], effects: Sequence[Effect]) -> Fleet:
    """The service's past up to `now`, the planned rollouts, and every container's fate.

    The past is some quiet releases over the last weeks.
    """
    rng = np.random.default_rng([who.seed, 3])
    revisions = _revisions(rng, now, rollouts)
    pods = [
        _pod(rng, revisions, number, slot) for number in range(len(revisions)) for slot in _slots(revisions[number])
    ]
    stuck = {revision.number for revision in revisions if revision.stuck}
    lived = [pod if pod.revision in stuck else replace(pod, lives=_lives(rng, who, pod, effects)) for pod in pods]
    return Fleet(revisions, tuple(replace(pod, lost=_lost(pod, effects)) for pod in lived))


def _slots(revision: Revision) -> range:
    return range(1 if revision.stuck else REPLICAS)


def _lost(pod: Pod, effects: Sequence[Effect]) -> tuple[float, float]:
    """Since when, and until when, its node is not ready."""
    own = [effect for effect in effects if effect.quantity == "node_down" and effect.concerns(*pod.place)]
    return (own[0].start, own[0].end) if own else (FOR_EVER, FOR_EVER)


def _revisions(rng: np.random.Generator, now: float, rollouts: Sequence[Rollout]) -> tuple[Revision, ...]:
    first, ages = int(rng.integers(9, 40)), np.sort(rng.uniform([16, 9, 1.3], [30, 14, 6]))[::-1]
    past = [Rollout(now - age * 86_400, rng.uniform(14, 40)) for age in ages.tolist()]
    minor = int(rng.integers(2, 9))
    return tuple(
        Revision(
            first + number,
            one.at,
            one.seconds_per_pod,
            _word(rng, 10),
            f"1.{minor}.{number}",
            f"{one.change} 1.{minor}.{number}",
            one.stuck,
        )
        for number, one in enumerate([*past, *sorted(rollouts, key=lambda one: one.at)])
    )


def _pod(rng: np.random.Generator, revisions: Sequence[Revision], number: int, slot: int) -> Pod:
    own = revisions[number]
    created = own.created + 1.0 + slot * own.seconds
    deleted = FOR_EVER
    if number + 1 < len(revisions) and not revisions[number + 1].stuck:
        following = revisions[number + 1]
        deleted = following.created + slot * following.seconds + STARTING + READY_AFTER + rng.uniform(2, 6)
    name = f"{DEPLOYMENT}-{own.hash}-{_word(rng, 5)}"
    where = int(rng.integers(0, 2)) if slot > 3 else slot % 2
    return Pod(
        name,
        own.number,
        slot,
        NODES[where],
        f"10.244.{where}.{int(rng.integers(3, 250))}",
        created,
        max(created, deleted),
    )


def _word(rng: np.random.Generator, length: int) -> str:
    return "".join(LETTERS[i] for i in rng.integers(0, len(LETTERS), length))


def _lives(rng: np.random.Generator, who: Character, pod: Pod, effects: Sequence[Effect]) -> tuple[Life, ...]:
    """One container after the other, with Kubernetes' growing delays between crashes."""
    lives: list[Life] = []
    own = [effect for effect in effects if effect.concerns(*pod.place)]
    start, crashes = pod.created + STARTING, 0
    while start < pod.deleted and len(lives) < 60:
        end, reason, code = min(ends(rng, who, start, own), default=(FOR_EVER, "", 0))
        if end >= pod.deleted:
            return (*lives, Life(start, pod.deleted))
        lives.append(Life(start, end, reason, code))
        crashes = 1 if end - start > BACKOFF_FORGOTTEN else crashes + 1
        start = end + backoff(crashes) + rng.uniform(1.0, 2.5)
    return tuple(lives)


def backoff(crashes: int) -> float:
    """How long Kubernetes waits after so many crashes in a row."""
    return 0.0 if crashes <= 1 else min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** (crashes - 2))


def ends(
    rng: np.random.Generator, who: Character, start: float, effects: Sequence[Effect]
) -> list[tuple[float, str, int]]:
    """When and how this container would end, for each effect that can end it."""
    found: list[tuple[float, str, int]] = []
    for effect in effects:
        begin = max(start, effect.start)
        if begin >= effect.end:
            continue
        if effect.quantity == "crash_after":
            found.append((begin + effect.size * rng.uniform(0.6, 1.5), "Error", 101))
        elif effect.quantity in ("leak", "caching"):
            full = begin + (OVERCOMMIT * MEMORY_LIMIT - who.memory) / effect.size * rng.uniform(0.8, 1.25)
            if full < effect.end:
                found.append((full, "OOMKilled", 137))
    return found


def serving(pods: Sequence[Pod], times: Floats, step: float) -> Floats:
    """The share of the time since the last scrape in which a pod was ready, by (pod, time)."""
    ready = np.zeros(times.shape)
    for number, pod in enumerate(pods):
        for life in pod.lives:
            begin = np.maximum(times[number] - step, life.start + READY_AFTER)
            ready[number] += np.clip((np.minimum(times[number], life.end) - begin) / step, 0.0, 1.0)
    return ready


def starts(pods: Sequence[Pod], times: Floats) -> Floats:
    """When the container that runs at a time started; NaN where none runs."""
    found = np.full(times.shape, np.nan)
    for number, pod in enumerate(pods):
        for life in pod.lives:
            running = (times[number] >= life.start) & (times[number] < life.end)
            found[number, running] = life.start
    return found


def existing(pods: Sequence[Pod], times: Floats) -> Bools:
    """Whether a pod exists, running or not."""
    return np.array([(times[n] >= pod.created) & (times[n] < pod.deleted) for n, pod in enumerate(pods)])


def coldness(times: Floats, started: Floats) -> Floats:
    """1 just after a start, then to 0."""
    return np.nan_to_num(np.exp(-np.maximum(times - started - READY_AFTER, 0.0) / COLD_SECONDS))


def grown(effects: Sequence[Effect], quantity: str, pods: Sequence[Pod], times: Floats, *, started: Floats) -> Floats:
    """Bytes that a container has gathered since its start, of what leaks or is cached."""
    total = np.zeros(times.shape)
    for effect in effects:
        if effect.quantity == quantity:
            under = np.array([effect.concerns(*pod.place) for pod in pods])[:, None]
            seconds = np.minimum(times, effect.end) - np.maximum(started, effect.start)
            total += np.where(under, effect.size * np.maximum(np.nan_to_num(seconds), 0.0), 0.0)
    return total


def resident(who: Character, gathered: Floats) -> Floats:
    """Resident memory: what is wanted, but nearing the limit ever more slowly, for the kernel takes pages back."""
    wanted = (who.memory + gathered) / MEMORY_LIMIT
    return np.where(wanted < 0.9, wanted, 0.9 + 0.1 * (1.0 - np.exp(-(wanted - 0.9) / 0.1))) * MEMORY_LIMIT
