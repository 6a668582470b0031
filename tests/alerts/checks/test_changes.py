"""Are the pods of a new revision to blame? The alert's signal beside the other pods while both serve."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from runbook.alerts.checks.database import database_health
from runbook.alerts.checks.toolkit.signal import FAILED_REQUESTS, REQUEST_SECONDS, Signal
from runbook.alerts.checks.workload import changes
from runbook.alerts.high_error_rate import DATABASE
from runbook.alerts.shared_causes import DEPLOYMENT
from runbook.investigation import ranking
from runbook.investigation.definitions import Cause
from runbook.investigation.results import Results
from runbook.model import Answer, Facts, Query, Result
from tests.fakes import ONSET, after_onset, context, facts

NAN = float("nan")
RATE = 10.0  # requests/s of a pod
REVISION = "deployment.kubernetes.io/revision"
Curve = Callable[[float], float]


def matrix(query: Query, by_pod: Mapping[str, Curve]) -> Answer:
    start, end, step = (query.params[name] for name in ("start", "end", "step"))
    rows: list[dict[str, Any]] = [
        {"metric": {"pod": pod}, "values": [[t, str(v)] for t in range(start, end + 1, step) if (v := value(t)) == v]}
        for pod, value in by_pod.items()
    ]
    return Answer(query, "complete", {"resultType": "matrix", "result": rows})


def replica_set(name: str, revision: int, created: float) -> dict[str, Any]:
    stamp = dt.datetime.fromtimestamp(created, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "annotations": {REVISION: str(revision)}, "creationTimestamp": stamp}
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "web"}]}}}}


def between(value: Curve, start: float, end: float) -> Curve:
    return lambda t: RATE * value(t) if start <= t < end else NAN


def since_onset(value: float) -> Curve:
    return lambda t: value if t >= ONSET else 0.0


def judged(old: Curve, *new: Curve, after: float = -30, until: float = 240, signal: Signal = FAILED_REQUESTS) -> Result:
    """An old pod goes `until` seconds after the onset; new ones come from `after` seconds after it, one a minute."""
    check = changes.watching(signal)
    asked = check.queries(context())
    lives = {"web-a-1": (old, 0.0, ONSET + until)}
    lives |= {f"web-b-{n}": (value, ONSET + after + 60 * n, float("inf")) for n, value in enumerate(new)}
    deployment = {"metadata": {"name": "web", "annotations": {REVISION: "14"}}, "spec": {}}
    sets = [replica_set("web-a", 13, ONSET - 90_000), replica_set("web-b", 14, ONSET + after)]
    answers = {
        "deployment": Answer(asked["deployment"], "complete", {"deployment": deployment, "replicasets": sets}),
        "pods": Answer(asked["pods"], "complete", {"pods": [], "replicasets": sets}),
        "events": Answer(asked["events"], "complete", {"events": []}),
        "part by pod": matrix(asked["part by pod"], {pod: between(*life) for pod, life in lives.items()}),
        "whole by pod": matrix(
            asked["whole by pod"], {pod: between(lambda t: 1.0, *life[1:]) for pod, life in lives.items()}
        ),
    }
    return check.judge(context(), answers, after_onset())


def verdict(cause: Cause, found: Result, **others: Facts) -> str:
    results = Results({"changes": found, **{one: Result("abnormal", "", facts) for one, facts in others.items()}})
    return ranking.judge(cause, results).state


def told(result: Result) -> list[str]:
    return [name for name in ("only_new", "worse", "alike") if getattr(result.facts, name)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(0.004, 0.3, ["only_new"]), (0.2, 0.6, ["worse"]), (0.6, 0.8, ["worse"]), (0.4, 0.43, ["alike"]), (0.0, 0.01, [])],
)
def test_the_new_pods_beside_the_others(old: float, new: float, expected: list[str]):
    """Alone to suffer, suffering beyond what all do, suffering like all, or well."""
    assert told(judged(since_onset(old), since_onset(new), since_onset(new))) == expected


def test_a_release_is_in_all_its_pods():
    """Where one of them suffers like the others, it is not the revision: perhaps the node, or chance."""
    assert told(judged(since_onset(0.3), since_onset(0.9), since_onset(0.3))) == []


def test_trouble_that_grows_while_pods_are_replaced_is_compared_time_by_time():
    """The new pods serve when it is worst, the old one before: each is held against the others at the same times."""

    def rising(t: float) -> float:
        return min(max(t - ONSET, 0.0) / 240, 1.0) * 0.6

    assert told(judged(rising, rising, rising, rising, after=60)) == ["alike"]


def test_cold_pods_may_be_twice_as_slow():
    """What doubles a duration in the first minutes is no trouble of the release; much more is."""
    slow = {"signal": REQUEST_SECONDS}
    assert told(judged(since_onset(0.9), since_onset(1.7), **slow)) == ["alike"]
    assert told(judged(since_onset(0.9), since_onset(4.0), **slow)) == ["worse"]


def test_an_onset_that_was_found_when_the_others_were_gone():
    """A quick rollout is over before many requests suffer: what came just before tells whom it struck."""
    assert told(judged(lambda t: 0.0, lambda t: 0.5, after=-60, until=-10)) == ["only_new"]
    assert told(judged(lambda t: 0.0, lambda t: 0.0, after=-60, until=-10)) == []


def test_a_release_into_the_trouble_of_another_is_supported_beside_it():
    """The database refuses connections for all, and pods that come minutes later fail much more: both."""
    found = judged(since_onset(0.2), since_onset(0.6), since_onset(0.6), after=150)
    refusing = facts(database_health.Facts, refusing=True, errors_per_second=20.0, slow=False, exhausted=False)
    assert verdict(DEPLOYMENT, found) == verdict(DATABASE, found, database_health=refusing) == "supported"


def test_a_release_into_the_trouble_of_another_is_innocent_where_it_suffers_alike():
    """As above, and the new pods fail like the others."""
    assert verdict(DEPLOYMENT, judged(since_onset(0.2), since_onset(0.22), after=150)) == "refuted"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(20.0, 2.0, ["only_new"]), (20.0, 18.0, []), (6.0, 6.0, ["alike"]), (9.0, 1.0, ["worse"]), (9.0, 0.0, ["worse"])],
)
def test_where_less_is_worse_the_pods_with_less_are_to_blame(old: float, new: float, expected: list[str]):
    """An alert that fires below 10 compares revisions the other way round: few is as bad as nothing at all."""
    signal = replace(REQUEST_SECONDS, below=True, threshold=lambda service: 10.0)
    assert told(judged(lambda t: old, lambda t: new, lambda t: new, signal=signal)) == expected
