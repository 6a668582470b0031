"""InstanceDown: its causes told apart."""

from __future__ import annotations

import pytest

from runbook.alerts.checks.workload import instances_down_count
from runbook.alerts.instance_down import ALERT
from runbook.investigation import ranking
from tests.alerts.instance_down.answers import (
    COUNT,
    DOWN,
    FIRING,
    LAST,
    MISSED,
    PODS,
    SCENES,
    UP,
    USUAL,
    cluster,
    given,
    investigated,
    logged,
    pod,
    results,
    results_of,
    since,
    until,
    ups,
)
from tests.fakes import ONSET, facts, line


@pytest.mark.parametrize("cause", SCENES)
def test_each_cause_is_told_from_the_others(cause: str) -> None:
    """What each fault shows supports its cause alone."""
    found = ranking.of(ALERT, results(**SCENES[cause]))
    assert [v.cause for v in found if v.state == "supported"] == [cause]


@pytest.mark.parametrize("cause", [cause for cause in SCENES if cause not in ("deployment", "crash", "configuration")])
def test_an_innocent_rollout_takes_no_blame(cause: str) -> None:
    """A release shortly before something else went wrong is not supported as its cause."""
    found = ranking.of(ALERT, results(**{**SCENES[cause], "changes": {"near": True}}))
    assert [v.cause for v in found if v.state == "supported"] == [cause]


def test_what_was_not_seen_is_not_refuted() -> None:
    """The pod that was down is gone, another is not ready: none of the ways in which it may have ended is excluded."""
    unseen_ends = {"gone": ("a",), "killed": None, "crashed": None, "blocked": None}
    found = ranking.of(ALERT, results(pod_states=unseen_ends))
    assert {v.cause for v in found if v.state == "not tested"} == {"deployment", "crash", "memory", "configuration"}


def test_a_replaced_pod_leaves_every_cause_open_but_those_that_show_elsewhere() -> None:
    """Killed and replaced before anybody looked: memory and configuration are not tested, nor is it only the scrape."""
    told = {
        **USUAL,
        DOWN: line(since(0.0, 1.0)),
        MISSED: line(since(0.0, 0.17)),
        UP: ups(**{"web-14-aaaaa": since(1.0, 0.0), "web-14-bbbbb": lambda t: 1.0}),
        PODS: cluster(pod("web-14-bbbbb"), pod("web-14-ccccc")),
        LAST: given({"previous_logs": []}, "empty"),
        ("terms",): logged(600, **{"web-14-bbbbb": 300}),
    }
    found = {verdict.cause: verdict.state for verdict in investigated(told).verdicts}
    assert {found[name] for name in ("crash", "memory", "configuration", "network", "scrape")} == {"not tested"}


def test_all_that_left_service_discovery_and_serve_on_are_only_unseen() -> None:
    """Ready in Kubernetes and logging as usual: the scrape is broken, and no other cause is supported."""
    told = {
        **USUAL,
        **{words: until(ONSET, value) for words, value in ((DOWN, 0.0), (COUNT, 2.0), (MISSED, 0.0))},
        UP: ups(**{name: lambda t: 1.0 if t < ONSET + 60 else float("nan") for name in "ab"}),
        PODS: cluster(pod("a"), pod("b")),
        (FIRING,): logged(600, a=300, b=300),
        ("terms",): logged(600, a=300, b=300),
    }
    found = investigated(told)
    assert [verdict.cause for verdict in found.verdicts if verdict.state == "supported"] == ["scrape"]


def test_two_causes_at_once_come_first() -> None:
    """Containers killed for memory, and a node lost: both are supported."""
    both = {**SCENES["node"], "pod_states": {"killed": ("c",), "container": "app", "memory_limit": 2.0**29}}
    found = ranking.of(ALERT, results(**both))
    assert {v.cause for v in found[:2]} == {"memory", "node"}


def test_nothing_known_supports_nothing() -> None:
    """An alert that is real, with no other data, has no cause that is supported or refuted."""
    found = ranking.of(ALERT, results_of(facts(instances_down_count.Facts, onset=ONSET)))
    assert {v.state for v in found} == {"not tested"}
