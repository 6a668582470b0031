"""Numbers as words."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.text.format import bytes_text, count_text, percentile, plural, share_text


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.151, "15.1 %"),
        (0.05, "5 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0004, "0.04 %"),
        (0.00004, "< 0.01 %"),
        (0.9996, "99.96 %"),
        (0.99999, "> 99.99 %"),
        (-0.02, "-2 %"),
        (13.2, "1,320 %"),
        (nan, "an unknown share"),
        (inf, "an unknown share"),
    ],
)
def test_a_share_is_said_in_per_cent(share: float, said: str):
    """One decimal at most where that is enough, two where it would say nothing or all."""
    assert share_text(share) == said


@given(st.floats(min_value=0, max_value=1))
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float):
    """0 % and 100 % are said of exactly these."""
    assert (share_text(share) == "0 %") == (share == 0)
    assert (share_text(share) == "100 %") == (share * 100 == 100)


@pytest.mark.parametrize(("count", "said"), [(4812, "4,812"), (0, "0"), (1788.4, "1,788"), (nan, "an unknown number")])
def test_a_count_has_its_thousands_apart(count: float, said: str):
    """Counts of scaled-up samples are rounded."""
    assert count_text(count) == said


def test_a_count_and_its_noun_agree():
    """One thing is no plural."""
    assert [plural(1, "request"), plural(0, "request"), plural(4812, "request")] == [
        "1 request",
        "0 requests",
        "4,812 requests",
    ]
    assert [plural(2, "address"), plural(2, "query"), plural(2, "day")] == ["2 addresses", "2 queries", "2 days"]


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(min_value=0, max_value=100))
def test_a_percentile_is_a_value_that_was_measured(values: list[float], percent: float):
    """So many per cent do not exceed it, and fewer do not exceed any lower one."""
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    assert percentile(values, 100) == max(values)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (900, "900 B"),
        (24 * 2**10, "24 KiB"),
        (4.2 * 2**20, "4.2 MiB"),
        (500 * 2**20, "500 MiB"),
        (1023.9 * 2**20, "1 GiB"),
        (1.5 * 2**30, "1.5 GiB"),
        (-3 * 2**20, "-3 MiB"),
        (float("nan"), "an unknown amount"),
    ],
)
def test_an_amount_of_memory_is_told_in_its_unit(count: float, text: str):
    """Binary units, three digits at most below the next unit."""
    assert bytes_text(count) == text
