"""What stands on the axes: round values with their labels, and clock times in UTC with the day they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from runbook.text import time

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
WEEK = 604_800
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, WEEK)
LETTERS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
HUGE = 1e21  # from here on powers of ten
AIR = 0.05  # of the height, above the highest value


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` with `labels` at `places`; values are divided by `divisor` to be on it."""

    low: float
    high: float
    places: tuple[float, ...]
    labels: tuple[str, ...]
    divisor: float = 1.0

    def from_top(self, value: float) -> float:
        """How far below its upper end a value stands: 0 at the top, 1 at the bottom."""
        return (self.high - value / self.divisor) / (self.high - self.low)


def values(shown: Sequence[float], *, whole: bool = False, count: int = 5) -> Scale:
    """A scale that holds these finite values and zero; `whole`: labels at whole numbers only."""
    low, high = min(0.0, *shown), max(0.0, *shown)
    size = max(-low, high)
    divisor = 10.0 ** floor(log10(size)) if size > 1e-290 else 1.0
    low, high = low / divisor, high / divisor
    if high - low < 1e-9:
        high = low + 1
    step = max(_round(high / count - low / count), 1 / divisor if whole else 0.0)
    low, high = low - (AIR * (high - low) if low < 0 else 0), high + AIR * (high - low)
    places = tuple(k * step for k in range(ceil(low / step), floor(high / step) + 1))
    return Scale(low, high, places, _numbers([place * divisor for place in places]), divisor)


def _round(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(factor for factor in ROUND if factor * power >= rough * (1 - 1e-9)) * power


def number(value: float) -> str:
    """A value as its axis would label it."""
    return _numbers([value])[0]


def _numbers(shown: Sequence[float]) -> tuple[str, ...]:
    """Short labels in one unit: thousands separated; from ten thousand on k, M, G ...; beyond, powers of ten."""
    size = max((abs(value) for value in shown), default=0.0)
    by, letter = next(((d, s) for d, s in LETTERS if HUGE > size >= (1e4 if d == 1e3 else d)), (1.0, ""))
    return tuple(_number(value / by, letter) for value in shown)


def _number(value: float, letter: str) -> str:
    if value == 0:
        return "0"
    digits = f"{value:.3g}" if abs(value) >= 1e6 or abs(value) < 1e-3 else f"{float(f'{value:.4g}'):,.10g}"
    return f"{digits}{letter}".replace("-", "−")


def times(first: float, last: float, count: int) -> Scale:
    """Clock times between two moments, at most `count` of them; midnight also says the day that begins."""
    span = last - first
    step = next((s for s in SECONDS if span / s <= count), WEEK * ceil(span / WEEK / count))
    places = tuple(float(k * step) for k in range(ceil(first / step), floor(last / step) + 1))
    return Scale(first, last, places, tuple(_tick(place, step) for place in places))


def _tick(epoch: float, step: float) -> str:
    if step >= time.DAY:
        return time.short_day(epoch, unknown="?")
    said = clock(epoch, seconds=step < time.MINUTE)
    return f"{said}\n{time.short_day(epoch)}" if epoch % time.DAY == 0 else said


def clock(epoch: float, *, day: bool = False, seconds: bool = False) -> str:
    """A time of day without the zone, which the axis names: "10:40", "10:40:15", "15 Jan 10:40"."""
    said = time.clock(epoch, seconds=seconds, unknown="?")
    return f"{time.short_day(epoch)} {said}" if day and said != "?" else said


def days(first: float, last: float) -> str:
    """The day or days of a time axis, and its time zone."""
    return f"{time.days_text(first, last)}, UTC"
