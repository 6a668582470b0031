"""What does the service warn about? “slow request” over time and the newest; all warnings by pattern and subject."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.logs.error_messages import (
    ABOUT,
    MANY,
    NEWEST,
    SAMPLE,
    grown,
    messages,
    newest,
    patterns,
    per_minute,
    share_about,
)
from runbook.alerts.checks.toolkit.series import split_time
from runbook.analysis.log_patterns import group
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Series
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import plural

SUBJECTS = {
    **ABOUT,
    "dependency": re.compile(
        r"(\w+[- ])?service (request )?(timed out|too slow|unreachable|answered)|\bhttps?://\S+ (took|timed)"
        r"|upstream|gateway|no answer from|\w\.internal\b|third.party|circuit.breaker",
        re.IGNORECASE,
    ),
}
COMPLAINT = "slow request"
LEAST = 10  # fewer warnings above the usual rate say nothing about a cause


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Logged warnings of slow requests: how many since the onset, and per minute since and before.

    `about` has the share (0..1) of the other warnings above the usual rate that mention each of SUBJECTS; all are 0
    where there are too few of them.
    """

    since_onset: int
    per_minute: float
    per_minute_before: float
    about: Mapping[str, float]


def _queries(c: Context) -> Mapping[str, Query]:
    window, warn = (c.service, c.start, c.end), "warn"
    return {
        "over time": elasticsearch.errors_over_time(*window, max(60, c.step), level=warn, phrases=(COMPLAINT,)),
        "newest": elasticsearch.newest_errors(*window, NEWEST // 2, level=warn, phrases=(COMPLAINT,)),
        "warnings": elasticsearch.sample_of_errors(*window, SAMPLE, level=warn),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    began = split_time(c, earlier.onset)
    times, counts = elasticsearch.histogram(answers["over time"])
    before, since = per_minute(times, counts, c.start, began), per_minute(times, counts, began, c.end)
    found = group(messages(c, answers["warnings"]), began)
    more = grown([one for one in found if COMPLAINT not in one.pattern], c, began)
    facts = Facts(
        since_onset=round(float(np.sum(counts[times >= began]))),
        per_minute=round(since, 1),
        per_minute_before=round(before, 1),
        about={
            name: share_about(words, more) if sum(more.values()) >= LEAST else 0.0 for name, words in SUBJECTS.items()
        },
    )
    line = Series("slow requests", tuple(times), tuple(counts * 60 / max(60, c.step)))
    chart = Chart("slow-requests", "Warnings of slow requests", "messages / min", (line,), kind="bars")
    many = since >= 3 and (not before or since / before >= MANY)
    tables = (patterns(found, "warning-patterns"), newest(c, answers["newest"], "newest-slow-requests"))
    return Result(
        "abnormal" if many else "normal",
        _sentence(facts),
        facts,
        (chart,),
        tuple(table for table in tables if table.rows),
    )


def _sentence(facts: Facts) -> str:
    if not facts.since_onset:
        return "None: the service has logged no slow request since the onset."
    before = f"{facts.per_minute_before:,.1f}" if facts.per_minute_before else "none"
    counted = plural(facts.since_onset, "warning")
    return f"{counted} of slow requests since the onset, {facts.per_minute:,.1f} per minute ({before} before)."


CHECK = Check(
    "warning_messages",
    "What does the service warn about?",
    Facts,
    _queries,
    _judge,
    requires=("over time",),
    optional=("newest", "warnings"),
)
