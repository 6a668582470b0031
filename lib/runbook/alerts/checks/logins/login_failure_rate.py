"""The share of failed logins, the first check of HighAuthFailureRate: failures added, or successes lost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runbook.alerts.checks.requests.request_error_rate import failed_since, failures
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import over_window, share
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS
from runbook.alerts.thresholds import AUTH_FAILURE_RATIO
from runbook.investigation.definitions import Answers, Context
from runbook.model import Query

NOISE = 0.01  # a share that wanders less than this is still calm


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """The share of failed logins (0..1), and how many there were since the onset; None where that is not known."""

    failed_logins: int | None
    logins: int | None


def queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    """Failed and all attempts per second."""
    return {
        "failed": over_window(c, f"sum({FAILED_LOGINS.part(c, window)})", ago),
        "attempts": over_window(c, f"sum({FAILED_LOGINS.whole(c, window)})", ago),
    }


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    failed, total, impact = failures(c, answers, measured.onset, whole="attempts", noun="login")
    return replace(Facts(**vars(measured), failed_logins=failed, logins=total), impact=impact)


CHECK = threshold_check.check(
    threshold_check.Level(
        name="login_failure_rate",
        facts=Facts,
        title="Failed logins",
        unit="% of attempts",
        now="{} of logins fail",
        past="{} of logins failed",
        nothing="no login attempts were counted since the alert, so there is no share of failed ones",
        queries=queries,
        value=lambda answers: share(answers["failed"], answers["attempts"]),
        parts=("failed", "attempts"),
        requires=("attempts",),
        threshold=FAILED_LOGINS.threshold,
        least=lambda service: AUTH_FAILURE_RATIO.of(service.thresholds) / 2,
        noise=NOISE,
        scale=100,
        find=_find,
        count=lambda facts: failed_since(facts.failed_logins, "login"),
    )
)
