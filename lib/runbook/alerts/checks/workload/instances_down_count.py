"""How many instances are down, the first check of InstanceDown."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

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
    turn,
)
from runbook.analysis.intervals import stretch_start
from runbook.config.schema import Service
from runbook.investigation.definitions import Answers, Context
from runbook.model import JSON, Query
from runbook.text.format import count_text, plural, share_text

HOLD_SECONDS = 60
ANY = 0.5  # between none and one
RESTLESS = 0.1  # of an instance: now and then a scrape is late
TOGETHER = 180  # seconds: an instance that was up for less between two outages has one outage
FEWER = 0.9  # of the requests before: fewer are missed


def held(service: Service) -> int:
    """For so many seconds an instance has to miss every scrape to be down: a minute, longer where scrapes are rare."""
    return max(HOLD_SECONDS, 4 * service.scrape_interval_seconds)


def down(service: Service) -> str:
    """PromQL: how many instances have been down for as long as the alert holds; nothing where there is no instance."""
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
    """How many are down; where none is a target any more, all that there were."""
    known = line(answers["down"])
    seen = np.flatnonzero(~np.isnan(known))
    if "instances" in answers and len(seen):
        known[seen[-1] + 1 :] = last(line(answers["instances"]))
    return known


def _began(c: Context, answers: Answers, onset: float | None) -> float | None:
    """An outage that has just begun is too short for a test of levels, but no less plain."""
    if onset is not None:
        return onset
    missed, window = line(answers["missed, short"]), short_window(c)
    began = stretch_start(grid(c), missed, at=c.started_at, least=ANY, gap=TOGETHER, window=window)
    return began if began is not None else left(c, line(answers["down"]))


def _impact(c: Context, answers: Answers, began: float | None) -> Mapping[str, JSON]:
    """How many were down at worst and for how long; requests that failed, and that were not even counted."""
    firing = grid(c) >= c.started_at - c.hold_seconds
    worst = int(np.nanmax(_value(answers)[firing]))
    every = last(line(answers["instances"]))
    minutes = (c.end - turn(c, began)) / 60
    of_all = "" if np.isnan(every) else f" of {max(int(every), worst)}"
    said = [f"{worst}{of_all} instances down at worst in {minutes:,.0f} minutes"]
    failed, requests = (count(c, answers[f"{part}, short"], began) for part in ("failed", "total"))
    if failed is not None and requests:
        said.append(f"{count_text(failed)} of {plural(requests, 'counted request')} failed")
    rate = change(c, line(answers["total"]), began)
    if rate.since < FEWER * rate.before or (rate.before > 0 and np.isnan(rate.since)):
        missed = 1.0 if np.isnan(rate.since) else 1 - rate.times
        said.append(f"{share_text(round(missed, 2))} fewer counted than before")
    return {
        "left": left(c, line(answers["down"])),
        "worst": worst,
        "instances": number(every, 0),
        "failed_requests": failed,
        "requests": requests,
        "impact": f"{', '.join(said)}.",
    }


LEVEL = threshold_check.Level(
    name="down",
    title="Instances that are down",
    unit="instances",
    now="{} down",
    past="{} down",
    nothing="Prometheus has had no instance of the service to ask since the alert",
    queries=_queries,
    value=_value,
    parts=("down",),
    needs=("down",),
    threshold=lambda service: 0.0,
    least=lambda service: ANY,
    noise=RESTLESS,
    text=lambda instances: plural(ceil(instances), "instance"),
    moving=lambda service, answers: line(answers["missed"]),
    began=_began,
    impact=_impact,
    count=lambda facts: "no instance is a target of Prometheus any more" if facts["left"] is not None else "",
)
CHECK = threshold_check.check(LEVEL)
