"""Nothing of the written procedure is dropped, and the page that says so is fresh."""

from __future__ import annotations

import tomllib

import pytest

from runbook.alerts.registry import SHIPPED
from tests import coverage


def test_every_step_of_the_procedure_is_answered():
    """Each has its check with a cell, its plan with the words for it, or the verification that asks it."""
    procedure = tomllib.loads(coverage.PROCEDURE.read_text(encoding="utf-8"))
    assert set(procedure) == set(SHIPPED.names)
    assert all(set(procedure[name]) == set(coverage.KINDS) for name in procedure)
    assert len(coverage.rows()) == sum(len(procedure[name][kind]) for name in procedure for kind in coverage.KINDS)


def test_the_page_is_fresh():
    """docs/coverage.md is what `python -m tests.coverage` writes."""
    assert coverage.PAGE.read_text(encoding="utf-8") == coverage.page()


@pytest.mark.parametrize(
    "entry",
    [
        {"step": "x", "check": "nothing"},
        {"step": "x", "cause": "nothing", "says": []},
        {"step": "x", "cause": "deployment", "says": ["sacrifice a goat"]},
        {"step": "x", "recovery": ["/nowhere"]},
    ],
    ids=str,
)
def test_a_step_that_nothing_answers_is_a_gap(entry: dict[str, object]):
    """A check, a cause, words of a plan or a query that is not there is named."""
    with pytest.raises(coverage.Gap):
        coverage.row(SHIPPED.load("HighErrorRate"), "investigation", entry)
