"""SlowResponses: how slow, where, where the time goes, which cause comes first, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.logs import error_messages, warning_messages
from runbook.alerts.checks.requests import latency, paths, time_breakdown, traffic
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.duration_breakdown import _by as named_by
from runbook.alerts.checks.workload import changes, cpu_throttling
from runbook.alerts.mitigations.slowness import spare_dependency, speed_up_queries, widen_pool
from runbook.alerts.slow_responses import ALERT
from runbook.clock import Frozen
from runbook.config.schema import Environment
from runbook.investigation import ranking
from runbook.investigation.definitions import Answers, Check, Plan
from runbook.investigation.investigator import Investigator, judge
from runbook.investigation.results import Results, check_name
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Facts, Query, Recovery, Result, Step, Verdict
from runbook.text.shell import command
from tests.fakes import ONSET, SERVICE, STARTED, Scripted, context, facts, line, nothing

F = TypeVar("F", bound=Facts)
Rate = Callable[[float], float]
Told = Callable[[Query], Answer]
P95, BUCKETS = ("histogram_quantile", "request_duration"), ("sum by (le)", "request_duration")


def step(before: float, since: float) -> Rate:
    """A level that changes at the onset; at the same hours of other days it does not."""
    return lambda t: since if ONSET <= t < ONSET + 86_400 else before


def several(*rows: tuple[Mapping[str, str], Rate]) -> Told:
    """Several series, each with its labels."""

    def answer(query: Query) -> Answer:
        parts = [line(value, **labels)(query) for labels, value in rows]
        return replace(parts[0], data={**parts[0].data, "result": [part.data["result"][0] for part in parts]})

    return answer


def by_limit(**below: float | Rate) -> Told:
    """Buckets: how many requests a second are below each limit, e.g. b1=90, b2_5=99, inf=100."""
    names = {name: "+Inf" if name == "inf" else name[1:].replace("_", ".") for name in below}
    rates = {name: value if callable(value) else (lambda t, v=value: v) for name, value in below.items()}
    return several(*(({"le": names[name]}, rates[name]) for name in below))


def asked(told: Told) -> Answer:
    return told(Query("prometheus", "range", "x", {"start": 0, "end": 60, "step": 30}))


def judged(check: Check, source: Mapping[tuple[str, ...], Told], onset: float | None = ONSET) -> Result:
    """A check after the alert's first one found this onset."""
    scripted = Scripted(source)
    answers: Answers = {name: scripted.ask(query) for name, query in check.queries(context()).items()}
    earlier = Results({"latency": Result("abnormal", "", facts(latency.Facts, onset=onset))})
    return judge(check, context(), answers, earlier)


def known(kind: type[F], result: Result) -> F:
    """The facts of a result."""
    assert isinstance(result.facts, kind)
    return result.facts


class TestBeyond:
    @pytest.mark.parametrize(
        ("told", "share"),
        [
            (by_limit(b1=90, b2=95, b5=100, inf=100), 0.05),
            (by_limit(b1=90, b2_5=99, inf=100), 0.04),
            (by_limit(b1=90, inf=100), 0.1),
            (by_limit(b4=100, inf=100), 0.5),
            (by_limit(b1=100, b5=100, inf=100), 0.0),
            (by_limit(b1=0, b2=0, inf=100), 1.0),
        ],
        ids=["at a limit", "within a bucket", "beyond all", "within the first", "none", "all"],
    )
    def test_the_share_beyond_two_seconds(self, told: Told, share: float) -> None:
        """Requests are taken as evenly spread in their bucket; what no bucket tells apart counts as slow."""
        assert histogram.beyond(asked(told), 2.0) == pytest.approx(np.full(3, share))

    @pytest.mark.parametrize(
        "told", [by_limit(b1=0, inf=0), by_limit(b1=90, b5=100), by_limit(inf=9), nothing, by_limit(b1=nan, inf=nan)]
    )
    def test_without_traffic_or_buckets_it_is_not_known(self, told: Told) -> None:
        """0/0 is no share, nor is one of buckets that do not tell how many there are in all."""
        assert np.isnan(histogram.beyond(asked(told), 2.0)).all()

    @given(st.lists(st.integers(1, 500), min_size=4, max_size=4), st.floats(0.06, 0.94))
    def test_it_agrees_with_the_quantile(self, counts: list[int], share: float) -> None:
        """Beyond what a quantile is, evenly spread in its bucket as Prometheus does, lies what is left of it."""
        below = np.cumsum(counts)
        limits = (0.0, 0.5, 1.0, 2.5, 5.0)
        place = int(np.searchsorted(below, (1 - share) * below[-1]))
        inside = ((1 - share) * below[-1] - (below[place - 1] if place else 0)) / counts[place]
        quantile = limits[place] + inside * (limits[place + 1] - limits[place])
        told = by_limit(b0_5=below[0], b1=below[1], b2_5=below[2], b5=below[3], inf=below[3])
        assert histogram.beyond(asked(told), quantile)[0] == pytest.approx(share, abs=1e-9)


SLOWED = {P95: line(step(0.04, 3.2)), BUCKETS: by_limit(b1=step(100, 80), b2=step(100, 86), inf=100)}


def began(found: Result, within: float = 60) -> bool:
    """Whether the onset was found, to so many seconds."""
    onset = known(latency.Facts, found).onset
    return onset is not None and abs(onset - ONSET) <= within


class TestIsItReal:
    def test_a_step_is_found_and_told(self) -> None:
        """It began with the share of slow requests, is told in seconds and counted in requests."""
        found = judged(latency.CHECK, SLOWED)
        assert found.status == "abnormal"
        facts = known(latency.Facts, found)
        assert began(found)
        for words in ("5 % of requests take 3.2 s or longer", "threshold 2 s", "40 ms"):
            assert words in found.sentence
        assert facts.slow_requests == pytest.approx(0.14 * (facts.requests or 0), rel=0.02)
        assert "requests took longer than 2 s in 32 minutes since the onset, 14 % at the peak." in (facts.impact or "")

    @pytest.mark.parametrize(("before", "since"), [(100.0, 60.0), (99.0, 92.0)])
    def test_a_ramp_begins_where_it_leaves_the_usual(self, before: float, since: float) -> None:
        """Three minutes from as usual to slow: the onset is when it began to rise, to within a minute or two."""

        def rising(t: float) -> float:
            return before + (since - before) * min(max((t - ONSET) / 180, 0.0), 1.0)

        found = judged(latency.CHECK, {P95: line(step(0.04, 3.2)), BUCKETS: by_limit(b2=rising, inf=100)})
        assert began(found, within=120)

    def test_gaps_do_not_move_the_onset(self) -> None:
        """Minutes without any request, where the share is 0/0, are skipped."""

        def gap(value: Rate) -> Rate:
            return lambda t: 0.0 if ONSET - 900 < t < ONSET - 600 else value(t)

        told = by_limit(b2=gap(step(100, 80)), inf=gap(lambda t: 100.0))
        found = judged(latency.CHECK, {P95: line(step(0.04, 3.2)), BUCKETS: told})
        assert began(found)

    def test_below_the_threshold_is_normal(self) -> None:
        """Slower than usual, but not by the alert's measure: no."""
        found = judged(latency.CHECK, {P95: line(step(0.04, 1.9)), BUCKETS: by_limit(b2=step(100, 96), inf=100)})
        assert (found.status, known(latency.Facts, found).onset) == ("normal", None)
        assert found.sentence.startswith("No. 5 % of requests took 1.9 s or longer")

    def test_no_traffic_is_not_health(self) -> None:
        """A percentile of nothing is NaN: not known, never fast."""
        found = judged(latency.CHECK, {P95: line(lambda t: nan), BUCKETS: by_limit(b2=0, inf=0)})
        assert found.status == "unknown"
        assert "no requests were timed" in found.sentence

    def test_partial_data_is_never_called_normal(self) -> None:
        """A fast percentile with a warning is not sure."""

        def warned(query: Query) -> Answer:
            return replace(line(lambda t: 0.05)(query), completeness="partial", warnings=("a store is unavailable",))

        found = judged(latency.CHECK, {P95: warned, BUCKETS: by_limit(b2=100, inf=100)})
        assert found.status == "unknown"
        assert "a store is unavailable" in found.sentence

    def test_without_buckets_it_is_real_but_not_counted(self) -> None:
        """Where only the percentile came, when it began and how many suffered is not made up."""
        found = judged(latency.CHECK, {P95: line(step(0.04, 3.2))})
        facts = known(latency.Facts, found)
        assert (found.status, facts.onset, facts.slow_requests, facts.impact) == ("abnormal", None, None, None)
        assert "began at" not in found.sentence


def kind(p95: tuple[float, float], mean: tuple[float, float], rate: float = 10.0) -> dict[str, tuple[Rate, ...]]:
    return {
        "histogram_quantile": (step(*p95),),
        "_sum": (step(*(one * rate for one in mean)),),
        "_count": (lambda t: rate,),
    }


def kinds(**rows: dict[str, tuple[Rate, ...]]) -> dict[tuple[str, ...], Told]:
    """Kinds named "GET_/x" or "select_users", as a histogram's p95, seconds and number tell of them."""

    def labels(name: str) -> dict[str, str]:
        first, _, second = name.partition("_")
        return {"method": first, "path": second, "operation": first, "table": second}

    return {
        (part,): several(*((labels(name), row[part][0]) for name, row in rows.items()))
        for part in ("histogram_quantile", "_sum", "_count")
    }


FAST, SLOW = kind((0.03, 0.03), (0.01, 0.01)), kind((0.03, 3.1), (0.01, 1.2))


class TestPaths:
    def test_the_slow_one_is_named(self) -> None:
        """One endpoint above the threshold, with its time before, and the others that are as before."""
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": FAST, "GET_/display": FAST}))
        facts = known(paths.Facts, found)
        assert (facts.slow, facts.some, facts.all, facts.top) == (("GET /edit",), True, False, "GET /edit")
        assert found.sentence == (
            "GET /edit with a p95 of 3.1 s (30 ms before); GET /, GET /display are as fast as before."
        )

    def test_all_of_them(self) -> None:
        """Where every endpoint is slow, none of them is to blame; the health check, doing nothing, does not count."""
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": SLOW, "GET_/health": FAST}))
        facts = known(paths.Facts, found)
        assert (facts.all, facts.some) == (True, False)
        assert found.sentence.startswith("All of them; the slowest is ")

    def test_what_is_slower_below_the_threshold_is_not_as_before(self) -> None:
        """Seven times slower, at 1.4 s: not above the limit, yet not spared."""
        slower = kind((0.2, 1.4), (0.1, 0.6))
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": slower}))
        facts = known(paths.Facts, found)
        assert (facts.slow, facts.slower, facts.all) == (("GET /edit",), ("GET /edit", "GET /"), True)
        assert found.sentence.startswith("1 of 2 are above 2 s, the others also slower than before; ")

    def test_none(self) -> None:
        """No endpoint is above the threshold."""
        assert judged(paths.CHECK, kinds(**{"GET_/": FAST})).status == "normal"

    def test_without_data_it_is_not_known(self) -> None:
        """No series, or a source that is down, names no endpoint."""
        assert judged(paths.CHECK, {("histogram",): nothing}).status == "unknown"
        assert "down" in judged(paths.CHECK, {}).sentence


class TestQueries:
    def test_the_slow_kind_is_named_with_how_much_it_grew(self) -> None:
        """A missing index: one operation on one table, the others as fast as before."""
        found = judged(slow_queries.CHECK, kinds(select_users=SLOW, update_users=FAST, select_sessions=FAST))
        facts = known(slow_queries.Facts, found)
        assert (facts.operation, facts.table, facts.alone) == ("select", "users", True)
        assert found.sentence == (
            "SELECT on table users, with a p95 of 3.1 s (30 ms before); the other queries are as fast as before."
        )

    def test_the_whole_database(self) -> None:
        """All kinds have become slow together."""
        found = judged(slow_queries.CHECK, kinds(select_users=SLOW, update_users=SLOW))
        facts = known(slow_queries.Facts, found)
        assert (facts.any, facts.alone, len(facts.slow)) == (True, False, 2)
        assert found.sentence.startswith("2 of 2 kinds of queries; ")

    def test_fast_ones_are_named_too(self) -> None:
        """Without a slow one, the slowest is named as evidence."""
        found = judged(slow_queries.CHECK, kinds(select_users=FAST))
        assert (found.status, known(slow_queries.Facts, found).any) == ("normal", False)
        assert found.sentence == "None: the slowest is SELECT on table users, with a p95 of 30 ms (30 ms before)."

    def test_a_kind_without_a_before_is_slow_by_its_time_alone(self) -> None:
        """A query that nobody asked before the onset has nothing to compare with; above a second it is slow."""
        new = kind((nan, 1.4), (0.0, 0.5))
        found = judged(slow_queries.CHECK, kinds(insert_audit=new))
        assert known(slow_queries.Facts, found).slow == ("insert audit",)


class TestTimeBreakdown:
    def told(self, seconds: float = 80.0, **parts: float) -> dict[tuple[str, ...], Told]:
        """100 requests/s that took 1 s in all of each second, then `seconds`, of which so many are a part's."""
        since = {"queries": 0.5, "waiting": 0.0, "cpu": 0.3, **parts}
        return {
            ("request_duration", "_sum"): line(step(1.0, seconds)),
            ("request_duration", "_count"): line(lambda t: 100.0),
            ("query_duration", "_sum"): line(step(0.5, since["queries"])),
            ("waiting",): line(step(0.0, since["waiting"])),
            ("cpu",): line(step(0.3, since["cpu"])),
        }

    @pytest.mark.parametrize(
        ("parts", "mostly"),
        [({"queries": 75.0}, "queries"), ({"waiting": 70.0}, "waiting"), ({"cpu": 60.0}, "cpu"), ({}, "rest")],
    )
    def test_the_additional_time_is_divided(self, parts: dict[str, float], mostly: str) -> None:
        """Each part has its share of the additional time; what nobody measured is the rest."""
        facts = known(time_breakdown.Facts, judged(time_breakdown.CHECK, self.told(**parts)))
        shares = {name: getattr(facts, name) for name in ("queries", "waiting", "cpu", "rest")}
        assert sum(shares.values()) == pytest.approx(1.0, abs=0.01)
        assert max(shares, key=lambda name: shares[name]) == mostly

    def test_the_sentence_says_where_the_additional_time_goes(self) -> None:
        """Seconds per request before and since, and the parts of the difference."""
        assert judged(time_breakdown.CHECK, self.told(queries=64.2)).sentence == (
            "A request takes 800 ms on average (10 ms before). "
            "Where the additional time goes: 80.6 % database queries, 19.4 % elsewhere."
        )

    def test_nothing_is_divided_where_requests_take_as_long_as_before(self) -> None:
        """Noise is no additional time."""
        found = judged(time_breakdown.CHECK, self.told(seconds=1.05))
        assert (found.status, known(time_breakdown.Facts, found).longer) == ("normal", False)

    @pytest.mark.parametrize("part", ["waiting", "cpu"])
    @pytest.mark.parametrize("answer", [nothing, line(lambda t: nan)])
    def test_the_rest_is_known_only_with_all_other_parts(self, part: str, answer: Told) -> None:
        """Where waiting for a connection or CPU is not measured, that time is not attributed to anything else."""
        facts = known(time_breakdown.Facts, judged(time_breakdown.CHECK, {**self.told(), (part,): answer}))
        assert (facts.rest, getattr(facts, part), facts.longer) == (None, None, True)

    def test_without_the_time_of_queries_the_rest_is_not_known(self) -> None:
        """What is not measured is not attributed to anything else."""
        told = {words: answer for words, answer in self.told().items() if words[0] != "query_duration"}
        assert judged(time_breakdown.CHECK, told).status == "unknown"


class TestThrottling:
    PODS = "rust-micro-front-end-7d9f-x2x4z"

    def told(self, throttled: Told) -> dict[tuple[str, ...], Told]:
        return {
            ("throttled_periods",): throttled,
            ("process_",): line(lambda t: 0.1, pod=self.PODS),
            ("pods",): lambda query: Answer(query, "complete", {"items": []}),
        }

    def test_periods_without_cpu_are_abnormal(self) -> None:
        """Below its limit on average, and still throttled half of the time: too little CPU."""
        found = judged(cpu_throttling.CHECK, self.told(line(step(0.0, 0.5), pod=self.PODS)))
        facts = known(cpu_throttling.Facts, found)
        assert (found.status, facts.throttled, facts.throttled_share) == ("abnormal", True, 0.5)
        assert found.sentence.startswith("Yes: the worst pod is throttled in 50 % of its CPU periods, ")

    def test_no_throttled_period_is_said_so(self) -> None:
        """A share of nothing is not printed as 0 %."""
        found = judged(cpu_throttling.CHECK, self.told(line(lambda t: 0.0, pod=self.PODS)))
        assert known(cpu_throttling.Facts, found).throttled is False
        assert "CPU is not throttled, " in found.sentence

    def test_throttling_is_found_without_the_service_s_own_metrics(self) -> None:
        """Where Prometheus has neither memory nor CPU of the pods, what cAdvisor says of them still counts."""
        metadata = {"name": self.PODS, "creationTimestamp": "2026-01-15T09:00:00Z"}
        pods = {"pods": [{"metadata": metadata, "spec": {"containers": []}, "status": {}}]}
        told: dict[tuple[str, ...], Told] = {
            ("throttled_periods",): line(step(0.0, 0.5), pod=self.PODS),
            ("process_",): nothing,
            ("pods",): lambda query: Answer(query, "complete", pods),
        }
        found = judged(cpu_throttling.CHECK, told)
        facts = known(cpu_throttling.Facts, found)
        assert (found.status, facts.throttled, facts.memory_reached) == ("abnormal", True, None)

    def test_another_deployments_pods_are_none_of_it(self) -> None:
        """Its name may begin like this one's: a pod that neither Kubernetes nor our metrics know is not ours."""
        other = line(step(0.0, 0.5), pod="rust-micro-front-end-batch-5f6d8-zzzzz")
        assert known(cpu_throttling.Facts, judged(cpu_throttling.CHECK, self.told(other))).throttled is None

    def test_each_container_is_looked_at_by_itself(self) -> None:
        """The share is taken per container, the profile's where it names one; never over the whole pod."""
        (asked, named) = (
            cpu_throttling.CHECK.queries(context(service=msgspec.structs.replace(SERVICE, container=name)))[
                "throttled"
            ].text
            for name in ("", "app")
        )
        assert asked.startswith(
            "max by (pod) (sum by (pod, container) (rate(container_cpu_cfs_throttled_periods_total{"
        )
        assert (asked.count('container!=""'), named.count('container="app"')) == (2, 2)

    def test_without_cadvisor_throttling_is_not_known(self) -> None:
        """Without cAdvisor's counters throttling is not known, which says nothing of memory and CPU."""
        found = judged(cpu_throttling.CHECK, self.told(nothing))
        assert known(cpu_throttling.Facts, found).throttled is None
        assert "throttled" not in found.sentence


class TestWarnings:
    def told(self, a_minute: Rate, *messages: str) -> dict[tuple[str, ...], Told]:
        """So many slow requests a minute in the log, and these messages every ten seconds since the onset."""

        def counts(query: Query) -> Answer:
            start = int(context().start // 60) * 60
            buckets = [{"key": t * 1000, "doc_count": int(a_minute(t))} for t in range(start, int(context().end), 60)]
            return Answer(query, "complete", {"aggregations": {"over_time": {"buckets": buckets}}})

        def documents(query: Query) -> Answer:
            found = [
                {"_source": {"timestamp": ONSET + 10 * n, "message": text}} for n in range(60) for text in messages
            ]
            total = {"value": len(found), "relation": "eq"}
            return Answer(query, "complete" if found else "empty", {"hits": {"total": total, "hits": found}})

        return {("fixed_interval",): counts, ("warn",): documents}

    def test_slow_requests_are_counted(self) -> None:
        """How many a minute since the onset, and before."""
        found = judged(warning_messages.CHECK, self.told(step(2, 40), "slow request: GET /edit took 4100 ms"))
        facts = known(warning_messages.Facts, found)
        assert (found.status, facts.per_minute, facts.per_minute_before) == ("abnormal", 40.0, 2.0)
        assert found.sentence.endswith("of slow requests since the onset, 40.0 per minute (2.0 before).")

    def test_as_many_as_before_is_normal(self) -> None:
        """A service that always warns a little says nothing new, nor does one that never does."""
        assert judged(warning_messages.CHECK, self.told(lambda t: 5)).status == "normal"
        assert judged(warning_messages.CHECK, self.told(lambda t: 0)).sentence.startswith("None: ")

    @pytest.mark.parametrize(
        ("message", "speaks"),
        [
            ("avatar service timed out after 8000 ms, page without picture", True),
            ("GET https://pay.example.org/v1/x took longer than 3000 ms", True),
            ("circuit breaker for mailer is open", True),
            ("slow request: GET /edit took 4100 ms", False),
            ("authentication failure for user ada from 192.0.2.7: token expired", False),
            ("query timed out after 5000 ms: SELECT id FROM users", False),
        ],
    )
    def test_warnings_may_name_who_is_slow(self, message: str, speaks: bool) -> None:
        """What is said of other services is a sign; that requests are slow, or logins fail, is none of that."""
        found = judged(warning_messages.CHECK, self.told(step(0, 30), message))
        assert (known(warning_messages.Facts, found).about["dependency"] > 0.5) is speaks

    def test_without_the_log_it_is_not_known(self) -> None:
        """Elasticsearch is down: that does not mean that nothing was logged."""
        found = judged(warning_messages.CHECK, {})
        assert (found.status, "is down" in found.sentence) == ("unknown", True)


Known = Mapping[type[Facts], Mapping[str, object]]
ABOUT = dict.fromkeys(warning_messages.SUBJECTS, 0.0)
HEALTHY: Known = {
    latency.Facts: {"onset": ONSET},
    changes.Facts: {"near": False},
    paths.Facts: {"slow": ("GET /",), "endpoints": 6, "all": True, "top": "GET /"},
    time_breakdown.Facts: {"longer": True, "queries": 0.05, "waiting": 0.0, "cpu": 0.05, "rest": 0.9},
    slow_queries.Facts: {"kinds": 3, "worst": "select users", "p95": 0.01, "p95_before": 0.01},
    pool.Facts: {"waiting": 0.0, "waiting_before": 0.0, "pods": 6},
    cpu_throttling.Facts: {
        "cpu_reached": False,
        "cpu_used": 0.4,
        "memory_reached": False,
        "memory_used": 0.5,
        "throttled": False,
        "throttled_share": 0.0,
    },
    traffic.Facts: {"times": 1.0},
    error_messages.Facts: {"about": ABOUT},
    warning_messages.Facts: {"about": ABOUT},
}
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


def found(*more: Known, without: type[Facts] | None = None) -> Results:
    """Requests are slow, nothing else is wrong but these facts; the check `without` is unknown."""
    known = {kind: facts(kind, **{**given, **merged(kind, more)}) for kind, given in HEALTHY.items()}
    results = {
        check_name(kind): Result("unknown", "") if kind is without else Result("abnormal", "", one)
        for kind, one in known.items()
    }
    return Results(results, ALERT.checks)


def merged(kind: type[Facts], more: Sequence[Known]) -> dict[str, object]:
    """What several say of one check."""
    return {name: value for known in more for name, value in known.get(kind, {}).items()}


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
    assert investigation.headline == "Not known whether SlowResponses is real."


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


def slow_users(table: object = "users") -> Results:
    """A slow query by operation and table."""
    worst = facts(slow_queries.Facts, any=True, operation="select", table=table, worst=f"select {table}")
    return Results({"slow_queries": Result("abnormal", "", worst)})


def commands(steps: Sequence[Step]) -> list[str]:
    return [command(step.argv) for step in steps]


def test_the_missing_index_is_looked_for_where_it_is_missing() -> None:
    """The table that was found stands in the first command, with the database's address where the settings know it."""
    where = context(environment=Environment(service="shop", database_address="db.internal:3306"))
    title, steps = speed_up_queries(where, slow_users())
    assert title == "Speed up SELECT on table users"
    assert commands(steps)[0] == "mysql -h db.internal -P 3306 -u USER -p -e 'SHOW INDEX FROM users FROM DATABASE'"
    _, elsewhere = speed_up_queries(where, slow_users("shop.users"))
    assert commands(elsewhere)[0].endswith(" -e 'SHOW INDEX FROM shop.users'")


@pytest.mark.parametrize("table", ["users; DROP TABLE users", "`x`", "", None, 3, "a" * 80])
def test_no_odd_table_gets_into_a_command(table: object) -> None:
    """A label's value that is no table's name makes no statement."""
    title, steps = speed_up_queries(context(), slow_users(table))
    assert title == "Speed up the database"
    assert not [text for text in commands(steps) if "SHOW INDEX" in text or "DROP TABLE" in text]
    assert not [step for step in steps if "DROP TABLE" in step.text + step.watch]


@pytest.mark.parametrize("plan", [speed_up_queries, widen_pool, spare_dependency])
def test_a_plan_without_facts_still_has_steps(plan: Plan) -> None:
    """Where nothing is known, what is not known is read; no step prints a number."""
    _, steps = plan(context(), Results({}, ALERT.checks))
    assert steps
    assert not [step for step in steps if "None" in command(step.argv) + step.text + step.watch]


def test_the_pool_s_use_is_named_where_it_is_known() -> None:
    """The step that reads the pool's setting says how much of the pool is in use."""
    known = {"pool": Result("abnormal", "", facts(pool.Facts, in_use=118.0, pool=120, pods=6, size=20))}
    _, steps = widen_pool(context(), Results(known, ALERT.checks))
    assert [step for step in steps if step.kind == "read" and "118 of 120" in step.watch]


class Recovered:
    """A service that is fast again, and a load test with this outcome."""

    def __init__(self, p95: Rate, load: Mapping[str, Any]) -> None:
        self.p95, self.load, self.asked = p95, load, list[Query]()

    def verify(self) -> Recovery:
        now = context(alert="SlowResponses", mitigated_at=STARTED + 300)
        return verify(now, ALERT.recovery, ask=self.ask, clock=Frozen(now.now), tell=lambda message: None)

    def ask(self, queries: Mapping[str, Query]) -> dict[str, Answer]:
        self.asked += queries.values()
        return {name: self.answer(query) for name, query in queries.items()}

    def answer(self, query: Query) -> Answer:
        if query.source == "prometheus":
            return line(self.p95)(query)
        healthy = {"status": 200, "latency_ms": 12.0, "error": None}
        return Answer(query, "complete", dict(self.load) if query.kind == "load" else healthy)


QUICK = {"made": 50, "failures": 0, "median_ms": 30.0, "p95_ms": 120.0, "max_ms": 300.0}


@pytest.mark.parametrize(
    ("load", "state", "told"),
    [
        (QUICK, "recovered", "50 requests to /api/username/test (p95 120 ms) answer."),
        ({**QUICK, "p95_ms": 2400.0}, "not recovered", "(p95 2.4 s) do not answer as they should."),
        ({**QUICK, "failures": 3}, "not recovered", "(3 failed, p95 120 ms) do not answer as they should."),
        ({**QUICK, "failures": 50, "p95_ms": None}, "not recovered", "(50 failed) do not answer as they should."),
    ],
)
def test_it_is_over_when_the_load_test_says_so_too(load: dict[str, JSON], state: str, told: str) -> None:
    """p95 at or below the threshold for five minutes, and then 50 requests that are answered, and fast."""
    recovery = Recovered(lambda t: 0.05 if t > STARTED + 360 else 3.0, load).verify()
    assert recovery.state == state
    assert recovery.sentence.endswith(told)


def test_a_service_in_trouble_is_spared_the_load_test() -> None:
    """A service that is still slow is only asked whether it answers."""
    service = Recovered(lambda t: 3.0, QUICK)
    assert service.verify().state == "not recovered"
    assert not [query for query in service.asked if query.kind == "load"]


def test_all_queries_fit_into_one_round() -> None:
    """Not more queries than go out at once."""
    count = sum(len(check.queries(context())) for check in ALERT.checks)
    assert count <= 64


def test_the_rule_has_the_profile_s_threshold() -> None:
    """The expression is the procedure's, with the threshold of the settings."""
    text = ALERT.expression(SERVICE)
    assert text.startswith(
        "histogram_quantile(0.95, sum by (le) (rate(micro_frontend_http_request_duration_seconds_bucket"
    )
    assert text.endswith("[5m]))) > 2")


def test_kinds_of_one_name_can_be_told() -> None:
    """“a b” and “a” of “b” read alike: they are in order all the same."""
    told = several(({"x": "a b"}, lambda t: 1.0), ({"x": "a", "y": "b"}, lambda t: 2.0), ({"x": "a"}, lambda t: 3.0))
    assert list(named_by(asked(told), ("x", "y"))) == ["a", "a b"]
