"""When an incident was and what it is called: times, durations and IDs as people write them, read strictly. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, NoReturn

from runbook.errors import ParameterError
from runbook.text.time import duration_text

Value = str | int | float | bool
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
AHEAD_SECONDS: Final = 120  # so far ahead of our clock another machine's may be
LOOKBACK: Final = (300, 7 * 86_400)
LONGEST: Final = 7 * 86_400  # from the alert to the end of the window: beyond it charts and rates say nothing
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_INCIDENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}(-[A-Za-z0-9]{1,32}){1,6}", re.ASCII)
_OURS: Final = re.compile(r"INC-(\d{4}-\d{2}-\d{2})-\d{2,3}", re.ASCII)


@dataclass(frozen=True)
class Span:
    """The times of an incident in epoch seconds; None where it goes on, or nothing was mitigated."""

    started_at: float
    lookback: int
    ended_at: float | None = None
    mitigated_at: float | None = None


def span(started_at: str, lookback: str, ended_at: str, mitigated_at: str, *, now: float) -> Span:
    """The times of an incident, checked against each other and the clock; `now` is infinite where one replays."""
    started = moment("started_at", started_at, now)
    ended = moment("ended_at", ended_at, now) if ended_at else None
    mitigated = moment("mitigated_at", mitigated_at, now) if mitigated_at else None
    for name, text, value in (("ended_at", ended_at, ended), ("mitigated_at", mitigated_at, mitigated)):
        if value is not None and value < started:
            raise ParameterError(
                f"The parameter {name} ({text}) is before started_at ({started_at}); check which is wrong."
            )
    _refuse_long(started, ended, now)
    return Span(started, seconds("lookback", lookback), ended, mitigated)


def _refuse_long(started: float, ended: float | None, now: float) -> None:
    """A window of months is a forgotten end; recordings are replayed as they are."""
    if not math.isfinite(now) or (now if ended is None else ended) - started <= LONGEST:
        return
    if ended is not None:
        raise ParameterError(
            f"The parameter ended_at is {duration_text(ended - started)} after started_at; a window has at most 7 d."
        )
    raise ParameterError(
        f"The alert started {duration_text(now - started)} ago; "
        "say where the window ends by ended_at (--ended-at), at most 7 d later."
    )


def moment(name: str, text: str, now: float) -> float:
    """An ISO 8601 time with Z or an offset as epoch seconds, between the year 2000 and now."""
    try:
        parsed = datetime.fromisoformat(text.strip())
        value = parsed.timestamp() if parsed.tzinfo else None
    except (ValueError, OverflowError):
        refuse(name, text, "a time like 2026-01-15T10:47:00Z")
    if value is None:
        refuse(name, text, "a time with its zone: end it with Z for UTC, or an offset like +02:00")
    if value < EARLIEST:
        refuse(name, text, "a time since the year 2000")
    if value > now + AHEAD_SECONDS:
        refuse(name, text, "a time that has passed")
    return min(value, now)


def seconds(name: str, text: str) -> int:
    """A duration like 90m or 2h (or 1h30m) in seconds, from 5m to 7d."""
    stripped = text.strip()
    if not re.fullmatch(r"((0|[1-9]\d{0,8})[smhd]){1,4}", stripped, re.ASCII):
        refuse(name, text, "a duration like 90m, 2h or 1d")
    value = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", stripped))
    if not LOOKBACK[0] <= value <= LOOKBACK[1]:
        refuse(name, text, "a duration from 5m to 7d")
    return value


def incident_id(text: str) -> str:
    """INC-YYYY-MM-DD-XX, or another tracker's words of letters and digits joined by hyphens: a safe folder name."""
    if not _INCIDENT.fullmatch(text) or len(text) > 64:
        refuse("incident_id", text, "an incident's ID like INC-2026-01-15-01, letters and digits joined by hyphens")
    if text.upper().startswith("INC-"):
        ours = _OURS.fullmatch(text)
        if not ours or not _is_date(ours[1]):
            refuse("incident_id", text, "INC- followed by the date and a number, as in INC-2026-01-15-01")
    return text


def next_incident_id(started_at: float, taken: Sequence[str]) -> str:
    """INC-, the UTC day on which the alert started, and the number after the highest one taken on that day."""
    day = f"INC-{datetime.fromtimestamp(started_at, UTC):%Y-%m-%d}-"
    numbers = [
        int(name.removeprefix(day)) for name in taken if name.startswith(day) and name.removeprefix(day).isdecimal()
    ]
    return f"{day}{max(numbers, default=0) + 1:02d}"


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def refuse(name: str, value: Value, expected: str) -> NoReturn:
    """Raise the one sentence about a parameter that does not fit."""
    shown = repr(value)
    raise ParameterError(
        f"The parameter {name} is {shown if len(shown) <= 80 else shown[:77] + '…'}; it should be {expected}."
    ) from None
