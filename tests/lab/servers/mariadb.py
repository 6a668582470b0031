"""MariaDB, which speaks MySQL: a small shop's database, the service's account and ours, and trouble to bring it into.

All trouble is real, and lasts as long as its `with` block.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import ER
from pymysql.cursors import DictCursor

from runbook.config.schema import MySQL
from tests import ROOT
from tests.lab.servers.cache import LabError, Missing
from tests.lab.servers.processes import Server, StartFailed, eventually, free_port

HOST = "127.0.0.1"
GRANTS = ROOT / "deploy/mysql-grants.sql"
FULL_TRIES = 3  # in a row: a connection that is just being closed is still counted
USERS = ("root", "web", "oncall")
SCHEMA = (
    "CREATE DATABASE shop",
    "CREATE TABLE shop.users (id INT PRIMARY KEY, username VARCHAR(80) UNIQUE, display_name VARCHAR(80))",
    "CREATE TABLE shop.sessions (id INT PRIMARY KEY AUTO_INCREMENT, user_id INT NOT NULL, started DATETIME NOT NULL)",
    "INSERT INTO shop.users SELECT seq, CONCAT('user-', seq), CONCAT('User ', seq) FROM shop.seq_1_to_200",
    "CREATE USER web",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO web",
)


class MariaDB(Server):
    """A server, with TLS if it has a `certificate` (and key). Its `settings` are those of the runbooks' account."""

    def __init__(
        self,
        directory: Path,
        *,
        max_connections: int = 151,
        certificate: tuple[Path, Path] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(directory)
        self.port = port or free_port()
        self._max_connections, self._certificate = max_connections, certificate

    @property
    def address(self) -> str:
        """Where it listens, "host:port"."""
        return f"{HOST}:{self.port}"

    def settings(self, user: str = "oncall", **changes: Any) -> MySQL:
        """How the runbooks log in."""
        file = str(self._password_file(user))
        return MySQL(**{"host": HOST, "port": self.port, "user": user, "password_file": file, **changes})

    def password(self, user: str) -> str:
        """The password of root, web (the service) or oncall (the runbooks)."""
        return self._password_file(user).read_text()

    def connect(self, user: str = "web") -> pymysql.Connection:
        """A connection of one of the accounts."""
        return pymysql.connect(
            host=HOST, port=self.port, user=user, password=self.password(user), autocommit=True, cursorclass=DictCursor
        )

    def as_root(self, *statements: str) -> Sequence[dict[str, Any]]:
        """The rows of the last of these statements. Root gets in even where all connections are taken."""
        with closing(self.connect("root")) as root, root.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    @contextmanager
    def limited(self, connections: int) -> Generator[None, None, None]:
        """No more connections than this (MariaDB: at least 10) are let in, and root."""
        self.as_root(f"SET GLOBAL max_connections = {connections}")
        try:
            yield
        finally:
            self.as_root(f"SET GLOBAL max_connections = {self._max_connections}")

    @contextmanager
    def occupied(self, connections: int | None = None) -> Generator[int, None, None]:
        """The service holds this many idle connections, or all that there are; how many those are."""
        with ExitStack() as held:
            count = tries = 0
            while count < connections if connections is not None else tries < FULL_TRIES:
                try:
                    held.enter_context(closing(self.connect()))
                except pymysql.OperationalError as error:
                    if connections is not None or error.args[0] != ER.CON_COUNT_ERROR:
                        raise
                    tries += 1
                    time.sleep(0.1)
                else:
                    count, tries = count + 1, 0
            yield count

    @contextmanager
    def locked(self, waiting: int = 2) -> Generator[int, None, None]:
        """A transaction of the service holds a user's row and does nothing, while others wait for it; its process."""
        update = "UPDATE shop.users SET display_name = 'secret-name' WHERE username = 'user-1'"
        with closing(self.connect()) as holder, holder.cursor() as cursor:
            holder.begin()
            cursor.execute(update)
            with self._running([update] * waiting, "Updating"):
                try:
                    yield holder.thread_id()
                finally:
                    holder.rollback()

    @contextmanager
    def slow_queries(self, count: int = 2, seconds: float = 3600.0) -> Generator[None, None, None]:
        """The service runs statements that take so long, one after another; more than a second counts as slow."""
        where = "WHERE display_name = 'secret-name' OR id = 1"
        slow = f"SELECT SLEEP({seconds}), id FROM shop.users {where}"  # noqa: S608 - a number of ours
        with self._running([slow] * count, "User sleep", again=True):
            yield

    @contextmanager
    def denied(self) -> Generator[None, None, None]:
        """The service's account has got another password, and the service still tries with the one it knows."""
        self.as_root(f"ALTER USER web IDENTIFIED BY '{secrets.token_hex(12)}'")
        try:
            try:
                self.connect().close()
            except pymysql.OperationalError as error:
                if error.args[0] != ER.ACCESS_DENIED_ERROR:
                    raise
            yield
        finally:
            self.as_root(f"ALTER USER web IDENTIFIED BY '{self.password('web')}'")

    @contextmanager
    def _running(self, statements: Sequence[str], state: str, *, again: bool = False) -> Generator[None, None, None]:
        """Each statement on a connection of the service and a thread of its own, until killed."""
        with ExitStack() as opened:
            clients = [opened.enter_context(closing(self.connect())) for _ in statements]
            threads = [
                threading.Thread(target=_run, args=(client, statement, again), daemon=True)
                for client, statement in zip(clients, statements, strict=True)
            ]
            ids = [client.thread_id() for client in clients]
            for thread in threads:
                thread.start()
            try:
                if not eventually(lambda: self._in_state(ids, state) == len(ids)):
                    raise LabError(f"Statements did not reach the state {state!r}.")
                yield
            finally:
                for number in ids:
                    with suppress(pymysql.OperationalError):  # it has ended
                        self.as_root(f"KILL {number}")
                for thread in threads:
                    thread.join(10)

    def _in_state(self, ids: Sequence[int], state: str) -> int:
        listed = self.as_root("SHOW PROCESSLIST")
        return sum(row["Id"] in ids and row["State"] == state for row in listed)

    def _password_file(self, user: str) -> Path:
        return self.directory / f"{user}.password"

    def _start(self) -> None:
        data = self.directory / "data"
        fresh = not data.exists()
        first = self._install(data) if fresh else []
        self._run("mariadbd", [_program("mariadbd"), *self._options(data), *self._listening(), *first])
        self._wait("MariaDB", self._lets_in)
        if fresh:
            self.as_root(*SCHEMA, *self._accounts())

    def _options(self, data: Path) -> list[str]:
        return [
            "--no-defaults",
            f"--datadir={data}",
            f"--user={getpass.getuser()}",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ]

    def _listening(self) -> list[str]:
        certificate, key = self._certificate or (None, None)
        return [
            f"--bind-address={HOST}",
            f"--port={self.port}",
            "--socket=mariadb.sock",  # in the data directory; a whole path may be too long for a socket
            "--skip-name-resolve",
            f"--max-connections={self._max_connections}",
            "--long-query-time=1",
            *([f"--ssl-cert={certificate}", f"--ssl-key={key}"] if certificate else []),
        ]

    def _install(self, data: Path) -> list[str]:
        """Make the data directory; the options that give root its password at the first start."""
        for user in USERS:
            self._password_file(user).touch(mode=0o600)
            self._password_file(user).write_text("canary-" + secrets.token_hex(12))
        root = self.password("root")
        file = self.directory / "root.sql"
        file.touch(mode=0o600)
        file.write_text(
            f"CREATE OR REPLACE USER root@{HOST} IDENTIFIED BY '{root}';\n"
            f"GRANT ALL ON *.* TO root@{HOST} WITH GRANT OPTION;\n"
            f"DELETE FROM mysql.global_priv WHERE User IN ('root', '') AND Host <> '{HOST}';\n"
            "FLUSH PRIVILEGES;\n"
        )
        command = [_program("mariadb-install-db"), *self._options(data)]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StartFailed(f"mariadb-install-db failed ({done.returncode}): {done.stdout}{done.stderr}")
        return [f"--init-file={file}"]

    def _accounts(self) -> list[str]:
        web = f"ALTER USER web IDENTIFIED BY '{self.password('web')}'"
        return [web, *grants(self.password("oncall"))]

    def _lets_in(self) -> bool:
        try:
            self.connect("root").close()
        except pymysql.OperationalError:
            return False
        return True


def grants(password: str) -> list[str]:
    """The statements of deploy/mysql-grants.sql that are MariaDB's."""
    text = re.sub(r"--.*", "", GRANTS.read_text()).replace("CHANGE-ME", password)
    statements = [statement.strip() for statement in text.split(";")]
    return [statement for statement in statements if statement and not statement.startswith("/*!")]


def _run(client: pymysql.Connection, statement: str, again: bool) -> None:
    with suppress(pymysql.Error, OSError), client.cursor() as cursor:  # killed
        cursor.execute(statement)
        while again:
            cursor.execute(statement)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"The program {name}")
    return found
