"""InstanceDown: whether it is real, which instances are down, and what the others take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runbook.alerts.checks.workload import down_instances, instances_down_count, remaining_capacity
from runbook.model import Answer, Query
from tests.alerts.instance_down.answers import (
    COUNT,
    DAY,
    DOWN,
    FAILED,
    MISSED,
    TOTAL,
    UP,
    USUAL,
    Answering,
    Words,
    context,
    investigated,
    judged,
    of,
    since,
    until,
    ups,
)
from tests.fakes import ONSET, facts, line, nothing

BY_POD: Words = ("sum by (pod) (rate",)


def by_pod(**rates: Callable[[float], float]) -> Answering:
    def answer(query: Query) -> Answer:
        found = [line(rate, pod=name)(query).data["result"][0] for name, rate in rates.items()]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


class TestDown:
    def test_with_every_source_down_nothing_is_concluded(self) -> None:
        """Each check is unknown, no cause tested, and nobody is told what to do."""
        found = investigated({})
        assert {f.result.status for f in found.findings} == {"unknown"}
        assert {v.state for v in found.verdicts} == {"not tested"}
        assert found.mitigations == ()
        assert found.headline.startswith("Not known whether")

    def test_two_of_six_are_real_and_told_with_onset_and_impact(self) -> None:
        """Two instances from the onset on: since when, how many of all, how long, what it cost."""
        told = {
            **USUAL,
            DOWN: line(since(0.0, 2.0, ONSET + 60)),
            MISSED: line(since(0.0, 2.0)),
            TOTAL: line(since(60.0, 40.0)),
        }
        found = judged(instances_down_count.CHECK, told)
        assert found.status == "abnormal"
        known = of(instances_down_count.Facts, found)
        assert abs((known.onset or 0.0) - ONSET) <= 60
        assert (known.now, known.worst, known.instances) == (2.0, 2, 6.0)
        assert found.sentence.startswith("Yes. 2 of 6 instances are down (0 at this hour yesterday and last week). ")
        impact = known.impact or ""
        assert impact.startswith("2 of 6 instances down at the peak within 32 minutes, ")
        assert "33 % fewer requests" in impact

    def test_days_that_differ_are_told_one_by_one(self) -> None:
        """One instance was down at this hour yesterday, none last week."""
        told = {
            **USUAL,
            DOWN: line(lambda t: 0.0 if t < ONSET - 3 * DAY or ONSET - DAY / 2 < t < ONSET else 1.0),
            MISSED: line(since(0.0, 1.0)),
        }
        found = judged(instances_down_count.CHECK, told)
        assert "1 of 6 instances is down (at this hour 1 yesterday, 0 last week)" in found.sentence

    def test_one_that_is_over_is_told_as_such(self) -> None:
        """Two were down and are up again: it was real, and is no longer."""
        down = line(lambda t: 2.0 if ONSET + 60 <= t < ONSET + 900 else 0.0)
        found = judged(instances_down_count.CHECK, {**USUAL, DOWN: down, MISSED: line(since(0.0, 2.0))})
        assert found.status == "abnormal"
        assert found.sentence.startswith("It was. 2 of 6 instances down at the peak, none at 11:12 UTC")

    def test_an_outage_that_has_just_begun_has_an_onset(self) -> None:
        """The runbook is opened a minute after the alert: too soon for a test of levels, and plain all the same."""
        fresh = context(end=ONSET + 150, now=ONSET + 150)
        told = {**USUAL, DOWN: line(since(0.0, 2.0, ONSET + 60)), MISSED: line(since(0.0, 2.0, ONSET + 15))}
        known = of(instances_down_count.Facts, judged(instances_down_count.CHECK, told, about=fresh))
        assert abs((known.onset or 0.0) - ONSET) <= 30

    def test_all_up_is_normal(self) -> None:
        """Where no instance misses all scrapes of a minute, nothing is down, though single scrapes fail."""
        found = judged(
            instances_down_count.CHECK,
            {**USUAL, DOWN: line(lambda t: 0.0), MISSED: line(lambda t: 0.25 * (t % 600 == 0))},
        )
        assert found.status == "normal"
        assert found.sentence.startswith("No. No instance has been down since the alert (0 at this hour")

    def test_all_that_left_service_discovery_are_missed(self) -> None:
        """Up until a minute before the alert, then no target any more: real, with its onset, in one sentence."""
        told = {**USUAL, **{words: until(ONSET, told) for words, told in ((DOWN, 0.0), (COUNT, 6.0), (MISSED, 0.0))}}
        found = judged(instances_down_count.CHECK, told)
        known = of(instances_down_count.Facts, found)
        assert (found.status, known.now, known.left) == ("abnormal", 6.0, known.onset)
        assert abs((known.onset or 0.0) - ONSET) <= 60
        assert found.sentence.endswith("; no instance is a target of Prometheus any more.")

    def test_no_target_is_not_health(self) -> None:
        """Without any target, as after a wrong scrape configuration, it is not known whether instances are up."""
        assert judged(instances_down_count.CHECK, {DOWN: nothing}).status == "unknown"

    @pytest.mark.parametrize("missed", [lambda t: 0.0, lambda t: float("nan"), lambda t: min(3.0, max(0.0, t - ONSET))])
    def test_any_course_of_missed_scrapes_is_borne(self, missed: Callable[[float], float]) -> None:
        """Whatever the misses look like, instances that are down are; when it began may not be known."""
        found = judged(instances_down_count.CHECK, {**USUAL, DOWN: line(lambda t: 1.0), MISSED: line(missed)})
        assert found.status == "abnormal"


class TestInstances:
    def test_who_is_down_since_when_and_who_is_up(self) -> None:
        """The time is that of the first missed scrape, a minute before a whole one is missing."""
        told = {UP: ups(a=since(1.0, 0.0, ONSET + 60), b=lambda t: 1.0, c=lambda t: 1.0)}
        found = judged(down_instances.CHECK, told)
        known = of(down_instances.Facts, found)
        assert (known.down, known.now, known.up, known.all) == (("a",), ("a",), ("b", "c"), 3)
        assert abs((known.since or 0.0) - ONSET) <= 30
        assert known.port == 8080
        assert all(words in found.sentence for words in ("1 of 3", "a (since 10:40 UTC)", "2 instances are up"))

    def test_one_that_never_came_up_is_told_so(self) -> None:
        """A pod that appeared and never answered has no time since when it is down but that it was first seen."""
        told = {UP: ups(a=lambda t: 0.0 if t >= ONSET else float("nan"), b=lambda t: 1.0)}
        found = judged(down_instances.CHECK, told)
        assert of(down_instances.Facts, found).never_up == ("a",)
        assert "a (never up)" in found.sentence

    def test_one_that_was_always_down_has_been_so_since_before(self) -> None:
        """Where the window shows it down from its start on, nobody knows since when."""
        found = judged(down_instances.CHECK, {UP: ups(a=lambda t: 0.0, b=lambda t: 1.0)})
        assert of(down_instances.Facts, found).never_up == ()
        assert "a (since before 09:17 UTC)" in found.sentence

    def test_all_that_are_no_target_any_more_are_down(self) -> None:
        """Together they left: each is missed, and none of them up; one that went alone is no outage."""
        gone = {name: lambda t: 1.0 if t < ONSET + 60 else float("nan") for name in "ab"}
        found = judged(down_instances.CHECK, {UP: ups(**gone)})
        known = of(down_instances.Facts, found)
        assert (known.down, known.up) == (("a", "b"), ())
        assert known.left is not None and abs(known.left - ONSET) <= 60
        assert found.sentence.startswith("2 of 2: a (since 10:40 UTC), b (since 10:40 UTC); ")
        alone = judged(down_instances.CHECK, {UP: ups(**gone, c=lambda t: 1.0)})
        assert of(down_instances.Facts, alone).down == ()

    def test_one_that_was_down_before_the_alert_is_none_of_it(self) -> None:
        """An outage that ended half an hour before is another one."""
        told = {UP: ups(a=lambda t: 0.0 if ONSET - 2400 <= t < ONSET - 1800 else 1.0)}
        assert of(down_instances.Facts, judged(down_instances.CHECK, told)).down == ()

    def test_back_again_and_gone(self) -> None:
        """What came back, and what is no target any more, is not down now."""
        told = {
            UP: ups(
                a=lambda t: 0.0 if ONSET <= t < ONSET + 300 else 1.0,
                b=lambda t: float("nan") if t > ONSET + 300 else since(1.0, 0.0)(t),
            )
        }
        found = judged(down_instances.CHECK, told)
        known = of(down_instances.Facts, found)
        assert (known.down, known.now) == (("a", "b"), ())
        assert [row[-1] for row in found.tables[0].rows] == ["up again", "gone"]

    def test_instances_without_pods_go_by_their_address(self) -> None:
        """A target that a file names has no pod: its address tells it apart."""
        told = {UP: line(since(1.0, 0.0), instance="10.0.0.7:9100")}
        assert of(down_instances.Facts, judged(down_instances.CHECK, told)).down == ("10.0.0.7:9100",)


class TestServing:
    def test_the_rest_take_more_each(self) -> None:
        """Three of six with all requests have twice as many each."""
        rates = {name: since(10.0, 20.0) for name in "abc"} | {name: since(10.0, 0.0) for name in "def"}
        told = {BY_POD: by_pod(**rates), FAILED: nothing}
        found = judged(remaining_capacity.CHECK, told, facts(down_instances.Facts, up=("a", "b", "c")))
        known = of(remaining_capacity.Facts, found)
        assert (found.status, known.serving, known.rate, known.each, known.times, known.failing) == (
            *("normal", 3, 60.0, 20.0, 2.0, 0.0),
        )
        assert found.sentence.startswith(
            "3 instances serve 60 requests/s, 2.0 times as many per instance as before; 0 %"
        )

    def test_nobody_serves(self) -> None:
        """Where no instance is up, that is said, and is abnormal."""
        told = {BY_POD: by_pod(a=since(10.0, 0.0)), FAILED: nothing}
        found = judged(remaining_capacity.CHECK, told, facts(down_instances.Facts, up=()))
        assert (found.status, of(remaining_capacity.Facts, found).serving) == ("abnormal", 0)
        assert found.sentence.startswith("None")

    def test_who_is_up_must_be_known(self) -> None:
        """Without the instances nothing is said of those that are left."""
        assert judged(remaining_capacity.CHECK, {BY_POD: by_pod(a=lambda t: 1.0), FAILED: nothing}).status == "unknown"
