"""The simulated service is the same for the same seed, adds up, and its faults do what their truth says."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest

from tests.lab.faults import FAULTS
from tests.lab.scenarios.scenario import Scenario, matrix, scenario
from tests.lab.service import objects, openmetrics
from tests.lab.service.events import events
from tests.lab.service.firing import failed_ratio
from tests.lab.service.openmetrics import Totals
from tests.lab.service.simulation import STATUSES, Drawn
from tests.lab.service.world import CPU_LIMIT, MEMORY_LIMIT, POOL_SIZE, REPLICAS, Floats

KNOWN_CAUSES = {"database", "authentication", "resources", "deployment", "traffic"}
NAMES = [name for name, fault in FAULTS.items() if fault.alert == "HighErrorRate"]
SCENARIOS = matrix(NAMES, seeds=range(2))  # drawn at the first need, once
HARMFUL = [one for one in SCENARIOS if one.fault.causes]
HARMLESS = [one for one in SCENARIOS if not one.fault.causes]
FAILED = [number for number, status in enumerate(STATUSES) if status.startswith("5")]


def named(scenarios: list[Scenario]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", scenarios, ids=[one.name for one in scenarios])


def found(name: str) -> Scenario:
    return next(one for one in SCENARIOS if one.fault.name == name)


def since_onset(one: Scenario) -> np.ndarray:
    return one.drawn.times.mean(axis=0) >= (one.truth.onset or one.began)


def text_of(drawn: Drawn) -> str:
    file = io.StringIO()
    openmetrics.write(drawn, file)
    return file.getvalue()


def counted_ratio(drawn: Drawn, scrapes: int = 4) -> Floats:
    """Failed / all from the counters alone, over the last minute, the way `rate` does it."""
    totals = Totals(drawn)(drawn.requests)
    grown = np.diff(totals, axis=-1, prepend=totals[..., :1])
    grown = np.where(grown < 0, totals, grown).sum(axis=(1, 2))
    failed, every = (np.convolve(n, np.ones(scrapes))[: n.size] for n in (grown[FAILED].sum(axis=0), grown.sum(axis=0)))
    return failed / np.maximum(every, 1)


def test_the_same_seed_gives_the_same_metrics_logs_and_objects() -> None:
    """Two scenarios of the same fault, seed and day are equal to the byte."""
    one, other = (scenario("out-of-memory", 5) for _ in range(2))
    assert text_of(one.draw(one.windows[1])) == text_of(other.draw(other.windows[1]))
    assert one.documents() == other.documents()
    assert objects.pods(one.fleet, "web", one.ended_at, one.usage()) == objects.pods(
        other.fleet, "web", other.ended_at, other.usage()
    )


def test_another_seed_gives_another_scenario() -> None:
    """Service, time and size of the fault change with the seed."""
    one, other = scenario("database-refused", 1), scenario("database-refused", 2)
    assert one.who != other.who
    assert one.began != other.began
    assert one.plan != other.plan


def test_no_two_scenarios_of_a_matrix_share_an_hour() -> None:
    """Their windows, those a day and a week before included, are apart by more than a rate's window."""
    windows = sorted((window.start, window.end) for one in matrix(seeds=range(12)) for window in one.windows)
    assert all(later[0] - earlier[1] > 600 for earlier, later in pairwise(windows))


def test_the_table_names_only_known_causes() -> None:
    """Every fault of HighErrorRate has causes by the names that the runbook uses, or none."""
    assert all(set(fault.causes) <= KNOWN_CAUSES for fault in FAULTS.values() if fault.alert == "HighErrorRate")
    assert {cause for fault in FAULTS.values() for cause in fault.causes} >= KNOWN_CAUSES


@named(HARMFUL)
def test_a_fault_makes_the_alert_fire(one: Scenario) -> None:
    """More than 5 % of requests fail for five minutes, beginning with the fault."""
    assert one.truth.onset is not None and one.truth.alert_at is not None
    assert abs(one.truth.onset - one.began) < 600
    assert 300 <= one.truth.alert_at - one.truth.onset < 1800


@named(HARMLESS)
def test_what_is_harmless_does_not_make_the_alert_fire(one: Scenario) -> None:
    """The share of failed requests stays below the threshold, or is above it for less than the rule's five minutes."""
    assert one.truth.alert_at is None


@named(HARMFUL)
def test_the_true_onset_is_where_the_counters_rise(one: Scenario) -> None:
    """The first minute whose counters tell of many failures more than usual is near the onset that the truth names."""
    ratio, times = counted_ratio(one.drawn), one.drawn.times.mean(axis=0)
    quiet = ratio[times < one.began - 900]
    onset = one.truth.onset or 0.0
    many = (ratio > np.percentile(quiet, 99) + 0.02) & (times > onset - 400)
    assert abs(times[int(np.argmax(many))] - onset) <= 120


@named(SCENARIOS)
def test_counters_only_grow_until_their_container_ends(one: Scenario) -> None:
    """Within a container's life no counter falls; the next container begins anew."""
    drawn = one.drawn
    totals = Totals(drawn)(drawn.requests).sum(axis=(0, 1))
    for values, started in zip(totals, drawn.started, strict=True):
        same = started[1:] == started[:-1]
        assert (np.diff(values)[same] >= 0).all()


def test_a_killed_container_counts_from_zero() -> None:
    """After a kill for memory, requests and start time begin anew, in the same pod."""
    drawn = found("out-of-memory").drawn
    pod = next(n for n, pod in enumerate(drawn.pods) if any(life.reason == "OOMKilled" for life in pod.lives))
    killed = next(life for life in drawn.pods[pod].lives if life.reason == "OOMKilled")
    totals = Totals(drawn)(drawn.requests).sum(axis=(0, 1))[pod]
    before = np.flatnonzero(drawn.started[pod] == killed.start)[-1]
    after = np.flatnonzero(drawn.started[pod] > killed.start)[0]
    assert totals[after] < totals[before] / 10


@named(SCENARIOS)
def test_metrics_agree_with_each_other(one: Scenario) -> None:
    """As many durations as requests; no more connections than the pool has; CPU and memory within their limits."""
    drawn = one.drawn
    assert (drawn.durations.sum(axis=0) == drawn.requests.sum(axis=0)).all()
    assert (drawn.requests.sum(axis=0) == drawn.ends.sum(axis=0)).all()
    assert drawn.connections[0].max() <= POOL_SIZE
    assert drawn.cpu_seconds.max() <= 1.03 * CPU_LIMIT * drawn.window.step
    assert drawn.memory[drawn.running].max() <= 1.1 * MEMORY_LIMIT


def test_quiet_times_have_some_errors_and_the_usual_traffic() -> None:
    """A healthy service fails a few requests of a thousand, and serves what its hour asks."""
    drawn = found("quiet").drawn
    seconds = drawn.window.end - drawn.window.start
    assert 0.002 < drawn.requests[FAILED].sum() / drawn.requests.sum() < 0.009
    assert 20 < drawn.requests.sum() / seconds < 90


def test_a_refusing_database_also_makes_requests_slow_and_lets_them_wait() -> None:
    """Connection errors, waiting requests and long durations appear together."""
    one = found("database-refused")
    drawn, later = one.drawn, since_onset(one)
    assert drawn.connection_errors[:, later].sum() > 100 > drawn.connection_errors[:, ~later].sum()
    slow = drawn.durations[7:].sum(axis=(0, 1, 2))
    assert slow[later].mean() > 5 * slow[~later].mean() + 1
    assert drawn.connections[2][:, later].mean() > drawn.connections[2][:, ~later].mean()


def test_a_traffic_surge_also_heats_the_cpu() -> None:
    """Several times the requests, shed with 503, and several times the CPU."""
    one = found("traffic-surge")
    drawn, later = one.drawn, since_onset(one)
    assert (
        drawn.requests[..., later].sum(axis=(0, 1, 2)).mean()
        > 3 * drawn.requests[..., ~later].sum(axis=(0, 1, 2)).mean()
    )
    assert drawn.requests[STATUSES.index("503")][..., later].sum() > 0.8 * drawn.requests[FAILED][..., later].sum()
    assert drawn.cpu_seconds[:, later].mean() > 2 * drawn.cpu_seconds[:, ~later].mean()


def test_a_bad_release_fails_in_new_pods_only() -> None:
    """While it is rolled out, pods of the old revision serve as well as ever."""
    drawn = found("bad-release").drawn
    newest = max(pod.revision for pod in drawn.pods)
    share = drawn.requests[FAILED].sum(axis=(0, 1, 3)) / drawn.requests.sum(axis=(0, 1, 3))
    new = np.array([pod.revision == newest for pod in drawn.pods])
    assert share[new].min() > 0.05 > 0.02 > share[~new].max()


@named(HARMFUL)
def test_logs_speak_of_the_fault_and_of_everyday_errors(one: Scenario) -> None:
    """Since the onset there are several times the error messages, none of them outside the window."""
    documents = one.documents()
    begin, end = (objects.timestamp(time)[:16] for time in (one.windows[0].start - 60, one.windows[0].end + 60))
    assert all(begin <= str(line["timestamp"])[:16] <= end for line in documents)
    errors = [str(line["timestamp"])[:19] for line in documents if line["level"] == "error"]
    onset = objects.timestamp(one.truth.onset or 0)[:19]
    minutes_before = (one.began - one.windows[0].start) / 60
    before = sum(1 for time in errors if time < onset) / minutes_before
    assert before > 0.2
    assert (len(errors) - before * minutes_before) / 30 > 2 * before


@named(SCENARIOS)
def test_kubernetes_has_six_pods_named_for_their_replicaset(one: Scenario) -> None:
    """Once rollouts are over there are as many pods as replicas, all of the newest revision, as in the metrics."""
    pods = objects.pods(one.fleet, one.namespace, one.ended_at, one.usage())
    *sets, deployment = objects.deployment(one.fleet, one.namespace, one.ended_at)
    names = {pod["metadata"]["name"] for pod in pods}
    assert len(names) == deployment["spec"]["replicas"] == REPLICAS
    assert all(name.startswith(f"{sets[-1]['metadata']['name']}-") for name in names)
    assert names <= {pod.name for pod in one.drawn.pods}


def test_kubernetes_tells_of_killed_containers() -> None:
    """A pod that was killed for its memory has a restart and says why."""
    one = found("out-of-memory")
    late = one.windows[0].end
    states = [pod["status"]["containerStatuses"][0] for pod in objects.pods(one.fleet, "web", late, {})]
    assert any(state["lastState"].get("terminated", {}).get("reason") == "OOMKilled" for state in states)
    assert any(state["restartCount"] > 0 for state in states)
    told = {event["reason"] for event in events(one.fleet, "web", late)}
    assert {"BackOff", "Started"} <= told


def test_the_rules_ratio_is_smoothed_over_five_minutes() -> None:
    """A spike of about a minute is seen by the rule for about five."""
    one = found("short-spike")
    ratio = failed_ratio(one.drawn)
    raised = ratio > 2 * np.nanmedian(ratio)
    assert 240 <= raised.sum() * 15 <= 480
