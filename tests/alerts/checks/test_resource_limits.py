"""Do the pods reach their limits, and is it only those of a new revision?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runbook.alerts.checks.workload import changes as workload_changes
from runbook.alerts.checks.workload import resource_limits
from runbook.model import Answer, Query, Result
from tests.fakes import ONSET, after_onset, context, facts

MIB = 2**20
ROLLOUT = ONSET - 180
REPLICASETS = [{"metadata": {"name": "web-b", "annotations": {"deployment.kubernetes.io/revision": "14"}}}]


def matrix(query: Query, by_pod: dict[str, Callable[[float], float]]) -> Answer:
    start, end, step = (query.params[name] for name in ("start", "end", "step"))
    rows: list[dict[str, Any]] = [
        {"metric": {"pod": pod}, "values": [[t, str(v)] for t in range(start, end + 1, step) if (v := value(t)) == v]}
        for pod, value in by_pod.items()
    ]
    return Answer(query, "complete", {"resultType": "matrix", "result": rows})


def pod(name: str) -> dict[str, Any]:
    limits = {"limits": {"memory": "640Mi", "cpu": "400m"}}
    owner = {"kind": "ReplicaSet", "name": "web-b"}
    metadata = {"name": name, "creationTimestamp": "2026-01-15T10:37:00Z", "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "resources": limits}]}, "status": {}}


def judged(
    new: Callable[[float], float] | float, old: Callable[[float], float] = lambda t: 200.0, **changes: Any
) -> Result:
    """Pods hold `old` MiB until a rollout; those of revision 14 hold `new` MiB, as a number or by time."""
    asked = resource_limits.CHECK.queries(context())
    level = new if callable(new) else lambda t: new
    memory = {
        "web-a-1": lambda t: old(t) * MIB if t < ROLLOUT else float("nan"),
        "web-b-1": lambda t: level(t) * MIB if t >= ROLLOUT else float("nan"),
    }
    answers = {
        "memory": matrix(asked["memory"], memory),
        "cpu": matrix(asked["cpu"], {"web-b-1": lambda t: 0.1}),
        "pods": Answer(asked["pods"], "complete", {"pods": [pod("web-b-1")], "replicasets": REPLICASETS}),
        "usage": Answer(asked["usage"], "empty", {}),
    }
    found = facts(workload_changes.Facts, **{"near": True, "rollout": ROLLOUT, "revision": 14, **changes})
    earlier = after_onset(changes=Result("abnormal", "", found))
    return resource_limits.CHECK.judge(context(), answers, earlier)


def test_a_new_revision_that_wants_much_more_memory_is_told():
    """Its pods at three times the memory of those before: the numbers stand in one clause."""
    assert judged(600).facts.heavier == "its pods hold up to 600 MiB, those before 200 MiB"


@pytest.mark.parametrize(
    "changes", [{"near": False}, {"rollout": None}, {"alike": True}, {"calm_minutes": 7.0}, {"revision": 13}], ids=str
)
def test_a_revision_that_is_not_to_blame_is_not_compared(changes: dict[str, Any]):
    """No rollout near the onset, one that did well first, or others that suffer alike: nothing is concluded."""
    assert judged(600, **changes).facts.heavier is None


def test_a_little_more_memory_says_nothing():
    """A new revision may hold somewhat more than the one before."""
    assert judged(260).facts.heavier is None


def growing(since: float) -> Callable[[float], float]:
    """200 MiB until a time, then 1 MiB/s more until the limit is near."""
    return lambda t: min(200.0 + max(t - since, 0.0), 600.0)


def test_a_revision_that_grows_from_its_start_is_told():
    """A leak that came with the release begins with its pods."""
    assert judged(growing(ROLLOUT)).facts.heavier == "its pods hold up to 600 MiB, those before 200 MiB"


def test_a_revision_that_held_little_at_first_is_not_to_blame():
    """What its pods came to lack minutes after their start is not what the release wants."""
    assert judged(growing(ROLLOUT + 150)).facts.heavier is None


def test_pods_that_grew_before_the_rollout_already_acquit_it():
    """Those before were as full when they went: the memory was short whatever the revision."""
    assert judged(600, growing(ROLLOUT - 300)).facts.heavier is None
