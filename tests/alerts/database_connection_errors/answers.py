"""DatabaseConnectionErrors: what the sources answer, and what its checks make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from runbook.alerts.checks.database import connection_errors
from runbook.alerts.checks.workload import policies
from runbook.alerts.database_connection_errors import ALERT
from runbook.investigation import investigator
from runbook.investigation.definitions import Check, Context
from runbook.investigation.results import Results, check_name
from runbook.model import JSON, Answer, Facts, Query, Result
from tests.fakes import ONSET, Scripted, context, facts

Answering = Callable[[Query], Answer]
Script = Mapping[tuple[str, ...], Answering]
DAY = 86_400
ERRORS, POOLED, P95 = ("connection_errors_total",), ("count(", "database_connections"), ("histogram_quantile",)


def given(data: JSON, completeness: str = "complete") -> Answering:
    return lambda query: Answer(query, completeness, data)  # type: ignore[arg-type]


def judged(check: Check, script: Script, began: float | None = ONSET, about: Context | None = None) -> Result:
    """A check on these answers, after a first check that found this onset."""
    about = about or context(alert=ALERT.name)
    source = Scripted(script)
    answers = {name: source.ask(query) for name, query in check.queries(about).items()}
    first = {ALERT.checks[0].name: Result("abnormal", "", facts(connection_errors.Facts, onset=began))}
    return investigator.judge(check, about, answers, Results(first, ALERT.checks))


def results(*found: Facts) -> Results:
    """All of DatabaseConnectionErrors, with what these checks found."""
    return Results({check_name(type(one)): Result("abnormal", "", one) for one in found}, ALERT.checks)


OPEN = facts(policies.Facts, near=False, port=3306)
CUT = replace(OPEN, cuts=("restrict",), near=True, newest="restrict")
