"""Kubernetes' quantities ("250m", "512Mi", "1e3") as numbers: pure.

The grammar is that of apimachinery's resource.Quantity: a signed decimal number and one suffix, either binary
(Ki to Ei), decimal (n, u, m, none, k to E) or a decimal exponent.
"""

from __future__ import annotations

import re
from fractions import Fraction

_GRAMMAR = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_BINARY = {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    letter: Fraction(1000) ** power for power, letter in zip((-3, -2, -1, 1, 2, 3, 4, 5, 6), "numkMGTPE", strict=True)
}
_FACTORS = {"": Fraction(1), **_BINARY, **_DECIMAL}


def quantity(text: str | int | float) -> float:
    """The number that a quantity means, in its resource's unit: cores for CPU, bytes for memory.

    Raises ValueError for what Kubernetes would not take either.
    """
    found = _GRAMMAR.fullmatch(str(text))
    if not found:
        raise ValueError(f"{str(text)[:40]!r} is not a Kubernetes quantity")
    number, suffix = Fraction(found["number"]), found["suffix"] or ""
    return float(number * _factor(suffix))


def _factor(suffix: str) -> Fraction:
    known = _FACTORS.get(suffix)
    return known if known is not None else Fraction(10) ** int(suffix[1:])  # no suffix of ours: an exponent
