"""How a fault is told: a situation (when, in which service, at which load) becomes a plan of effects and rollouts.

Size, duration, speed and unrest come from the situation's own random numbers. Everything secondary (slow answers, a
warm CPU, failing logins) is not written in a plan: it follows in the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tests.lab.service.fleet import Rollout
from tests.lab.service.standing import Applied
from tests.lab.service.world import REPLICAS, Character, Effect

DatabaseState = Literal["well", "full", "locked", "slow", "denied"]


@dataclass(frozen=True)
class Situation:
    """Where a fault strikes: the service, the time, its usual requests/s then, the number of the next revision."""

    rng: np.random.Generator
    who: Character
    at: float
    rate: float
    next_revision: int

    def between(self, low: float, high: float) -> float:
        """A number in between."""
        return float(self.rng.uniform(low, high))

    def some(self, least: int, most: int) -> tuple[int, ...]:
        """The slots of some pods."""
        return tuple(self.rng.permutation(REPLICAS)[: int(self.rng.integers(least, most + 1))].tolist())

    def of_release(self, effect: Effect) -> Effect:
        """The same in all pods of the next revision, for as long as they live."""
        return replace(effect, revision=self.next_revision, start=0.0, end=float("inf"))

    def effect(
        self, quantity: str, size: float, *, ramp: float = 0.0, minutes: tuple[float, float] = (18, 70)
    ) -> Effect:
        """An effect from now on for so many minutes, as restless as chance has it."""
        return Effect(
            quantity,
            float(size),
            self.at,
            self.at + 60 * self.between(*minutes),
            ramp,
            flicker=self.between(0.02, 0.18),
        )


@dataclass(frozen=True)
class Plan:
    """What shall happen."""

    effects: tuple[Effect, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    `causes`: what a runbook should find, by exactly these names; () is for what is harmless. `hours`: the time of day
    at which it may strike; `alert`: what it makes fire; `database_state`: what a real database shall be like meanwhile.
    """

    name: str
    causes: tuple[str, ...]
    plan: Callable[[Situation], Plan]
    hours: tuple[float, float] = (8.0, 21.5)
    alert: str = "HighErrorRate"
    database_state: DatabaseState = "well"


def both(one: Callable[[Situation], Plan], other: Callable[[Situation], Plan]) -> Callable[[Situation], Plan]:
    """Two at once, the second a little before or after the first."""

    def plan(s: Situation) -> Plan:
        first, second = one(s), other(replace(s, at=s.at + s.between(-60, 180)))
        return Plan(first.effects + second.effects, first.rollouts + second.rollouts, first.applied + second.applied)

    return plan


def decoy(s: Situation) -> Rollout | None:
    """In some seeds a release without fault happens around the onset of something else."""
    return Rollout(s.at + s.between(-720, 240), s.between(15, 50)) if s.between(0, 1) < 0.3 else None
