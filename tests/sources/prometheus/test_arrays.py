"""Prometheus: answers as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.model import Answer
from runbook.sources.prometheus.client import build_info, instant, matrix, range_, vector, version
from tests.sources.prometheus.asking import ONE


def range_answer(result: list[Any], start: int, end: int, step: int) -> Answer:
    data = {"resultType": "matrix", "result": result}
    return Answer(range_("x", start, end, step), "complete" if result else "empty", data)


def test_series_are_aligned_with_gaps():
    """Values stand at their times; where a series has none there is NaN, and infinities stay."""
    answer = range_answer(
        [
            {"metric": {"i": "a"}, "values": [[0, "1"], [60, "NaN"], [120, "+Inf"], [180, "-Inf"]]},
            {"metric": {"i": "b"}, "values": [[60, "0.5"], [180, "1e-3"]]},
        ],
        0,
        180,
        60,
    )
    result = matrix(answer)
    np.testing.assert_array_equal(result.times, [0, 60, 120, 180])
    np.testing.assert_array_equal(result.values, [[1, np.nan, np.inf, -np.inf], [np.nan, 0.5, np.nan, 0.001]])
    assert (result.times.dtype, result.values.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(result.sum(), [1, 0.5, np.inf, -np.inf])
    np.testing.assert_array_equal(result.select({"i": "b"}).values, result.values[1:])
    assert len(result.select({"i": "c"})) == 0


def test_a_server_with_a_grid_of_its_own():
    """Points beside the asked grid go to the nearest time, those outside of it nowhere, least to the other end."""
    values = [[at, str(at)] for at in (40, 100, 160, 220)]
    result = matrix(range_answer([{"metric": {}, "values": values}], 60, 180, 60))
    np.testing.assert_array_equal(result.values, [[40, 100, 160]])
    shifted = matrix(range_answer([{"metric": {}, "values": values[:3]}], 90, 210, 60))
    np.testing.assert_array_equal(shifted.values, [[100, 160, np.nan]])


def test_no_series_makes_a_matrix_of_none():
    """An empty answer has its times, no rows, and a sum without values."""
    result = matrix(range_answer([], 0, 120, 60))
    assert result.values.shape == (0, 3)
    assert np.isnan(result.sum()).all()


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.dictionaries(st.integers(0, 40), st.floats(), min_size=1), max_size=5),
    st.integers(0, 2**33),
    st.integers(1, 10_000),
)
def test_any_values_come_back_at_their_times(rows: list[dict[int, float]], start: int, step: int):
    """Whatever numbers a server sends for whatever points of the grid, each is found at its time and only there."""
    result = [
        {"metric": {"i": str(i)}, "values": [[start + k * step, repr(row[k])] for k in sorted(row)]}
        for i, row in enumerate(rows)
    ]
    values = matrix(range_answer(result, start, start + 40 * step, step)).values
    expected = [[row.get(k, np.nan) for k in range(41)] for row in rows]
    np.testing.assert_array_equal(values, np.array(expected, dtype=float).reshape(len(rows), 41))


def test_instant_values():
    """A vector gives labels and values, a scalar one value without labels, no answer none."""
    data = {"resultType": "vector", "result": [ONE, {"metric": {"i": "b"}, "value": [100, "NaN"]}]}
    (first, one), (_, missing) = vector(Answer(instant("up", 100), "complete", data))
    assert (first, one) == ({"__name__": "up", "job": "x"}, 1.0)
    assert np.isnan(missing)
    scalar = {"resultType": "scalar", "result": [100, "5"]}
    assert vector(Answer(instant("5", 100), "complete", scalar)) == (({}, 5.0),)
    assert vector(Answer(instant("up", 100), "failed", None, error="x")) == ()


def test_a_version_may_be_missing():
    """A Prometheus built from source says no version, which is not an error."""
    assert version(Answer(build_info(), "complete", {"version": "2.42.0"})) == "2.42.0"
    assert version(Answer(build_info(), "complete", {"version": ""})) == ""
    assert version(Answer(build_info(), "failed", None, error="x")) == ""
