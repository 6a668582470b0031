"""HighAuthFailureRate: more than 20 % of logins fail for five minutes; it may be an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runbook.alerts.causes.high_auth_failure_rate import ATTACKS, CAUSES
from runbook.alerts.checks.logins import (
    accounts,
    addresses,
    attempts,
    auth_service,
    failures_by_node,
    login_failure_rate,
    rejection_reasons,
    signing_key,
    takeover,
)
from runbook.alerts.checks.requests import endpoint_probes
from runbook.alerts.checks.toolkit.series import WINDOW, metric, recent, share, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS, FAILURE
from runbook.alerts.checks.workload import changes
from runbook.alerts.thresholds import AUTH_FAILURE_RATIO
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Context, Recovering
from runbook.investigation.results import Results
from runbook.model import Query, Series, Verdict
from runbook.sources.probe import http as probe
from runbook.text.format import share_text


def expression(service: Service) -> str:
    """The alerting rule's PromQL; 0/0 gives no value, so that without attempts nothing fires."""
    failed, total = (metric(service, "auth_attempts_total", *matchers) for matchers in ((FAILURE,), ()))
    return (
        f"sum(rate({failed}[{WINDOW}])) / sum(rate({total}[{WINDOW}])) > {AUTH_FAILURE_RATIO.of(service.thresholds):g}"
    )


def note(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Whether to call security: yes and why, no, or not known and why."""
    taken = results.known(takeover.Facts)
    if taken is not None and taken.succeeded:
        return f"Call security: {takeover.clause(taken)}."
    attacks = _of_attacks(verdicts)
    if supported := [v for v in attacks if v.state == "supported"]:
        return f"Call security: this looks like an attack ({supported[0].because.split('; ')[0]})."
    first = results.result(login_failure_rate.Facts)
    if first is not None and first.status == "normal":
        return ""
    if gap := _gap(results, verdicts):
        return f"Not known whether it is an attack ({gap})."
    return "No sign of an attack."


def _of_attacks(verdicts: Sequence[Verdict]) -> list[Verdict]:
    names = [cause.name for cause in ATTACKS]
    return [v for v in verdicts if v.cause in names]


def _gap(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Why an attack cannot be excluded; "" where it can."""
    if untested := [v.because for v in _of_attacks(verdicts) if v.state == "not tested"]:
        return untested[0]
    if results.known(takeover.Facts) is None:
        return "it is not known whether a guess succeeded"
    return "" if any(v.state == "supported" for v in verdicts) else "no supported cause explains the failures"


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    sums = {"failed": FAILED_LOGINS.part(c, recent(c)), "attempts": FAILED_LOGINS.whole(c, recent(c))}
    return {name: since_mitigation(c, f"sum({text})", end) for name, text in sums.items()}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["attempts"], share(answers["failed"], answers["attempts"]) * 100)


def _probes(c: Context) -> Mapping[str, Query]:
    path = c.service.login_path
    return {**endpoint_probes.queries(c), f"{path} with a valid token": probe.login(path)}


ALERT = Alert(
    name="HighAuthFailureRate",
    summary=lambda limits: f"More than {share_text(AUTH_FAILURE_RATIO.of(limits))} of logins fail",
    meaning=lambda limits: (
        f"More than {share_text(AUTH_FAILURE_RATIO.of(limits))} of authentication attempts have failed for at least "
        "five minutes."
    ),
    impact=(
        "Users cannot log in or are logged out, or someone is attacking the logins. Treat it as a security incident "
        "until an attack is excluded."
    ),
    severity="high",
    for_seconds=300,
    expression=expression,
    thresholds=(AUTH_FAILURE_RATIO,),
    checks=(
        login_failure_rate.CHECK,
        attempts.CHECK,
        addresses.CHECK,
        accounts.CHECK,
        takeover.CHECK,
        rejection_reasons.CHECK,
        changes.watching(FAILED_LOGINS),
        failures_by_node.CHECK,
        signing_key.CHECK,
        auth_service.CHECK,
    ),
    causes=CAUSES,
    recovery=Recovering(
        "Failed logins",
        "% of attempts",
        300,
        lambda service: AUTH_FAILURE_RATIO.of(service.thresholds) * 100,
        _recovery_queries,
        _recovery_series,
        _probes,
    ),
    escalate_if=(
        "an account was taken over, or an attack continues after the addresses are blocked: call security",
        "failed logins are still above the threshold 15 minutes after the mitigation",
        "another team owns the auth service, the key or the clocks, or no cause is supported",
    ),
    note=note,
)
