"""DatabaseConnectionErrors: whether it is real, in which pods, their pools and their queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from runbook.alerts.checks.database import connection_errors, failing_pods, pool, query_latency
from runbook.alerts.database_connection_errors import ALERT
from runbook.clock import Frozen
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.model import Answer, Query
from tests.alerts.database_connection_errors.answers import DAY, ERRORS, P95, POOLED, Answering, Script, judged
from tests.fakes import ONSET, STARTED, Scripted, context, line, nothing

FAILED, ALL = ("http_requests_total", "5.."), ("http_requests_total",)
HEALTHY: Script = {FAILED: nothing, ALL: line(lambda t: 50.0), POOLED: line(lambda t: 6.0)}


def stepping(before: float, since: float) -> Callable[[float], float]:
    """A value that steps up at the onset; at the same hours of other days it does not."""
    return lambda t: since if ONSET <= t < ONSET + DAY else before


def several(label: str, rows: Mapping[str, Callable[[float], float]], **labels: str) -> Answering:
    """One series per value of a label."""

    def answer(query: Query) -> Answer:
        found = [line(value, **{label: name}, **labels)(query).data["result"][0] for name, value in rows.items()]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def all_of(*parts: Answering) -> Answering:
    """The series of all of them."""

    def answer(query: Query) -> Answer:
        found = [one for part in parts for one in part(query).data["result"]]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def investigated(script: Script) -> Investigation:
    return Investigator(ALERT, context(alert=ALERT.name), Scripted(script), Frozen(context().now)).investigation()


def test_with_every_source_down_nothing_is_concluded():
    """Each check is unknown, no cause tested, and no mitigation is given."""
    found = investigated({})
    assert {f.result.status for f in found.findings} == {"unknown"}
    assert {v.state for v in found.verdicts} == {"not tested"}
    assert found.mitigations == ()
    assert found.headline.startswith("Not known whether")


def test_a_step_is_real_and_has_an_onset_and_an_impact():
    """Five failed connections a second from the onset on: since when, how many, and how many requests with them."""
    script = {**HEALTHY, ERRORS: line(stepping(0.0, 5.0)), FAILED: line(stepping(0.1, 10.0))}
    found = judged(connection_errors.CHECK, script)
    assert found.status == "abnormal"
    assert abs(found.facts.onset - ONSET) <= 60
    assert found.sentence.startswith("Yes. Connections to the database fail at 5/s (threshold 0.1/s")
    assert abs(found.facts.errors - 5 * (STARTED + 1500 - ONSET)) <= 5 * 60
    assert found.facts.impact.endswith("requests failed (19.7 %).")


def test_a_counter_that_is_not_there_is_no_calm():
    """The alert fires on the counter itself: where Prometheus has none, pods that report pools do not make it 0."""
    found = judged(connection_errors.CHECK, {**HEALTHY, ERRORS: nothing})
    assert (found.status, found.sentence[:11]) == ("unknown", "Not known: ")


@pytest.mark.parametrize("pods", [{POOLED: nothing}, {}], ids=["empty", "down"])
def test_neither_counter_nor_pools_is_no_calm(pods: Script):
    """Silence of both is unknown, whether the pods' answer is empty or did not come."""
    script = {FAILED: nothing, ALL: line(lambda t: 50.0), ERRORS: nothing, **pods}
    assert judged(connection_errors.CHECK, script).status == "unknown"


def test_a_counter_that_could_not_be_asked_for_is_not_zero():
    """That the pods tell of their pools does not make up for errors that got no answer."""
    assert judged(connection_errors.CHECK, HEALTHY).status == "unknown"


def test_errors_below_the_threshold_blame_nobody():
    """At 0.1/s the alert does not hold, and every cause that could be tested is refuted."""
    found = investigated({**HEALTHY, ERRORS: line(stepping(0.0, 0.1)), P95: line(lambda t: 4.0)})
    assert found.headline.startswith("DatabaseConnectionErrors does not hold")
    assert not [v for v in found.verdicts if v.state == "supported"]


@pytest.mark.parametrize(
    ("rates", "affected", "said"),
    [
        ({"a": 2.0, "b": 2.4, "c": 1.8}, 3, "All 3 pods cannot connect."),
        ({"a": 0.0, "b": 2.4, "c": 0.01}, 1, "1 of 3 pods cannot connect; most failures are in b."),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, 0, "None: almost no connection fails in 3 pods."),
    ],
)
def test_all_some_or_none_of_the_pods(rates: dict[str, float], affected: int, said: str):
    """A pod has the trouble from a fifth of the pods' mean on."""
    rows = {pod: stepping(0.0, rate) for pod, rate in rates.items()}
    script = {
        ERRORS: several("pod", rows),
        ("database_connections",): several("pod", dict.fromkeys(rows, lambda t: 1.0)),
    }
    found = judged(failing_pods.CHECK, script)
    assert found.facts.affected == affected
    assert found.sentence.startswith(said)


def test_a_pod_without_a_counter_counts_as_one_without_errors():
    """Where only pods with errors have the counter, the others are still among all."""
    script = {
        ERRORS: several("pod", {"a": stepping(0.0, 3.0)}),
        ("database_connections",): several("pod", {"a": lambda t: 1.0, "b": lambda t: 1.0}),
    }
    assert judged(failing_pods.CHECK, script).facts.pods == 2


def pools(pods: int = 3, **states: Callable[[float], float]) -> Script:
    """Pods alike."""
    names = [f"p{n}" for n in range(pods)]
    rows = [several("pod", dict.fromkeys(names, value), state=state) for state, value in states.items()]
    return {("database_connections",): all_of(*rows)}


@pytest.mark.parametrize(
    ("in_use", "idle", "waiting", "exhausted", "said"),
    [
        (20.0, 0.0, 8.0, True, "No: 60 of 60 connections in use (3 before), 24 requests waiting"),
        (2.0, 0.0, 8.0, True, "their pools are smaller than the 20 connections in the settings."),
        (0.0, 0.0, 8.0, False, "Yes, but requests wait: 0 of 60 connections in use"),
        (1.0, 5.0, 0.0, False, "Yes: 3 of 60 connections in use (3 before)."),
        (12.0, 5.0, 0.0, False, "Yes: 36 of 60 connections in use (3 before)."),
    ],
    ids=["full", "small", "refused", "calm", "busy"],
)
def test_a_pool_without_room(in_use: float, idle: float, waiting: float, exhausted: bool, said: str):
    """Full, or smaller than its size with requests waiting; waiting for a database that refuses is neither."""
    states = {"in_use": stepping(1.0, in_use), "idle": stepping(5.0, idle), "waiting": stepping(0.0, waiting)}
    found = judged(pool.CHECK, pools(**states))
    assert found.facts.exhausted is exhausted
    assert said in found.sentence


def test_pods_that_tell_nothing_of_their_pools():
    """No gauge is no room."""
    assert judged(pool.CHECK, {("database_connections",): nothing}).status == "unknown"


@pytest.mark.parametrize(("before", "since", "slow"), [(0.02, 0.02, False), (0.02, 0.3, True), (2.0, 2.0, True)])
def test_slow_queries(before: float, since: float, slow: bool):
    """Several times as slow as before, or slow by any measure; a second answer's absence changes nothing."""
    found = judged(query_latency.CHECK, {P95: line(stepping(before, since))})
    assert (found.facts.slow, found.facts.rate) == (slow, None)


def test_no_query_that_ended_is_not_a_fast_one():
    """Before the onset there were queries, since then none: not known."""
    found = judged(query_latency.CHECK, {P95: line(stepping(0.02, float("nan")))})
    assert found.status == "unknown"
