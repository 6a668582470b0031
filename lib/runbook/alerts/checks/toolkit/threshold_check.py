"""Is it real? A level against its threshold, when it left what is usual, and what is usual at this hour on other days.

The first check of an alert: `check(Level(...))`. Its facts hold `onset`, `impact`, and the level's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
from runbook.model import JSON, Chart, Query, Result
from runbook.text.format import clock_text, share_text

OTHER_DAYS = {", yesterday": DAY, ", last week": WEEK}


@dataclass(frozen=True)
class Level:
    """What an alert's expression computes, over time.

    `queries(context, window, ago)` asks the `parts` over a rate window in PromQL and so many seconds earlier; `value`
    puts their answers together, which it cannot without those in `needs`. `now` and `past` are clauses with a place for the value: "{} of requests fail";
    `nothing` says what it means when there is no value since the alert. Values are charted `scale` times as large.
    The onset is that of `moving(service, answers)` where the level itself is too restless to tell, else the level's: a
    rise below `least(service)` is none, and what wanders less than `noise` is calm; `began(context, answers, onset)`
    may know better. A `gauge` has no rate window: it is not asked over a short one, and its onset is not late by one.
    `impact(context, answers, onset)` gives further facts, the clause `impact` among them where it can be counted, and
    `count(facts)` a clause after when it began.
    """

    name: str
    title: str
    unit: str
    now: str
    past: str
    nothing: str
    queries: Callable[[Context, str, int], Mapping[str, Query]]
    value: Callable[[Answers], Floats]
    parts: tuple[str, ...]
    needs: tuple[str, ...]
    threshold: Callable[[Service], float]
    least: Callable[[Service], float]
    noise: float
    text: Callable[[float], str] = share_text
    scale: float = 1.0
    moving: Callable[[Service, Answers], Floats] | None = None
    gauge: bool = False
    began: Callable[[Context, Answers, float | None], float | None] = lambda context, answers, began: began
    impact: Callable[[Context, Answers, float | None], Mapping[str, JSON]] = lambda context, answers, began: {}
    count: Callable[[Mapping[str, JSON]], str] = lambda facts: ""


def check(level: Level) -> Check:
    """The alert's first check."""
    return Check(
        level.name,
        "Is it real?",
        lambda context: _queries(context, level),
        lambda context, answers, earlier: _judge(context, answers, level),
        needs=level.needs,
        optional=tuple(f"{part}{day}" for part in level.parts for day in OTHER_DAYS),
    )


def _queries(c: Context, level: Level) -> Mapping[str, Query]:
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


def _judge(c: Context, answers: Answers, level: Level) -> Result:
    now, threshold = level.value(answers), level.threshold(c.service)
    firing = now[grid(c) >= c.started_at - c.hold_seconds]
    if np.isnan(firing).all():
        return Result("unknown", f"Not known: {level.nothing}.")
    peak = float(np.nanmax(firing))
    abnormal = peak > threshold
    began = level.began(c, answers, _onset(c, level, answers)) if abnormal else None
    last_week = level.value(_at(answers, ", last week"))
    facts: dict[str, JSON] = {
        "threshold": threshold,
        "now": number(last(now)) if _is_current(c, now) else None,
        "last_seen": _last_time(c, now),
        "peak": number(peak),
        "yesterday": _typical(level.value(_at(answers, ", yesterday"))),
        "last_week": _typical(last_week),
        "onset": began,
    }
    facts |= level.impact(c, answers, began)
    lines = (
        series(c, "same hours last week", last_week, "reference", level.scale),
        series(c, "now", now, scale=level.scale),
    )
    chart = Chart(level.name, level.title, level.unit, lines, threshold=threshold * level.scale)
    return Result("abnormal" if abnormal else "normal", _sentence(c, level, facts, abnormal), facts, (chart,))


def _onset(c: Context, level: Level, answers: Answers) -> float | None:
    window = 0 if level.gauge else short_window(c)
    shown = answers if level.gauge else _at(answers, ", short")
    values = level.moving(c.service, shown) if level.moving else level.value(shown)
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


def _sentence(c: Context, level: Level, facts: Mapping[str, JSON], abnormal: bool) -> str:
    limit, usual = level.text(facts["threshold"]), _usual(level, facts)
    worst = _clause(level.past, level.text(facts["peak"]))
    if not abnormal:
        return f"No. {worst} at most since the alert, not above the threshold of {limit}{usual}."
    if facts["now"] is None:
        since = clock_text(facts["last_seen"], c.started_at)
        said = f"Yes. {worst} at worst (threshold {limit}){usual}, and there is no data since {since}."
    elif facts["now"] > facts["threshold"]:
        said = f"Yes. {_clause(level.now, level.text(facts['now']))} (threshold {limit}){usual}."
    else:
        now = f"{level.text(facts['now'])} at {clock_text(c.end, c.started_at)}"
        said = f"It was. {worst} at worst (threshold {limit}), {now}{usual}."
    began = (
        f"It began at {clock_text(facts['onset'], c.started_at)}"
        if facts["onset"] is not None
        else "When it began could not be told"
    )
    count = level.count(facts)
    return f"{said} {began}; {count}." if count else f"{said} {began}."


def _clause(pattern: str, value: str) -> str:
    text = pattern.format(value)
    return f"{text[0].upper()}{text[1:]}"


def _usual(level: Level, facts: Mapping[str, JSON]) -> str:
    """What is usual at this hour, last week and yesterday, as far as it is known."""
    known = [
        f"{level.text(facts[day])} {words}"
        for day, words in (("last_week", "last week"), ("yesterday", "yesterday"))
        if facts[day] is not None
    ]
    return f", against {' and '.join(known)} at this hour" if known else ""
