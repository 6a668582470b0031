"""Scenarios in the real servers: what these answer is what was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import requests

from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import Scenario, matrix
from tests.lab.servers.lab import Lab
from tests.lab.servers.prometheus import Prometheus
from tests.lab.service.firing import failed_ratio
from tests.lab.service.world import DAY, DEPLOYMENT, WEEK

pytestmark = pytest.mark.lab

ALL, FAILED = '{app="micro-frontend"}', '{app="micro-frontend",status_code=~"5.."}'
REQUESTS = "micro_frontend_http_requests_total"


def ratio(window: str) -> str:
    return f"sum(rate({REQUESTS}{FAILED}[{window}])) / sum(rate({REQUESTS}{ALL}[{window}]))"


def values(prometheus: Prometheus, query: str, at: float | None = None) -> list[dict[str, Any]]:
    asked = {"query": query} | ({} if at is None else {"time": str(at)})
    return requests.get(f"{prometheus.url}/api/v1/query", params=asked, timeout=30).json()["data"]["result"]


@pytest.fixture(scope="module")
def loaded(lab: Lab) -> tuple[Scenario, ...]:
    scenarios = matrix(["database-refused", "out-of-memory", "good-release"], seeds=[31])
    load(lab, scenarios)
    return tuple(scenarios)


def test_prometheus_computes_the_ratio_that_the_truth_was_computed_from(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """At every alert time the rule's expression is, within a fifth, what the generator says."""
    for one in loaded:
        expected = float(np.interp(one.started_at, one.drawn.times.mean(axis=0), failed_ratio(one.drawn)))
        (answer,) = values(lab.prometheus, ratio("5m"), one.started_at)
        assert float(answer["value"][1]) == pytest.approx(expected, rel=0.2, abs=0.003)


def test_the_rule_would_have_fired_when_the_truth_says(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """For the five minutes before the alert the ratio is above 5 %, and it was not much earlier."""
    for one in loaded:
        over = f"count_over_time(({ratio('5m')} > 0.05)[5m:15s])"
        held = values(lab.prometheus, over, one.started_at)
        assert bool(held and float(held[0]["value"][1]) >= 18) == bool(one.truth.alert_at)


def test_the_days_before_are_there_and_quiet(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """The same hours a day and a week before have traffic and few errors."""
    for one in loaded:
        for ago in (DAY, WEEK):
            (answer,) = values(lab.prometheus, ratio("5m"), one.started_at - ago)
            assert float(answer["value"][1]) < 0.02


def test_elasticsearch_has_every_document_where_its_day_is(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """As many documents as were drawn, errors found by level and message by words."""
    with lab.elasticsearch.client() as client:
        for one in loaded:
            window = {
                "range": {"timestamp": {"gte": f"{one.day:%Y-%m-%d}", "lte": f"{one.day:%Y-%m-%d}T23:59:59.999Z"}}
            }
            found = client.count(index=f"micro-apps-{one.day:%Y.%m.%d}", query=window)
            assert found["count"] == len(one.documents())
        wanted = [{"match": {"level": "error"}}, {"match_phrase": {"message": "memory"}}]
        assert client.count(index="micro-apps-*", query={"bool": {"must": wanted}})["count"] > 10


def test_kubernetes_is_as_it_was_and_stays_so(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """Pods bear the names that the metrics have, none is added by a controller, and the history has every revision."""
    for one in loaded:
        pods = lab.kubernetes.get("pods", one.namespace)
        running = values(lab.prometheus, f"up{ALL}", one.ended_at)
        assert {pod["metadata"]["name"] for pod in pods} <= {answer["metric"]["pod"] for answer in running}
        assert all(pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" for pod in pods)
        history = lab.kubernetes.kubectl(
            "rollout", "history", f"deployment/{DEPLOYMENT}", f"--namespace={one.namespace}"
        )
        assert history.count("release") == len([r for r in one.fleet.revisions if r.created <= one.ended_at])
        assert "successfully rolled out" in lab.kubernetes.kubectl(
            "rollout", "status", f"deployment/{DEPLOYMENT}", f"--namespace={one.namespace}", "--timeout=5s"
        )


def test_kubernetes_knows_of_kills_for_memory(lab: Lab, loaded: tuple[Scenario, ...]) -> None:
    """A container that was killed says so, with the time at which it was."""
    one = next(one for one in loaded if one.fault.name == "out-of-memory")
    ended = [
        pod["status"]["containerStatuses"][0].get("lastState", {}).get("terminated")
        for pod in lab.kubernetes.get("pods", one.namespace)
    ]
    killed = [state for state in ended if state and state["reason"] == "OOMKilled"]
    died = [
        life for pod in one.fleet.pods for life in pod.lives if life.reason == "OOMKilled" and life.end <= one.ended_at
    ]
    assert bool(killed) == bool(died)
