"""SlowResponses: what its plans say and run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.mitigations.slowness import spare_dependency, speed_up_queries, widen_pool
from runbook.alerts.slow_responses import ALERT
from runbook.config.schema import Environment
from runbook.investigation.definitions import Plan
from runbook.investigation.results import Results
from runbook.model import Result, Step
from runbook.text.shell import command
from tests.fakes import context, facts


def slow_users(table: object = "users") -> Results:
    """A slow query by operation and table."""
    worst = facts(slow_queries.Facts, any=True, operation="select", table=table, worst=f"select {table}")
    return Results({"slow_queries": Result("abnormal", "", worst)})


def commands(steps: Sequence[Step]) -> list[str]:
    return [command(step.argv) for step in steps]


def test_the_missing_index_is_looked_for_where_it_is_missing() -> None:
    """The table that was found stands in the first command, with the database's address where the settings know it."""
    where = context(environment=Environment(service="shop", database_address="db.internal:3306"))
    title, steps = speed_up_queries(where, slow_users())
    assert "SELECT on table users" in title
    assert commands(steps)[0] == "mysql -h db.internal -P 3306 -u USER -p -e 'SHOW INDEX FROM users FROM DATABASE'"
    _, elsewhere = speed_up_queries(where, slow_users("shop.users"))
    assert commands(elsewhere)[0].endswith(" -e 'SHOW INDEX FROM shop.users'")


@pytest.mark.parametrize("table", ["users; DROP TABLE users", "`x`", "", None, 3, "a" * 80])
def test_no_odd_table_gets_into_a_command(table: object) -> None:
    """A label's value that is no table's name makes no statement."""
    title, steps = speed_up_queries(context(), slow_users(table))
    assert "database" in title and "table" not in title
    assert not [text for text in commands(steps) if "SHOW INDEX" in text or "DROP TABLE" in text]
    assert not [step for step in steps if "DROP TABLE" in step.text + step.watch]


@pytest.mark.parametrize("plan", [speed_up_queries, widen_pool, spare_dependency])
def test_a_plan_without_facts_still_has_steps(plan: Plan) -> None:
    """Where nothing is known, what is not known is read; no step prints a number."""
    _, steps = plan(context(), Results({}, ALERT.checks))
    assert steps
    assert not [step for step in steps if "None" in command(step.argv) + step.text + step.watch]


def test_the_pool_s_use_is_named_where_it_is_known() -> None:
    """The step that reads the pool's setting says how much of the pool is in use."""
    known = {"pool": Result("abnormal", "", facts(pool.Facts, in_use=118.0, pool=120, pods=6, size=20))}
    _, steps = widen_pool(context(), Results(known, ALERT.checks))
    assert [step for step in steps if step.kind == "read" and "118 of 120" in step.watch]
