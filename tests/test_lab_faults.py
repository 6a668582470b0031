"""The faults of every alert make it fire, the harmless ones do not, and each leaves traces of its own."""

from __future__ import annotations

import base64
import io
from collections import Counter

import numpy as np
import pytest
import requests

from tests.lab.faults import FAULTS
from tests.lab.scenarios.scenario import Scenario, matrix
from tests.lab.service import objects, openmetrics
from tests.lab.service.firing import RULES
from tests.lab.service.front import Front
from tests.lab.service.log_lines import MIB, Document
from tests.lab.service.nodes import lost_nodes, own_nodes
from tests.lab.service.standing import standing
from tests.lab.service.world import GUARDED, QUERIES, REASONS, USERS, Bools, Floats, Integers

CAUSES = {
    "HighErrorRate": {"database", "authentication", "resources", "deployment", "traffic"},
    "SlowResponses": {"database", "pool", "resources", "dependency", "traffic", "deployment"},
    "InstanceDown": {"deployment", "memory", "node", "network", "configuration", "scrape"},
    "HighMemoryUsage": {"leak", "cache", "connections", "load", "deployment"},
    "DatabaseConnectionErrors": {"pool", "database", "network", "credentials"},
    "HighAuthFailureRate": {"key", "tokens", "auth_service", "brute_force", "spread_attack", "clock"},
}
OTHERS = [name for name, fault in FAULTS.items() if fault.alert != "HighErrorRate"]
SCENARIOS = matrix(OTHERS, seeds=(3,))  # drawn at the first need


def found(name: str) -> Scenario:
    return next(one for one in SCENARIOS if one.fault.name == name)


def during(one: Scenario) -> Bools:
    """From five minutes into the fault to its end."""
    times = one.drawn.times.mean(axis=0)
    return (times > (one.truth.onset or one.began) + 300) & (times < one.truth.ended)


def warned(one: Scenario) -> list[Document]:
    return [line for line in one.documents() if line["level"] == "warn" and "client_ip" in line]


@pytest.mark.parametrize("alert", CAUSES)
def test_every_cause_of_an_alert_has_a_fault(alert: str) -> None:
    """Five faults with a cause or more, a pair, two that are harmless; the causes are those that its runbook knows."""
    faults = [fault for fault in FAULTS.values() if fault.alert == alert]
    assert {cause for fault in faults for cause in fault.causes} == CAUSES[alert]
    count = Counter(len(fault.causes) for fault in faults)
    assert count[1] >= 5 and count[2] >= 1 and count[0] >= 2


@pytest.mark.parametrize("one", SCENARIOS, ids=[one.name for one in SCENARIOS])
def test_a_fault_makes_its_alert_fire_and_nothing_else_does(one: Scenario) -> None:
    """The onset comes with the fault and before the alert; what is harmless does not fire."""
    truth = one.truth
    assert (truth.alert_at is not None) == bool(one.fault.causes)
    if truth.alert_at is not None and truth.onset is not None:
        assert abs(truth.onset - truth.began) < 600
        assert truth.alert_at - truth.onset >= RULES[one.fault.alert].hold
    assert truth.onset is not None or not one.fault.causes


@pytest.mark.parametrize("alert", sorted({fault.alert for fault in FAULTS.values()}))
def test_what_is_expected_is_what_is_counted(alert: str) -> None:
    """In the mean over a quiet hour, the signal without noise is the rule's own."""
    one = next(one for one in matrix(seeds=(3,)) if one.fault.alert == alert and not one.fault.causes)
    quiet = slice(40, 280)
    joined = np.nanmax if alert == "HighMemoryUsage" else np.nanmean
    counted = joined(np.atleast_2d(RULES[alert].signal(one.drawn)), axis=0)[quiet]
    expected = one.drawn.expected[alert][quiet]
    assert np.mean(counted) == pytest.approx(np.mean(expected), rel=0.15, abs=0.002)


def test_brute_force_comes_from_few_addresses_at_few_accounts() -> None:
    """Four addresses at most have nearly all warnings about logins, and three accounts; some guess was right."""
    one = found("brute-force-success")
    lines = warned(one)
    assert sum(n for _, n in Counter(line["client_ip"] for line in lines).most_common(4)) > 0.7 * len(lines)
    attackers = {address for address, n in Counter(line["client_ip"] for line in lines).items() if n > 60}
    let_in = [line for line in one.documents() if str(line["message"]).startswith("login succeeded")]
    assert any(line["client_ip"] in attackers and line["level"] == "info" for line in let_in)
    assert one.drawn.ends[REASONS.index("intruded")].sum() == sum(line["client_ip"] in attackers for line in let_in)


def test_a_spread_attack_comes_from_hundreds_of_addresses() -> None:
    """No address has more than a hundredth of the warnings, and hundreds of accounts are aimed at."""
    lines = warned(found("spread-attack"))
    addresses, accounts = (Counter(line[field] for line in lines) for field in ("client_ip", "username"))
    assert len(addresses) > 300 and addresses.most_common(1)[0][1] < 0.01 * len(lines)
    assert len(accounts) > 200


@pytest.mark.parametrize("name", ["clock-behind", "clock-ahead"])
def test_a_wrong_clock_is_seen_in_the_pods_of_one_node_only(name: str) -> None:
    """Logins fail there, and nowhere else more than usual."""
    one = found(name)
    later = one.drawn.times.mean(axis=0) > one.began + 120
    later &= one.drawn.times.mean(axis=0) < one.truth.ended
    succeeded, failed = one.drawn.logins[..., later].sum(axis=-1)
    share = failed / np.maximum(succeeded + failed, 1)
    (node,) = {effect.node for effect in one.plan.effects}
    asked, there = succeeded + failed > 0, np.array([pod.node == node for pod in one.drawn.pods])
    assert share[asked & there].min() > 0.5 > 0.15 > share[asked & ~there].max()


@pytest.mark.parametrize("name", ["pool-held", "pool-shrunk"])
def test_an_exhausted_pool_is_in_use_whole_and_lets_requests_wait(name: str) -> None:
    """All that the pool has is in use while queries are as fast as ever; who waits in vain is a connection error."""
    one = found(name)
    late = during(one)
    in_use, idle, waiting = one.drawn.connections[:, :, late]
    running = one.drawn.running[:, late]
    assert in_use[running].mean() > 0.8 * (in_use + idle)[running].mean()
    assert waiting[running].mean() > 1
    given_up = one.drawn.ends[REASONS.index("pool")].sum(axis=0)
    assert (one.drawn.connection_errors == given_up).all() and given_up[:, late].sum() > 100
    slow = one.drawn.query_durations[7:].sum(axis=(0, 1, 2))
    assert slow[late].sum() < 0.01 * one.drawn.query_durations[..., late].sum()


def test_a_policy_against_egress_stands_beside_the_old_ones() -> None:
    """It is minutes old, selects the service's pods and leaves out the database's port; the others are months old."""
    one = found("egress-denied")
    there = {o["metadata"]["name"]: o for o in standing(one.namespace, one.ended_at, one.plan.applied)}
    new = there["restrict-egress"]
    ports = [port["port"] for rule in new["spec"]["egress"] for port in rule["ports"]]
    assert new["spec"]["podSelector"]["matchLabels"] == objects.LABELS and 3306 not in ports
    born = {name: o["metadata"]["creationTimestamp"] for name, o in there.items()}
    assert objects.timestamp(one.began - 60) <= born.pop("restrict-egress") <= objects.timestamp(one.began)
    assert max(born.values()) < objects.timestamp(one.began - 100 * 86_400)


def test_a_rotated_secret_is_young_and_plainly_a_dummy() -> None:
    """The Secret of the database's password is minutes old; none of them holds anything but the word dummy."""
    one = found("credentials-rotated")
    secrets = [o for o in standing(one.namespace, one.ended_at, one.plan.applied) if o["kind"] == "Secret"]
    young = [
        o["metadata"]["name"]
        for o in secrets
        if o["metadata"]["creationTimestamp"] > objects.timestamp(one.began - 900)
    ]
    assert young == ["database-credentials"]
    assert all(base64.b64decode(value).startswith(b"dummy ") for o in secrets for value in o["data"].values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("connections-full", "1040"),
        ("database-locked", "lock"),
        ("credentials-revoked", "1045"),
        ("names-unresolved", "mysql-primary"),
    ],
)
def test_logs_name_the_trouble_with_the_database(name: str, words: str) -> None:
    """Hundreds of errors say in one of several ways what it is."""
    errors = [line for line in found(name).documents() if line["level"] == "error"]
    assert sum(words in str(line["message"]).lower() for line in errors) > 100


def quantiles(counts: Integers, late: Bools) -> Floats:
    """The bucket in which the 95th percentile of each row lies while a fault is on."""
    below = counts[..., late].sum(axis=(2, 3)).cumsum(axis=0)
    found: Floats = (below < 0.95 * below[-1]).sum(axis=0).astype(float)
    return found


def test_a_slow_query_is_slow_alone() -> None:
    """Its p95 is beyond a second, and nobody else's."""
    one = found("query-slow")
    (name,) = {effect.quantity for effect in one.plan.effects}
    slowest = quantiles(one.drawn.query_durations, during(one)) > 7
    assert [f"slow_{operation}_{table}" for operation, table in np.array(QUERIES)[slowest]] == [name]


def test_a_slow_auth_service_makes_guarded_endpoints_slow_while_queries_and_cpu_are_as_ever() -> None:
    """Only the endpoints that look at a token have a p95 beyond two seconds."""
    one = found("auth-service-slow")
    late = during(one)
    assert ((quantiles(one.drawn.durations, late) >= 8) == (GUARDED[:, 0, 0] > 0)).all()
    assert quantiles(one.drawn.query_durations, late).max() < 5
    assert one.drawn.throttled[:, late].mean() < 5


@pytest.mark.parametrize("name", ["cpu-bound", "cpu-taken"])
def test_who_has_too_little_cpu_is_throttled(name: str) -> None:
    """The kernel takes the CPU away in most of its periods, before the fault in few; the metrics say so."""
    one = found(name)
    periods, early = 10 * one.drawn.window.step, one.drawn.times.mean(axis=0) < one.began - 600
    assert (
        one.drawn.throttled[:, during(one)].mean()
        > 0.6 * periods
        > 0.2 * periods
        > one.drawn.throttled[:, early].mean()
    )
    text = io.StringIO()
    openmetrics.write(one.drawn, text)
    assert 'container_cpu_cfs_throttled_periods_total{app="micro-frontend",container="app"' in text.getvalue()
    assert f'namespace="{one.namespace}"' in text.getvalue()


def test_a_slow_release_is_slow_in_its_own_pods_only() -> None:
    """Pods of the old revision answer as fast as ever."""
    drawn = found("slow-release").drawn
    newest = max(pod.revision for pod in drawn.pods)
    slow = drawn.durations[8:].sum(axis=(0, 1, 3)) / drawn.durations.sum(axis=(0, 1, 3))
    new = np.array([pod.revision == newest for pod in drawn.pods])
    assert slow[new].min() > 0.1 > 0.01 > slow[~new].max()


def test_a_surge_lets_requests_queue_while_queries_are_fast() -> None:
    """Several times the requests, slow at every endpoint of users, with fast queries and CPU to spare."""
    one = found("queue-full")
    late = during(one)
    early = one.drawn.times.mean(axis=0) < one.began
    assert one.drawn.requests[..., late].sum() / late.sum() > 2 * one.drawn.requests[..., early].sum() / early.sum()
    assert (quantiles(one.drawn.durations, late)[USERS[:, 0, 0] > 0] >= 8).all()
    assert quantiles(one.drawn.query_durations, late).max() < 6


def growing(one: Scenario, values: Floats) -> Bools:
    """Which pods have grown by more than 100 MiB from before the fault to the alert."""
    times = one.drawn.times.mean(axis=0)
    before, after = (int(np.searchsorted(times, time)) for time in (one.began - 60, one.started_at))
    grown: Bools = one.drawn.running[:, after] & (values[:, after] - values[:, min(before, after)] > 100 * MIB)
    return grown


@pytest.mark.parametrize(
    ("name", "cache", "connections"),
    [("memory-leak", False, False), ("cache-growing", True, False), ("connections-leaking", False, True)],
)
def test_what_memory_grows_with_is_seen_beside_it(name: str, cache: bool, connections: bool) -> None:
    """The cache, or the connections in use, or neither grow with the memory; requests do not."""
    one = found(name)
    assert growing(one, one.drawn.memory).any()
    assert growing(one, one.drawn.cache).any() == cache
    in_use = one.drawn.connections[0].sum(axis=0)
    place = int(np.searchsorted(one.drawn.times.mean(axis=0), one.started_at))
    assert (in_use[place - 8 : place].mean() > 5 * in_use[:200].mean() + 5) == connections
    asked = one.drawn.requests.sum(axis=(0, 1, 2))
    assert asked[place - 8 : place].mean() < 1.6 * asked[200:400].mean()


def test_memory_under_load_rises_with_the_requests_and_stays() -> None:
    """It is high while there are many requests, no higher after half an hour than after a quarter, then low again."""
    one = found("memory-load")
    times = one.drawn.times.mean(axis=0)
    at = [int(np.searchsorted(times, one.began + minutes * 60)) for minutes in (-5, 20, 35)]
    before, early, late = (one.drawn.memory[:, place - 4 : place].mean() for place in at)
    assert early > before + 150 * MIB and abs(late - early) < 40 * MIB
    ended = int(np.searchsorted(times, one.truth.ended + 60))
    assert one.drawn.memory[:, ended].mean() < before + 40 * MIB


def test_a_leak_is_high_for_long_before_anybody_is_killed() -> None:
    """When the alert fires no container has ended for its memory."""
    for one in (found("memory-leak"), found("leak-in-some-pods"), found("leak-of-release"), found("cache-growing")):
        ends = [life.end for pod in one.fleet.pods for life in pod.lives if life.reason == "OOMKilled"]
        assert min(ends, default=float("inf")) > one.started_at


def down(one: Scenario) -> Bools:
    """Which pods Prometheus does not reach, nearly all the time of a fault."""
    late = during(one)
    unseen = (one.drawn.known & ~one.drawn.scraped)[:, late].sum(axis=1)
    found: Bools = unseen > 0.9 * np.maximum(one.drawn.known[:, late].sum(axis=1), 1)
    return found


@pytest.mark.parametrize(
    ("name", "reason"), [("secret-missing", "CreateContainerConfigError"), ("image-missing", "ImagePullBackOff")]
)
def test_a_stuck_rollout_has_one_pod_that_waits_while_the_old_ones_serve(name: str, reason: str) -> None:
    """Six pods of the old revision are ready, one of the new is pending and says why; only that one is down."""
    one = found(name)
    pods = objects.pods(one.fleet, one.namespace, one.ended_at, {})
    states = [pod["status"]["containerStatuses"][0] for pod in pods]
    waiting = [state["state"]["waiting"] for state in states if "waiting" in state["state"]]
    assert [state["reason"] for state in waiting] == [reason] and waiting[0]["message"]
    assert sum(state["ready"] for state in states) == 6
    *sets, deployment = objects.deployment(one.fleet, one.namespace, one.ended_at)
    assert [held["spec"]["replicas"] for held in sets[-2:]] == [6, 1]
    assert deployment["status"]["unavailableReplicas"] == 1
    assert [pod.revision for pod, lost in zip(one.drawn.pods, down(one), strict=True) if lost] == [
        one.fleet.revisions[-1].number
    ]


def test_a_lost_node_takes_its_pods_away_and_is_the_scenario_s_own() -> None:
    """Its pods are down and not ready, those of the other node serve; no other scenario has nodes of these names."""
    one = found("node-lost")
    pods = objects.pods(one.fleet, one.namespace, one.ended_at, {})
    (lost,) = lost_nodes(one.fleet, one.ended_at)
    away = [pod for pod in pods if pod["spec"]["nodeName"] == lost["metadata"]["name"]]
    assert 0 < len(away) < len(pods)
    assert all(pod["status"]["containerStatuses"][0]["ready"] != (pod in away) for pod in pods)
    assert {pod["metadata"]["name"] for pod in away} == {
        pod.name for pod, gone in zip(one.drawn.pods, down(one), strict=True) if gone
    }
    assert len(own_nodes(one.fleet)) == 2 and own_nodes(found("up-quiet").fleet) == []


def test_a_policy_against_ingress_silences_pods_that_are_well() -> None:
    """Nobody reaches any pod, no request arrives, and Kubernetes finds all of them ready."""
    one = found("ingress-denied")
    assert one.drawn.requests[..., during(one)].sum() == 0
    pods = objects.pods(one.fleet, one.namespace, one.ended_at, {})
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods)
    with Front(one) as front, pytest.raises(requests.ConnectionError):
        requests.get(f"{front.url}/health", timeout=10)


def test_a_broken_scrape_leaves_pods_that_serve() -> None:
    """Pods without metrics go on logging requests, and are asked to the same degree as ever."""
    one = found("scrape-broken")
    gone = {
        pod.name
        for pod, lost in zip(one.drawn.pods, down(one), strict=True)
        if lost and pod.created < one.ended_at < pod.deleted
    }
    alive = Counter(
        line["pod"] for line in one.documents() if str(line["timestamp"]) > objects.timestamp(one.began + 300)
    )
    assert gone and all(alive[pod] > 20 for pod in gone)
    with Front(one) as front:
        assert requests.get(f"{front.url}/health", timeout=10).ok


def test_crashed_containers_leave_their_last_words() -> None:
    """Each pod of a crash loop has lines of its previous container, of which the last tell why it ended."""
    one = found("crash-loop")
    said = one.last_words()
    assert said and all(any("anicked" in line or line.startswith("Error") for line in lines) for lines in said.values())
    assert found("up-quiet").last_words() == {}
