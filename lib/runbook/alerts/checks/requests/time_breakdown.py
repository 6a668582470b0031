"""Where does the time go? How much of a request's time is spent in queries, waiting for a connection, and on the CPU.

The rest is not measured: an external service, or a queue within the service.
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
from runbook.text.format import share_text
from runbook.text.time import duration_text

PARTS = {"queries": "database queries", "waiting": "waiting for a connection", "cpu": "CPU", "rest": "elsewhere"}
SHOWN = 0.005  # of the additional time: a smaller part is not named


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The mean time of a request in seconds, since the onset and before; whether it is much longer now.

    `in_queries` and `in_queries_before` are the share (0..1) of that time in queries; `queries`, `waiting`, `cpu` and
    `rest` are each part's share (0..1) of the additional time. None: not known, or there is no additional time; the
    rest is known only with all other parts.
    """

    seconds: float
    before: float | None
    in_queries: float | None
    in_queries_before: float | None
    longer: bool
    queries: float | None
    waiting: float | None
    cpu: float | None
    rest: float | None


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
    total, queries = each["seconds"], each["queries"]
    extra = {name: one.since - float(np.nan_to_num(one.before)) for name, one in each.items()}
    shares = _shares(extra)
    known = {name: round(share, 3) for name, share in shares.items()}
    facts = Facts(
        seconds=round(total.since, 4),
        before=number(total.before, 4),
        in_queries=number(queries.since / total.since, 3) if total.since else None,
        in_queries_before=number(queries.before / total.before, 3) if total.before else None,
        longer=bool(extra["seconds"] > 0 and not total.times < 1.5),
        queries=known.get("queries"),
        waiting=known.get("waiting"),
        cpu=known.get("cpu"),
        rest=known.get("rest"),
    )
    status: Status = "abnormal" if facts.longer else "normal"
    return Result(status, _sentence(facts, known), facts, (_chart(c, spent, requests),), (_table(each, shares),))


def _shares(extra: Mapping[str, float]) -> dict[str, float]:
    """Each part's share of the additional time; empty where requests take no longer.

    The rest is known only where all other parts are: one that is not known may be all of it.
    """
    grown = extra["seconds"]
    if grown <= 0:
        return {}
    shares = {name: min(max(extra[name] / grown, 0.0), 1.0) for name in extra if name != "seconds"}
    if len(shares) == len(PARTS) - 1:
        shares["rest"] = max(0.0, 1.0 - sum(shares.values()))
    return shares


def _each(spent: Floats, requests: Floats, side: np.ndarray) -> float:
    """Seconds per request over these times; NaN without requests, or where it is not known."""
    known = side & ~np.isnan(spent) & ~np.isnan(requests)
    count = float(np.sum(requests[known]))
    return float(np.sum(spent[known])) / count if count else float("nan")


def _sentence(facts: Facts, shares: Mapping[str, float]) -> str:
    before = f" ({duration_text(facts.before)} before)" if facts.before is not None else ""
    mean = f"a request takes {duration_text(facts.seconds)} on average{before}"
    if not facts.longer:
        return f"No significant additional time: {mean}."
    parts = [f"{share_text(shares[part])} {words}" for part, words in PARTS.items() if shares.get(part, 0.0) >= SHOWN]
    return f"{mean[0].upper()}{mean[1:]}. Where the additional time goes: {', '.join(parts)}."


def _chart(c: Context, spent: Mapping[str, Floats], requests: Floats) -> Chart:
    lines = [series(c, PARTS.get(name, "whole request"), ratio(values, requests)) for name, values in spent.items()]
    return Chart("time-per-request", "Mean time of a request, and where it is spent", "s", tuple(lines))


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
    total = ("whole request", _milliseconds(each["seconds"].before), _milliseconds(each["seconds"].since), "")
    columns = ("Per request", "Before (ms)", "Since (ms)", "% of the additional time")
    return Table("time-per-request", columns, (*rows, total))


def _sum(known: Mapping[str, Change], side: str) -> float:
    return float(np.nansum([getattr(one, side) for one in known.values()]))


def _milliseconds(value: float) -> str:
    return f"{max(value, 0.0) * 1000:,.1f}" if isfinite(value) else ""


CHECK = Check(
    "time_breakdown",
    "Where does the time go?",
    Facts,
    _queries,
    _judge,
    requires=("seconds", "requests", "queries"),
    optional=("waiting", "cpu"),
)
