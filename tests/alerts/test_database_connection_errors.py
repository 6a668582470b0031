"""DatabaseConnectionErrors: its checks on answers of every kind, the ranking of its causes, its plans, its recovery."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from runbook.alerts.checks.database import (
    connection_error_logs,
    connection_errors,
    database_server,
    failing_pods,
    pool,
    query_latency,
)
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.workload import changes, policies, secrets
from runbook.alerts.database_connection_errors import ALERT
from runbook.alerts.mitigations.connections import restore_login, restore_network
from runbook.clock import Frozen
from runbook.config.schema import Environment, Kubernetes
from runbook.investigation import investigator, ranking
from runbook.investigation.definitions import Check, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.investigation.results import Results, check_name
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Facts, Mitigation, Query, Result, Step
from runbook.text.shell import command
from tests.fakes import ONSET, STARTED, Scripted, context, facts, line, nothing

Answering = Callable[[Query], Answer]
Script = Mapping[tuple[str, ...], Answering]
DAY = 86_400

ERRORS, POOLED, P95 = ("connection_errors_total",), ("count(", "database_connections"), ("histogram_quantile",)
FAILED, ALL = ("http_requests_total", "5.."), ("http_requests_total",)
POLICIES, SECRETS = ("networkpolicies",), ("secrets,configmaps",)
STATUS, PROCESSES, TRANSACTIONS = ("GLOBAL STATUS",), ("processlist WHERE",), ("DISTINCT",)
HEALTHY: Script = {FAILED: nothing, ALL: line(lambda t: 50.0), POOLED: line(lambda t: 6.0)}


def stepping(before: float, since: float) -> Callable[[float], float]:
    """A value that steps up at the onset; at the same hours of other days it does not."""
    return lambda t: since if ONSET <= t < ONSET + DAY else before


def several(label: str, rows: Mapping[str, Callable[[float], float]], **labels: str) -> Answering:
    """One series per value of a label."""

    def answer(query: Query) -> Answer:
        found = [line(value, **{label: name}, **labels)(query).data["result"][0] for name, value in rows.items()]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def all_of(*parts: Answering) -> Answering:
    """The series of all of them."""

    def answer(query: Query) -> Answer:
        found = [one for part in parts for one in part(query).data["result"]]
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def given(data: JSON, completeness: str = "complete") -> Answering:
    return lambda query: Answer(query, completeness, data)  # type: ignore[arg-type]


def judged(check: Check, script: Script, began: float | None = ONSET, about: Context | None = None) -> Result:
    """A check on these answers, after a first check that found this onset."""
    about = about or context(alert=ALERT.name)
    source = Scripted(script)
    answers = {name: source.ask(query) for name, query in check.queries(about).items()}
    first = {ALERT.checks[0].name: Result("abnormal", "", facts(connection_errors.Facts, onset=began))}
    return investigator.judge(check, about, answers, Results(first, ALERT.checks))


def investigated(script: Script) -> Investigation:
    return Investigator(ALERT, context(alert=ALERT.name), Scripted(script), Frozen(context().now)).investigation()


# Is it real?


def test_with_every_source_down_nothing_is_concluded():
    """Each check is unknown, no cause tested, and no mitigation is given."""
    found = investigated({})
    assert {f.result.status for f in found.findings} == {"unknown"}
    assert {v.state for v in found.verdicts} == {"not tested"}
    assert found.mitigations == ()
    assert found.headline == "Not known whether DatabaseConnectionErrors is real."


def test_a_step_is_real_and_has_an_onset_and_an_impact():
    """Five failed connections a second from the onset on: since when, how many, and how many requests with them."""
    script = {**HEALTHY, ERRORS: line(stepping(0.0, 5.0)), FAILED: line(stepping(0.1, 10.0))}
    found = judged(connection_errors.CHECK, script)
    assert found.status == "abnormal"
    assert abs(found.facts.onset - ONSET) <= 60
    assert found.sentence.startswith("Yes. Connections to the database fail at 5/s (threshold 0.1/s")
    assert abs(found.facts.errors - 5 * (STARTED + 1500 - ONSET)) <= 5 * 60
    assert found.facts.impact.endswith("requests failed (19.7 %).")


def test_a_counter_that_is_not_there_is_no_calm():
    """The alert fires on the counter itself: where Prometheus has none, pods that report pools do not make it 0."""
    found = judged(connection_errors.CHECK, {**HEALTHY, ERRORS: nothing})
    assert (found.status, found.sentence[:11]) == ("unknown", "Not known: ")


@pytest.mark.parametrize("pods", [{POOLED: nothing}, {}], ids=["empty", "down"])
def test_neither_counter_nor_pools_is_no_calm(pods: Script):
    """Silence of both is unknown, whether the pods' answer is empty or did not come."""
    script = {FAILED: nothing, ALL: line(lambda t: 50.0), ERRORS: nothing, **pods}
    assert judged(connection_errors.CHECK, script).status == "unknown"


def test_a_counter_that_could_not_be_asked_for_is_not_zero():
    """That the pods tell of their pools does not make up for errors that got no answer."""
    assert judged(connection_errors.CHECK, HEALTHY).status == "unknown"


def test_errors_below_the_threshold_blame_nobody():
    """At 0.1/s the alert does not hold, and every cause that could be tested is refuted."""
    found = investigated({**HEALTHY, ERRORS: line(stepping(0.0, 0.1)), P95: line(lambda t: 4.0)})
    assert found.headline.startswith("DatabaseConnectionErrors does not hold")
    assert not [v for v in found.verdicts if v.state == "supported"]


# Which pods?


@pytest.mark.parametrize(
    ("rates", "affected", "said"),
    [
        ({"a": 2.0, "b": 2.4, "c": 1.8}, 3, "All 3 pods cannot connect."),
        ({"a": 0.0, "b": 2.4, "c": 0.01}, 1, "1 of 3 pods cannot connect; most failures are in b."),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, 0, "None: almost no connection fails in 3 pods."),
    ],
)
def test_all_some_or_none_of_the_pods(rates: dict[str, float], affected: int, said: str):
    """A pod has the trouble from a fifth of the pods' mean on."""
    rows = {pod: stepping(0.0, rate) for pod, rate in rates.items()}
    script = {
        ERRORS: several("pod", rows),
        ("database_connections",): several("pod", dict.fromkeys(rows, lambda t: 1.0)),
    }
    found = judged(failing_pods.CHECK, script)
    assert found.facts.affected == affected
    assert found.sentence.startswith(said)


def test_a_pod_without_a_counter_counts_as_one_without_errors():
    """Where only pods with errors have the counter, the others are still among all."""
    script = {
        ERRORS: several("pod", {"a": stepping(0.0, 3.0)}),
        ("database_connections",): several("pod", {"a": lambda t: 1.0, "b": lambda t: 1.0}),
    }
    assert judged(failing_pods.CHECK, script).facts.pods == 2


# The pool


def pools(pods: int = 3, **states: Callable[[float], float]) -> Script:
    """Pods alike."""
    names = [f"p{n}" for n in range(pods)]
    rows = [several("pod", dict.fromkeys(names, value), state=state) for state, value in states.items()]
    return {("database_connections",): all_of(*rows)}


@pytest.mark.parametrize(
    ("in_use", "idle", "waiting", "exhausted", "said"),
    [
        (20.0, 0.0, 8.0, True, "No: 60 of 60 connections in use (3 before), 24 requests waiting"),
        (2.0, 0.0, 8.0, True, "their pools are smaller than the 20 connections in the settings."),
        (0.0, 0.0, 8.0, False, "Yes, but requests wait: 0 of 60 connections in use"),
        (1.0, 5.0, 0.0, False, "Yes: 3 of 60 connections in use (3 before)."),
        (12.0, 5.0, 0.0, False, "Yes: 36 of 60 connections in use (3 before)."),
    ],
    ids=["full", "small", "refused", "calm", "busy"],
)
def test_a_pool_without_room(in_use: float, idle: float, waiting: float, exhausted: bool, said: str):
    """Full, or smaller than its size with requests waiting; waiting for a database that refuses is neither."""
    states = {"in_use": stepping(1.0, in_use), "idle": stepping(5.0, idle), "waiting": stepping(0.0, waiting)}
    found = judged(pool.CHECK, pools(**states))
    assert found.facts.exhausted is exhausted
    assert said in found.sentence


def test_pods_that_tell_nothing_of_their_pools():
    """No gauge is no room."""
    assert judged(pool.CHECK, {("database_connections",): nothing}).status == "unknown"


# Queries


@pytest.mark.parametrize(("before", "since", "slow"), [(0.02, 0.02, False), (0.02, 0.3, True), (2.0, 2.0, True)])
def test_slow_queries(before: float, since: float, slow: bool):
    """Several times as slow as before, or slow by any measure; a second answer's absence changes nothing."""
    found = judged(query_latency.CHECK, {P95: line(stepping(before, since))})
    assert (found.facts.slow, found.facts.rate) == (slow, None)


def test_no_query_that_ended_is_not_a_fast_one():
    """Before the onset there were queries, since then none: not known."""
    found = judged(query_latency.CHECK, {P95: line(stepping(0.02, float("nan")))})
    assert found.status == "unknown"


# Network policies


def policy(name: str, created: float, *ports: int, peers: bool = False) -> JSON:
    rule: dict[str, JSON] = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    if peers:
        rule["to"] = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    made = dt.datetime.fromtimestamp(created, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [rule]}
    return {"metadata": {"name": name, "creationTimestamp": made}, "spec": spec}


def in_namespace(*found: JSON) -> Script:
    return {POLICIES: given({"policies": list(found), "labels": {"app": "web"}, "ports": {}})}


def test_a_new_policy_that_cuts():
    """Made a minute before the onset, and without the database's port: named, with its distance."""
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 60, 53)))
    assert (found.status, found.facts.cuts, found.facts.near) == ("abnormal", ("restrict",), True)
    assert "the policy restrict blocks connections from the service's pods to port 3306" in found.sentence
    assert "1 min before the onset" in found.sentence


def test_an_old_policy_that_cuts_is_named_but_is_not_near():
    """What has been there for a month did not cause what began today by itself."""
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 30 * DAY, 53)))
    assert (found.status, found.facts.near) == ("abnormal", False)


def test_the_database_s_own_port_is_what_counts():
    """The settings say where the database listens; a policy that allows that port cuts nothing."""
    about = context(environment=Environment(service="shop", database_address="db.example:6033"))
    found = judged(policies.CHECK, in_namespace(policy("restrict", ONSET - 60, 6033)), about=about)
    assert (found.status, found.facts.cuts, found.facts.port) == ("normal", (), 6033)


def test_a_policy_for_some_addresses_may_cut():
    """Who stands behind an address is not looked up: perhaps."""
    found = judged(policies.CHECK, in_namespace(policy("some", ONSET - 60, 3306, peers=True)))
    assert (found.facts.cuts, found.facts.may_cut) == ((), ("some",))
    assert found.sentence.startswith("Perhaps:")


def test_no_policy_at_all_cuts_nothing():
    """None is an answer; that they may not be read is not."""
    none = judged(policies.CHECK, {POLICIES: given({"policies": [], "labels": {}, "ports": {}}, "empty")})
    assert (none.status, none.facts.policies) == ("normal", 0)
    assert judged(policies.CHECK, {}).status == "unknown"


# Secrets


def stored(age: str, asked_at: float, **changes: JSON) -> Script:
    known = [{"kind": "secret", "name": "database", "age": age, "type": "Opaque"}]
    needed = [{"kind": "secret", "name": "database", "optional": False}]
    data = {
        "referenced": needed,
        "asked_at": asked_at,
        "known": known,
        "listed": [{"kind": "secret"}, {"kind": "configmap"}],
    }
    return {SECRETS: given({**data, **changes})}


@pytest.mark.parametrize(
    ("age", "asked_at", "near"),
    [
        ("9m30s", ONSET + 500, True),
        ("25m", ONSET + 1200, True),
        ("120d", ONSET + 1200, False),
        ("2d", ONSET + 2 * DAY, None),
        ("3h", ONSET + 1200, False),
    ],
)
def test_a_secret_made_shortly_before(age: str, asked_at: float, near: bool | None):
    """As far as the age that Kubernetes prints is exact enough to say: two days later it is not."""
    found = judged(secrets.CHECK, stored(age, asked_at))
    assert found.facts.near is near
    assert (found.status == "unknown") is (near is None)
    assert found.facts.fresh == (("secret/database",) if near else ())


def test_a_secret_that_the_pods_do_not_use_is_none_of_theirs():
    """Made just then, but nothing that the pods refer to."""
    other = {"kind": "secret", "name": "tls", "age": "30m", "type": "Opaque"}
    old = {"kind": "secret", "name": "database", "age": "90d", "type": "Opaque"}
    found = judged(secrets.CHECK, stored("", ONSET + 1200, known=[other, old]))
    assert found.status == "normal" and found.sentence.endswith(f"{secrets.IN_PLACE}.")


def test_a_missing_secret_is_named():
    """The pods refer to one that is not there."""
    found = judged(secrets.CHECK, stored("9d", ONSET, known=[]))
    assert (found.status, found.sentence) == ("abnormal", "Yes: secret/database is missing.")


# The server


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
    assert (found.status, found.sentence) == ("unknown", "Not known: MySQL is not set up; add [environment.x.mysql]")


def test_a_server_with_room_is_well():
    """Connections against their limit; idle ones are no statements, however old."""
    script = {**variables(), PROCESSES: given({"processes": [process(3, 9000, "Sleep"), process(4, 1)]})}
    found = judged(database_server.CHECK, script)
    assert (found.status, found.sentence) == ("normal", "Yes: 30 of 151 connections (19.9 %) in use now.")


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


# The logs


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


# The causes


def results(*found: Facts) -> Results:
    """All of DatabaseConnectionErrors, with what these checks found."""
    return Results({check_name(type(one)): Result("abnormal", "", one) for one in found}, ALERT.checks)


def telling(**about: float) -> error_messages.Facts:
    """The facts of logs that give these reasons."""
    known = {**dict.fromkeys(connection_error_logs.REASONS, 0.0), **about}
    return facts(error_messages.Facts, about=known, explained=sum(known.values()) or None)


ROOM = facts(pool.Facts, exhausted=False, small=False, in_use=3.0, pool=60, pods=3, full_pods=0, size=20)
FULL = replace(ROOM, exhausted=True, full_pods=3, in_use=60.0)
FAST = facts(query_latency.Facts, slow=False, p95=0.02)
OPEN = facts(policies.Facts, near=False, port=3306)
CUT = replace(OPEN, cuts=("restrict",), near=True, newest="restrict")
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


# What to do


def plan(cause: str, *found: Facts) -> Mitigation:
    environment = Environment(
        service="shop", kubernetes=Kubernetes(context="production"), database_address="mysql-primary:3306"
    )
    about = context(environment=environment)
    (one,) = [one for one in ALERT.causes if one.name == cause]
    return Mitigation(cause, *one.plan(about, results(*found)))


def shown(step: Step) -> str:
    return step.text or command(step.argv)


def commands(found: Mitigation) -> list[str]:
    return [shown(step) for step in found.steps]


NEW = replace(CUT, created=ONSET - 60)


def test_the_policy_is_named_saved_and_only_then_deleted():
    """Described by name, then deleted with a copy to come back from; name and port are tried in a pod."""
    found = plan("network", NEW)
    lead = "kubectl --context production -n web"
    assert commands(found)[:3] == [
        f"{lead} get networkpolicies",
        f"{lead} describe networkpolicy restrict",
        f"{lead} delete networkpolicy restrict",
    ]
    saved = (
        f"{lead} get networkpolicy restrict -o json | jq 'del(.metadata.resourceVersion, .metadata.uid)' "
        "> restrict.json && test -s restrict.json"
    )
    assert saved in found.steps[2].precondition
    assert command(found.steps[2].undo_argv) == f"{lead} apply -f restrict.json"
    assert any("getent hosts mysql-primary" in one for one in commands(found))
    assert [step.kind for step in found.steps if step.kind != "read"] == ["change"]


@pytest.mark.parametrize("changed", [{"near": False}, {"cuts": ("restrict", "deny")}, {"cuts": ()}], ids=str)
def test_an_old_policy_or_one_of_several_is_not_deleted(changed: dict[str, Any]):
    """Only the one policy that was created shortly before the onset is worth deleting."""
    found = plan("network", replace(NEW, **changed))
    assert not [one for one in commands(found) if " delete " in one]
    assert {step.kind for step in found.steps} == {"read"}


def test_a_larger_pool_is_compared_with_what_the_database_allows():
    """Half as much again, with the sum of all pods beside max_connections."""
    server = facts(database_server.Facts, max_connections=151)
    found = plan("pool", facts(pool.Facts, size=20, pods=6, in_use=120.0, pool=120), server)
    (step,) = [step for step in found.steps if "Raise the pool" in step.text]
    assert "from 20 to 30 per pod" in step.text
    assert "room for 180 connections of 6 pods: compare with its max_connections of 151" in step.precondition
    assert any("120 of 120 connections are in use" in step.watch for step in found.steps)


def test_the_process_that_blocks_is_ended_by_its_number():
    """Only where it is known, and only after looking whether it is still there."""
    blocked = plan("database", facts(database_server.Facts, blocking=7))
    assert "KILL 7" in shown(blocked.steps[0])
    assert "still shows process 7" in blocked.steps[0].precondition
    assert not any("KILL" in one for one in commands(plan("database")))
    longest = facts(database_server.Facts, longest_id=9, long=True)
    assert any("'KILL QUERY 9'" in one for one in commands(plan("database", longest)))
    assert not any("KILL" in one for one in commands(plan("database", replace(longest, long=False))))


def test_what_an_ended_idle_transaction_wrote_is_lost():
    """A statement can be run again; what a client wrote and did not commit before it fell idle cannot."""
    undone = [
        plan("database", facts(database_server.Facts, blocking=7, blocking_idle=idle)).steps[0].undo
        for idle in (True, False, None)
    ]
    assert undone[0] == "none: what it had not committed is lost"
    assert undone[1:] == ["start it again when the load is low"] * 2


def test_secrets_are_described_by_name():
    """The one created last first; names alone, and the procedure's rotation at the end."""
    known = facts(
        secrets.Facts, referenced=("configmap/web", "secret/database", "secret/jwt"), fresh=("secret/database",)
    )
    found = plan("credentials", known)
    assert [one for one in commands(found) if "describe secret" in one] == [
        "kubectl --context production -n web describe secret database",
        "kubectl --context production -n web describe secret jwt",
    ]
    assert commands(found)[-1].startswith("Rotate the credentials")
    assert found.steps[-1].kind == "manual"


# Recovery


def recovery(script: Script) -> tuple[str, str]:
    source = Scripted(script)
    about = replace(context(alert=ALERT.name), mitigated_at=STARTED, now=STARTED + 1800, end=STARTED + 1800)
    found = verify(
        about,
        ALERT.recovery,
        ask=lambda queries: {name: source.ask(query) for name, query in queries.items()},
        clock=Frozen(about.now),
        tell=lambda progress: None,
    )
    return found.state, found.sentence


ANSWERING = given({"status": 200, "error": None})
CALM: Script = {
    ERRORS: line(lambda t: 0.0),
    P95: line(lambda t: 0.02),
    POOLED: line(lambda t: 6.0),
    ("/health",): ANSWERING,
    ("/api/",): ANSWERING,
}


def test_no_errors_and_queries_as_fast_as_before_are_a_recovery():
    """The procedure's two questions and the endpoints."""
    state, said = recovery(CALM)
    assert state == "recovered"
    assert said.startswith("Recovered: at or below 0.1 errors / s for the last 5 min")


def test_a_counter_that_restarted_pods_do_not_have_yet_is_calm():
    """After a restart nothing has failed, so there is no series of errors: the pods' pools say that they are there."""
    assert recovery({**CALM, ERRORS: nothing})[0] == "recovered"
    assert recovery({**CALM, ERRORS: nothing, POOLED: nothing})[0] == "not enough data"


@pytest.mark.parametrize(
    ("p95", "said"),
    [
        (line(lambda t: 2.0 if t > STARTED else 0.02), "but p95 of queries is 2 s (20 ms before)"),
        (line(lambda t: float("nan") if t > STARTED else 0.02), "but no query has finished"),
    ],
)
def test_queries_that_are_still_slow_are_no_recovery(p95: Answering, said: str):
    """Connections that succeed are half of it."""
    state, sentence = recovery({**CALM, P95: p95})
    assert state == "not recovered"
    assert said in sentence


@pytest.mark.parametrize("name", ["--all", "x; reboot", "$(reboot)", "`reboot`", "", "../x", "a\nb"])
def test_only_what_is_a_name_gets_into_a_command(name: str):
    """A deployment may refer to a Secret of any text, and options are text too: neither reaches a ready command."""
    odd = (
        facts(policies.Facts, cuts=(name,), may_cut=(name,), newest=name, created=ONSET, near=True),
        facts(secrets.Facts, fresh=(f"secret/{name}",), referenced=(f"secret/{name}",)),
    )
    for plan in (restore_network, restore_login):
        assert plan(context(), results(*odd)) == plan(context(), results()), name
