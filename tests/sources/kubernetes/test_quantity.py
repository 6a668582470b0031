"""Kubernetes' quantities: what cannot be read, and numbers that come back whatever suffix they were written with."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.sources.kubernetes.quantity import quantity

FACTORS = {
    **{suffix: Fraction(10) ** power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    "": Fraction(1),
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
SUFFIXES = st.sampled_from(sorted(FACTORS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mi",
        "1 Gi",
        "1gi",
        "1K",
        "1ki",
        "0x10",
        "1e",
        "1e1.5",
        "1_000",
        "١",
        "--1",
        "1..5",
        ".",
        "nan",
        "inf",
        "5Mb",
        "1\n",
    ],
)
def test_what_kubernetes_would_not_take_is_refused(text: str):
    """A wrong suffix, spaces, other digits and the words of floats are no quantities."""
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25),
        ("512Mi", 536_870_912),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 1e18),
        ("1.5Gi", 1_610_612_736),
        ("100k", 100_000),
        ("249987617n", 0.249987617),
        ("3u", 0.000003),
        ("0", 0),
        ("-5", -5),
        ("+.5", 0.5),
        ("5.", 5),
        ("1e-3", 0.001),
        (2, 2),
    ],
)
def test_quantities_as_they_are_written(text: str, number: float):
    """The forms that manifests and metrics-server use, and the odd ones that Kubernetes takes as well."""
    assert quantity(text) == number


@given(st.integers(-(10**12), 10**12), SUFFIXES)
def test_whole_numbers_are_exact(whole: int, suffix: str):
    """A whole number with any suffix is that number times the suffix's factor, rounded once."""
    assert quantity(f"{whole}{suffix}") == float(whole * FACTORS[suffix])


@given(st.decimals(min_value=0, max_value=10**9, places=6), SUFFIXES)
def test_decimals_are_exact(number: object, suffix: str):
    """So is a decimal one."""
    assert quantity(f"{number:f}{suffix}") == float(Fraction(f"{number:f}") * FACTORS[suffix])


@given(st.integers(0, 10**6), st.integers(-30, 30), st.sampled_from("eE"))
def test_exponents_are_those_of_ten(whole: int, exponent: int, letter: str):
    """An exponent is one of ten, in either case of the letter."""
    assert quantity(f"{whole}{letter}{exponent}") == float(whole * Fraction(10) ** exponent)


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_refused(text: str):
    """Whatever stands there, the outcome is a finite number or the one error."""
    try:
        assert abs(quantity(text)) < float("inf")
    except ValueError as error:
        assert "is not a Kubernetes quantity" in str(error)
