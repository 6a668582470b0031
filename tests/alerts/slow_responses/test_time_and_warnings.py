"""SlowResponses: where the time goes, whether the CPU is taken away, and what the warnings say."""

from __future__ import annotations

from math import nan

import msgspec
import pytest

from runbook.alerts.checks.logs import warning_messages
from runbook.alerts.checks.requests import time_breakdown
from runbook.alerts.checks.workload import cpu_throttling
from runbook.model import Answer, Query
from tests.alerts.slow_responses.answers import Rate, Told, judged, known, step
from tests.fakes import ONSET, SERVICE, context, line, nothing


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
