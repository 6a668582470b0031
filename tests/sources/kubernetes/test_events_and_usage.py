"""Kubernetes: events and usage, from a real API server's answers."""

from __future__ import annotations

from pathlib import Path

from runbook.model import Answer
from runbook.sources.kubernetes.objects import events_of, pods_of, usage_of
from runbook.sources.kubernetes.queries import events, pods, usage
from tests.canned import Canned, Reply
from tests.sources.kubernetes.asking import MIB, WEB, answer_at
from tests.sources.kubernetes.server import repeating, source, stage


def test_events_are_those_of_the_deployment_and_no_other(tmp_path: Path):
    """Events of the deployment, its ReplicaSets and pods, gone ones too; `web-db` has a name that begins alike."""
    raw = stage("undone_half-way")["answers"]["/api/v1/namespaces/shop/events"]["items"]
    found = events_of(answer_at("undone_half-way", events(*WEB), tmp_path))
    assert any(event["involvedObject"]["name"].startswith("web-db") for event in raw)
    assert not any(event.name.startswith("web-db") for event in found)
    assert {event.kind for event in found} == {"Deployment", "ReplicaSet", "Pod"}
    now = {pod.name for pod in pods_of(answer_at("undone_half-way", pods(*WEB), tmp_path))}
    assert {event.name for event in found if event.kind == "Pod"} > now
    assert ("Warning", "BackOff") in {(event.type, event.reason) for event in found}
    assert [event.last_at for event in found] == sorted(event.last_at or 0 for event in found)


def test_both_forms_of_an_event_have_their_times(tmp_path: Path):
    """The scheduler's events carry eventTime only, the others their last time; all are dated and counted."""
    found = events_of(answer_at("bad_rollout", events(*WEB), tmp_path))
    scheduled = next(event for event in found if event.reason == "Scheduled")
    assert scheduled.last_at is not None
    assert scheduled.last_at % 1 > 0
    assert all(event.last_at and event.count >= 1 for event in found)


def test_a_series_of_events_counts_and_ends():
    """An event that repeats under events.k8s.io carries its count and its last time in `series`."""
    event = {
        "metadata": {"name": "e", "creationTimestamp": "2026-01-15T10:40:00Z"},
        "involvedObject": {"kind": "Pod", "name": "web-1"},
        "eventTime": "2026-01-15T10:40:00.500000Z",
        "series": {"count": 7, "lastObservedTime": "2026-01-15T10:45:00.000000Z"},
    }
    found = events_of(Answer(events(*WEB), "complete", {"events": [event]}))[0]
    assert (found.count, found.last_at) == (7, 1768473900.0)


def test_usage_is_added_up_by_pod(tmp_path: Path):
    """CPU in cores and memory in bytes, over the containers of each pod."""
    found = usage_of(answer_at("bad_rollout", usage(*WEB), tmp_path))
    assert set(found) <= {pod.name for pod in pods_of(answer_at("bad_rollout", pods(*WEB), tmp_path))}
    assert all(0.4 < cpu < 0.6 and memory == 600 * MIB for cpu, memory in found.values())


def test_no_pods_is_empty(tmp_path: Path):
    """A deployment scaled to nothing has an empty answer, and no failure."""
    with Canned(repeating("bad_rollout", pods=Reply({"items": []}), usage=Reply({"items": []}))) as server:
        asked = source(tmp_path, server)
        assert [asked.ask(query).completeness for query in (pods(*WEB), usage(*WEB))] == ["empty", "empty"]
