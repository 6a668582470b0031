"""Numbers and times as the words of a sentence: the same in every locale and time zone, UTC throughout.

Where there is no number (NaN, infinity) they say so as a noun phrase that still fits the sentence.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from math import floor, isfinite

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MINUTE, HOUR, DAY = 60, 3600, 86_400
ELLIPSIS = "…"
READABLE = 1000  # characters of a sentence, or a few: nobody reads more

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


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


def duration_text(seconds: float) -> str:
    """A length of time in its one or two largest units: "40 s", "2 min", "1 h 5 min", "3 d 4 h"."""
    if not isfinite(seconds):
        return "an unknown time"
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if 0 < seconds < 0.9995:
        return f"{_trimmed(f'{seconds * 1000:.1f}')} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{_trimmed(f'{seconds:.1f}')} s"
    if seconds < 119.5:
        return "1 min" if round(seconds) == MINUTE else f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return _two(minutes, 60, "h", "min")
    return _two(round(seconds / HOUR), 24, "d", "h")


def clock_text(epoch: float, reference: float | None = None, *, seconds: bool = False) -> str:
    """A time of day, "10:40 UTC"; with the date where its day is not that of `reference`, "14 January 23:59 UTC"."""
    moment = _moment(epoch)
    if moment is None:
        return "an unknown time"
    clock = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    other = _moment(reference) if reference is not None else moment
    if other is None or moment.date() == other.date():
        return f"{clock} UTC"
    year = f" {moment.year}" if moment.year != other.year else ""
    return f"{moment.day} {MONTHS[moment.month - 1]}{year} {clock} UTC"


def days_text(first: float, last: float) -> str:
    """The day or days between two times: "15 January 2026", "15-16 January 2026", "31 December 2025 - 1 January 2026"."""
    a, b = _moment(first), _moment(last)
    if a is None or b is None:
        return "unknown day"
    end = f"{b.day} {MONTHS[b.month - 1]} {b.year}"
    if a.date() == b.date():
        return end
    if a.year != b.year:
        return f"{a.day} {MONTHS[a.month - 1]} {a.year} – {end}"
    return f"{a.day}–{end}" if a.month == b.month else f"{a.day} {MONTHS[a.month - 1]} – {end}"


def plain_text(text: str, limit: int = 200) -> str:
    """Text from the outside world in one visible line: no control, bidirectional or unassigned characters.

    Longer than `limit` characters, its middle becomes an ellipsis: the ends of names tell them apart.
    """
    raw = text if len(text) <= 4 * limit + 100 else f"{text[: 2 * limit + 50]}{ELLIPSIS}{text[-2 * limit - 50 :]}"
    spaced = re.sub(r"\s+", " ", raw)
    visible = (
        spaced
        if spaced.isascii() and spaced.isprintable()
        else "".join(c for c in spaced if unicodedata.category(c) not in _INVISIBLE)
    )
    return shortened(visible.strip(), limit)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; the middle of a longer text becomes an ellipsis."""
    if len(text) <= limit:
        return text
    tail = max(0, (limit - 1) * 2 // 5)
    return f"{text[: limit - 1 - tail].rstrip()}{ELLIPSIS}{text[len(text) - tail :].lstrip()}"


def _trimmed(number: str) -> str:
    """Without decimals that say nothing: "5.0" -> "5"."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _two(count: int, base: int, large: str, small: str) -> str:
    whole, rest = divmod(count, base)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def _moment(epoch: float) -> datetime | None:
    """The time in UTC, to the second below; None where the calendar has none."""
    try:
        return datetime.fromtimestamp(floor(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def plural(count: float, word: str) -> str:
    """A count with its noun: "1 request", "4,812 requests", "2 addresses"."""
    ending = "" if count == 1 else "es" if word.endswith("s") else "s"
    return f"{count_text(count)} {word}{ending}"
