"""The share of failed logins, the first check of HighAuthFailureRate: failures added, or successes lost?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.base import Answers, Context
from runbook.alerts.checks import level
from runbook.alerts.checks.errors import count
from runbook.alerts.checks.series import grid, over_window, share, turn
from runbook.alerts.checks.signal import FAILED_LOGINS
from runbook.model import JSON, Query
from runbook.wording import count_text, plural, share_text

NOISE = 0.01  # a share that wanders less than this is still calm


def queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    """Failed and all attempts per second."""
    return {
        "failed": over_window(c, f"sum({FAILED_LOGINS.part(c, window)})", ago),
        "attempts": over_window(c, f"sum({FAILED_LOGINS.whole(c, window)})", ago),
    }


def impact(c: Context, answers: Answers, began: float | None) -> Mapping[str, JSON]:
    """Failed and all attempts since the onset, and both with the worst share in one clause."""
    failed, attempts = (count(c, answers[f"{part}, short"], began) for part in ("failed", "attempts"))
    facts: dict[str, JSON] = {"failed": failed, "attempts": attempts}
    if failed is None:
        return facts
    firing = share(answers["failed"], answers["attempts"])[grid(c) >= c.started_at - c.hold_seconds]
    of_all = f" of {count_text(attempts)}" if attempts else ""
    minutes, worst = (c.end - turn(c, began)) / 60, share_text(float(np.nanmax(firing)))
    return {
        **facts,
        "impact": f"{count_text(failed)}{of_all} logins failed in {minutes:,.0f} minutes, {worst} at worst.",
    }


def _count(facts: Mapping[str, JSON]) -> str:
    failed = facts["failed"]
    return "" if failed is None else f"{plural(failed, 'login')} failed since"


CHECK = level.check(
    level.Level(
        name="logins",
        title="Failed logins",
        unit="% of attempts",
        now="{} of logins fail",
        past="{} of logins failed",
        nothing="nobody tried to log in since the alert, or it is not counted, so there is no share of failed ones",
        queries=queries,
        value=lambda answers: share(answers["failed"], answers["attempts"]),
        parts=("failed", "attempts"),
        needs=("attempts",),
        threshold=FAILED_LOGINS.threshold,
        least=lambda service: service.thresholds.auth_failure_ratio / 2,
        noise=NOISE,
        scale=100,
        impact=impact,
        count=_count,
    )
)
