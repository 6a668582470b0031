"""DatabaseConnectionErrors: what the database server says of itself."""

from __future__ import annotations

from runbook.alerts.checks.database import database_server
from runbook.model import JSON, Answer
from tests.alerts.database_connection_errors.answers import Script, given, judged

STATUS, PROCESSES, TRANSACTIONS = ("GLOBAL STATUS",), ("processlist WHERE",), ("DISTINCT",)


def variables(**changes: int) -> Script:
    known = {
        "version": "10.11.6-MariaDB",
        "max_connections": 151,
        "Threads_connected": 30,
        "Threads_running": 2,
        "Max_used_connections": 40,
        "Connection_errors_max_connections": 0,
        "Aborted_connects": 0,
        "Aborted_clients": 0,
        "Slow_queries": 0,
        "Innodb_row_lock_current_waits": 0,
        "Uptime": 1000,
    }
    return {
        STATUS: given({"variables": {name: str(value) for name, value in {**known, **changes}.items()}}),
        PROCESSES: given({"processes": []}),
        TRANSACTIONS: given({"transactions": [], "waits": []}),
    }


def process(id: int, seconds: int, command: str = "Query") -> JSON:
    row = {"id": id, "user": "web", "host": "10.0.0.7:4711", "database": "shop", "command": command}
    return {**row, "seconds": seconds, "state": "executing", "statement": "SELECT ?"}


def test_without_settings_it_says_what_to_set():
    """A source that is not set up makes the check unknown, in the source's own words."""
    absent = {STATUS: lambda query: Answer(query, "failed", error="MySQL is not set up; add [environment.x.mysql]")}
    found = judged(database_server.CHECK, absent)
    assert (found.status, found.facts) == ("unknown", None)
    assert "add [environment.x.mysql]" in found.sentence


def test_a_server_with_room_is_well():
    """Connections against their limit; idle ones are no statements, however old."""
    script = {**variables(), PROCESSES: given({"processes": [process(3, 9000, "Sleep"), process(4, 1)]})}
    found = judged(database_server.CHECK, script)
    assert (found.status, found.facts.full, found.facts.long) == ("normal", False, False)
    assert (found.facts.connected, found.facts.max_connections) == (30, 151)
    assert "19.9 %" in found.sentence


def test_a_full_server():
    """Nearly all of its connections are taken."""
    found = judged(database_server.CHECK, variables(Threads_connected=150))
    assert (found.status, found.facts.full) == ("abnormal", True)


def test_a_server_so_full_that_it_refuses_us():
    """That it refuses our login for too many connections is evidence; that it does not know us is none."""
    full = judged(database_server.CHECK, {STATUS: given({"refused": {"code": 1040, "words": "Too many connections"}})})
    assert (full.status, full.facts.full) == ("abnormal", True)
    unknown = judged(database_server.CHECK, {STATUS: given({"refused": {"code": 1045, "words": "Access denied"}})})
    assert unknown.status == "unknown"


def test_locks_and_long_statements():
    """Who blocks most others is named, as is how long the longest statement runs."""
    wait = {"seconds": 9, "table": "`shop`.`users`", "waiting_statement": "UPDATE", "blocking_statement": ""}
    waits = [{**wait, "waiting": 11, "blocking": 7}, {**wait, "waiting": 12, "blocking": 7}]
    script = {
        **variables(),
        PROCESSES: given({"processes": [process(n, 40 - n) for n in range(1, 5)]}),
        TRANSACTIONS: given({"transactions": [], "waits": waits}),
    }
    found = judged(database_server.CHECK, script)
    assert (found.facts.blocking, found.facts.table, found.facts.long) == (7, "shop.users", True)
    assert "2 statements waiting for locks, mostly those of process 7" in found.sentence
    assert "4 statements running for 10 s or more, the longest for 39 s" in found.sentence


def test_who_blocks_the_others_stands_first():
    """An idle process that holds locks is shown with the rows that it changed, before those that wait for it."""
    wait = {"waiting": 11, "blocking": 7, "seconds": 9, "table": "t", "waiting_statement": "", "blocking_statement": ""}
    idle = {**process(7, 15, "Sleep"), "state": "", "statement": None}
    held = {"id": 7, "user": "web", "host": "10.0.0.7:4711", "state": "RUNNING", "seconds": 16}
    script = {
        **variables(),
        PROCESSES: given({"processes": [process(12, 60), process(3, 9000, "Sleep"), idle, process(11, 9)]}),
        TRANSACTIONS: given(
            {"transactions": [{**held, "locked_rows": 2, "modified_rows": 1, "statement": None}], "waits": [wait]}
        ),
    }
    found = judged(database_server.CHECK, script)
    (table,) = [table for table in found.tables if table.name == "processes"]
    assert [row[0] for row in table.rows] == [7, 12, 11]
    assert table.rows[0] == (7, "web", "10.0.0.7", 15, "Sleep", "16 s, 1 row changed", "")
    assert found.facts.blocking_idle is True


def test_a_moment_s_wait_for_a_lock_is_everyday_life():
    """One statement that waits for a second is no trouble."""
    wait = {"waiting": 11, "blocking": 7, "seconds": 1, "table": "t", "waiting_statement": "", "blocking_statement": ""}
    script = {**variables(), TRANSACTIONS: given({"transactions": [], "waits": [wait]})}
    assert judged(database_server.CHECK, script).status == "normal"


def test_what_it_does_may_not_be_read():
    """Without the right to see processes the connections are still known, and locks are not known to be none."""
    found = judged(database_server.CHECK, {STATUS: variables()[STATUS]})
    assert (found.facts.connected, found.facts.locked, found.facts.long) == (30, None, None)
    assert found.status == "unknown"
