"""HighMemoryUsage: what grows, with what, since when, and how long it may go on."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from runbook.alerts.checks.memory import memory_correlates, memory_level, memory_trend
from runbook.alerts.high_memory_usage import ALERT
from runbook.clock import Frozen
from runbook.investigation.definitions import Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.model import Answer, Facts, Mitigation, Query, Result, failed
from runbook.text.shell import command
from tests.fakes import ONSET, Scripted, context, nothing

MIB = 2**20
GIVEN = context(alert="HighMemoryUsage", for_seconds=900, started_at=ONSET + 3000, start=ONSET - 3600, end=ONSET + 3300)
A, B = "rust-micro-front-end-7d9f-aaaaa", "rust-micro-front-end-7d9f-bbbbb"
NEW = "rust-micro-front-end-8c4b-nnnnn"
MEMORY, DERIV, CACHE, CONNECTIONS, REQUESTS = "resident_memory", "deriv(", "cache_size", "in_use", "requests_total"
WORDS = {"cache": CACHE, "connections": CONNECTIONS, "requests": REQUESTS, "objects": "kubectl"}
Curve = Callable[[float], float]
F = TypeVar("F", bound=Facts)


def by_pod(curves: Mapping[str, Curve]) -> Callable[[Query], Answer]:
    """A series for each pod; one of the same hours of another day is as at the window's start. NaN is no value."""

    def answer(query: Query) -> Answer:
        start, end, step = (query.params[name] for name in ("start", "end", "step"))
        today = start >= GIVEN.start
        rows = {
            pod: [
                (t, value)
                for t in range(start, end + 1, step)
                if (value := curve(t if today else GIVEN.start)) == value
            ]
            for pod, curve in curves.items()
        }
        found = [
            {"metric": {"pod": pod}, "values": [[t, str(value)] for t, value in row]}
            for pod, row in rows.items()
            if row
        ]
        return Answer(query, "complete" if found else "empty", {"resultType": "matrix", "result": found})

    return answer


def ramp(base: float, per_minute: float, begins: float = ONSET) -> Curve:
    """A level in MiB that grows from a time on; a ripple as of noise."""
    return lambda t: (base + per_minute * max(0.0, t - begins) / 60 + 0.5 * ((t // 30) % 3 - 1)) * MIB


def flat(value: float) -> Curve:
    return lambda t: value


def step(before: float, since: float) -> Curve:
    return lambda t: before if t < ONSET else since


def kubernetes(*pods: str, limit: str | None = "640Mi") -> Callable[[Query], Answer]:
    """The deployment's objects: revision 7 with old pods; where a pod is new, revision 8 rolled out at the onset."""

    def answer(query: Query) -> Answer:
        sets = [_replica_set(7, "7d9f", ONSET - 90_000)] + ([_replica_set(8, "8c4b", ONSET)] if NEW in pods else [])
        template = sets[-1]["spec"]["template"]
        annotations = {"deployment.kubernetes.io/revision": str(6 + len(sets))}
        deployment = {
            "metadata": {"name": "rust-micro-front-end", "annotations": annotations, "creationTimestamp": _iso(ONSET)},
            "spec": {"replicas": len(pods), "template": template},
        }
        data = {
            "deployment": deployment,
            "replicasets": sets,
            "pods": [_pod(pod, limit) for pod in pods],
            "events": [],
            "usage": [],
        }
        return Answer(query, "complete", data)

    return answer


def down(query: Query) -> Answer:
    return failed(query, "the server is down; start it.")


def _replica_set(revision: int, name: str, created: float) -> dict[str, Any]:
    metadata = {
        "name": f"rust-micro-front-end-{name}",
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "creationTimestamp": _iso(created),
    }
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "web"}]}}}}


def _pod(name: str, limit: str | None) -> dict[str, Any]:
    resources = {"limits": {"memory": limit}, "requests": {"memory": "256Mi"}} if limit else {}
    owner = {"kind": "ReplicaSet", "name": name.rsplit("-", 1)[0]}
    born = ONSET if name == NEW else ONSET - 90_000
    metadata = {"name": name, "ownerReferences": [owner], "creationTimestamp": _iso(born)}
    container = {"name": "app", "image": "web", "resources": resources}
    return {"metadata": metadata, "spec": {"containers": [container]}, "status": {"startTime": _iso(born)}}


def _iso(time: float) -> str:
    return dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


LEAK = {A: ramp(220, 7), B: ramp(220, 0)}
QUIET: dict[tuple[str, ...], Callable[[Query], Answer]] = {
    (DERIV,): nothing,
    ("> bool 0",): nothing,
    (CACHE,): by_pod(dict.fromkeys((A, B), flat(24 * MIB))),
    (CONNECTIONS,): by_pod(dict.fromkeys((A, B), flat(3))),
    (REQUESTS,): by_pod(dict.fromkeys((A, B), flat(10))),
    ("cpu_seconds",): nothing,
}


def asked(memory: Mapping[str, Curve], given: Context = GIVEN, **other: Callable[[Query], Answer]) -> Investigation:
    """The investigation where these pods have such memory, and what else is as in quiet times but for `other`."""
    changed = {(WORDS[name],): answer for name, answer in other.items()}
    usual = {(MEMORY, "max by"): by_pod(memory), **QUIET, ("kubectl",): kubernetes(*memory)}
    source = Scripted({**usual, **changed})
    return Investigator(ALERT, given, source, Frozen(given.now)).investigation()


def result(found: Investigation, check: str) -> Result:
    return next(f.result for f in found.findings if f.check == check)


def facts(found: Investigation, kind: type[F]) -> F:
    """The facts of a check, which found some."""
    one = next(f.result.facts for f in found.findings if isinstance(f.result.facts, kind))
    assert isinstance(one, kind)
    return one


def shown(plan: Mitigation) -> list[str]:
    """The steps as a person reads them: a command, or a text."""
    return [command(step.argv) or step.text for step in plan.steps]


def states(found: Investigation) -> dict[str, str]:
    return {v.cause: v.state for v in found.verdicts}


def test_everything_down_supports_nothing() -> None:
    """With every source down each check is unknown and no cause is tested."""
    found = Investigator(ALERT, GIVEN, Scripted({}), Frozen(GIVEN.now)).investigation()
    assert {f.result.status for f in found.findings} == {"unknown"}
    assert set(states(found).values()) == {"not tested"}


def test_no_memory_is_not_little_memory() -> None:
    """Where no pod reports its memory, nothing is known of it."""
    found = asked({})
    assert result(found, "memory_level").status == result(found, "memory_trend").status == "unknown"
    assert set(states(found).values()) == {"not tested"}


def test_a_leak_is_real_and_began_when_growth_did() -> None:
    """The fullest pod counts, its growth began at the bend, and the number of affected pods is given."""
    found = asked(LEAK)
    first, level = result(found, "memory_level"), facts(found, memory_level.Facts)
    assert first.status == "abnormal"
    assert level.onset is not None and abs(level.onset - ONSET) <= 60
    assert level.now == pytest.approx(605 * MIB, rel=0.01) and level.last_week == pytest.approx(220 * MIB, rel=0.01)
    assert "605 MiB (threshold 500 MiB" in first.sentence
    assert (level.pods, level.pods_above, level.seconds_above) == (2, 1, pytest.approx(900, abs=60))
    assert level.impact is not None
    assert all(words in level.impact for words in ("1 of 2 pods", "500 MiB", "15 min", "605 MiB"))


def test_a_leak_is_reported_with_its_rate_and_the_time_left() -> None:
    """Growth has its interval, and so has the time until the container's limit."""
    found = asked(LEAK)
    trend = facts(found, memory_trend.Facts)
    assert (trend.pod, trend.shape, trend.growing_pods, trend.pods) == (A, "growing", 1, 2)
    assert trend.growing == (A,)
    assert trend.bytes_per_second_low <= trend.bytes_per_second <= trend.bytes_per_second_high
    assert trend.bytes_per_second * 60 / MIB == pytest.approx(7, rel=0.02)
    assert trend.seconds_left is not None and trend.seconds_left_low is not None and trend.seconds_left_high is not None
    assert trend.seconds_left == pytest.approx((640 - 605) / 7 * 60, abs=15)
    assert trend.seconds_left_low <= trend.seconds_left <= trend.seconds_left_high
    assert "It will reach its limit (640 MiB) in 5 min" in result(found, "memory_trend").sentence
    assert states(found) == {**dict.fromkeys(states(found), "refuted"), "leak": "supported"}


def test_without_a_limit_the_time_left_is_not_known() -> None:
    """A container without a limit, and a cluster that does not answer, leave the time unknown."""
    for objects in (kubernetes(A, B, limit=None), down):
        found = asked(LEAK, objects=objects)
        trend = result(found, "memory_trend")
        assert trend.status == "abnormal" and facts(found, memory_trend.Facts).seconds_left is None
        assert "limit is not known" in trend.sentence


def test_a_restart_again_and_again_is_a_sawtooth() -> None:
    """Memory that grows again after every restart is a leak, however low it is now."""
    teeth = {A: lambda t: (220 + 25 * ((t - ONSET) % 900) / 60 if t >= ONSET else 220) * MIB}
    found = asked(teeth)
    trend = facts(found, memory_trend.Facts)
    assert (trend.shape, trend.resets) == ("sawtooth", 3)
    assert "sawtooth" in result(found, "memory_trend").sentence and states(found)["leak"] == "supported"


def test_memory_that_follows_the_requests_is_legitimate() -> None:
    """A plateau that came with 2.5 times the requests is load, no leak."""
    found = asked({A: step(220 * MIB, 560 * MIB)}, requests=by_pod({A: step(10, 25)}))
    assert facts(found, memory_trend.Facts).shape == "steady"
    assert states(found) == {**dict.fromkeys(states(found), "refuted"), "load": "supported"}
    assert "a plateau" in result(found, "memory_trend").sentence


def test_a_cache_that_grows_is_not_called_a_leak() -> None:
    """Where the cache explains the growth, the memory without it does not grow."""
    found = asked(LEAK, cache=by_pod({A: ramp(24, 7), B: flat(24 * MIB)}))
    assert facts(found, memory_correlates.Facts).cache_share == pytest.approx(1, abs=0.05)
    assert (states(found)["cache"], states(found)["leak"]) == ("supported", "refuted")


def test_a_cache_and_a_leak_are_both_found() -> None:
    """Half of the growth is in the cache, and the rest grows as well."""
    found = asked(LEAK, cache=by_pod({A: ramp(24, 3.5), B: flat(24 * MIB)}))
    assert [v.cause for v in found.verdicts if v.state == "supported"] == ["cache", "leak"]


def test_connections_that_are_not_released_are_found() -> None:
    """Connections in use that grow with the memory, while the requests do not, explain it."""
    taken = by_pod({A: lambda t: 3 + max(0.0, t - ONSET) // 200, B: flat(3)})
    found = asked(LEAK, connections=taken)
    assert (states(found)["connections"], states(found)["leak"]) == ("supported", "refuted")
    assert "connections in use from 3 to 1" in result(found, "memory_correlates").sentence


def test_a_service_without_a_cache_is_no_trouble() -> None:
    """No series of a cache is no error: the check runs, the cache is not tested, the leak is found."""
    found = asked(LEAK, cache=nothing)
    correlates = result(found, "memory_correlates")
    assert correlates.status == "normal" and "no metric for the size of a cache" in correlates.sentence
    assert (states(found)["cache"], states(found)["leak"]) == ("not tested", "supported")


@pytest.mark.parametrize("unanswered", ["cache", "connections", "requests"])
def test_what_was_not_answered_may_be_what_grows(unanswered: str) -> None:
    """No leak is called one while a query that might explain it failed."""
    found = asked(LEAK, **{unanswered: down})
    assert states(found)["leak"] == "not tested"
    assert not [v for v in found.verdicts if v.state == "supported"]


def test_a_partial_answer_leaves_a_normal_memory_unsure() -> None:
    """Below the threshold, but with a part of the answer missing: not known."""

    def partly(query: Query) -> Answer:
        return replace(by_pod({A: flat(220 * MIB)})(query), completeness="partial", warnings=("a store is away",))

    source = Scripted({(MEMORY, "max by"): partly})
    found = Investigator(ALERT, GIVEN, source, Frozen(GIVEN.now)).investigation()
    assert result(found, "memory_level").status == "unknown"


def test_a_hump_that_is_over_has_no_cause() -> None:
    """Much memory for ten minutes, given back: real, yet nothing is to be mitigated by guessing."""
    hump = {A: lambda t: (560 if 0 <= t - ONSET - 1800 < 600 else 220) * MIB}
    found = asked(hump, replace(GIVEN, started_at=ONSET + 2600))
    assert result(found, "memory_level").sentence.startswith("It was.")
    assert found.mitigations == ()


def test_a_release_that_leaks_from_its_start_is_to_blame() -> None:
    """The new pods grow from their first minute and the old ones never did: roll back, and it is a leak."""
    nan = float("nan")
    fresh = {A: lambda t: 220 * MIB if t < ONSET + 30 else nan, NEW: lambda t: ramp(215, 7)(t) if t >= ONSET else nan}
    quiet = {
        name: by_pod(dict.fromkeys((A, NEW), flat(value))) for name, value in (("connections", 3), ("requests", 10))
    }
    found = asked(fresh, cache=by_pod(dict.fromkeys((A, NEW), flat(10 * MIB))), **quiet, objects=kubernetes(NEW))
    assert [v.cause for v in found.verdicts if v.state == "supported"] == ["deployment", "leak"]
    onset = facts(found, memory_level.Facts).onset
    assert onset is not None and abs(onset - ONSET) <= 60


def test_pods_that_were_healthy_at_first_acquit_their_release() -> None:
    """Growth that begins seven minutes after the first new pod is not the release's."""
    nan = float("nan")
    fresh = {
        A: lambda t: 220 * MIB if t < ONSET + 30 else nan,
        NEW: lambda t: ramp(215, 8, ONSET + 420)(t) if t >= ONSET else nan,
    }
    found = asked(fresh, cache=nothing, connections=nothing, requests=nothing, objects=kubernetes(NEW))
    assert facts(found, memory_trend.Facts).calm_seconds == pytest.approx(420, abs=60)
    assert states(found)["deployment"] == "refuted"


def test_a_limit_that_is_near_is_said_before_the_verdict() -> None:
    """The headline has the time that is left, unless there is more of it than until somebody has to respond."""
    found = asked(LEAK)
    assert re.match(
        r"The fullest pod will reach its limit \(640 MiB\) in 5 min, at \d\d:\d\d UTC, and be killed\. "
        rf"Probably a memory leak in {A}\.",
        found.headline,
    )
    far = asked(LEAK, objects=kubernetes(A, B, limit="4Gi")).headline
    assert far.startswith("Probably a memory leak") and "limit" not in far


def test_a_pod_near_its_limit_is_restarted_first() -> None:
    """Without time for a dump before the limit, the evidence is taken from another pod that grows, or from the next."""
    two = {**LEAK, B: ramp(200, 5)}
    for memory, other in ((LEAK, "the new pod, once it has grown"), (two, f"pod/{B}")):
        (plan,) = asked(memory).mitigations
        commands = shown(plan)
        assert commands[1] == f"kubectl -n web delete pod {A}"
        assert f"heap dump or a memory profile of {other}, " in commands[2]


def test_the_heap_dump_comes_before_the_restart() -> None:
    """The affected pod is restarted by its name, for now, and its evidence is secured first if there is time."""
    (plan,) = asked(LEAK, objects=kubernetes(A, B, limit="2Gi")).mitigations
    commands = shown(plan)
    dump = next(n for n, text in enumerate(commands) if "heap dump" in text)
    restarted = commands.index(f"kubectl -n web delete pod {A}")
    assert restarted > dump
    assert re.search(r"full again in \d+ min", plan.steps[restarted].risk)


def test_the_limit_is_raised_for_what_is_legitimate() -> None:
    """The first step names the new value, half as much again."""
    (plan,) = asked({A: step(220 * MIB, 560 * MIB)}, requests=by_pod({A: step(10, 25)})).mitigations
    assert shown(plan)[0].endswith("set resources deployment/rust-micro-front-end -c app --limits=memory=960Mi")


def test_the_service_has_recovered_after_fifteen_minutes_below() -> None:
    """Verification watches the fullest pod in MiB and asks the two endpoints of the procedure."""
    assert ALERT.recovery.goal(GIVEN.service) == "resident memory of the fullest pod at or below 500 MiB for 15 min"
    assert list(ALERT.recovery.probes(GIVEN)) == ["/health", "/display?username=test"]


def test_an_alert_asks_no_more_than_the_pool_holds() -> None:
    """All queries go out at once."""
    assert sum(len(check.queries(GIVEN)) for check in ALERT.checks) <= 64
