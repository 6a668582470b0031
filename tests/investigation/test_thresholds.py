"""Thresholds: declared by alerts, set by profiles, kept whole by recordings."""

from __future__ import annotations

from math import inf, nan

import pytest

from runbook.alerts.thresholds import ERROR_RATIO, MEMORY, SHIPPED
from runbook.errors import DefinitionError
from runbook.investigation.thresholds import Threshold, effective

QUEUE = Threshold("queue_length", 10, "jobs", "QueueTooLong: more jobs wait")


def test_a_profile_s_value_goes_before_the_default():
    """Without one in the profile the alert's own holds; what others set is nothing to it."""
    assert QUEUE.of({}) == 10
    assert QUEUE.of({"queue_length": 12.5, "error_ratio": 0.5}) == 12.5


@pytest.mark.parametrize(
    ("threshold", "value", "told"),
    [
        (ERROR_RATIO, 1, "above 0 and below 1"),
        (ERROR_RATIO, 5, "above 0 and below 1"),
        (ERROR_RATIO, 0.99, ""),
        (MEMORY, 0.5, "a whole number (bytes)"),
        (MEMORY, 1, ""),
        (QUEUE, 0, "above 0"),
        (QUEUE, nan, "above 0"),
        (QUEUE, inf, "above 0"),
        (QUEUE, 0.5, ""),
    ],
)
def test_a_value_out_of_its_range_is_told(threshold: Threshold, value: float, told: str):
    """A share lies between 0 and 1, bytes are whole, everything is above 0 and finite."""
    problem = threshold.problem(value)
    assert told in problem
    assert bool(problem) == bool(told)


@pytest.mark.parametrize(("name", "default"), [("Queue Length", 10), ("queue_length", 0), ("queue_length", nan)])
def test_a_threshold_that_cannot_be_is_refused_when_it_is_declared(name: str, default: float):
    """Its author is told, not whoever runs the alert at night."""
    with pytest.raises(DefinitionError, match="threshold"):
        Threshold(name, default, "jobs", "")


def test_what_a_recording_keeps_has_no_default_left_open():
    """Each declared threshold is there with the value that held, and what else the profile sets stays."""
    kept = effective((*SHIPPED, QUEUE), {"error_ratio": 0.5, "other": 1})
    assert kept == {
        "error_ratio": 0.5,
        "other": 1,
        "queue_length": 10,
        "auth_failure_ratio": 0.2,
        "database_errors_per_second": 0.1,
        "latency_p95_seconds": 2.0,
        "memory_bytes": 524_288_000,
    }
