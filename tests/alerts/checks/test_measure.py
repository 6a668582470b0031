"""A measure: one PromQL expression against one threshold is an alert's rule, first check, signal and recovery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from runbook.alerts.checks.toolkit.series import metric
from runbook.alerts.checks.toolkit.threshold_check import Facts
from runbook.alerts.measure import Measure
from runbook.config.schema import Service
from runbook.investigation.results import Results
from runbook.investigation.thresholds import Threshold
from runbook.model import Query, Result
from tests.fakes import ONSET, SERVICE, context, line, nothing

LIMIT = Threshold("queue_too_long", 10, "jobs", "more jobs wait")


def queue(service: Service, window: str) -> str:
    return metric(service, "queue_length")


QUEUE = Measure(
    name="queue_too_long", title="Queue length", threshold=LIMIT, value=queue, part=queue, whole=queue, gauge=True
)
LITTLE = replace(QUEUE, below=True)
SHARE = replace(QUEUE, threshold=Threshold("share", 0.25, "% of jobs", "more jobs fail", less_than=1))
SUM = replace(QUEUE, whole=None)


def judged(measure: Measure, before: float, since: float) -> Result:
    """The first check's answer to a value that changed at the onset."""
    value: Callable[[float], float] = lambda t: since if t >= ONSET else before  # noqa: E731 - what a time's value is
    return measured(measure, lambda query: line(value)(query))


def measured(measure: Measure, answer: Callable[[Query], object]) -> Result:
    check, c = measure.check, context()
    answers = {name: answer(query) for name, query in check.queries(c).items()}
    return check.judge(c, answers, Results({}))  # type: ignore[arg-type] # the fakes answer


@pytest.mark.parametrize(
    ("measure", "before", "since", "said"),
    [
        (QUEUE, 3, 14, "Yes. Queue length is 14 jobs (threshold 10 jobs"),
        (LITTLE, 30, 4, "Yes. Queue length is 4 jobs (threshold 10 jobs"),
        (SHARE, 0.01, 0.5, "Yes. Queue length is 50 % (threshold 25 %"),
    ],
)
def test_a_value_beyond_the_threshold_is_real_since_it_changed(
    measure: Measure, before: float, since: float, said: str
):
    """Above or below, in its unit: the sentence says the value, and the onset is where it left its usual level."""
    result = judged(measure, before, since)
    assert result.status == "abnormal"
    assert result.sentence.startswith(said)
    assert isinstance(result.facts, Facts)
    assert result.facts.onset is not None
    assert abs(result.facts.onset - ONSET) <= 90


@pytest.mark.parametrize(("measure", "before", "since"), [(QUEUE, 3, 9), (LITTLE, 30, 11), (SHARE, 0.01, 0.24)])
def test_a_value_on_the_right_side_is_normal(measure: Measure, before: float, since: float):
    """What changed without passing the threshold fires no alert."""
    assert judged(measure, before, since).status == "normal"


def test_without_any_value_nothing_is_known():
    """No series is neither above nor below."""
    assert measured(LITTLE, nothing).status == "unknown"


def test_the_rule_follows_the_profile():
    """Expression and summary say the profile's threshold, exactly."""
    busy = Service(
        **{**{f: getattr(SERVICE, f) for f in SERVICE.__struct_fields__}, "thresholds": {LIMIT.name: 1234567.5}}
    )
    assert QUEUE.expression(SERVICE).endswith("} > 10")
    assert QUEUE.expression(busy).endswith("} > 1234567.5")
    assert LITTLE.expression(SERVICE).endswith("} < 10")
    assert QUEUE.summary({}) == "Queue length is above 10 jobs"
    assert LITTLE.summary({LIMIT.name: 250}) == "Queue length is below 250 jobs"
    assert SHARE.summary({}) == "Queue length is above 25 %"


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("seconds", 0.25, "250 ms"),
        ("s", 75.0, "75 s"),
        ("bytes", 2**20, "1 MiB"),
        ("% of jobs", 0.05, "5 %"),
        ("jobs/s", 0.0123, "0.0123 jobs/s"),
        ("jobs", 12345.6, "12,346 jobs"),
    ],
)
def test_a_value_is_said_in_its_unit(unit: str, value: float, said: str):
    """Times, sizes and shares as a person reads them; everything else as a number with its unit."""
    assert replace(QUEUE, threshold=Threshold("x", 0.5, unit, "x")).text(value) == said


def test_recovery_is_the_same_value_on_the_other_side():
    """It is watched at the unit's scale, for as long as the alert was waited for."""
    c = context(mitigated_at=ONSET + 600)
    for measure, goal in (
        (QUEUE, "at or below 10 jobs"),
        (LITTLE, "at or above 10 jobs"),
        (SHARE, "below 25 % of jobs"),
    ):
        watched = measure.recovering(300)
        answers = {name: line(lambda t: 0.5)(query) for name, query in watched.queries(c, c.end).items()}
        assert f"{goal} for 5 min" in watched.goal(SERVICE)
        scale = 100 if measure is SHARE else 1
        assert np.allclose(watched.series(c, answers).values, 0.5 * scale)


def test_a_sum_is_compared_by_what_all_pods_like_these_would_make():
    """The pods of a revision have only their part of a sum: without a whole, each pod is its share of all instances."""
    c = context()
    assert SUM.signal.whole(c, "1m") == 'up{app="micro-frontend"} / scalar(count(up{app="micro-frontend"}))'
    assert SUM.signal.clause(14) == "alone would make 14 jobs in all"
    assert SUM.signal.threshold(SERVICE) == 10
    assert QUEUE.signal.whole(c, "1m") == queue(SERVICE, "1m")
