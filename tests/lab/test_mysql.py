"""The MySQL source against a real MariaDB: calm, full, locked, slow, denied, hanging, down, and with TLS.

MySQL 8 itself is not to be had here: its half of `data_lock_waits` and of deploy/mysql-grants.sql is untested.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.constants import COMMAND

from runbook.config import secrets
from runbook.config.schema import Environment
from runbook.errors import SourceError
from runbook.model import Answer, Query, canonical
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.mysql import client as mysql
from runbook.sources.mysql import readers
from runbook.sources.mysql.readers import ServerStatus
from runbook.sources.mysql.session import Refused, Session
from tests.certificates import Authority
from tests.lab.servers.mariadb import HOST, MariaDB, grants
from tests.lab.servers.processes import eventually
from tests.sources.refusals import refused

pytestmark = pytest.mark.lab

QUESTIONS = (mysql.status(), mysql.processes(), mysql.transactions(), mysql.info())
HEADER = Header("DatabaseConnectionErrors", "INC-2026-01-15-01", 0.0, 1.0, {}, {})
UPDATE = "UPDATE shop.users SET display_name = ? WHERE username = ?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mariadb"), max_connections=30) as running:
        yield running


@pytest.fixture
def source(server: MariaDB) -> mysql.MySQL:
    """The source as the account of deploy/mysql-grants.sql."""
    return mysql.MySQL(server.settings())


def status(source: mysql.MySQL) -> ServerStatus:
    found = readers.status_of(source.ask(mysql.status()))
    assert found is not None
    return found


def asked(server: MariaDB, **changes: Any) -> Answer:
    return mysql.MySQL(server.settings(**changes), 5).ask(mysql.status())


def refusal(source: mysql.MySQL, query: Query) -> SourceError:
    error = refused(source, query)
    assert str(error).startswith("MySQL at mysql://127.0.0.1:")
    assert "canary" not in str(error)
    return error


# States of the server


def test_a_calm_server_says_what_it_is(server: MariaDB, source: mysql.MySQL) -> None:
    """Version, limit and counters; nobody but us is connected, and nothing is open."""
    assert eventually(lambda: status(source).connected == 1)
    now = status(source)
    assert now.version.startswith("10.")
    assert "MariaDB" in now.version
    assert (now.max_connections, now.running, now.row_lock_waits_now) == (30, 1, 0)
    assert now.max_used >= 1
    open_now = source.ask(mysql.transactions())
    assert (readers.transactions_of(open_now), readers.waits_of(open_now)) == ((), ())
    assert open_now.completeness == "complete"


def test_idle_connections_are_listed_with_whose_they_are(server: MariaDB, source: mysql.MySQL) -> None:
    """Each connection of the service's pool is a sleeping process of its account, from its address."""
    with server.occupied(5) as held:
        assert held == 5
        assert eventually(lambda: status(source).connected == 6)
        idle = [p for p in readers.processes_of(source.ask(mysql.processes())) if p.command == "Sleep"]
        assert {(p.user, p.host, p.statement) for p in idle} == {("web", HOST, "")}
        assert len(idle) == 5


def test_a_full_server_is_evidence(server: MariaDB, source: mysql.MySQL) -> None:
    """With all connections taken the status is a refusal, and the other questions say so; max_used tells later."""
    with server.occupied():
        answer = source.ask(mysql.status())
        assert answer.completeness == "complete"
        assert readers.status_of(answer) is None
        assert readers.refusal_of(answer) == readers.Refusal("too many connections", "Too many connections")
        for question in QUESTIONS[1:]:
            error = refusal(source, question)
            assert error.reason == "refused"
            assert "refused the login (1040: Too many connections); end idle connections" in str(error)
    now = status(source)
    assert now.max_used > now.max_connections


def test_who_was_turned_away_is_counted(server: MariaDB, source: mysql.MySQL) -> None:
    """Where even the administrator's place is taken, the server counts whom it refuses."""
    before = status(source).refused
    with server.occupied(), socket.create_connection((HOST, server.port)):  # takes the last place and says nothing
        assert eventually(lambda: readers.refusal_of(source.ask(mysql.status())))
        for _ in range(3):
            with pytest.raises(pymysql.OperationalError):
                server.connect()
    assert eventually(lambda: readers.status_of(source.ask(mysql.status())))
    assert status(source).refused > before


def test_a_wrong_password_is_told_apart(server: MariaDB, tmp_path: Path) -> None:
    """A denied login is another refusal than a full server; the sentence says what to check, and not the password."""
    (tmp_path / "wrong").write_text("canary-wrong")
    wrong = mysql.MySQL(server.settings(password_file=str(tmp_path / "wrong")))
    refused = readers.refusal_of(wrong.ask(mysql.status()))
    assert refused is not None
    assert refused.kind == "access denied"
    assert "Access denied for user 'oncall'" in refused.words
    error = refusal(wrong, mysql.processes())
    assert error.reason == "forbidden"
    assert "check user and password of `mysql` in runbook.toml" in str(error)


def test_the_service_that_is_denied_is_counted(server: MariaDB, source: mysql.MySQL) -> None:
    """When the service's account got another password, its attempts show as aborted connects, until it is mended."""
    before = status(source).aborted_connects
    with server.denied():
        assert status(source).aborted_connects > before
    server.connect().close()


def test_a_lock_is_traced_to_who_holds_it(server: MariaDB, source: mysql.MySQL) -> None:
    """The holder is an open transaction without a statement, the others wait for it and for each other."""
    with server.locked(waiting=2) as holder:
        assert status(source).row_lock_waits_now == 2
        assert eventually(lambda: readers.transactions_of(source.ask(mysql.transactions()))[0].seconds >= 2)
        answer = source.ask(mysql.transactions())
        oldest, *others = readers.transactions_of(answer)
        assert (oldest.id, oldest.user, oldest.host, oldest.state) == (holder, "web", HOST, "RUNNING")
        assert (oldest.statement, oldest.modified_rows) == ("", 1)
        assert oldest.locked_rows >= 1
        assert 2 <= oldest.seconds < 60
        assert [(one.state, one.statement) for one in others] == [("LOCK WAIT", UPDATE)] * 2
        waits = readers.waits_of(answer)
        assert {(w.table, w.waiting_statement) for w in waits} == {("shop.users", UPDATE)}
        assert {w.waiting for w in waits if w.blocking == holder} == {one.id for one in others}
        assert all(w.seconds >= 1 for w in waits)
        assert b"secret" not in canonical(answer.data)
    assert eventually(lambda: readers.waits_of(source.ask(mysql.transactions())) == ())


def test_a_slow_statement_is_listed_without_its_literals(server: MariaDB, source: mysql.MySQL) -> None:
    """What runs, for how long, and whose it is; the longest first."""
    with server.occupied(1), server.slow_queries(2):
        assert eventually(lambda: [p.seconds >= 1 for p in running(source)] == [True, True])
        answer = source.ask(mysql.processes())
        shown = "SELECT SLEEP(?), id FROM shop.users WHERE display_name = ? OR id = ?"
        assert {(p.user, p.command, p.state, p.statement) for p in running(source)} == {
            ("web", "Query", "User sleep", shown)
        }
        seconds = [p.seconds for p in readers.processes_of(answer)]
        assert seconds == sorted(seconds, reverse=True)
        assert status(source).running >= 3
        assert b"secret" not in canonical(answer.data)
    assert running(source) == []


def running(source: mysql.MySQL) -> list[readers.Process]:
    return [p for p in readers.processes_of(source.ask(mysql.processes())) if p.statement]


def test_slow_statements_are_counted_as_they_end(server: MariaDB, source: mysql.MySQL) -> None:
    """One that took more than a second is in the counter that the server keeps."""
    before = status(source).slow_queries
    with server.slow_queries(1, seconds=1.1):
        assert eventually(lambda: status(source).slow_queries > before)


def test_a_statement_may_hold_any_bytes(server: MariaDB, source: mysql.MySQL) -> None:
    """What a client sends need not be text; it costs nothing but the bytes."""
    with closing(server.connect()) as client:
        client._execute_command(COMMAND.COM_QUERY, b"SELECT SLEEP(3600), /*\xff*/ _binary '\xff\xfe'")
        assert eventually(lambda: running(source))
        (one,) = running(source)
        assert one.statement == "SELECT SLEEP(?), _binary ?"
        server.as_root(f"KILL {one.id}")


def test_answers_survive_being_recorded(server: MariaDB, source: mysql.MySQL, tmp_path: Path) -> None:
    """Redaction, which knows the password, takes nothing away that the readers need."""
    file = tmp_path / "recording"
    known = secrets.secrets(Environment(service="shop", mysql=server.settings()))
    assert known == (server.password("oncall"),)
    with (
        server.locked(),
        server.slow_queries(),
        Recorder({"mysql": source}, file, HEADER, Redactor(True, [], known)) as recorder,
    ):
        recorded = [recorder.ask(question) for question in QUESTIONS]
        again = source.ask(mysql.processes())
    replay = Replay(file)
    for answer in recorded:
        assert replay.ask(answer.query).data == answer.data
        assert b"[redacted" not in canonical(answer.data)
    known = {(p.user, p.host, p.statement) for p in readers.processes_of(recorded[1])}
    assert known == {(p.user, p.host, p.statement) for p in readers.processes_of(again)}


# What the account may do


def test_the_grants_suffice(server: MariaDB, source: mysql.MySQL) -> None:
    """With deploy/mysql-grants.sql, and that alone, every question is answered."""
    answer = source.ask(mysql.info())
    assert readers.version_of(answer) == status(source).version
    assert [(one.what, one.error) for one in readers.access_of(answer)] == [
        ("status", ""),
        ("processes and transactions", ""),
        ("lock waits", ""),
    ]
    assert {source.ask(question).completeness for question in QUESTIONS} == {"complete"}


@pytest.mark.parametrize("left_out", [one for one in grants("") if one.startswith("GRANT")])
def test_each_grant_is_needed(server: MariaDB, source: mysql.MySQL, left_out: str) -> None:
    """Without it something cannot be read, which is an error and never a shorter list."""
    wanted = grants(server.password("oncall"))
    server.as_root("DROP USER oncall", *(statement for statement in wanted if statement != left_out))
    try:
        access = readers.access_of(source.ask(mysql.info()))
        assert any("(1227: Access denied" in one.error for one in access)
        with server.occupied(1):
            error = refusal(source, mysql.processes())
        assert (error.reason, "grant deploy/mysql-grants.sql" in str(error)) == ("forbidden", True)
        assert refusal(source, mysql.transactions()).reason == "forbidden"
    finally:
        server.as_root("DROP USER oncall", *wanted)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM shop.users", "DELETE FROM shop.users", "CREATE DATABASE other", "SELECT * FROM mysql.global_priv"],
)
def test_the_account_sees_nobodys_data(server: MariaDB, statement: str) -> None:
    """It may neither read nor write a table."""
    with (
        closing(server.connect("oncall")) as client,
        client.cursor() as cursor,
        pytest.raises(pymysql.Error, match="denied"),
    ):
        cursor.execute(statement)


@pytest.mark.parametrize("statement", ["DELETE FROM shop.users", "CREATE TABLE shop.other (id INT)"])
def test_a_session_cannot_write(server: MariaDB, statement: str) -> None:
    """Even for an account that may do anything, the session itself is read-only."""
    with TimeLimit(5) as limit, Session(server.settings("root"), limit) as session:
        with pytest.raises(Refused, match="READ ONLY"):
            session.rows(statement)
        assert session.rows("SELECT COUNT(*) AS n FROM shop.users") == [{"n": 200}]


# Time


def test_a_statement_that_takes_too_long_is_given_up_by_the_server(server: MariaDB) -> None:
    """The server ends it a little before the time is up, so that nothing of ours is left running there."""
    began = time.monotonic()
    endless = "SELECT COUNT(*) FROM shop.users a, shop.users b, shop.users c, shop.users d, shop.users e"
    with (
        TimeLimit(2) as limit,
        Session(server.settings("root"), limit) as session,
        pytest.raises(Refused, match="gave the statement up") as caught,
    ):
        session.rows(endless)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 2


def test_a_server_that_hangs_is_cut_off(server: MariaDB) -> None:
    """A stopped process accepts connections and never answers: the total time is bounded, for all at once too."""
    pid = server.processes[0].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        error = refusal(mysql.MySQL(server.settings(), 1), mysql.status())
        assert (error.reason, "no answer in time" in str(error)) == ("timeout", True)
        assert time.monotonic() - began < 2
    finally:
        os.kill(pid, signal.SIGCONT)
    assert status(mysql.MySQL(server.settings())).connected >= 1


def test_a_server_that_is_down_and_back_up(tmp_path: Path) -> None:
    """Down is one sentence; a second start in the same directory has the same data and accounts."""
    server = MariaDB(tmp_path)
    source = mysql.MySQL(server.settings())
    with server:
        assert status(source).connected == 1
        server.as_root("DELETE FROM shop.users WHERE id > 5")
    error = refusal(source, mysql.status())
    assert (error.reason, "connection refused" in str(error)) == ("unreachable", True)
    with server:
        assert status(source).uptime_seconds < 60
        assert list(server.as_root("SELECT COUNT(*) AS n FROM shop.users")) == [{"n": 5}]


def test_questions_leave_no_trace(server: MariaDB, source: mysql.MySQL) -> None:
    """Each one logs out properly: no connection is left, and no counter of broken ones grows."""
    before = status(source)
    for question in QUESTIONS:
        source.ask(question)
    assert eventually(lambda: status(source).connected == 1)
    after = status(source)
    assert (after.aborted_clients, after.aborted_connects) == (before.aborted_clients, before.aborted_connects)


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def encrypted(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("tls"), certificate=authority.issue("db", HOST)) as running:
        yield running


def cipher(server: MariaDB, **changes: Any) -> str:
    with TimeLimit(5) as limit, Session(server.settings(**changes), limit) as session:
        return str(session.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0]["Value"])


def test_tls_is_used_as_set(server: MariaDB, encrypted: MariaDB, authority: Authority) -> None:
    """Encrypted where it must or can be, plain where it is off or not offered."""
    trusted = str(authority.file)
    assert cipher(encrypted, tls="required", ca_file=trusted)
    assert cipher(encrypted, ca_file=trusted)
    assert cipher(encrypted)
    assert cipher(encrypted, tls="off") == ""
    assert cipher(server) == ""


def test_a_server_without_tls_is_refused_where_it_must_be(server: MariaDB, authority: Authority) -> None:
    """Nothing goes unencrypted to a server that does not offer TLS, where it must be or an authority is named."""
    for changes in ({"tls": "required"}, {"ca_file": str(authority.file)}):
        error = refusal(mysql.MySQL(server.settings(**changes)), mysql.status())
        assert "the server does not offer TLS" in str(error)


def test_an_unknown_authority_is_refused(encrypted: MariaDB, tmp_path: Path) -> None:
    """A certificate must be signed by the authority that is named, or by one that the machine knows."""
    other = Authority(tmp_path)
    for changes in ({"ca_file": str(other.file)}, {"tls": "required"}):
        error = refusal(mysql.MySQL(encrypted.settings(**changes)), mysql.status())
        assert "TLS failed: the certificate " in str(error)
        assert "name its authority in `ca_file`" in str(error)


@pytest.mark.parametrize(
    ("hosts", "days", "told"),
    [(["other.example.org"], 30, "is for another"), ([HOST], -1, "has expired")],
)
def test_a_certificate_that_does_not_fit_is_told(tmp_path: Path, hosts: list[str], days: int, told: str) -> None:
    """One for another host, and one that has expired."""
    authority = Authority(tmp_path)
    certificate = authority.issue("db", *hosts, days=days)
    with MariaDB(tmp_path / "server", certificate=certificate) as server:
        error = refusal(mysql.MySQL(server.settings(ca_file=str(authority.file))), mysql.status())
        assert f"TLS failed: the certificate {told}" in str(error)
        assert cipher(server), "where nobody asks for proof, encryption is still to be had"
