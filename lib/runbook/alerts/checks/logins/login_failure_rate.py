"""The share of failed logins, the first check of HighAuthFailureRate: failures added, or successes lost?"""

from __future__ import annotations

from collections.abc import Mapping

from runbook.alerts.checks.requests.request_error_rate import failed_since, impact
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import over_window, share
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS
from runbook.investigation.definitions import Context
from runbook.model import Query

NOISE = 0.01  # a share that wanders less than this is still calm


def queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    """Failed and all attempts per second."""
    return {
        "failed": over_window(c, f"sum({FAILED_LOGINS.part(c, window)})", ago),
        "attempts": over_window(c, f"sum({FAILED_LOGINS.whole(c, window)})", ago),
    }


CHECK = threshold_check.check(
    threshold_check.Level(
        name="login_failure_rate",
        facts=Facts,
        title="Failed logins",
        unit="% of attempts",
        now="{} of logins fail",
        past="{} of logins failed",
        nothing="nobody tried to log in since the alert, or it is not counted, so there is no share of failed ones",
        queries=queries,
        value=lambda answers: share(answers["failed"], answers["attempts"]),
        parts=("failed", "attempts"),
        requires=("attempts",),
        threshold=FAILED_LOGINS.threshold,
        least=lambda service: service.thresholds.auth_failure_ratio / 2,
        noise=NOISE,
        scale=100,
        impact=lambda c, answers, began: impact(c, answers, began, "attempts", "login"),
        count=lambda facts: failed_since(facts, "login"),
    )
)
