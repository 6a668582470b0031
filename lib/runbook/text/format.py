"""Numbers as the words of a sentence, the same in every locale.

Where there is no number (NaN, infinity) they say so as a noun phrase that still fits the sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite


def source_text(name: str) -> str:
    """A source at the beginning of a sentence: "MySQL", "Prometheus"."""
    return "MySQL" if name == "mysql" else name.capitalize()


def share_text(share: float) -> str:
    """A ratio in per cent: 0.151 -> "15.1 %". Never rounds something to nothing nor almost all to all."""
    if not isfinite(share):
        return "an unknown share"
    percent = share * 100
    if 0 < abs(percent) < 0.01:
        return "< 0.01 %" if percent > 0 else "> -0.01 %"
    if 99.99 < percent < 100:
        return "> 99.99 %"
    digits = 2 if abs(percent) < 0.1 or 99.9 < percent < 100 else 1
    return f"{_trimmed(f'{percent:,.{digits}f}')} %"


def count_text(count: float) -> str:
    """A number of things, with thousands separated: 4812 -> "4,812"; a scaled-up sample is rounded."""
    return f"{round(count):,}" if isfinite(count) else "an unknown number"


def plural(count: float, word: str) -> str:
    """A count with its noun: "1 request", "4,812 requests", "2 addresses", "3 queries"."""
    return f"{count_text(count)} {word if count == 1 else _plural(word)}"


def bytes_text(count: float) -> str:
    """An amount of memory: 536870912 -> "512 MiB", 24 KiB, "1.5 GiB"; three digits are enough."""
    if not isfinite(count):
        return "an unknown amount"
    size, unit = next(
        (s, u)
        for s, u in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
        if abs(count) >= 0.9995 * s or s == 1
    )
    amount = count / size
    return f"{_trimmed(f'{amount:.1f}') if abs(amount) < 9.95 else f'{amount:,.0f}'} {unit}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of these values that so many per cent of them do not exceed; raises ValueError for no values."""
    if not values:
        raise ValueError("No percentile of nothing.")
    return sorted(values)[max(0, ceil(percent / 100 * len(values)) - 1)]


def _trimmed(number: str) -> str:
    """Without decimals that say nothing: "5.0" -> "5"."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"
