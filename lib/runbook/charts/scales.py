"""What stands on the axes: round values with their labels, and clock times in UTC with the day they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, isfinite, log10

from runbook.wording import MONTHS, days_text

STEPS = (1, 2, 2.5, 5, 10)
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
SI = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SMALL, LARGE = -1e15, 1e15  # seconds of the epoch that have a calendar day, generously


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, with ticks at `places` that say `labels`. Values are divided by `divisor`."""

    low: float
    high: float
    places: tuple[float, ...]
    labels: tuple[str, ...]
    divisor: float = 1.0


def value_scale(values: Sequence[float], *, whole: bool = False, count: int = 5) -> Scale:
    """A scale that holds finite values and zero, with some air above; `whole`: ticks at whole numbers only."""
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    size = max(-low, high)
    divisor = 10.0 ** floor(log10(size)) if size >= 1e-290 else 1.0
    low, high = low / divisor, high / divisor
    if high - low < 1e-9:
        high = low + 1
    step = _step((high - low) / count)
    if whole:
        step = max(step, 1 / divisor)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    air = 0.05 * (high - low)
    high, low = high + air, low - air if low < 0 else low
    last = max(last, floor(high / step + 1e-9))
    places = tuple(k * step for k in range(first, last + 1))
    return Scale(low, high, places, number_labels([place * divisor for place in places]), divisor)


def _step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(s for s in STEPS if s * power >= rough * (1 - 1e-9)) * power


def number_labels(values: Sequence[float]) -> tuple[str, ...]:
    """Short labels in one unit: thousands separated, from ten thousand on k, M, G, ..., beyond in powers of ten."""
    size = max((abs(value) for value in values), default=0.0)
    divisor, suffix = next(((d, s) for d, s in SI if size >= 10 * d or (size >= d > 1e3)), (1.0, ""))
    return tuple(_short(value / divisor, suffix) for value in values)


def number_label(value: float) -> str:
    """One such label by itself."""
    return number_labels([value])[0]


def _short(value: float, suffix: str) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.3g}{suffix}"
    return f"{float(f'{value:.4g}'):,.10g}{suffix}"


def time_scale(first: float, last: float, count: int = 8) -> Scale:
    """Clock times between two moments; midnight also says the new day."""
    span = last - first
    step = next((s for s in SECONDS if span / s <= count), None) or 604_800 * ceil(span / 604_800 / count)
    start = ceil(first / step - 1e-9)
    places = tuple(float(k * step) for k in range(start, floor(last / step + 1e-9) + 1))
    return Scale(first, last, places, tuple(_clock(place, step) for place in places))


def _clock(epoch: float, step: float) -> str:
    if not SMALL < epoch < LARGE or not isfinite(epoch):
        return ""
    moment = datetime.fromtimestamp(epoch, UTC)
    day = f"{moment.day} {MONTHS[moment.month - 1][:3]}"
    if step >= 86_400:
        return day
    clock = f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
    return f"{clock}\n{day}" if epoch % 86_400 == 0 else clock


def time_title(first: float, last: float) -> str:
    """The day or days of a time axis, and its time zone."""
    return f"{days_text(first, last)}, UTC"
