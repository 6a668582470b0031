"""How many instances are down, the first check of InstanceDown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, nan

import numpy as np

from runbook.alerts.checks.requests.request_error_rate import count, failed_rate, total_rate
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import (
    Floats,
    change,
    grid,
    last,
    line,
    metric,
    number,
    over_window,
    short_window,
    split_time,
)
from runbook.analysis.intervals import stretch_start
from runbook.config.schema import Service
from runbook.investigation.definitions import Answers, Context
from runbook.model import Query
from runbook.text.format import count_text, plural, share_text
from runbook.text.time import clock_text

FOR_SECONDS = 60
ANY = 0.5  # between none and one
RESTLESS = 0.1  # of an instance: now and then a scrape is late
TOGETHER = 180  # seconds: two outages with less than this between them are one outage
FEWER = 0.9  # of the requests before the onset: a lower rate than this means that requests are missing


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """How many instances are down. `worst` is the most at a time since the alert, of so many `instances`.

    `left` is when the last instance stopped being a target of Prometheus (epoch seconds), None where one still is.
    `failed_requests` and `requests` are counted since the onset; None where that is not known.
    """

    left: float | None
    worst: int
    instances: float | None
    failed_requests: int | None
    requests: int | None


def held(service: Service) -> int:
    """An instance is down when it misses every scrape for so many seconds: a minute, longer where scrapes are rare."""
    return max(FOR_SECONDS, 4 * service.scrape_interval_seconds)


def down(service: Service) -> str:
    """PromQL: how many instances have been down for at least the alert's `for`; no value where there is no instance."""
    return f"sum(max_over_time({metric(service, 'up')}[{held(service)}s]) == bool 0)"


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    asked = {"down": over_window(c, down(c.service), ago)}
    if ago:
        return asked
    return asked | {
        "instances": over_window(c, f"count({metric(c.service, 'up')})"),
        "missed": over_window(c, f"sum(1 - avg_over_time({metric(c.service, 'up')}[{window}]))"),
        "failed": over_window(c, failed_rate(c, window)),
        "total": over_window(c, total_rate(c, window)),
    }


def left(c: Context, known: Floats) -> float | None:
    """When the last instance stopped being a target, to the step; None where one still is, or none ever was.

    `known`: any level over the last `held` seconds on the window's grid, NaN where it found no sample.
    """
    seen = np.flatnonzero(~np.isnan(known))
    if not len(seen) or seen[-1] == len(known) - 1:
        return None
    return float(grid(c)[seen[-1]]) + c.step - held(c.service)


def _value(answers: Answers) -> Floats:
    """How many are down; where none is a target any more, as many as there were last."""
    known = line(answers["down"])
    seen = np.flatnonzero(~np.isnan(known))
    if "instances" in answers and len(seen):
        known[seen[-1] + 1 :] = last(line(answers["instances"]))
    return known


def _began(c: Context, answers: Answers, onset: float | None) -> float | None:
    """The onset; where the test of levels finds none, as in an outage that has just begun, the first missed scrapes."""
    if onset is not None:
        return onset
    missed, window = line(answers["missed, short"]), short_window(c)
    began = stretch_start(grid(c), missed, at=c.started_at, least=ANY, gap=TOGETHER, window=window)
    return began if began is not None else left(c, line(answers["down"]))


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    firing = grid(c) >= c.started_at - c.for_seconds
    failed, requests = (count(c, answers[f"{part}, short"], measured.onset) for part in ("failed", "total"))
    facts = Facts(
        **vars(measured),
        left=left(c, line(answers["down"])),
        worst=int(np.nanmax(_value(answers)[firing])),
        instances=number(last(line(answers["instances"])), 0),
        failed_requests=failed,
        requests=requests,
    )
    return replace(facts, impact=_impact(c, answers, facts))


def _impact(c: Context, answers: Answers, facts: Facts) -> str:
    """How many were down at the peak and for how long, how many requests failed, and how many are missing."""
    minutes = (c.end - split_time(c, facts.onset)) / 60
    said = [f"{_of_all(facts, facts.worst)} down at the peak within {minutes:,.0f} minutes"]
    if facts.failed_requests is not None and facts.requests:
        said.append(f"{count_text(facts.failed_requests)} of {plural(facts.requests, 'counted request')} failed")
    rate = change(c, line(answers["total"]), facts.onset)
    if rate.since < FEWER * rate.before or (rate.before > 0 and np.isnan(rate.since)):
        missing = 1.0 if np.isnan(rate.since) else 1 - rate.times
        said.append(f"{share_text(round(missing, 2))} fewer requests counted than before the onset")
    return f"{', '.join(said)}."


def _of_all(facts: Facts, count: float) -> str:
    """How many of all, e.g. "4 of 6 instances"; without their total where it is not known."""
    if facts.instances is None:
        return plural(count, "instance")
    return f"{count_text(count)} of {plural(max(facts.instances, facts.worst), 'instance')}"


def _sentence(c: Context, facts: Facts, abnormal: bool) -> str:
    usual = _usual(facts)
    if not abnormal:
        return f"No. No instance has been down since the alert{usual}."
    if facts.now is None:
        since = clock_text(nan if facts.last_seen is None else facts.last_seen, c.started_at)
        said = f"Yes. {_of_all(facts, facts.worst)} down at the peak{usual}; there is no data since {since}."
    elif facts.now > facts.threshold:
        now = ceil(facts.now)
        said = f"Yes. {_of_all(facts, now)} {'is' if now == 1 else 'are'} down{usual}."
    else:
        now_text = clock_text(c.end, c.started_at)
        said = f"It was. {_of_all(facts, facts.worst)} down at the peak, none at {now_text}{usual}."
    began = "The data do not show when it began"
    if facts.onset is not None:
        began = f"It began at {clock_text(facts.onset, c.started_at)}"
    left_all = "; no instance is a target of Prometheus any more" if facts.left is not None else ""
    return f"{said} {began}{left_all}."


def _usual(facts: Facts) -> str:
    """How many were down at this hour on other days, as far as it is known."""
    days = (("yesterday", facts.yesterday), ("last week", facts.last_week))
    known = [(day, count_text(ceil(count))) for day, count in days if count is not None]
    if len({count for _, count in known}) == 1:
        return f" ({known[0][1]} at this hour {' and '.join(day for day, _ in known)})"
    return f" (at this hour {', '.join(f'{count} {day}' for day, count in known)})" if known else ""


CHECK = threshold_check.check(
    threshold_check.Level(
        name="instances_down_count",
        facts=Facts,
        title="Instances that are down",
        unit="instances",
        nothing="Prometheus has had no instance of the service as a target since the alert",
        queries=_queries,
        value=_value,
        parts=("down",),
        requires=("down",),
        threshold=lambda service: 0.0,
        least=lambda service: ANY,
        noise=RESTLESS,
        moving=lambda service, answers: line(answers["missed"]),
        began=_began,
        find=_find,
        sentence=_sentence,
    )
)
