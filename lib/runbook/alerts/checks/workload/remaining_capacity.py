"""The instances that still serve: how many requests each takes, against before, and how many fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.requests.request_error_rate import failed_rate
from runbook.alerts.checks.toolkit.series import (
    Floats,
    change,
    line,
    metric,
    number,
    over_window,
    pods,
    series,
    short_window,
    sum_of,
)
from runbook.alerts.checks.workload import down_instances
from runbook.alerts.thresholds import ERROR_RATIO
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.format import plural, share_text


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many instances are up (`serving`), their requests/s together (`rate`) and for `each`, and all `before`.

    `times` is `each` as a multiple of what an instance took before the onset; `failing` is the share of all requests
    that fail (0..1). Each is None where it is not known.
    """

    serving: int
    rate: float | None
    before: float | None
    each: float | None
    times: float | None
    failing: float | None


def _queries(c: Context) -> Mapping[str, Query]:
    requests, window = metric(c.service, "http_requests_total"), f"{short_window(c)}s"
    return {
        "requests": over_window(c, f"sum by ({c.service.pod_label}) (rate({requests}[{window}]))"),
        "failed": over_window(c, failed_rate(c, window)),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    instances, onset = earlier.known(down_instances.Facts), earlier.onset
    if instances is None:
        return Result("unknown", "Not known: there is no data on which instances are up.")
    up = instances.up
    by_pod = pods(c, answers["requests"])
    left = {pod: rates for pod, rates in by_pod.items() if pod in up}
    total, kept = sum_of(c, by_pod), sum_of(c, left)
    before, since = change(c, total, onset), change(c, kept, onset)
    each_before = before.before / _many(c, by_pod, onset)
    each = since.since / len(left) if left else float("nan")
    failed = change(c, line(answers["failed"]), onset).since
    share = (0.0 if np.isnan(failed) else failed) / before.since if before.since > 0 else float("nan")
    facts = Facts(
        serving=len(up),
        rate=number(since.since, 2),
        before=number(before.before, 2),
        each=number(each, 2),
        times=number(each / each_before, 2) if each_before else None,
        failing=None if answers["failed"].completeness == "failed" else number(share, 4),
    )
    lines = (
        series(c, "instances that are up now", kept),
        series(c, "other instances", sum_of(c, {p: r for p, r in by_pod.items() if p not in up})),
    )
    chart = Chart("serving", "Requests to instances that are up now, and to others", "requests / s", lines)
    bad = not up or (facts.failing is not None and facts.failing > ERROR_RATIO.of(c.service.thresholds))
    return Result("abnormal" if bad else "normal", _sentence(facts), facts, (chart,))


def _many(c: Context, rows: Mapping[str, Floats], onset: float | None) -> float:
    """How many pods served at the same time before the onset."""
    counts = np.asarray(np.sum([~np.isnan(row) for row in rows.values()], axis=0), dtype=np.float64)
    many = change(c, counts, onset).before
    return many if many > 0 else float("nan")


def _sentence(facts: Facts) -> str:
    if not facts.serving:
        return "None: Prometheus reaches no instance."
    if facts.rate is None:
        return f"{plural(facts.serving, 'instance')} up, but none of their requests were counted."
    times = f", {facts.times:.1f} times as many per instance as before" if facts.times is not None else ""
    failing = f"; {share_text(facts.failing)} of all counted requests fail" if facts.failing is not None else ""
    serve = "serves" if facts.serving == 1 else "serve"
    return f"{plural(facts.serving, 'instance')} {serve} {facts.rate:,.3g} requests/s{times}{failing}."


CHECK = Check(
    "remaining_capacity",
    "Which instances still serve?",
    Facts,
    _queries,
    _judge,
    requires=("requests",),
    reads=(down_instances.Facts,),
)
