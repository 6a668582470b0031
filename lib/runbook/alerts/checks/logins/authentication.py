"""Does authentication work? The share of failed authentication attempts, before and since the onset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.series import change, number, over_window, rate_window, series, share, upper_quartile
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS
from runbook.alerts.thresholds import AUTH_FAILURE_RATIO
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.format import share_text


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The share of failed authentication attempts (0..1) since the onset and before (None: no attempts), its threshold,
    and whether it is above that and clearly higher than before.
    """

    since: float
    before: float | None
    threshold: float
    failing: bool


def _queries(c: Context) -> Mapping[str, Query]:
    return {
        "failures": over_window(c, f"sum({FAILED_LOGINS.part(c, rate_window(c))})"),
        "attempts": over_window(c, f"sum({FAILED_LOGINS.whole(c, rate_window(c))})"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    failing = share(answers["failures"], answers["attempts"])
    level = change(c, failing, earlier.onset, upper_quartile)
    if np.isnan(level.since):
        return Result("unknown", "Not known: no authentication attempts were counted since the onset.")
    threshold = AUTH_FAILURE_RATIO.of(c.service.thresholds)
    usual = 0.0 if np.isnan(level.before) else level.before
    facts = Facts(
        since=round(level.since, 6),
        before=number(level.before),
        threshold=threshold,
        failing=bool(level.since > threshold and level.since > usual + threshold / 2),
    )
    line_ = series(c, "now", failing, scale=100)
    chart = Chart(
        "auth-failures", "Failed authentication attempts", "% of attempts", (line_,), threshold=threshold * 100
    )
    before = "" if facts.before is None else f"{share_text(level.before)} before; "
    limit = f"{before}threshold {share_text(threshold)}"
    said = f"{share_text(level.since)} of authentication attempts have failed since the onset ({limit})"
    return Result(
        "abnormal" if facts.failing else "normal", f"{'No' if facts.failing else 'Yes'}: {said}.", facts, (chart,)
    )


CHECK = Check("authentication", "Does authentication work?", Facts, _queries, _judge, requires=("attempts",))
