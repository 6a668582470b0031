"""Do the logs complain about the auth service? The service alone knows how to reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.toolkit.series import split_time
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Series
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import plural

PHRASES = (
    *(f"{name} {kind}" for name in ("auth", "authentication", "authorization") for kind in ("service", "server")),
    *("auth provider", "identity provider", "introspect", "introspection", "jwks", "jwks.json"),
)
NEWEST = 5
FEW, GROWN = 1.0, 3.0  # complaints per minute, and times as many as before: from there on it is failing


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Log messages about the auth service since the onset, their rates per minute since and before, and whether there
    are so many more that it is failing.
    """

    complaints: int
    per_minute: float
    per_minute_before: float
    failing: bool


def _queries(c: Context) -> Mapping[str, Query]:
    return {
        "over time": elasticsearch.errors_over_time(
            c.service, c.start, c.end, max(60, c.step), level="", phrases=PHRASES
        ),
        "newest": elasticsearch.newest_errors(c.service, c.start, c.end, NEWEST, level="", phrases=PHRASES),
        "any": elasticsearch.search(
            c.service.index,
            {"query": elasticsearch.matching(c.service, c.start, c.end, ""), "size": 0, "track_total_hits": True},
        ),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    if answers["over time"].completeness == "failed":
        return Result("unknown", f"Not known: {answers['over time'].error}")
    times, counts = elasticsearch.histogram(answers["over time"])
    began = split_time(c, earlier.onset)
    since, before = int(np.sum(counts[times >= began])), int(np.sum(counts[times < began]))
    rate, usual = since * 60 / max(60.0, c.end - began), before * 60 / max(60.0, began - c.start)
    failing = rate >= FEW and rate >= GROWN * usual
    facts = Facts(
        complaints=since,
        per_minute=round(rate, 1),
        per_minute_before=round(usual, 1),
        failing=failing,
    )
    if not since:
        return Result("normal", "No complaints since the onset.", facts)
    bars = (Series("messages", tuple(times), tuple(counts * 60 / max(60, c.step))),)
    chart = Chart("auth-service-messages", "Messages about the auth service", "messages / min", bars, kind="bars")
    said = f"{plural(since, 'message')} about the auth service since the onset ({rate:.1f}/min; {usual:.1f}/min before)"
    newest = error_messages.newest(c, answers["newest"], "newest-of-auth-service")
    return Result(
        "abnormal" if failing else "normal",
        f"{'Yes' if failing else 'Yes, as usual'}: {said}.",
        facts,
        (chart,),
        (newest,) if newest.rows else (),
    )


CHECK = Check(
    "auth_service",
    "Do the logs complain about the auth service?",
    Facts,
    _queries,
    _judge,
    requires=("any",),
    optional=("newest", "any"),
)
