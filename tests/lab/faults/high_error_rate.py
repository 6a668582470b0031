"""What makes requests fail: the faults of HighErrorRate, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.lab.faults.planning import Fault, Plan, Situation, both
from tests.lab.service.fleet import OVERCOMMIT, Rollout
from tests.lab.service.world import CAPACITY, CPU, CPU_LIMIT, MEMORY_LIMIT, QUERY_MEDIAN, REPLICAS, SHARE

MEAN_CPU = float((SHARE * CPU[:, 0, 0]).sum())


def database_refused(s: Situation) -> Plan:
    """Connections are refused, now and then after a slow minute."""
    effects = [s.effect("db_refused", s.between(0.1, 0.95), ramp=s.between(0, 90))]
    if s.between(0, 1) < 0.2:  # from some pods only: a network policy, a node's resolver
        effects = [replace(effects[0], size=s.between(0.4, 1.0), slots=s.some(2, 4))]
    if s.between(0, 1) < 0.4:
        effects.append(s.effect("db_slow", s.between(2, 8), ramp=30))
    return Plan(tuple(effects))


def database_slow(s: Situation) -> Plan:
    """Queries take seconds: they time out, and the pool has no connection left."""
    seconds = s.between(1.2, 3.6)
    return Plan((s.effect("db_slow", seconds / (QUERY_MEDIAN[0] * s.who.speed), ramp=s.between(30, 240)),))


def jwt_key_broken(s: Situation) -> Plan:
    """Valid tokens do not verify any more: the public key was changed or is broken."""
    return Plan((s.effect("jwt_rejected", s.between(0.4, 1.0), ramp=s.between(0, 180)),))


def auth_service_down(s: Situation) -> Plan:
    """Tokens cannot be checked: the auth service is away, or its certificate has expired."""
    return Plan((s.effect("auth_down", s.between(0.4, 1.0), ramp=s.between(0, 60)),))


def out_of_memory(s: Situation) -> Plan:
    """Memory leaks in most pods, each at its own pace, up to the limit: killed, restarted, killed again."""
    seconds = s.between(240, 420)
    pace = (OVERCOMMIT * MEMORY_LIMIT - s.who.memory) / seconds
    early = replace(s, at=s.at - 0.6 * seconds)
    leaks = (
        replace(early.effect("leak", pace * s.between(0.75, 1.3), minutes=(30, 80)), slots=(slot,))
        for slot in s.some(5, 6)
    )
    return Plan(tuple(leaks))


def cpu_throttled(s: Situation) -> Plan:
    """Requests have become expensive: more CPU is needed than the limit grants."""
    usual = s.rate / REPLICAS * MEAN_CPU * s.who.cpu
    return Plan((s.effect("cpu_cost", CPU_LIMIT * s.between(1.15, 1.7) / usual, ramp=s.between(20, 240)),))


def bad_release(s: Situation) -> Plan:
    """A release whose pages cannot be rendered, pod after pod."""
    broken = s.of_release(s.effect("render_failed", s.between(0.15, 1.0)))
    return Plan((broken,), (Rollout(s.at, s.between(15, 55)),))


def bad_configuration(s: Situation) -> Plan:
    """A release that lacks a setting: it starts, fails what needs the setting, panics and is started again."""
    missing = s.of_release(s.effect("config_missing", s.between(0.7, 1.0)))
    crashing = s.of_release(s.effect("crash_after", s.between(40, 90)))
    return Plan((missing, crashing), (Rollout(s.at, s.between(15, 40), "configuration"),))


def release_without_access(s: Situation) -> Plan:
    """A release with a wrong address or password of the database: its pods get no connection, the others do."""
    refused = s.effect("db_refused", s.between(0.6, 1.0))
    return Plan((s.of_release(refused),), (Rollout(s.at, s.between(15, 55)),))


def leaking_release(s: Situation) -> Plan:
    """A release that leaks: its pods reach their memory limit some minutes after it."""
    pace = (OVERCOMMIT * MEMORY_LIMIT - s.who.memory) / s.between(200, 400)
    leaks = (replace(s.of_release(s.effect("leak", pace * s.between(0.8, 1.25))), slots=(n,)) for n in range(REPLICAS))
    return Plan(tuple(leaks), (Rollout(s.at, s.between(10, 25)),))


def traffic_surge(s: Situation) -> Plan:
    """Four to ten times the requests: more than the pods let in."""
    factor = np.clip(CAPACITY * REPLICAS * s.between(1.25, 2.2) / s.rate, 4.0, 10.0)
    return Plan((s.effect("traffic", float(factor), ramp=s.between(20, 240)),))


def quiet(s: Situation) -> Plan:
    """Nothing at all."""
    return Plan()


def quiet_night(s: Situation) -> Plan:
    """Hardly anybody is awake, and a few requests fail: a large share of few."""
    return Plan(
        (
            s.effect("traffic", s.between(0.1, 0.35), minutes=(20, 50)),
            s.effect("errors", s.between(0.04, 0.12), minutes=(1.5, 3.5)),
        )
    )


def good_release(s: Situation) -> Plan:
    """A rollout without any trouble but cold caches."""
    return Plan((), (Rollout(s.at, s.between(15, 55)),))


def slow_pod(s: Situation) -> Plan:
    """One pod is slow, and fails a little more than the others."""
    alone = s.some(1, 1)
    effects = (s.effect("slow", s.between(5, 25), ramp=60), s.effect("errors", s.between(0.01, 0.05)))
    return Plan(tuple(replace(effect, slots=alone) for effect in effects))


def warnings(s: Situation) -> Plan:
    """A library begins to complain about something that matters to nobody."""
    return Plan((s.effect("warnings", s.between(0.3, 1.5), minutes=(5, 25)),))


def short_spike(s: Situation) -> Plan:
    """Many requests fail for a minute or so; over before anybody is called."""
    return Plan((s.effect("errors", s.between(0.12, 0.28), minutes=(0.7, 1.4)),))


def busy_hour(s: Situation) -> Plan:
    """Twice the requests, which the pods can take."""
    factor = min(s.between(1.7, 2.6), 0.7 * CAPACITY * REPLICAS / s.rate)
    return Plan((s.effect("traffic", factor, ramp=s.between(60, 400)),))


FAULTS = (
    Fault("database-refused", ("database",), database_refused),
    Fault("database-slow", ("database",), database_slow, database_state="slow"),
    Fault("jwt-key-broken", ("authentication",), jwt_key_broken),
    Fault("auth-service-down", ("authentication",), auth_service_down),
    Fault("out-of-memory", ("resources",), out_of_memory),
    Fault("cpu-throttled", ("resources",), cpu_throttled, hours=(8.5, 20.5)),
    Fault("bad-release", ("deployment",), bad_release),
    Fault("bad-configuration", ("deployment",), bad_configuration),
    Fault("release-without-database", ("deployment",), release_without_access),
    Fault("leaking-release", ("deployment",), leaking_release),
    Fault("traffic-surge", ("traffic",), traffic_surge, hours=(9.0, 20.5)),
    Fault("database+deployment", ("database", "deployment"), both(database_refused, bad_release)),
    Fault(
        "authentication+traffic",
        ("authentication", "traffic"),
        both(jwt_key_broken, traffic_surge),
        hours=(9.0, 20.5),
    ),
    Fault(
        "database+authentication",
        ("database", "authentication"),
        both(database_slow, auth_service_down),
        database_state="slow",
    ),
    Fault("quiet", (), quiet),
    Fault("quiet-night", (), quiet_night, hours=(3.0, 5.0)),
    Fault("good-release", (), good_release),
    Fault("slow-pod", (), slow_pod),
    Fault("warnings", (), warnings),
    Fault("short-spike", (), short_spike),
    Fault("busy-hour", (), busy_hour),
)
