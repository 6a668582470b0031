"""HighAuthFailureRate: what Prometheus, the logs and Kubernetes answer, and facts of its checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from runbook.alerts.checks.logins.addresses import LoudAddress
from runbook.alerts.checks.logins.rejection_reasons import REASONS
from runbook.alerts.checks.workload import changes
from runbook.alerts.high_auth_failure_rate import ALERT
from runbook.clock import Frozen
from runbook.investigation.definitions import Check, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.results import Results, check_name
from runbook.model import JSON, Answer, Facts, Query, Result, Status
from tests import fakes
from tests.fakes import ONSET, Scripted, line

FAILED, ALL = ("auth_attempts_total", "failure"), ("auth_attempts_total",)
ADDRESSES, ACCOUNTS, LOGINS = '"field":"client_ip","size"', '"field":"username","size"', "login succeeded"


def context(**given: object) -> Context:
    return fakes.context(alert=ALERT.name, **given)


def investigator(answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **given: object) -> Investigator:
    return Investigator(ALERT, context(**given), Scripted(answers), Frozen(context().now))


def finding(check: Check, answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **given: object) -> Result:
    return investigator(answers, **given).finding(check.name).result


def stepping(before: float, since: float) -> Callable[[Query], Answer]:
    return line(lambda t: since if ONSET <= t < ONSET + 86_400 else before)


def found(total: int, **aggregations: JSON) -> Callable[[Query], Answer]:
    """A search that counted so many documents."""

    def answer(query: Query) -> Answer:
        data = {"hits": {"total": {"value": total, "relation": "eq"}, "hits": []}, "aggregations": aggregations}
        return Answer(query, "complete" if total else "empty", data)

    return answer


QUIET = {FAILED: stepping(2.0, 2.0), ALL: stepping(50.0, 50.0)}
FAULT = {FAILED: stepping(2.0, 30.0), ALL: stepping(50.0, 50.0)}  # good logins become bad ones
NO_SHARES = dict.fromkeys(REASONS, 0.0)
Given = Mapping[type[Facts], Mapping[str, Any]]
FACTS: dict[type[Facts], dict[str, Any]] = {
    login_failure_rate.Facts: {"onset": ONSET},
    attempts.Facts: {"added": False, "missed": True, "times": 1.0, "lost": 0.6},
    addresses.Facts: {"grown": True, "distinct": 40, "top_share": 0.03},
    accounts.Facts: {"distinct": 40},
    takeover.Facts: {"succeeded": False},
    rejection_reasons.Facts: {"reasons_given": True, "shares": NO_SHARES},
    changes.Facts: {"near": False, "revision": 3},
    failures_by_node.Facts: {"one_node": False, "alike": True},
    signing_key.Facts: {},
    auth_service.Facts: {"failing": False},
}
LOUD = (LoudAddress("203.0.113.7", 600), LoudAddress("2001:db8::9", 300))
GUESSES: Given = {
    attempts.Facts: {"added": True, "missed": False, "times": 2.4, "lost": 0.0},
    rejection_reasons.Facts: {"shares": {**NO_SHARES, "guesses": 0.97}},
}
FEW: Given = {**GUESSES, addresses.Facts: {"few": True, "loud": LOUD, "loud_share": 0.94}}
TAKEN: Given = {
    takeover.Facts: {"succeeded": True, "addresses": ("203.0.113.7",), "accounts": ("admin",), "failures": 600}
}


def logged(**shares: float) -> Given:
    """The logs give these reasons for the logins that are refused."""
    return {rejection_reasons.Facts: {"shares": {**NO_SHARES, **shares}}}


def results(*changed: Given, unknown: Sequence[type[Facts]] = (), real: bool = True) -> Results:
    """Everything known and as it is in a fault that gives no sign of its cause, but for the changes."""
    merged = {kind: dict(given) for kind, given in FACTS.items()}
    for change in changed:
        for kind, given in change.items():
            merged[kind] |= given
    status: dict[type[Facts], Status] = {
        login_failure_rate.Facts: "abnormal" if real else "normal",
        takeover.Facts: "abnormal" if merged[takeover.Facts]["succeeded"] else "normal",
        **dict.fromkeys(unknown, "unknown"),
    }
    found = {
        check_name(kind): Result(
            status.get(kind, "abnormal"), "It is.", None if kind in unknown else fakes.facts(kind, **given)
        )
        for kind, given in merged.items()
    }
    return Results(found, ALERT.checks)
