"""The service as a whole at given times: pods under effects, their memory, the traffic they share, how they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.lab.service.answering import Response, respond
from tests.lab.service.fleet import Pod, coldness, grown, resident
from tests.lab.service.world import (
    CACHE_FILLING,
    CACHE_FULL,
    GUARDED,
    MEMORY_LIMIT,
    REPLICAS,
    Character,
    Conditions,
    Effect,
    Floats,
    asked,
    conditions,
)

RETRYING = 0.35  # how much of a failed request comes again
WEARYING = 0.12  # how many more tokens are wrong while requests are repeated: sessions expire, passwords are retyped


@dataclass(frozen=True)
class Behaviour:
    """All by (pod, time), `rate` and the response's by endpoint before that."""

    state: Conditions
    started: Floats
    rate: Floats
    response: Response
    memory: Floats
    cache: Floats


def behave(
    who: Character,
    pods: Sequence[Pod],
    effects: Sequence[Effect],
    times: Floats,
    *,
    weights: Floats,
    started: Floats,
    noise: Floats,
    hours: Floats | None = None,
) -> Behaviour:
    """Everything expected at these times. `weights`: how traffic is shared, 0 for who is not ready.

    `hours`: the times that the day's rhythm goes by, where these are not the same.
    """
    state = conditions(effects, [pod.place for pod in pods], times)
    weights = weights * (1.0 - unreachable(state))
    usual_cache = np.minimum(CACHE_FULL, CACHE_FILLING * np.nan_to_num(times - started))
    cache = usual_cache + grown(effects, "caching", pods, times, started=started)
    quiet_rate = asked(who, weights, times if hours is None else hours, state)
    needed = state["working_set"] + np.round(state["held"]) * state["held_bytes"] + _buffers(who, quiet_rate, state)
    memory = resident(who, grown(effects, "leak", pods, times, started=started) + cache + needed)
    fullness, cold = memory / MEMORY_LIMIT, coldness(times, started)
    rate = quiet_rate * noise
    again = 1.0 + RETRYING * _by_endpoint(respond(who, rate, state, fullness=fullness, cold=cold).failing, rate)
    repeated = (again - 1.0)[GUARDED[:, 0, 0] > 0].mean(axis=0)
    wearier = {**state, "bad_tokens": state["bad_tokens"] + WEARYING * repeated}
    rate = rate * again
    response = respond(who, rate, wearier, fullness=fullness, cold=cold)
    return Behaviour(state, started, rate, response, memory, cache)


def unreachable(state: Conditions) -> Floats:
    """1 where nobody reaches a pod, because of its node or of the network."""
    return ((state["cut"] >= 0.5) | (state["node_down"] >= 0.5)).astype(float)


def _buffers(who: Character, rate: Floats, state: Conditions) -> Floats:
    """Bytes of the buffers that a pod needs for more requests than the usual peak; from twice that on hardly more."""
    usual = who.peak / REPLICAS
    return state["buffers"] * (1.0 - np.exp(-np.maximum(rate.sum(axis=0) / usual - 1.0, 0.0) / 0.3))


def _by_endpoint(failing: Floats, rate: Floats) -> Floats:
    """Over all pods: clients try again wherever they are sent."""
    return _share((failing * rate).sum(axis=1), rate.sum(axis=1))[:, None, :]


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
