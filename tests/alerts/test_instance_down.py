"""InstanceDown: its checks on answers of every kind, its causes told apart, its plans, its recovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from runbook.alerts.checks.requests import reachability
from runbook.alerts.checks.toolkit.signal import FAILED_SCRAPES
from runbook.alerts.checks.workload import (
    changes,
    down_instances,
    instances_down_count,
    nodes,
    pod_states,
    policies,
    previous_logs,
    remaining_capacity,
    scrape_only,
    secrets,
)
from runbook.alerts.instance_down import ALERT
from runbook.alerts.mitigations.nodes import leave_node
from runbook.clock import Frozen
from runbook.config.schema import Environment, Kubernetes, Prometheus
from runbook.investigation import investigator, ranking
from runbook.investigation.definitions import Check, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.investigation.results import Results, check_name
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Facts, Mitigation, Query, Recovery, Result, Step
from runbook.text.shell import command
from tests import fakes
from tests.fakes import ONSET, STARTED, Scripted, facts, line, nothing

Answering = Callable[[Query], Answer]
Words = tuple[str, ...]
Told = Mapping[Words, Answering]
DAY = 86_400
F = TypeVar("F", bound=Facts)

DOWN: Words = ("bool 0",)
COUNT: Words = ("count(up",)
MISSED: Words = ("sum(1 - avg",)
UP: Words = ("max by (pod, instance)",)
FAILED: Words = ("http_requests_total", "5..")
TOTAL: Words = ("sum(rate", "http_requests_total")
BY_POD: Words = ("sum by (pod) (rate",)
PODS: Words = ("get pods -o wide | grep",)
LAST: Words = ("--previous",)
DEPLOYMENT: Words = ("rollout history",)
NODES: Words = ("describe nodes",)
POLICIES: Words = ("networkpolicies",)
FIRING = f'"gte":{round((ONSET + 15) * 1000)}'
USUAL: Told = {
    COUNT: line(lambda t: 6.0),
    FAILED: line(lambda t: 0.1),
    TOTAL: line(lambda t: 60.0),
}


def context(**changes: object) -> Context:
    return fakes.context(**{"alert": ALERT.name, "for_seconds": 60, "started_at": ONSET + 75, **changes})


def since(before: float, after: float, at: float = ONSET) -> Callable[[float], float]:
    """A value that steps at a time; at the same hours of other days it does not."""
    return lambda t: after if at <= t < at + DAY else before


def until(end: float, value: float) -> Answering:
    """A level over the last minute that ends a minute after this time; the same hours of other days are complete."""

    def answer(query: Query) -> Answer:
        whole = line(lambda t: value)(query)
        found = whole.data["result"][0]
        kept = [pair for pair in found["values"] if pair[0] < end + 60 or query.params["end"] < ONSET]
        return replace(whole, data={"resultType": "matrix", "result": [{**found, "values": kept}]})

    return answer


def ups(**rows: Callable[[float], float]) -> Answering:
    """`up` of these pods, each at an address of its own; NaN where there is no such target."""

    def answer(query: Query) -> Answer:
        found = []
        for number, (name, value) in enumerate(rows.items()):
            one = line(value, pod=name, instance=f"10.244.0.{number}:8080")(query).data["result"][0]
            found.append({**one, "values": [pair for pair in one["values"] if pair[1] != "nan"]})
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def by_pod(**rates: Callable[[float], float]) -> Answering:
    def answer(query: Query) -> Answer:
        found = [line(rate, pod=name)(query).data["result"][0] for name, rate in rates.items()]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def given(data: JSON, completeness: str = "complete") -> Answering:
    return lambda query: Answer(query, completeness, data)  # type: ignore[arg-type]


def time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    name: str,
    *,
    ready: bool = True,
    ended: tuple[str, int, float] | None = None,
    waiting: tuple[str, str] | None = None,
    node: str = "node-1",
    conditions: Sequence[JSON] = (),
    replicaset: str = "web-14",
    over: str = "",
) -> JSON:
    """A pod as the API returns it; `ended`: reason, exit code and time of its last container; `over`: why it failed."""
    last = {}
    if ended:
        reason, code, at = ended
        last = {"terminated": {"reason": reason, "exitCode": code, "finishedAt": time(at)}}
    state = {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {}}
    told = {"name": "app", "ready": ready, "restartCount": 3 if ended else 0, "state": state, "lastState": last}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": time(ONSET - 3600),
            "ownerReferences": [{"kind": "ReplicaSet", "name": replicaset}],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "app", "image": "shop:1.4", "resources": {"limits": {"memory": "512Mi"}}}],
        },
        "status": {
            **({"phase": "Failed", "reason": over} if over else {"phase": "Running"}),
            "conditions": [{"type": "Ready", "status": str(ready)}, *conditions],
            "containerStatuses": [told],
        },
    }


def cluster(*these: JSON) -> Answering:
    sets = [
        {"metadata": {"name": f"web-{n}", "annotations": {"deployment.kubernetes.io/revision": str(n)}}}
        for n in (13, 14)
    ]
    return given({"pods": list(these), "replicasets": sets})


def judged(check: Check, told: Told, *earlier: Facts, about: Context | None = None) -> Result:
    """A check on these answers, after others that found these facts; the first one found the onset."""
    about = about or context()
    source = Scripted(told)
    answers = {name: source.ask(query) for name, query in check.queries(about).items()}
    return investigator.judge(
        check, about, answers, results_of(facts(instances_down_count.Facts, onset=ONSET), *earlier)
    )


def results_of(*these: Facts) -> Results:
    return Results({check_name(type(one)): Result("abnormal", "", one) for one in these})


def of(kind: type[F], result: Result) -> F:
    """The facts of a result, which has to have some."""
    assert isinstance(result.facts, kind)
    return result.facts


def investigated(told: Told) -> Investigation:
    return Investigator(ALERT, context(), Scripted(told), Frozen(context().now)).investigation()


class TestDown:
    def test_with_every_source_down_nothing_is_concluded(self) -> None:
        """Each check is unknown, no cause tested, and nobody is told what to do."""
        found = investigated({})
        assert {f.result.status for f in found.findings} == {"unknown"}
        assert {v.state for v in found.verdicts} == {"not tested"}
        assert found.mitigations == ()
        assert found.headline == "Not known whether InstanceDown is real."

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
        assert found.sentence == "1 of 3: a (since 10:40 UTC); 2 instances are up now."

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
        assert (found.status, found.sentence) == ("abnormal", "None: Prometheus reaches no instance.")

    def test_who_is_up_must_be_known(self) -> None:
        """Without the instances nothing is said of those that are left."""
        assert judged(remaining_capacity.CHECK, {BY_POD: by_pod(a=lambda t: 1.0), FAILED: nothing}).status == "unknown"


def test_a_paused_deployment_is_known_as_one() -> None:
    """Whether its rollouts are paused is a fact, for what to do depends on it."""
    one = {"metadata": {"name": "web"}, "spec": {"replicas": 6, "paused": True}}
    check = changes.watching(FAILED_SCRAPES)
    told = {DEPLOYMENT: given({"deployment": one, "replicasets": []})}
    assert of(changes.Facts, judged(check, told)).paused is True


def down(*names: str, **given: object) -> down_instances.Facts:
    """Of six instances these are down, and one is up."""
    return facts(down_instances.Facts, **{"down": names, "now": names, "all": 6, "up": ("c",), "port": 8080, **given})


class TestPods:
    def test_each_way_of_being_down_is_told_apart(self) -> None:
        """Killed, crashed, blocked, without a node and well: each pod is counted in its own way."""
        homeless = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
        these = [
            pod("a", ready=False, ended=("OOMKilled", 137, ONSET + 60)),
            pod("b", ready=False, ended=("Error", 101, ONSET + 90)),
            pod("c", ready=False, waiting=("CreateContainerConfigError", 'secret "x" not found')),
            pod("d", ready=False, conditions=[homeless], node=""),
            pod("e"),
            pod("f"),
        ]
        found = judged(pod_states.CHECK, {PODS: cluster(*these)}, down("a", "b", "c", "e"))
        known = of(pod_states.Facts, found)
        assert (known.killed, known.crashed, known.blocked) == (("a",), ("b",), ("c",))
        assert (known.unschedulable, known.well, known.crashed_revisions) == (("d",), ("e",), (14,))
        assert (known.container, known.memory_limit) == ("app", 512 * 2**20)
        assert known.blocked_message == 'secret "x" not found'

    def test_one_that_is_not_ready_without_a_reason_is_told_so(self) -> None:
        """Neither killed nor crashed nor blocked: Kubernetes does not say why, and neither do we."""
        found = judged(pod_states.CHECK, {PODS: cluster(pod("a", ready=False), pod("b"))}, down("a"))
        assert (found.status, of(pod_states.Facts, found).unready) == ("abnormal", ("a",))
        assert found.sentence == "1 of 2 pods ready; 1 not ready; Kubernetes gives no reason."

    def test_an_end_long_before_is_none_of_it(self) -> None:
        """A container that was killed an hour before the onset, or ended well, explains nothing now."""
        these = [
            pod("a", ended=("OOMKilled", 137, ONSET - 3600)),
            pod("b", ended=("Completed", 0, ONSET + 60)),
        ]
        known = of(pod_states.Facts, judged(pod_states.CHECK, {PODS: cluster(*these)}, down("a", "b")))
        assert (known.killed, known.crashed, known.well) == ((), (), ("a", "b"))

    def test_all_ready_is_normal(self) -> None:
        """Pods that are ready and did not restart are well, whatever Prometheus says."""
        found = judged(pod_states.CHECK, {PODS: cluster(pod("a"), pod("b"))}, down("a", "b"))
        assert (found.status, of(pod_states.Facts, found).well) == ("normal", ("a", "b"))
        assert found.sentence.startswith("2 of 2 pods ready; 2 pods that Prometheus cannot reach are ready")

    def test_pods_that_are_over_do_not_count_but_are_shown(self) -> None:
        """What was evicted and left behind is neither ready nor missing; its reason stands in the table."""
        left = pod("a", ready=False, over="Evicted")
        found = judged(pod_states.CHECK, {PODS: cluster(left, pod("b"))}, down())
        assert (found.status, of(pod_states.Facts, found).unready) == ("normal", ())
        assert found.sentence == "1 of 1 pod ready; 1 ended for good and still listed (Evicted)."
        assert found.tables[0].rows[0][:2] == ("a", "Evicted")

    def test_one_that_is_over_is_told_where_it_is_the_one_that_is_down(self) -> None:
        """The pod that was evicted is the one that Prometheus misses."""
        left = pod("a", ready=False, over="Evicted")
        found = judged(pod_states.CHECK, {PODS: cluster(left, pod("b"))}, down("a"))
        known = of(pod_states.Facts, found)
        assert (found.status, known.gone, known.over) == ("abnormal", (), ("a",))

    def test_a_pod_that_is_gone_is_not_known(self) -> None:
        """Of one that was down and is not there any more nobody can say how it ended: not that all is well."""
        found = judged(pod_states.CHECK, {PODS: cluster(pod("b"), pod("c"))}, down("a"))
        known = of(pod_states.Facts, found)
        assert (found.status, known.gone) == ("unknown", ("a",))
        assert (known.killed, known.crashed, known.blocked) == (None, None, None)
        assert found.sentence == (
            "2 of 2 pods ready; 1 pod that went down no longer exists, so how it ended is not known."
        )

    def test_what_is_seen_of_others_is_known_though_one_is_gone(self) -> None:
        """A pod that was killed was killed, whoever is gone; that none crashed is not known."""
        killed = pod("b", ready=False, ended=("OOMKilled", 137, ONSET + 60))
        found = judged(pod_states.CHECK, {PODS: cluster(killed)}, down("a", "b"))
        known = of(pod_states.Facts, found)
        assert (found.status, known.killed, known.crashed) == ("abnormal", ("b",), None)


def words(*lines: str) -> Answering:
    return given({"previous_logs": [{"pod": "a", "container": "app", "lines": list(lines)}]})


def ended(*names: str) -> pod_states.Facts:
    """These pods crashed, and none was killed."""
    return facts(pod_states.Facts, crashed=names, killed=())


class TestPreviousLogs:
    def test_the_last_line_of_trouble_is_shown(self) -> None:
        """What says why comes before what only follows it."""
        told = {LAST: words("INFO serving", "thread 'main' panicked at src/main.rs:1", "note: run with a backtrace")}
        found = judged(previous_logs.CHECK, told, ended("a"))
        assert of(previous_logs.Facts, found).last == "thread 'main' panicked at src/main.rs:1"
        assert "“thread 'main' panicked at src/main.rs:1”" in found.sentence

    def test_none_that_ended_said_nothing(self) -> None:
        """Where no container ended, that is an answer: normal, and no word."""
        found = judged(previous_logs.CHECK, {LAST: given(None, "empty")}, ended())
        assert (found.status, of(previous_logs.Facts, found).last) == ("normal", None)

    def test_silence_is_told(self) -> None:
        """A container may end without logging anything."""
        found = judged(previous_logs.CHECK, {LAST: words()}, ended("a"))
        assert of(previous_logs.Facts, found) == previous_logs.Facts(ended=1, last=None, times=0)
        assert found.sentence == "1 container ended without logging anything."

    def test_other_containers_do_not_count(self) -> None:
        """The log of a container that ended at another time explains nothing now; where no pods are known, any may."""
        told = {LAST: words("panicked")}
        assert of(previous_logs.Facts, judged(previous_logs.CHECK, told, ended("b"))).ended == 0
        assert of(previous_logs.Facts, judged(previous_logs.CHECK, told)).ended == 1


def node(name: str, ready: str = "True", *more: str) -> JSON:
    conditions = [
        {"type": "Ready", "status": ready, "lastTransitionTime": time(ONSET + 40), "message": "Kubelet stopped."},
        *({"type": one, "status": "True"} for one in more),
    ]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}}


class TestNodes:
    def test_a_lost_node_with_the_pods_on_it(self) -> None:
        """Which node, since when, and which of the pods that are down lie there."""
        told = {NODES: given({"nodes": [node("n1", "Unknown"), node("n2")], "placed": {"n1": 3, "n2": 3}})}
        found = judged(nodes.CHECK, told, facts(pod_states.Facts, nodes={"a": "n1", "b": "n1", "c": "n2"}))
        known = of(nodes.Facts, found)
        assert (known.failing, known.down_on_failing) == (("n1",), ("a", "b"))
        assert found.sentence == "No: n1 has not been ready since 10:40 UTC (Kubelet stopped); 2 pods on it are down."

    def test_pressure_is_no_failure_but_told(self) -> None:
        """A node that is ready under pressure is named with it."""
        told = {NODES: given({"nodes": [node("n1", "True", "MemoryPressure")], "placed": {"n1": 3}})}
        found = judged(nodes.CHECK, told, facts(pod_states.Facts, nodes={"a": "n1"}))
        known = of(nodes.Facts, found)
        assert (known.failing, known.pressures, known.down_on_pressed) == ((), ("MemoryPressure",), ("a",))
        assert found.status == "abnormal"


def logged(total: int, **counts: int) -> Answering:
    """A count of messages by pod."""
    buckets = [{"key": name, "doc_count": count} for name, count in counts.items()]
    aggregations = {"top": {"buckets": buckets, "sum_other_doc_count": 0}}
    data = {"hits": {"total": {"value": total, "relation": "eq"}, "hits": []}, "aggregations": aggregations}
    return given(data, "complete" if total else "empty")


class TestScrapeOnly:
    def asked(self, now: Answering, health: bool | None = None, **instances: object) -> Result:
        """Two of six are down and ready; before, six of them logged 600 messages in 65 minutes."""
        told = {(FIRING,): now, ("terms",): logged(600)}
        ready, reached = facts(pod_states.Facts, well=("a", "b")), facts(reachability.Facts, health_ok=health)
        return judged(scrape_only.CHECK, told, down("a", "b", **instances), ready, reached)

    def test_those_that_log_on_are_only_unseen(self) -> None:
        """As many messages as usual from those that are down: only Prometheus misses them."""
        found = self.asked(logged(300, a=50, b=50, c=50))
        known = of(scrape_only.Facts, found)
        assert (found.status, known.talking, known.silent, known.messages) == ("abnormal", True, False, 100)
        assert found.sentence.startswith("Yes: 2 of 2 pods that Prometheus cannot reach are ready in Kubernetes and ")

    def test_those_that_fall_silent_are_cut_off(self) -> None:
        """Ready, and no message any more: no requests reach them."""
        found = self.asked(logged(200, c=50))
        known = of(scrape_only.Facts, found)
        assert (known.talking, known.silent, found.status) == (False, True, "normal")

    def test_messages_that_do_not_name_their_pod_tell_nothing(self) -> None:
        """Where the logs lack the pod's field, nobody has fallen silent: it is not known who logged."""
        known = of(scrape_only.Facts, self.asked(logged(300)))
        assert (known.talking, known.silent) == (None, None)

    def test_too_few_messages_tell_nothing(self) -> None:
        """Where hardly anything is logged, silence is no sign."""
        told = {(FIRING,): logged(0), ("terms",): logged(6)}
        found = judged(scrape_only.CHECK, told, down("a", "b"), facts(pod_states.Facts, well=("a",)))
        known = of(scrape_only.Facts, found)
        assert (known.talking, known.silent) == (None, None)

    def test_without_logs_the_service_itself_may_tell(self) -> None:
        """Nobody is up for Prometheus, yet the service answers."""
        known = of(scrape_only.Facts, self.asked(Scripted({}).ask, health=True, up=()))
        assert known.talking is None and known.nobody_up and known.answers

    def test_pods_that_are_not_ready_are_not_only_unseen(self) -> None:
        """Where Kubernetes calls none of them ready, it is not the scrape, whatever they log."""
        found = judged(
            scrape_only.CHECK, {("terms",): logged(100)}, down("a", "b"), facts(pod_states.Facts, well=(), gone=())
        )
        assert (found.status, of(scrape_only.Facts, found).talking) == ("normal", False)

    @pytest.mark.parametrize("earlier", [(), (facts(pod_states.Facts, well=(), gone=("a", "b")),)])
    def test_without_the_pods_it_is_not_known(self, earlier: tuple[Facts, ...]) -> None:
        """Whether the pods are ready is not known where nobody asked, or where they no longer exist."""
        found = judged(scrape_only.CHECK, {("terms",): logged(100)}, down("a", "b"), *earlier)
        assert (found.status, found.facts) == ("unknown", None)


def policy(*ports: int) -> Answering:
    rules = [{"ports": [{"protocol": "TCP", "port": port} for port in ports]}]
    one = {
        "metadata": {"name": "allow", "creationTimestamp": time(ONSET - 30)},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules},
    }
    return given({"policies": [one], "labels": {"app": "web"}, "ports": {}})


def test_a_policy_that_forgets_the_port_cuts_the_service_off() -> None:
    """Whether others reach the pods is judged at the port that Prometheus scrapes."""
    check = policies.guarding(policies.TO_SERVICE)
    shut = judged(check, {POLICIES: policy(8443)}, down("a"))
    known = of(policies.Facts, shut)
    assert (known.cuts, known.near, known.port) == (("allow",), True, 8080)
    assert all(word in shut.sentence for word in ("the policy allow", "8080"))
    assert of(policies.Facts, judged(check, {POLICIES: policy(8080)}, down("a"))).cuts == ()


CALM: dict[type[Facts], dict[str, Any]] = {
    instances_down_count.Facts: {"onset": ONSET},
    down_instances.Facts: {"down": ("a", "b"), "now": ("a", "b"), "all": 6, "up": ("c",), "port": 8080},
    changes.Facts: {
        "near": False,
        "revision": 14,
        "current_revision": 14,
        "previous_revision": 13,
        "distance": 60.0,
    },
    pod_states.Facts: {"killed": (), "crashed": (), "blocked": ()},
    previous_logs.Facts: {},
    nodes.Facts: {},
    policies.Facts: {"port": 8080},
    secrets.Facts: {},
    scrape_only.Facts: {"down": 2, "talking": False, "silent": False},
}
CRASHED = {"crashed": ("a", "b"), "crashed_revisions": (14,), "exits": "Error, exit code 101"}
ROLLED_OUT = {"near": True, "only_new": True, "compared": "its pods miss 90 % of scrapes, the others 0 %"}
SCENES: dict[str, dict[str, dict[str, Any]]] = {
    "deployment": {"changes": ROLLED_OUT, "pod_states": CRASHED},
    "crash": {"pod_states": CRASHED},
    "memory": {"pod_states": {"killed": ("a", "b"), "container": "app", "memory_limit": 512 * 2**20}},
    "node": {"nodes": {"failing": ("n1",), "down_on_failing": ("a", "b")}},
    "network": {
        "policies": {"cuts": ("allow",), "near": True, "newest": "allow"},
        "scrape_only": {"well": 2, "silent": True},
        "pod_states": {"well": ("a", "b")},
    },
    "configuration": {
        "changes": ROLLED_OUT,
        "pod_states": {"blocked": ("a",), "blocked_by": "ImagePullBackOff", "blocked_image": "shop:rc"},
    },
    "scrape": {"scrape_only": {"well": 2, "talking": True, "messages": 90}, "pod_states": {"well": ("a", "b")}},
}


def results(**changed: Mapping[str, Any]) -> Results:
    """What the checks find while only instances are down, but for what is given by the name of its check."""
    assert set(changed) <= {check_name(kind) for kind in CALM}
    return results_of(*(facts(kind, **{**calm, **changed.get(check_name(kind), {})}) for kind, calm in CALM.items()))


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


def plan(cause: str, **changed: Mapping[str, Any]) -> Mitigation:
    environment = Environment(
        service="shop", kubernetes=Kubernetes(context="live"), prometheus=Prometheus(url="http://prometheus:9090")
    )
    plans = {one.name: one.plan for one in ALERT.causes}
    return Mitigation(cause, *plans[cause](context(environment=environment), results(**{**SCENES[cause], **changed})))


LEAD = "kubectl --context live -n web"


def shown(step: Step) -> str:
    """The command, or what to do."""
    return command(step.argv) if step.argv else step.text


def undo(step: Step) -> str:
    return command(step.undo_argv) if step.undo_argv else step.undo


def test_the_procedures_commands_are_there() -> None:
    """Restart, more room, cordon and drain, roll-back: each with this run's names, and with what undoes it."""
    crash, memory, lost = (plan(cause).steps for cause in ("deployment", "memory", "node"))
    commands = {shown(step): step for step in (*crash, *memory, *lost)}
    assert f"{LEAD} rollout history deployment/rust-micro-front-end" in commands
    assert f"{LEAD} rollout undo deployment/rust-micro-front-end --to-revision=13" in commands
    assert f"{LEAD} delete pod a" in commands
    assert f"{LEAD} set resources deployment/rust-micro-front-end -c app --limits=memory=768Mi" in commands
    assert undo(commands[f"{LEAD} cordon n1"]) == f"{LEAD} uncordon n1"
    drain = commands[f"{LEAD} drain n1 --ignore-daemonsets --delete-emptydir-data --timeout=5m"]
    assert (drain.kind, undo(drain)) == ("change", f"{LEAD} uncordon n1")


def test_a_node_under_pressure_is_not_drained() -> None:
    """It is still ready: it is looked at and cordoned, and nothing on it is evicted."""
    title, steps = leave_node(fakes.context(), results_of(facts(nodes.Facts, failing=(), pressed=("n1",))))
    assert "under pressure" in title
    assert [shown(step).split(" -n web ")[1] for step in steps] == ["describe node n1", "cordon n1"]


def test_the_scrape_is_mended_without_touching_a_pod() -> None:
    """Where the service is fine, every command only reads."""
    steps = plan("scrape").steps
    assert shown(steps[0]) == "curl -s 'http://prometheus:9090/api/v1/targets?state=active'"
    assert [step.kind for step in steps if step.argv] == ["read"] * 3


def test_a_missing_secret_is_named_and_an_image_looked_at() -> None:
    """What the containers wait for is what the steps are about."""
    wanting = {"blocked": ("a",), "blocked_by": "CreateContainerConfigError", "blocked_message": "not found"}
    steps = plan("configuration", pod_states=wanting, secrets={"missing": ("secret/x",)}).steps
    assert shown(steps[0]) == f"{LEAD} describe pod/a"
    assert (steps[1].kind, steps[1].text.startswith("Create secret/x in the namespace web ")) == ("manual", True)
    assert undo(steps[1]) == f"{LEAD} delete secret x"
    assert any("containers[*].image" in shown(step) for step in plan("configuration").steps)


def test_odd_names_make_no_command() -> None:
    """What is no name of a pod, a node or a policy is not pasted into a shell."""
    odd = ("x; reboot", "--all", "$(id)")
    for cause in SCENES:
        steps = plan(
            cause,
            pod_states={"killed": odd, "crashed": odd, "blocked": odd},
            nodes={"failing": odd},
            policies={"cuts": odd},
            secrets={"missing": odd},
            down_instances={"down": odd, "now": odd, "up": odd},
        ).steps
        assert not [text for step in steps for text in (shown(step), undo(step)) if any(name in text for name in odd)]


def recovered(told: Told, mitigated: float = STARTED) -> Recovery:
    about = context(mitigated_at=mitigated)
    return verify(
        about, ALERT.recovery, ask=lambda asked: _asked(told, asked), clock=Frozen(about.now), tell=lambda said: None
    )


def _asked(told: Told, queries: Mapping[str, Query]) -> dict[str, Answer]:
    source = Scripted(told)
    return {name: source.ask(query) for name, query in queries.items()}


HEALTHY = given({"status": 200, "error": None})


def deployed(available: int, wanted: int = 1) -> Answering:
    one = {"metadata": {"name": "web"}, "spec": {"replicas": wanted}, "status": {"availableReplicas": available}}
    return given({"deployment": one, "replicasets": []})


UP_AGAIN: Told = {
    DOWN: line(lambda t: 0.0),
    PODS: cluster(pod("a")),
    DEPLOYMENT: deployed(1),
    ("/health",): HEALTHY,
}


def test_recovered_when_none_is_down_pods_run_and_health_answers() -> None:
    """All three of the procedure's verifications hold."""
    found = recovered(UP_AGAIN)
    assert found.state == "recovered"
    assert found.sentence.endswith("/health answers.")


def test_a_pod_that_is_not_ready_is_no_recovery() -> None:
    """Though Prometheus reaches every instance it knows, a pod that cannot start holds it up."""
    found = recovered({**UP_AGAIN, PODS: cluster(pod("a"), pod("b", ready=False))})
    assert found.state == "not recovered"
    assert "1 pod not ready: b" in found.sentence


def test_a_pod_that_may_not_be_made_is_no_recovery() -> None:
    """Refused by a quota, a pod is neither listed nor a target: only the deployment misses it."""
    found = recovered({**UP_AGAIN, DEPLOYMENT: deployed(1, 6)})
    assert found.state == "not recovered"
    assert "1 of 6 pods available" in found.sentence


def test_pods_that_are_over_hold_up_no_recovery() -> None:
    """What was evicted stays listed, perhaps for ever; only where no other pod is left is there none."""
    left = pod("b", ready=False, over="Evicted")
    assert recovered({**UP_AGAIN, PODS: cluster(pod("a"), left)}).state == "recovered"
    found = recovered({**UP_AGAIN, PODS: cluster(left)})
    assert (found.state, "Kubernetes has no pod" in found.sentence) == ("not recovered", True)


def test_still_down_and_unknown_are_no_recovery() -> None:
    """An instance that is still down, or an answer that is missing, is told as such."""
    assert recovered({**UP_AGAIN, DOWN: line(lambda t: 1.0)}).state == "not recovered"
    for silent in (PODS, DEPLOYMENT):
        assert recovered({key: UP_AGAIN[key] for key in UP_AGAIN if key != silent}).state == "not enough data"
    bad = replace(HEALTHY(Query("probe", "get", "/health")), data={"status": 503, "error": None})
    assert recovered({**UP_AGAIN, ("/health",): lambda query: bad}).state == "not recovered"
