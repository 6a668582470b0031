"""InstanceDown: what Kubernetes says of the pods, their last words and their nodes."""

from __future__ import annotations

from runbook.alerts.checks.toolkit.signal import FAILED_SCRAPES
from runbook.alerts.checks.workload import changes, nodes, pod_states, previous_logs
from tests.alerts.instance_down.answers import (
    DEPLOYMENT,
    LAST,
    PODS,
    Words,
    cluster,
    down,
    ended,
    given,
    judged,
    node,
    of,
    pod,
    words,
)
from tests.fakes import ONSET, facts

NODES: Words = ("describe nodes",)


def test_a_paused_deployment_is_known_as_one() -> None:
    """Whether its rollouts are paused is a fact, for what to do depends on it."""
    one = {"metadata": {"name": "web"}, "spec": {"replicas": 6, "paused": True}}
    check = changes.watching(FAILED_SCRAPES)
    told = {DEPLOYMENT: given({"deployment": one, "replicasets": []})}
    assert of(changes.Facts, judged(check, told)).paused is True


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
        assert "1 of 2 pods ready" in found.sentence and "gives no reason" in found.sentence

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
        assert "1 of 1 pod ready" in found.sentence and "(Evicted)" in found.sentence
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
        assert "2 of 2 pods ready" in found.sentence and "no longer exists" in found.sentence

    def test_what_is_seen_of_others_is_known_though_one_is_gone(self) -> None:
        """A pod that was killed was killed, whoever is gone; that none crashed is not known."""
        killed = pod("b", ready=False, ended=("OOMKilled", 137, ONSET + 60))
        found = judged(pod_states.CHECK, {PODS: cluster(killed)}, down("a", "b"))
        known = of(pod_states.Facts, found)
        assert (found.status, known.killed, known.crashed) == ("abnormal", ("b",), None)


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
        assert "without logging" in found.sentence

    def test_other_containers_do_not_count(self) -> None:
        """The log of a container that ended at another time explains nothing now; where no pods are known, any may."""
        told = {LAST: words("panicked")}
        assert of(previous_logs.Facts, judged(previous_logs.CHECK, told, ended("b"))).ended == 0
        assert of(previous_logs.Facts, judged(previous_logs.CHECK, told)).ended == 1


class TestNodes:
    def test_a_lost_node_with_the_pods_on_it(self) -> None:
        """Which node, since when, and which of the pods that are down lie there."""
        told = {NODES: given({"nodes": [node("n1", "Unknown"), node("n2")], "placed": {"n1": 3, "n2": 3}})}
        found = judged(nodes.CHECK, told, facts(pod_states.Facts, nodes={"a": "n1", "b": "n1", "c": "n2"}))
        known = of(nodes.Facts, found)
        assert (found.status, known.failing, known.down_on_failing) == ("abnormal", ("n1",), ("a", "b"))
        assert all(words in found.sentence for words in ("n1", "since 10:40 UTC", "Kubelet stopped", "2 pods"))

    def test_pressure_is_no_failure_but_told(self) -> None:
        """A node that is ready under pressure is named with it."""
        told = {NODES: given({"nodes": [node("n1", "True", "MemoryPressure")], "placed": {"n1": 3}})}
        found = judged(nodes.CHECK, told, facts(pod_states.Facts, nodes={"a": "n1"}))
        known = of(nodes.Facts, found)
        assert (known.failing, known.pressures, known.down_on_pressed) == ((), ("MemoryPressure",), ("a",))
        assert found.status == "abnormal"
