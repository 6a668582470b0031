"""MySQL: its questions, the login, and servers that are none."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.config import dsn, schema
from runbook.errors import SettingsError, SourceError
from runbook.model import Answer, Query
from runbook.sources.mysql import client as mysql
from runbook.sources.mysql import readers
from runbook.sources.mysql.statements import MOST
from tests.faulty import Faulty

QUESTIONS = (mysql.status(), mysql.processes(), mysql.transactions(), mysql.info())
PASSWORD = "canary-5d1f0a"


def test_every_question_only_reads():
    """All that is ever sent is SELECT and SHOW, in statements that can be pasted."""
    for question in QUESTIONS:
        statements = [statement.strip() for statement in question.text.split(";\n")]
        assert {statement.split()[0] for statement in statements} <= {"SELECT", "SHOW"}
        assert question.text.endswith(";")


@pytest.mark.parametrize("question", [mysql.processes(), mysql.transactions()])
def test_a_list_is_asked_for_with_one_more_than_is_kept(question: Query):
    """So it is known whether there are more."""
    assert f"LIMIT {MOST + 1}" in question.text


def test_more_than_is_kept_is_partial():
    """The row too many is left out, and its absence said."""
    rows = [{"id": number} for number in range(MOST + 1)]
    whole = mysql.answered(mysql.processes(), {"processes": rows[:MOST]}, 0.1)
    assert (whole.completeness, whole.data["processes"]) == ("complete", rows[:MOST])
    cut = mysql.answered(mysql.transactions(), {"transactions": rows, "waits": []}, 0.1)
    assert (cut.completeness, cut.data) == ("partial", {"transactions": rows[:MOST], "waits": []})
    assert cut.warnings == ("more than 1000 transactions: the rest is left out",)


def test_a_refused_login_is_told_apart_from_a_full_server():
    """Both complete the answer about the status; it has no counters then."""
    for code, kind in ((1040, "too many connections"), (1045, "access denied"), (1129, "host blocked")):
        answer = Answer(mysql.status(), "complete", {"refused": {"code": code, "words": "No."}})
        assert readers.status_of(answer) is None
        assert readers.refusal_of(answer) == readers.Refusal(kind, "No.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.1.2.3:51234", "10.1.2.3"),
        ("::1:51234", "::1"),
        ("web-7f.web.svc:1", "web-7f.web.svc"),
        ("localhost", "localhost"),
        (None, ""),
    ],
)
def test_a_client_is_known_by_its_address(host: str | None, address: str):
    """The port that a connection comes from is another each time."""
    row = {"id": 1, "user": "web", "host": host, "database": None, "command": "Sleep"}
    row |= {"seconds": 3, "state": "", "statement": None}
    (process,) = readers.processes_of(Answer(mysql.processes(), "complete", {"processes": [row]}))
    assert process == readers.Process(1, "web", address, "", "Sleep", 3, "", "")


@given(st.text(max_size=40).map("mysql://".__add__) | st.text(max_size=40))
def test_no_text_makes_anything_but_a_login_or_an_error_without_it(text: str):
    """A DSN holds a password, so that an error about it repeats none of it."""
    try:
        login = dsn.parse(text)
    except ValueError as error:
        assert str(error) == "not a DSN"
    else:
        assert login.host
        assert login.password


def test_a_password_does_not_show_in_a_login():
    """A traceback may show the login."""
    assert "pw" not in repr(dsn.parse("mysql://oncall:pw@db"))


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("mysql://oncall:pw@db", dsn.Login("db", 3306, "oncall", "pw")),
        ("mysql://on%40call:p%2Fw%3A@db:3307/shop?x=1", dsn.Login("db", 3307, "on@call", "p/w:")),
        ("mariadb://o:p@[fd00::1]:1/", dsn.Login("fd00::1", 1, "o", "p")),
    ],
)
def test_a_dsn_is_read(text: str, login: dsn.Login):
    """Escapes are resolved, the port has its usual value, the database is of no interest."""
    assert dsn.parse(text) == login


def source(tmp_path: Path, port: int, seconds: float = 1.0) -> mysql.MySQL:
    """Pointed at a port of this machine, with PASSWORD."""
    (tmp_path / "password").write_text(PASSWORD)
    file = str(tmp_path / "password")
    return mysql.MySQL(schema.MySQL(host="127.0.0.1", port=port, user="oncall", password_file=file), seconds)


def test_a_dsn_that_is_none_is_not_repeated(tmp_path: Path):
    """The sentence names the file and the form."""
    (tmp_path / "dsn").write_text(f"oncall:{PASSWORD}@db")
    asked = mysql.MySQL(schema.MySQL(dsn_file=str(tmp_path / "dsn")))
    with pytest.raises(SettingsError, match="is none; write it like mysql://user:password@host") as caught:
        asked.ask(mysql.status())
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(("content", "told"), [(None, "does not exist"), ("no certificate", "holds no certificate")])
def test_an_authority_that_is_none_is_told(tmp_path: Path, content: str | None, told: str):
    """A `ca_file` that is missing or holds something else is a mistake in the settings."""
    (tmp_path / "password").write_text(PASSWORD)
    if content:
        (tmp_path / "ca.pem").write_text(content)
    files = {"password_file": str(tmp_path / "password"), "ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(SettingsError, match=told):
        mysql.MySQL(schema.MySQL(host="127.0.0.1", port=9, user="oncall", **files)).ask(mysql.status())


class Saying:
    """Says these bytes, one by one, to whoever connects, then hangs up, or holds on where it shall hang."""

    def __init__(self, said: bytes, *, hang: bool, pause: float = 0.0) -> None:
        self._said, self._hang, self._pause = said, hang, pause
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed by __exit__
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:  # the client left
            for byte in self._said:
                connection.sendall(bytes([byte]))
                if self._pause and self._stopping.wait(self._pause):
                    return
            if self._hang:
                self._stopping.wait(30)


def packet(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + b"\0" + payload


def refused(code: int, words: str) -> bytes:
    return packet(b"\xff" + struct.pack("<H", code) + b"#28000" + words.encode())


def sentence(asked: mysql.MySQL, question: Query, reason: str) -> str:
    """The one sentence of a question that gets no answer."""
    with pytest.raises(SourceError) as caught:
        asked.ask(question)
    told = str(caught.value)
    assert caught.value.reason == reason
    assert told.startswith("MySQL at mysql://127.0.0.1:")
    assert "; " in told
    assert "\n" not in told
    assert PASSWORD not in told
    return told


@pytest.mark.parametrize("question", QUESTIONS)
def test_nobody_there_is_told(tmp_path: Path, question: Query):
    """Every question says where nobody listens."""
    with Faulty("down") as server:
        port = int(server.url.rpartition(":")[2])
        assert "connection refused" in sentence(source(tmp_path, port), question, "unreachable")


@pytest.mark.parametrize("said", [b"", b"\x4a\0\0\0\x0a10.11.6-Maria", packet(b"\x0a8.4.0\0" + b"\1" * 60)])
def test_a_server_that_hangs_is_cut_off(tmp_path: Path, said: bytes):
    """Before, in and after its greeting: the total time is bounded."""
    began = time.monotonic()
    with Saying(said, hang=True) as server:
        assert "no answer in time" in sentence(source(tmp_path, server.port), mysql.status(), "timeout")
    assert time.monotonic() - began < 3


def test_a_server_that_trickles_is_cut_off(tmp_path: Path):
    """A byte now and then does not start the time anew."""
    began = time.monotonic()
    with Saying(b"\x4a\0\0\0" + b"\x0a" * 74, hang=True, pause=0.3) as server:
        assert "no answer in time" in sentence(source(tmp_path, server.port), mysql.status(), "timeout")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "connection closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", None),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", None),
        (packet(b""), None),
        (packet(b"\0"), None),
        (packet(b"\x0a"), None),
        (packet(b"\x0ano version\0" + b"\1" * 60), None),
        (packet(b"\x0a8.4.0\0"), None),
        (packet(b"\xff"), None),
        (packet(b"\xff\x00\x00#28000no"), None),
        (packet(b"\x0a8.4.0\0" + b"\xff" * 80), None),
        (b"\xff\xff\xff\0" + b"\xff" * 2000, None),
    ],
)
def test_what_is_no_mysql_is_told(tmp_path: Path, said: bytes, told: str | None):
    """Another program's greeting, half a one, or an odd one makes one sentence, never another exception."""
    with Saying(said, hang=False) as server, pytest.raises(SourceError) as caught:
        source(tmp_path, server.port).ask(mysql.status())
    assert caught.value.reason in ("garbage", "unreachable", "timeout")
    assert str(caught.value).startswith(f"MySQL at mysql://127.0.0.1:{server.port} gave no answer (")
    assert told is None or told in str(caught.value)


@hypothesis.settings(deadline=None)
@given(said=st.binary(max_size=80))
def test_no_bytes_make_another_exception(tmp_path_factory: pytest.TempPathFactory, said: bytes):
    """Whatever a server says and hangs up, the outcome is a SourceError, or what it said in a well-formed refusal."""
    with Saying(packet(said), hang=False) as server, pytest.raises(SourceError):
        source(tmp_path_factory.getbasetemp(), server.port).ask(mysql.processes())


def test_a_servers_own_words_are_cut_and_hold_no_password(tmp_path: Path):
    """A server that repeats the password, on several lines and at length, is quoted without it."""
    with Saying(refused(1105, f"You said\n{PASSWORD}. " + "x" * 999), hang=False) as server:
        told = sentence(source(tmp_path, server.port), mysql.status(), "forbidden")
    assert "(1105: You said ***. xxx" in told
    assert len(told) < 600


def test_a_recorded_refusal_says_no_more_than_the_server(tmp_path: Path):
    """What is recorded of a refused login is the number and the words."""
    with Saying(refused(1040, "Too many connections"), hang=False) as server:
        answer = source(tmp_path, server.port).ask(mysql.status())
    assert (answer.completeness, answer.data) == (
        "complete",
        {"refused": {"code": 1040, "words": "Too many connections"}},
    )
