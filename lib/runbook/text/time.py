"""Times as people and files spell them: epoch seconds in, UTC out, the same in every locale and time zone.

What is for people says so where the calendar has no such time; `iso`, `second` and `stamp` raise ValueError,
OverflowError or OSError then.
"""

from __future__ import annotations

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
UNKNOWN = "an unknown time"


def clock(epoch: float, *, seconds: bool = False, unknown: str = UNKNOWN) -> str:
    """A time of day where the zone is named beside it: "10:40", "10:40:15"."""
    moment = _moment(epoch)
    if moment is None:
        return unknown
    return f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"


def clock_text(epoch: float, reference: float | None = None, *, seconds: bool = False) -> str:
    """A time of day, "10:40 UTC"; with the date where its day is not that of `reference`, "14 January 23:59 UTC"."""
    moment = _moment(epoch)
    if moment is None:
        return UNKNOWN
    said = f"{clock(epoch, seconds=seconds)} UTC"
    other = _moment(reference) if reference is not None else moment
    if other is None or moment.date() == other.date():
        return said
    year = f" {moment.year}" if moment.year != other.year else ""
    return f"{_day_of(moment)}{year} {said}"


def day(epoch: float) -> str:
    """15 January 2026"""
    return days_text(epoch, epoch)


def short_day(epoch: float, unknown: str = UNKNOWN) -> str:
    """15 Jan"""
    moment = _moment(epoch)
    return unknown if moment is None else f"{moment.day} {MONTHS[moment.month - 1][:3]}"


def days_text(first: float, last: float) -> str:
    """The day or days between two times: "15 January 2026", "15–16 January 2026", "31 May – 1 June 2026"."""
    a, b = _moment(first), _moment(last)
    if a is None or b is None:
        return "unknown day"
    end = f"{_day_of(b)} {b.year}"
    if a.date() == b.date():
        return end
    if a.year != b.year:
        return f"{_day_of(a)} {a.year} – {end}"
    return f"{a.day}–{end}" if a.month == b.month else f"{_day_of(a)} – {end}"


def window(start: float, end: float) -> str:
    """09:42–11:12 UTC, 15 January 2026"""
    return f"{clock(start)}–{clock(end)} UTC, {days_text(start, end)}"


def duration_text(seconds: float) -> str:
    """A length of time in its one or two largest units: "40 s", "2 min", "1 h 5 min", "3 d 4 h"."""
    if not isfinite(seconds):
        return UNKNOWN
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if 0 < seconds < 0.9995:
        return f"{_trimmed(seconds * 1000)} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{_trimmed(seconds)} s"
    if seconds < 119.5:
        return "1 min" if round(seconds) == MINUTE else f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return _two(minutes, 60, "h", "min")
    return _two(round(seconds / HOUR), 24, "d", "h")


def iso(epoch: float, *, milliseconds: bool = False) -> str:
    """2026-01-15T10:47:00Z; with `milliseconds`, 2026-01-15T10:47:00.250Z where the second is not whole."""
    if not milliseconds:
        return f"{second(epoch).replace(' ', 'T')}Z"
    whole, rest = divmod(round(epoch * 1000), 1000)
    return iso(whole) if not rest else f"{iso(whole)[:-1]}.{rest:03d}Z"


def minute(epoch: float) -> str:
    """2026-01-15 10:47"""
    return second(epoch)[:16]


def second(epoch: float) -> str:
    """2026-01-15 10:47:00"""
    return datetime.fromtimestamp(floor(epoch), UTC).strftime("%Y-%m-%d %H:%M:%S")


def stamp(epoch: float) -> str:
    """20260115T104700Z, as in the name of a bundle."""
    return iso(epoch).replace("-", "").replace(":", "")


def _moment(epoch: float) -> datetime | None:
    """The time in UTC, to the second below; None where the calendar has none."""
    try:
        return datetime.fromtimestamp(floor(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _day_of(moment: datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]}"


def _trimmed(number: float) -> str:
    """One decimal, if it says something: "5.0" -> "5"."""
    return f"{number:.1f}".removesuffix(".0")


def _two(count: int, base: int, large: str, small: str) -> str:
    whole, rest = divmod(count, base)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
