"""Are there more attempts, or fewer successes? Guessing adds failures; a fault takes successes away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.logins import login_failure_rate
from runbook.alerts.checks.toolkit.series import Floats, change, line, number, series, short_window
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.text.format import share_text

ADDED = 1.4  # from this many times the usual attempts on, someone adds attempts
LOST = 0.25  # from this share of the usual successes on, successes are missing


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Login attempts per second since the onset, those that succeed, and those that succeeded before.

    `times` is how many times the attempts before, `lost` the share of the successes before that are missing (negative:
    there are more); `added` and `missed` say whether that is much. None: there were none before to compare with.
    """

    per_second: float
    succeeding: float
    succeeding_before: float | None
    times: float | None
    lost: float | None
    added: bool | None
    missed: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    return login_failure_rate.queries(c, f"{short_window(c)}s", 0)


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    attempts, failed = line(answers["attempts"]), _failed(answers)
    onset = earlier.onset
    tried, good = change(c, attempts, onset, _mean), change(c, attempts - failed, onset, _mean)
    if np.isnan(tried.since) or np.isnan(good.since):
        return Result("unknown", "Not known: no login attempts were counted since the onset.")
    times = tried.times if tried.before > 0 else float("nan")
    lost = 1 - good.times if good.before > 0 else float("nan")
    facts = Facts(
        per_second=round(tried.since, 2),
        succeeding=round(good.since, 2),
        succeeding_before=number(good.before, 2),
        times=number(times, 2),
        lost=number(lost, 3),
        added=None if np.isnan(times) else bool(times >= ADDED),
        missed=None if np.isnan(lost) else bool(lost >= LOST),
    )
    lines = (series(c, "failed", failed), series(c, "succeeded", attempts - failed))
    abnormal = bool(facts.added or facts.missed)
    chart = Chart("login-attempts", "Login attempts", "attempts / s", lines)
    return Result("abnormal" if abnormal else "normal", _sentence(facts), facts, (chart,))


def _failed(answers: Answers) -> Floats:
    """Failures per second, zero where attempts are counted and none of them failed."""
    total = line(answers["attempts"])
    if answers["failed"].completeness == "failed":
        return total * np.nan
    return np.where(np.isnan(total), np.nan, np.nan_to_num(line(answers["failed"])))


def _mean(values: Floats) -> float:
    return float(np.mean(values))


def _sentence(facts: Facts) -> str:
    if facts.times is None or facts.lost is None:
        return f"{facts.per_second:.2g} attempts/s; no attempts before to compare with."
    if facts.missed:
        good = f"successful logins dropped by {share_text(facts.lost)}"
    else:
        good = "as many succeed as before" if facts.lost > -LOST else "more succeed than before"
    return f"{facts.per_second:.2g} attempts/s, {facts.times:.1f} times as many as before; {good}."


CHECK = Check("attempts", "More attempts, or fewer successes?", Facts, _queries, _judge, requires=("attempts",))
