"""What makes requests wait: queries, the connection pool, services outside."""

from __future__ import annotations

import re

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.requests import paths
from runbook.alerts.mitigations.commands import (
    deployment,
    in_container,
    kubectl,
    mysql,
    number,
    read,
    restart,
    setting_names,
    until_healthy,
    worst_pod,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step

_TABLE = re.compile(r"\w{1,64}(\.\w{1,64})?")
_READER = "USER may read the service's database, whose name stands for DATABASE"


def speed_up_queries(c: Context, results: Results) -> Plan:
    """What runs and why it takes so long; an index where one is missing; then the pool and the database itself."""
    facts = results.facts(slow_queries.Facts)
    operation, table = (facts.get(name) if facts.any else None for name in ("operation", "table"))
    named = is_table(table)
    whose = f"{str(operation).upper()} statements on {table}" if named else "statements that take longest"
    title = f"Speed up {operation} on {table}" if named else "Speed up the database"
    where = str(table) if "." in str(table) else f"{table} FROM DATABASE"
    look = read(mysql(c, f"SHOW INDEX FROM {where}"), f"whether the columns that {whose} look for have one", _READER)
    return title, (
        *((look,) if named else ()),
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            f"the {whose}, their time and state (“Sending data”: reads many rows; “Locked”: waits for others)",
        ),
        read(
            f"Put EXPLAIN before one of the {whose} and run it.",
            "type ALL with key NULL reads the whole table: an index is missing, or its statistics are old (ANALYZE TABLE)",
            "the statement is known from the process list",
        ),
        Step(
            f"Add the index that EXPLAIN lacks{f' to {table}' if named else ''}, online (ALGORITHM=INPLACE, LOCK=NONE); or rewrite the query.",
            "EXPLAIN shows that it is missing; the database's owners agree; there is disk for it",
            "building it costs the database I/O for minutes",
            "DROP INDEX",
            until_healthy(c),
        ),
        pool_size(c, results),
        Step(
            "Ask the database's owners for more capacity (CPU, memory, a read replica).",
            "all queries are slow, none lacks an index",
            "costs; a restart of the database drops all connections",
            "scale back",
            until_healthy(c),
        ),
    )


def widen_pool(c: Context, results: Results) -> Plan:
    """Who holds the connections, then a larger pool."""
    return "Let requests get a connection", (
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            "connections of the service in “Sleep” for long are held without use; a long statement holds its own",
        ),
        pool_size(c, results),
        *restart(c, results, "connections are held and not given back: new pods begin with empty pools"),
        Step(
            "Find in the code what keeps a connection while it waits for something else, and give it back earlier.",
            "the pool's size is as intended",
            "a new release",
            "roll it back",
            until_healthy(c),
        ),
    )


def pool_size(c: Context, results: Results) -> Step:
    """The pool's size is a setting of the service, whose name nobody told us."""
    facts = results.facts(pool.Facts)
    used, pool = number(facts.in_use), number(facts.pool)
    use = f"now {used:,.0f} of {pool:,.0f} in use" if used is not None and pool else "its use is not known"
    return read(
        setting_names(c),
        f"the setting of the pool's size: is it as intended ({use})? If it is too small, raise it with kubectl set env",
        "the database takes more connections (max_connections)",
    )


def spare_dependency(c: Context, results: Results) -> Plan:
    """Who is slow; shorter time-outs and a circuit breaker, so that requests no longer wait for it."""
    slow = results.facts(paths.Facts).get("top")
    where = f" of {slow}" if isinstance(slow, str) else ""
    return "Wait less for the external service", (
        read(
            kubectl(c, "logs", deployment(c), *in_container(c), "--since=15m", "--tail=500"),
            f"which service the requests{where} wait for: its name stands in time-outs and slow calls",
        ),
        read(
            setting_names(c),
            "the names of the settings for addresses and time-outs of external services",
        ),
        Step(
            "Shorten the time-out of the calls to it to little more than they usually take.",
            "the service is known, and what needs it can do without or fail fast",
            "requests that would have been answered late fail at once",
            "set the time-out back",
            until_healthy(c),
        ),
        Step(
            "Switch on the circuit breaker for it, or switch off by feature flag what needs it.",
            "it stays slow",
            "what needs it is missing until it is switched on again",
            "switch it back",
            until_healthy(c),
        ),
        Step(
            "Tell the owners of the service since when it is slow, and by how much.",
            "the service is known",
            "none",
            "nothing to undo",
            "their own latency falls",
        ),
        *worst_pod(c, results),
    )


def is_table(name: JSON) -> bool:
    """A table's name that can stand in a statement as it is."""
    return isinstance(name, str) and bool(_TABLE.fullmatch(name))
