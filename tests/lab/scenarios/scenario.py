"""Scenarios of the simulated service, each on past days and in a namespace of its own, so that one lab holds many.

    from tests.lab.loading import load
    from tests.lab.scenarios import matrix
    from tests.lab.servers.lab import Lab

    scenarios = matrix(["database-refused", "quiet"], seeds=range(10))     # pure: nothing is drawn yet
    with Lab(directory) as lab:
        load(lab, scenarios)
        for one in scenarios:
            ask(**one.context_parameters())
            one.truth          # what really was wrong, since when, and when the alert should have fired

A scenario has its metrics in three windows: its own, and the same hours a day and a week before. No two scenarios of
a matrix share an hour, and rules and queries need no label to tell them apart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from zlib import crc32

import numpy as np

from tests.lab.faults import FAULTS, Fault, Plan, Situation
from tests.lab.faults.planning import DatabaseState, decoy
from tests.lab.service import messages, objects
from tests.lab.service.firing import RULES, fires, onset
from tests.lab.service.fleet import Fleet, fleet
from tests.lab.service.log_lines import Document
from tests.lab.service.simulation import Drawn, Window, simulate
from tests.lab.service.world import DAY, REPLICAS, WEEK, Character, character, usual_rate

LAST_DAY = dt.datetime(2026, 1, 12, tzinfo=dt.UTC)  # a Monday; the scenarios of a matrix go back from here
DAYS_OF_BLOCK = (0, 2, 4)  # of two weeks: these days, those before and those a week before are all different
BEFORE, AFTER = 7800.0, 3300.0  # the window around the fault's start
AFTER_SLOW = {"HighMemoryUsage": 6600.0}  # by alert, where trouble grows slowly
REFERENCE_STEP = 60.0  # older metrics are kept more coarsely


@dataclass(frozen=True)
class Truth:
    """What really happened.

    `began`: the fault's start; `onset`: when what the alert looks at left its usual level, if ever;
    `alert_at`: when the rule of the fault's alert fires, None if it never does;
    `rollouts`: in the window, guilty or not; `ended`: when the last of the fault's effects is over, infinite if not in
    the window.
    """

    fault: str
    causes: tuple[str, ...]
    began: float
    onset: float | None
    alert_at: float | None
    rollouts: tuple[float, ...]
    decoy: bool
    ended: float


@dataclass(frozen=True)
class Scenario:
    """One fault, one seed, one day. Everything drawn is the same for the same three and the version of this code."""

    fault: Fault
    seed: int
    day: dt.datetime
    namespace: str = "web"

    @property
    def name(self) -> str:
        """Short and unique in a matrix."""
        return f"{self.fault.name}-{self.seed}"

    @cached_property
    def who(self) -> Character:
        """The service of this scenario."""
        return character(crc32(self.fault.name.encode()) % 100_000 + 1_000_003 * self.seed)

    @cached_property
    def began(self) -> float:
        """When the fault strikes; far enough from midnight for the window to stay on its day."""
        hour = np.random.default_rng([self.who.seed, 10]).uniform(*self.fault.hours)
        return float(int(self.day.timestamp() + 3600 * hour))

    @cached_property
    def _planned(self) -> tuple[Plan, bool]:
        rate = float(usual_rate(self.who, np.array([self.began]))[0])
        quiet = fleet(self.who, self.began, (), ())
        situation = Situation(
            np.random.default_rng([self.who.seed, 11]), self.who, self.began, rate, quiet.revisions[-1].number + 1
        )
        plan = self.fault.plan(situation)
        release = decoy(situation) if self.fault.causes and not plan.rollouts else None
        return (replace(plan, rollouts=(release,)), True) if release else (plan, False)

    @property
    def database_state(self) -> DatabaseState:
        """What a real database of the service shall be like while somebody investigates."""
        return self.fault.database_state

    @property
    def plan(self) -> Plan:
        """What happens: the fault's effects and rollouts, and in some seeds an innocent rollout beside it."""
        return self._planned[0]

    @cached_property
    def fleet(self) -> Fleet:
        """Its pods, then and before."""
        return fleet(self.who, self.began, self.plan.rollouts, self.plan.effects)

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Its own, then those of reference."""
        own = Window(self.began - BEFORE, self.began + AFTER_SLOW.get(self.fault.alert, AFTER))
        return (own, *(Window(own.start - ago, own.end - ago, REFERENCE_STEP) for ago in (DAY, WEEK)))

    def draw(self, window: Window) -> Drawn:
        """What happened in one of its windows."""
        return simulate(self.who, self.fleet, self.plan.effects, window, namespace=self.namespace)

    @property
    def drawn(self) -> Drawn:
        """What happened in its own window."""
        return _own_window(self)

    @cached_property
    def truth(self) -> Truth:
        """What a runbook should find out."""
        drawn, alert = self.drawn, self.fault.alert
        ends = [effect.end for effect in self.plan.effects if effect.end < drawn.window.end]
        fired = fires(RULES[alert], drawn)
        return Truth(
            fault=self.fault.name,
            causes=self.fault.causes,
            began=self.began,
            onset=onset(alert, drawn, fired),
            alert_at=fired,
            rollouts=tuple(rollout.at for rollout in self.plan.rollouts),
            decoy=self._planned[1],
            ended=max(ends) if len(ends) == len(self.plan.effects) and ends else float("inf"),
        )

    @cached_property
    def started_at(self) -> float:
        """The alert's `startsAt`; for what fires nothing, when somebody looks into it all the same."""
        return round(self.truth.alert_at or (self.truth.onset or self.began) + 420.0)

    @cached_property
    def ended_at(self) -> float:
        """When the runbook is opened: some minutes later, no rollout being under way."""
        later = self.started_at + np.random.default_rng([self.who.seed, 12]).uniform(60, 900)
        done = [r.created + REPLICAS * r.seconds + 20 for r in self.fleet.revisions if r.created < later]
        return float(round(min(max(later, *done), self.windows[0].end - 60)))

    def context_parameters(self) -> dict[str, str]:
        """What to open an incident with; the namespace goes into the service's profile."""
        started, ended = (objects.timestamp(time) for time in (self.started_at, self.ended_at))
        return {"started_at": started, "ended_at": ended, "namespace": self.namespace}

    def documents(self) -> list[Document]:
        """Its logs."""
        return messages.documents(self.who, self.drawn, {one.number: one.version for one in self.fleet.revisions})

    def last_words(self) -> dict[str, list[str]]:
        """By pod, what its last container that ended had logged, when the runbook is opened."""
        ended = {
            pod.name: lives[-1]
            for pod in self.fleet.pods
            if pod.created <= self.ended_at < pod.deleted
            and (lives := [life for life in pod.lives if life.reason and life.end <= self.ended_at])
        }
        return messages.last_words(self.who, self.documents() if ended else [], ended)

    def usage(self) -> dict[str, tuple[float, float]]:
        """Cores and bytes by pod when the runbook is opened."""
        drawn = self.drawn
        place = int(np.searchsorted(drawn.times.mean(axis=0), self.ended_at)) - 1
        cores = drawn.cpu_seconds[:, max(0, place - 3) : place + 1].mean(axis=1) / drawn.window.step
        return {pod.name: (float(cores[n]), float(drawn.memory[n, place])) for n, pod in enumerate(drawn.pods)}


def scenario(fault: str, seed: int, day: int = 0, namespace: str = "web") -> Scenario:
    """One fault; `day` counts from LAST_DAY."""
    return Scenario(FAULTS[fault], seed, LAST_DAY + dt.timedelta(days=day), namespace)


def matrix(names: Iterable[str] | None = None, seeds: Iterable[int] = range(10)) -> list[Scenario]:
    """Every fault with every seed, on days and in namespaces of their own."""
    pairs = [(name, seed) for seed in seeds for name in (names if names is not None else FAULTS)]
    return [
        scenario(name, seed, _day(number), f"web-{name.replace('+', '-')}-{seed}")
        for number, (name, seed) in enumerate(pairs)
    ]


def _day(number: int) -> int:
    return DAYS_OF_BLOCK[number % len(DAYS_OF_BLOCK)] - 14 * (number // len(DAYS_OF_BLOCK))


@lru_cache(maxsize=8)  # some MB each
def _own_window(one: Scenario) -> Drawn:
    return one.draw(one.windows[0])


def select(scenarios: Sequence[Scenario], *causes: str) -> list[Scenario]:
    """Those with exactly these causes; none named: the harmless ones."""
    return [one for one in scenarios if set(one.fault.causes) == set(causes)]
