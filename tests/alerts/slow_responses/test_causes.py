"""SlowResponses: which cause comes first."""

from __future__ import annotations

import pytest

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.requests import latency, paths, time_breakdown, traffic
from runbook.alerts.checks.workload import changes, cpu_throttling
from runbook.alerts.slow_responses import ALERT
from runbook.clock import Frozen
from runbook.investigation import ranking
from runbook.investigation.investigator import Investigator
from runbook.investigation.results import Results, check_name
from runbook.model import Facts, Verdict
from tests.alerts.slow_responses.answers import ABOUT, HEALTHY, Known, found
from tests.fakes import Scripted, context

DATABASE: Known = {
    slow_queries.Facts: {"any": True, "slow": ("select users",), "alone": True, "p95": 2.0},
    time_breakdown.Facts: {"queries": 0.9, "rest": 0.05},
}
POOL: Known = {
    pool.Facts: {"queueing": True, "waiting": 80.0},
    time_breakdown.Facts: {"waiting": 0.7, "rest": 0.2},
}
FULL_POOL: Known = {pool.Facts: {"queueing": True, "exhausted": True, "waiting": 30.0, "full_pods": 6}}
CPU: Known = {
    cpu_throttling.Facts: {"cpu_reached": True, "cpu_used": 0.98, "throttled": True, "throttled_share": 0.9},
}
THROTTLED: Known = {cpu_throttling.Facts: {"throttled": True, "throttled_share": 0.8}}
MEMORY: Known = {cpu_throttling.Facts: {"memory_reached": True, "memory_used": 0.97}}
DEPENDENCY: Known = {paths.Facts: {"some": True, "all": False}}
SURGE: Known = {traffic.Facts: {"surge": True, "times": 4.0}}
APART: Known = {paths.Facts: {"apart": ("GET /edit",)}}
LOGGED: Known = {error_messages.Facts: {"about": {**ABOUT, "dependency": 0.3}}}
ROLLOUT: Known = {
    changes.Facts: {
        "near": True,
        "only_new": True,
        "distance": 40.0,
        "revision": 7,
        "compared": "its pods take 2 s a request, the others 10 ms",
    },
}


def supported(results: Results) -> list[str]:
    return [verdict.cause for verdict in ranking.of(ALERT, results) if verdict.state == "supported"]


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        ((DATABASE,), "database"),
        ((DATABASE, FULL_POOL), "database"),
        ((POOL,), "pool"),
        ((POOL, {pool.Facts: {"exhausted": True, "full_pods": 6}}), "pool"),
        ((CPU,), "resources"),
        ((THROTTLED,), "resources"),
        ((MEMORY,), "resources"),
        ((DEPENDENCY,), "dependency"),
        ((SURGE,), "traffic"),
        ((SURGE, CPU), "traffic"),
        ((ROLLOUT,), "deployment"),
        ((ROLLOUT, CPU), "deployment"),
        ((ROLLOUT, DATABASE), "deployment"),
    ],
)
def test_the_right_cause_is_the_only_supported_one(seen: tuple[Known, ...], cause: str) -> None:
    """Each cause by its own signs, and not by its effects elsewhere."""
    assert supported(found(*seen)) == [cause]


@pytest.mark.parametrize(("one", "other"), [(DATABASE, SURGE), (DEPENDENCY, SURGE), (DATABASE, CPU)])
def test_two_at_once_come_first(one: Known, other: Known) -> None:
    """Of a pair, both are in the first two places."""
    single = {supported(found(one))[0], supported(found(other))[0]}
    assert {verdict.cause for verdict in ranking.of(ALERT, found(one, other))[:2]} == single


def test_a_surge_does_not_hide_a_service_that_the_logs_call_slow() -> None:
    """A surge delays all endpoints alike: where some are delayed much more and the logs say why, both are supported."""
    assert set(supported(found(SURGE, APART, LOGGED))) == {"traffic", "dependency"}
    assert supported(found(SURGE, APART)) == ["traffic"]
    assert supported(found(SURGE, LOGGED)) == ["traffic"]


def test_nothing_is_concluded_from_absence() -> None:
    """With every source down each check is unknown, no cause is tested, and nothing is to be done."""
    investigator = Investigator(ALERT, context(alert="SlowResponses"), Scripted({}), Frozen(context().now))
    investigation = investigator.investigation()
    assert {finding.result.status for finding in investigation.findings} == {"unknown"}
    assert {verdict.state for verdict in investigation.verdicts} == {"not tested"}
    assert investigation.headline.startswith("Not known whether")


@pytest.mark.parametrize("check", [kind for kind in HEALTHY if kind is not latency.Facts], ids=check_name)
def test_a_check_that_did_not_run_supports_nothing_more(check: type[Facts]) -> None:
    """Whatever single check is missing, no cause is supported by what is not known of it."""
    assert supported(found(without=check)) == []


def test_unmeasured_time_alone_supports_no_cause() -> None:
    """That requests wait elsewhere is a hint at an external service; another sign has to agree."""
    assert supported(found()) == []
    assert by_name(found())["dependency"].score == pytest.approx(0.45)


def by_name(results: Results) -> dict[str, Verdict]:
    return {verdict.cause: verdict for verdict in ranking.of(ALERT, results)}


def test_what_was_not_looked_at_is_not_refuted() -> None:
    """Without the queries, the pool or the limits, their causes are not tested rather than refuted."""
    checks: dict[str, type[Facts]] = {
        "database": slow_queries.Facts,
        "pool": pool.Facts,
        "resources": cpu_throttling.Facts,
        "dependency": time_breakdown.Facts,
    }
    for cause, check in checks.items():
        assert by_name(found(without=check))[cause].state == "not tested"


def test_every_clause_reads_its_facts() -> None:
    """Each sign makes a clause of facts by which it holds; a number that is not known is never printed as one."""
    for seen in (DATABASE, POOL, FULL_POOL, CPU, THROTTLED, MEMORY, DEPENDENCY, SURGE, APART, LOGGED, ROLLOUT):
        verdicts = ranking.of(ALERT, found(seen))
        assert not [verdict.fault for verdict in verdicts if verdict.fault]
        assert not [verdict.because for verdict in verdicts if "None" in verdict.because or "nan" in verdict.because]
