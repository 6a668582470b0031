"""Whose time is it? Of the seconds a request takes, what goes to queries, to waiting for a connection, to the CPU.

The rest is nobody's that is measured: an external service, or a queue in the service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.series import (
    Change,
    Floats,
    grid,
    line,
    metric,
    number,
    over_window,
    rate_window,
    ratio,
    series,
    short_window,
    split_time,
)
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Status, Table
from runbook.text.format import duration_text, share_text

PARTS = {"queries": "database queries", "waiting": "waiting for a connection", "cpu": "CPU", "rest": "elsewhere"}
TOLD = 0.005  # of the additional time: less is not worth a word


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    seconds: TODO
    before: TODO
    in_queries: TODO
    in_queries_before: TODO
    longer: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    short = f"{short_window(c)}s"
    waiting = metric(c.service, "database_connections", 'state="waiting"')
    return {
        "seconds": over_window(c, f"sum({histogram.rates(c.service, histogram.REQUESTS, 'sum', short)})"),
        "requests": over_window(c, f"sum({histogram.rates(c.service, histogram.REQUESTS, 'count', short)})"),
        "queries": over_window(c, f"sum({histogram.rates(c.service, histogram.QUERIES, 'sum', short)})"),
        "waiting": over_window(c, f"sum({waiting})"),
        "cpu": over_window(c, f"sum(rate({metric(c.service, 'process_cpu_seconds_total')}[{rate_window(c)}]))"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    requests = line(answers["requests"])
    spent = {name: line(answers[name]) for name in ("seconds", "queries", "waiting", "cpu") if answers[name].usable}
    since = grid(c) >= split_time(c, earlier.onset)
    levels = {name: Change(*(_each(v, requests, side) for side in (~since, since))) for name, v in spent.items()}
    each = {name: level for name, level in levels.items() if not np.isnan(level.since)}
    if "seconds" not in each or "queries" not in each:
        return Result("unknown", "Not known: the time of requests or of queries is not measured since the onset.")
    whole = each["seconds"]
    extra = {name: one.since - float(np.nan_to_num(one.before)) for name, one in each.items()}
    grown = extra["seconds"]
    facts = Facts(
        seconds=number(whole.since, 4),
        before=number(whole.before, 4),
        in_queries=number(each["queries"].since / whole.since, 3) if whole.since else None,
        in_queries_before=number(each["queries"].before / whole.before, 3) if whole.before else None,
        longer=bool(grown > 0 and not whole.times < 1.5),
    )
    shares = {name: min(max(extra[name] / grown, 0.0), 1.0) for name in extra if name != "seconds"} if grown > 0 else {}
    if len(shares) == len(PARTS) - 1:  # a part that is not known may be all of the rest
        shares["rest"] = max(0.0, 1.0 - sum(shares.values()))
    facts |= {name: number(shares[name], 3) if name in shares else None for name in PARTS}
    status: Status = "abnormal" if facts.longer else "normal"
    return Result(status, _sentence(facts), facts, (_chart(c, spent, requests),), (_table(each, shares),))


def _each(spent: Floats, requests: Floats, side: np.ndarray) -> float:
    """Seconds a request over these times; NaN without requests, or where it is not known."""
    known = side & ~np.isnan(spent) & ~np.isnan(requests)
    count = float(np.sum(requests[known]))
    return float(np.sum(spent[known])) / count if count else float("nan")


def _sentence(facts: Facts) -> str:
    before = f" ({duration_text(facts.before)} before)" if facts.before is not None else ""
    mean = f"a request takes {duration_text(facts.seconds)} on average{before}"
    if not facts.longer:
        return f"Nobody's in particular: {mean}."
    told = [f"{share_text(facts[part])} {words}" for part, words in PARTS.items() if (facts[part] or 0.0) >= TOLD]
    return f"{mean[0].upper()}{mean[1:]}; of the additional time {', '.join(told)}."


def _chart(c: Context, spent: Mapping[str, Floats], requests: Floats) -> Chart:
    lines = [series(c, PARTS.get(name, "all of a request"), ratio(values, requests)) for name, values in spent.items()]
    return Chart("time-per-request", "Mean time of a request, and whose it is", "s", tuple(lines))


def _table(each: Mapping[str, Change], shares: Mapping[str, float]) -> Table:
    known = {name: each[name] for name in PARTS if name in each}
    if "rest" in shares:
        known["rest"] = Change(*(getattr(each["seconds"], side) - _sum(known, side) for side in ("before", "since")))
    rows = [
        (
            PARTS[name],
            _milliseconds(one.before),
            _milliseconds(one.since),
            share_text(shares[name]) if name in shares else "",
        )
        for name, one in known.items()
    ]
    whole = ("all of a request", _milliseconds(each["seconds"].before), _milliseconds(each["seconds"].since), "")
    return Table("whose-time", ("Per request", "Before (ms)", "Since (ms)", "Of the additional time"), (*rows, whole))


def _sum(known: Mapping[str, Change], side: str) -> float:
    return float(np.nansum([getattr(one, side) for one in known.values()]))


def _milliseconds(value: float) -> str:
    return f"{max(value, 0.0) * 1000:,.1f}" if isfinite(value) else ""


CHECK = Check(
    "time_breakdown",
    "Whose time is it?",
    Facts,
    _queries,
    _judge,
    requires=("seconds", "requests", "queries"),
    optional=("waiting", "cpu"),
)
