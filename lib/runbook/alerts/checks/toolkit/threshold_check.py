"""Is it real? A level against its threshold, when it left what is usual, and what is usual at this hour on other days.

The first check of an alert: `check(Level(...))`. Its facts hold `onset`, `impact`, and the level's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Generic, TypeVar

import numpy as np

from runbook.alerts.checks.toolkit.series import (
    DAY,
    WEEK,
    Floats,
    grid,
    last,
    number,
    rate_window,
    series,
    short_window,
)
from runbook.analysis.onset import onset
from runbook.config.schema import Service
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import AlertFacts, Chart, Query, Result
from runbook.text.format import share_text
from runbook.text.time import clock_text

OTHER_DAYS = {", yesterday": DAY, ", last week": WEEK}


@dataclass(frozen=True, kw_only=True)
class Facts(AlertFacts):
    """The level in the alert's unit: its threshold, its newest value, its highest since the alert, its usual values.

    `now` is None where there is no value until the end of the window; `last_seen` in epoch seconds.
    """

    threshold: float
    now: float | None
    last_seen: float | None
    peak: float
    yesterday: float | None
    last_week: float | None


F = TypeVar("F", bound=Facts)


def as_measured(context: Context, answers: Answers, measured: Facts) -> Facts:
    """Of a level without facts of its own."""
    return measured


@dataclass(frozen=True, kw_only=True)
class Level(Generic[F]):
    """What an alert's expression computes, over time.

    `queries(context, window, ago)` asks the `parts` over a rate window in PromQL and so many seconds earlier; `value`
    puts their answers together, which it cannot without those that it `requires`. `now` and `past` are clauses with a
    place for the value: "{} of requests fail";
    `nothing` says what it means when there is no value since the alert. Values are charted `scale` times as large.
    The onset is that of `moving(service, answers)` where the level itself is too restless to tell, else the level's: a
    rise below `least(service)` is none, and what wanders less than `noise` is calm; `began(context, answers, onset)`
    may know better. A `gauge` has no rate window: it is not asked over a short one, and its onset is not late by one.
    `find(context, answers, measured)` gives the facts of the type `facts`: what was measured and what else the alert
    counts, its `impact` among it; `count(facts)` is a clause after when it began. `sentence(context, facts, abnormal)`
    is the whole sentence of a level that needs another one.
    """

    name: str
    facts: type[F]
    title: str
    unit: str
    now: str = ""
    past: str = ""
    nothing: str
    queries: Callable[[Context, str, int], Mapping[str, Query]]
    value: Callable[[Answers], Floats]
    parts: tuple[str, ...]
    requires: tuple[str, ...]
    threshold: Callable[[Service], float]
    least: Callable[[Service], float]
    noise: float
    text: Callable[[float], str] = share_text
    scale: float = 1.0
    moving: Callable[[Service, Answers], Floats] | None = None
    gauge: bool = False
    below: bool = False
    began: Callable[[Context, Answers, float | None], float | None] = lambda context, answers, began: began
    find: Callable[[Context, Answers, Facts], F]
    count: Callable[[F], str] = lambda facts: ""
    sentence: Callable[[Context, F, bool], str] | None = None

    def beyond(self, value: float, threshold: float) -> bool:
        """Whether the alert's expression holds for a value."""
        return value < threshold if self.below else value > threshold


def check(level: Level[F]) -> Check:
    """The alert's first check."""

    def judge(context: Context, answers: Answers, earlier: Results) -> Result:
        return _judge(context, answers, level)

    return Check(
        level.name,
        "Is it real?",
        level.facts,
        lambda context: _queries(context, level),
        judge,
        requires=level.requires,
        optional=tuple(f"{part}{day}" for part in level.parts for day in OTHER_DAYS),
    )


def _queries(c: Context, level: Level[F]) -> Mapping[str, Query]:
    whens = {"": (rate_window(c), 0)} | ({} if level.gauge else {", short": (f"{short_window(c)}s", 0)})
    whens |= {day: (rate_window(c), ago) for day, ago in OTHER_DAYS.items()}
    return {
        f"{part}{when}": query
        for when, (window, ago) in whens.items()
        for part, query in level.queries(c, window, ago).items()
    }


def _at(answers: Answers, when: str) -> Answers:
    """The parts that were asked about one time, by their own names."""
    return {name.removesuffix(when): answer for name, answer in answers.items() if name.endswith(when)}


def _judge(c: Context, answers: Answers, level: Level[F]) -> Result:
    now, threshold = level.value(answers), level.threshold(c.service)
    firing = now[grid(c) >= c.started_at - c.for_seconds]
    if np.isnan(firing).all():
        return Result("unknown", f"Not known: {level.nothing}.")
    peak = float(np.nanmin(firing) if level.below else np.nanmax(firing))
    abnormal = level.beyond(peak, threshold)
    began = level.began(c, answers, _onset(c, level, answers)) if abnormal else None
    last_week = level.value(_at(answers, ", last week"))
    measured = Facts(
        onset=began,
        threshold=threshold,
        now=number(last(now)) if _is_current(c, now) else None,
        last_seen=_last_time(c, now),
        peak=round(peak, 6),
        yesterday=_typical(level.value(_at(answers, ", yesterday"))),
        last_week=_typical(last_week),
    )
    facts = level.find(c, answers, measured)
    lines = (
        series(c, "same hours last week", last_week, "reference", scale=level.scale),
        series(c, "now", now, scale=level.scale),
    )
    chart = Chart(level.name, level.title, level.unit, lines, threshold=threshold * level.scale)
    said = level.sentence(c, facts, abnormal) if level.sentence else _sentence(c, level, facts, abnormal)
    return Result("abnormal" if abnormal else "normal", said, facts, (chart,))


def _onset(c: Context, level: Level[F], answers: Answers) -> float | None:
    window = 0 if level.gauge else short_window(c)
    shown = answers if level.gauge else _at(answers, ", short")
    values = level.moving(c.service, shown) if level.moving else level.value(shown)
    values = -values if level.below else values  # a fall is the rise of what lies below
    found = onset(grid(c), values, window=window, min_effect=level.least(c.service), noise_floor=level.noise)
    return found.time if found else None


def _typical(values: Floats) -> float | None:
    return None if np.isnan(values).all() else number(np.nanmedian(values))


def _last_time(c: Context, values: Floats) -> float | None:
    known = np.flatnonzero(~np.isnan(values))
    return float(grid(c)[known[-1]]) if len(known) else None


def _is_current(c: Context, values: Floats) -> bool:
    """Whether there were values until the end of the window."""
    seen = _last_time(c, values)
    return seen is not None and c.end - seen <= max(60, 2 * c.step)


def _sentence(c: Context, level: Level[F], facts: F, abnormal: bool) -> str:
    usual = _usual(level, facts)
    limit = f"(threshold {level.text(facts.threshold)}{f'; {usual}' if usual else ''})"
    peak, most = _clause(level.past, level.text(facts.peak)), "at the lowest" if level.below else "at the peak"
    if not abnormal:
        return f"No. {peak} {most} since the alert {limit}."
    if facts.now is None:
        since = clock_text(nan if facts.last_seen is None else facts.last_seen, c.started_at)
        said = f"Yes. {peak} {most} {limit}. There is no data since {since}."
    elif level.beyond(facts.now, facts.threshold):
        said = f"Yes. {_clause(level.now, level.text(facts.now))} {limit}."
    else:
        now = f"{level.text(facts.now)} at {clock_text(c.end, c.started_at)}"
        said = f"It was. {peak} {most} {limit}, {now}."
    began = (
        f"It began at {clock_text(facts.onset, c.started_at)}"
        if facts.onset is not None
        else "The data do not show when it began"
    )
    count = level.count(facts)
    return f"{said} {began}; {count}." if count else f"{said} {began}."


def _clause(pattern: str, value: str) -> str:
    text = pattern.format(value)
    return f"{text[0].upper()}{text[1:]}"


def _usual(level: Level[F], facts: F) -> str:
    """What is usual at this hour, last week and yesterday, as far as it is known."""
    days = ((facts.last_week, "last week"), (facts.yesterday, "yesterday"))
    known = [(level.text(value), words) for value, words in days if value is not None]
    if len(known) == 2 and known[0][0] == known[1][0]:
        return f"at this hour {known[0][0]} yesterday and last week"
    return f"at this hour {' and '.join(f'{text} {words}' for text, words in known)}" if known else ""
