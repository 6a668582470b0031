"""SlowResponses: how slow requests are, and since when."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.alerts.checks.requests import latency
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.slow_responses import ALERT
from runbook.model import Answer, Query, Result
from tests.alerts.slow_responses.answers import Rate, Told, asked, judged, known, several, step
from tests.fakes import ONSET, SERVICE, context, line, nothing

P95, BUCKETS = ("histogram_quantile", "request_duration"), ("sum by (le)", "request_duration")


def by_limit(**below: float | Rate) -> Told:
    """Buckets: how many requests a second are below each limit, e.g. b1=90, b2_5=99, inf=100."""
    names = {name: "+Inf" if name == "inf" else name[1:].replace("_", ".") for name in below}
    rates = {name: value if callable(value) else (lambda t, v=value: v) for name, value in below.items()}
    return several(*(({"le": names[name]}, rates[name]) for name in below))


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
