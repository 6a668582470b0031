"""What makes requests wait: queries, the connection pool, external services."""

from __future__ import annotations

import re

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.requests import paths
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.commands import (
    by_hand,
    deployment,
    in_container,
    kubectl,
    look,
    mysql,
    number,
    read,
    restart,
    setting_names,
    worst_pod,
)
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.text.shell import command

_TABLE = re.compile(r"\w{1,64}(\.\w{1,64})?")
_READER = "USER may read the service's database, whose name replaces DATABASE"


@plan(slow_queries.Facts, may_read=(pool.Facts,))
def speed_up_queries(c: Context, results: Results) -> Planned:
    """What runs and why it takes so long; an index where one is missing; then the pool and the database itself."""
    facts = results.facts(slow_queries.Facts)
    slow = facts if facts and facts.any and is_table(facts.table) else None
    statements = f"{slow.operation.upper()} statements on {slow.table}" if slow else "slowest statements"
    title = f"Speed up {slow_queries.statement(slow)}" if slow else "Speed up the database"
    return title, (
        *(_indexes(c, slow.table, statements) if slow and slow.table else ()),
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            f"Shows the {statements} with their time and state "
            "(“Sending data”: reads many rows; “Locked”: waits for others).",
        ),
        look(
            f"Put EXPLAIN before one of the {statements} and run it.",
            "Type ALL with key NULL means that it reads the whole table: "
            "an index is missing, or its statistics are old (ANALYZE TABLE).",
            "the statement is known from the process list",
        ),
        by_hand(
            c,
            f"Add the missing index{f' to {slow.table}' if slow else ''} online (ALGORITHM=INPLACE, LOCK=NONE), "
            "or rewrite the query.",
            precondition="EXPLAIN shows that it is missing; the database's owners agree; there is disk space for it",
            risk="building it costs the database I/O for minutes",
            undo="DROP INDEX",
        ),
        pool_size(c, results),
        by_hand(
            c,
            "Ask the database's owners for more capacity (CPU, memory, a read replica).",
            precondition="all queries are slow, and none lacks an index",
            risk="It costs money. A restart of the database drops all connections.",
            undo="scale back",
        ),
    )


def _indexes(c: Context, table: str, statements: str) -> tuple[Step, ...]:
    where = table if "." in table else f"{table} FROM DATABASE"
    return (
        read(
            mysql(c, f"SHOW INDEX FROM {where}"),
            f"Shows whether the columns that {statements} search by have an index.",
            _READER,
        ),
    )


@plan(pool.Facts, may_read=(changes.Facts,))
def widen_pool(c: Context, results: Results) -> Planned:
    """Who holds the connections, then a larger pool."""
    return "Free connections, or enlarge the pool", (
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            "Shows who holds connections: those of the service that are long in “Sleep” are held without use; "
            "a long statement uses its own.",
        ),
        pool_size(c, results),
        *restart(c, results, "connections are held and not returned: new pods start with empty pools"),
        by_hand(
            c,
            "Find the code that holds a connection while it waits for something else, and return it earlier.",
            precondition="the pool's size is as intended",
            risk="it takes a new release",
            undo="roll the release back",
        ),
    )


def pool_size(c: Context, results: Results) -> Step:
    """The pool's size is a setting of the service; nothing says what it is called."""
    facts = results.facts(pool.Facts, optional=True)
    used, most = (number(facts.in_use), number(facts.pool)) if facts else (None, None)
    use = f"now {used:,.0f} of {most:,.0f} in use" if used is not None and most else "its use is not known"
    raised = command(kubectl(c, "set", "env", deployment(c), "NAME=SIZE"))
    return read(
        setting_names(c),
        f"Shows the name of the setting for the pool's size. Check that its value is as intended ({use}). "
        f"If it is too small, raise it: `{raised}`.",
        "the database accepts more connections (max_connections)",
    )


@plan(may_read=(paths.Facts, changes.Facts, resource_limits.Facts))
def spare_dependency(c: Context, results: Results) -> Planned:
    """Who is slow; shorter time-outs and a circuit breaker, so that requests no longer wait for it."""
    facts = results.facts(paths.Facts, optional=True)
    where = f" of {facts.top}" if facts and facts.top else ""
    return "Wait less for the external service", (
        read(
            kubectl(c, "logs", deployment(c), *in_container(c), "--since=15m", "--tail=500"),
            f"Shows which service the requests{where} wait for: messages about time-outs and slow calls name it.",
        ),
        read(
            setting_names(c),
            "Shows the names of the settings for addresses and time-outs of external services.",
        ),
        by_hand(
            c,
            "Shorten the time-out of calls to that service to slightly more than they usually take.",
            precondition="the service is known, and its callers can do without it or fail fast",
            risk="requests that would have been answered late fail at once",
            undo="set the time-out back",
        ),
        by_hand(
            c,
            "Switch on the circuit breaker for that service, or switch off the features that need it by feature flag.",
            precondition="it stays slow",
            risk="these features are missing until they are switched on again",
            undo="switch it back",
        ),
        by_hand(
            c,
            "Tell the owners of that service since when it is slow, and by how much.",
            precondition="the service is known",
            risk="none",
            undo="nothing to undo",
            watch="The latency of that service falls.",
        ),
        *worst_pod(c, results),
    )


def is_table(name: JSON) -> bool:
    """A table's name that can stand in a statement as it is."""
    return isinstance(name, str) and bool(_TABLE.fullmatch(name))
