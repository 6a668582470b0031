"""Does authentication work? The share of failed attempts, before and since the onset."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.series import WINDOW, change, line, metric, number, onset_of, over_window, ratio, series
from runbook.model import JSON, Chart, Query, Result
from runbook.wording import share_text


def _queries(c: Context) -> Mapping[str, Query]:
    failure = metric(c.service, "auth_attempts_total", 'status="failure"')
    every = metric(c.service, "auth_attempts_total")
    return {
        "failures": over_window(c, f"sum(rate({failure}[{WINDOW}]))"),
        "attempts": over_window(c, f"sum(rate({every}[{WINDOW}]))"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    share = ratio(line(answers["failures"]), line(answers["attempts"]))
    if np.isnan(share).all():
        return Result("unknown", "Not known: nobody tried to authenticate in the window.")
    level = change(c, share, onset_of(earlier), lambda values: float(np.percentile(values, 75)))
    threshold = c.service.thresholds.auth_failure_ratio
    facts: dict[str, JSON] = {
        "since": number(level.since),
        "before": number(level.before),
        "threshold": threshold,
        "failing": level.since > threshold and level.since > level.before + threshold / 2,
    }
    chart = Chart(
        "auth-failures",
        "Failed authentication attempts",
        "% of attempts",
        (series(c, "now", share, scale=100),),
        threshold=threshold * 100,
    )
    said = (
        f"{share_text(level.since)} of attempts fail since the onset, {share_text(level.before)} before (threshold {share_text(threshold)})"
        if not np.isnan(level.before)
        else f"{share_text(level.since)} of attempts fail"
    )
    return Result(
        "abnormal" if facts["failing"] else "normal", f"{'No' if facts['failing'] else 'Yes'}: {said}.", facts, (chart,)
    )


CHECK = Check("authentication", "Does authentication work?", _queries, _judge, needs=("attempts",))
