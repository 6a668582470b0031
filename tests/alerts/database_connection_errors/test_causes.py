"""DatabaseConnectionErrors: the reasons in the logs, and the ranking of its causes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runbook.alerts.checks.database import (
    connection_error_logs,
    connection_errors,
    database_server,
    pool,
    query_latency,
)
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.workload import changes, secrets
from runbook.alerts.database_connection_errors import ALERT
from runbook.investigation import ranking
from runbook.model import Facts
from tests.alerts.database_connection_errors.answers import CUT, OPEN, results
from tests.fakes import ONSET, facts


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("HikariPool-1 - Connection is not available, request timed out after 30000ms. pool exhausted", "pool"),
        ("pool timed out while waiting for an open connection", "pool"),
        ("QueuePool limit of size 5 overflow 10 reached, connection timed out, pool timeout 30.00", "pool"),
        ("ERROR 1040 (HY000): Too many connections", "database"),
        ("could not get a connection from the pool: timed out: Too many connections", "database"),
        ("ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction", "database"),
        ("dial tcp: lookup mysql-primary on 10.96.0.10:53: no such host", "network"),
        ("ERROR 2005 (HY000): Unknown MySQL server host 'mysql-primary' (-3)", "network"),
        ("connect to mysql-primary:3306: No route to host", "network"),
        ("Communications link failure: connect timed out", "network"),
        ("ERROR 1045 (28000): Access denied for user 'web'@'10.0.0.7' (using password: YES)", "credentials"),
        ("mysql: password has expired", "credentials"),
    ],
)
def test_what_clients_of_mysql_say(message: str, reason: str):
    """The usual clients' own sentences give exactly the one reason that an engineer reads in them."""
    found = {name for name, words in connection_error_logs.REASONS.items() if words.search(message)}
    assert found - ({"network"} if reason == "pool" else set()) == {reason}


def telling(**about: float) -> error_messages.Facts:
    """The facts of logs that give these reasons."""
    known = {**dict.fromkeys(connection_error_logs.REASONS, 0.0), **about}
    return facts(error_messages.Facts, about=known, explained=sum(known.values()) or None)


ROOM = facts(pool.Facts, exhausted=False, small=False, in_use=3.0, pool=60, pods=3, full_pods=0, size=20)
FULL = replace(ROOM, exhausted=True, full_pods=3, in_use=60.0)
FAST = facts(query_latency.Facts, slow=False, p95=0.02)
UNCHANGED = facts(changes.Facts, near=False, only_new=False, worse=False, calm_minutes=0, alike=False)
HEALTHY_FACTS: tuple[Facts, ...] = (
    facts(connection_errors.Facts, onset=ONSET),
    UNCHANGED,
    ROOM,
    FAST,
    OPEN,
    facts(secrets.Facts, near=False),
)


def ranked(*seen: Facts) -> dict[str, tuple[str, float | None]]:
    """State and score of every cause, best first, where checks found this and everything else is healthy."""
    known = {type(one): one for one in (*HEALTHY_FACTS, telling(), *seen)}
    return {v.cause: (v.state, v.score) for v in ranking.rank(ALERT.causes, results(*known.values()))}


@pytest.mark.parametrize(
    ("cause", "seen"),
    [
        ("pool", (FULL, telling(pool=0.7))),
        ("pool", (replace(FULL, small=True),)),
        ("database", (telling(database=0.6),)),
        ("database", (telling(database=0.3, pool=0.4), FULL, replace(FAST, slow=True, p95=4.0))),
        ("network", (telling(network=0.6),)),
        ("network", (CUT,)),
        ("credentials", (telling(credentials=0.5),)),
        ("deployment", (
            telling(credentials=0.6),
            replace(UNCHANGED, near=True, only_new=True, distance=30, revision=14, compared="its pods fail"),
        )),
    ],
)  # fmt: skip
def test_the_cause_that_the_signs_speak_for(cause: str, seen: tuple[Facts, ...]):
    """Each cause comes first and supported on its own signs: a pool that slow queries fill is the database's."""
    found = ranked(*seen)
    assert next(iter(found)) == cause
    assert found[cause][0] == "supported"
    assert [name for name, (state, _) in found.items() if state == "supported"] == [cause]


def test_two_reasons_at_once_both_count():
    """Where the messages give two reasons, both causes come before the others, even if one is rare."""
    found = ranked(telling(network=0.6, database=0.1))
    assert list(found)[:2] == ["network", "database"]


def test_logs_that_give_no_reason_refute_nobody():
    """Messages that say only that a request failed leave what only logs show untested."""
    found = ranked()
    assert found["credentials"][0] == found["network"][0] == "not tested"
    assert found["pool"][0] == "refuted"


def test_without_logs_a_policy_is_still_evidence():
    """With Elasticsearch down a new policy that cuts supports the network, and credentials are not tested."""
    known = [CUT if one is OPEN else one for one in HEALTHY_FACTS]
    found = {v.cause: v.state for v in ranking.rank(ALERT.causes, results(*known))}
    assert (found["network"], found["credentials"]) == ("supported", "not tested")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts(database_server.Facts, locked=True, blocking=7), "an overloaded database: .* process 7"),
        (facts(database_server.Facts, full=True), "an overloaded database: it has no connection left"),
        (facts(database_server.Facts), "an overloaded database"),
    ],
)
def test_the_headline_says_what_overloads_the_database(found: database_server.Facts, words: str):
    """The process that holds the locks, or that the server is full, as far as the server shows it."""
    (cause,) = [one for one in ALERT.causes if one.name == "database"]
    assert re.fullmatch(words, cause.phrase(results(found)))


def test_the_headline_names_the_policy():
    """A policy that certainly cuts is named; without one it is the network or DNS."""
    (cause,) = [one for one in ALERT.causes if one.name == "network"]
    assert "restrict" in cause.phrase(results(CUT))
    assert cause.phrase(results(OPEN)) == cause.phrase(results()) == "the network or DNS between service and database"
