"""One login to MySQL or MariaDB: read-only, cut off in time, each failure one sentence. Imported when first asked.

Every question logs in anew: whether a login is still to be had is the first thing to know in an incident, and a
connection kept would take up one of those that are short. PyMySQL gives the protocol; the socket is ours, so that a
TimeLimit can cut it.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

import pymysql
import pymysql.cursors
from pymysql.constants import CR, ER

from runbook.config import dsn, schema
from runbook.config.secrets import secret
from runbook.errors import Reason, SettingsError, SourceError
from runbook.model import JSON
from runbook.sources.http import failures
from runbook.sources.http.auth import existing
from runbook.sources.http.timelimit import TimeLimit

T = TypeVar("T")
Row = dict[str, JSON]

# MySQL and MariaDB each run their own of these comments, and only from the version on that knows what is in it.
SESSION = (
    "SET SESSION time_zone = SYSTEM /*M!100000 , max_statement_time = {seconds:.3f} */ "
    "/*!80001 , max_execution_time = {milliseconds:.0f} */",
    "SET SESSION TRANSACTION READ ONLY",
)
_NO_LONGER = {1969, 3024, 1317}  # MariaDB and MySQL: the statement's time is up; somebody ended it
_FORBIDDEN = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, 1143, 1227}
# What PyMySQL runs into where the bytes are not those it expects (NameError: a variable that it has not set).
_GARBAGE = (ValueError, TypeError, LookupError, NameError, AssertionError, struct.error, pymysql.InternalError)
_ADVICE: Mapping[int, tuple[Reason, str]] = {
    1040: ("refused", "end idle connections, or raise max_connections"),
    1203: ("refused", "end this account's other connections, or raise its limit"),
    1129: ("refused", "see which client fails to connect, then run `mysqladmin flush-hosts`"),
}
_NO_LOGIN: tuple[Reason, str] = (
    "forbidden",
    "check user and password of `mysql` in runbook.toml, and from where the account may log in",
)
_NO_TLS = failures.Fault("the server does not offer TLS", "unreachable", 'switch it on there, or set tls = "auto"')
_NOT_MYSQL = failures.Fault("answer is not MySQL's", "garbage", "check that host and port are right")
_BROKEN_TLS = failures.Fault("TLS failed", "unreachable", "check the server's TLS settings, and `ca_file` and `tls`")


class Refused(SourceError):
    """The server itself said no, with this error number: to the login or to a statement."""

    def __init__(self, sentence: str, reason: Reason, code: int, words: str) -> None:
        super().__init__(sentence, reason)
        self.code, self.words = code, words


class Session:
    """`with Session(config, limit) as session: session.rows("SELECT ...")`; for one thread."""

    def __init__(self, config: schema.MySQL, limit: TimeLimit) -> None:
        self._config, self._limit = config, limit
        self._login = login(config)
        self._connection = self._client()

    def __enter__(self) -> Self:
        self._attempt(self._connect)
        try:
            self._prepare()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def rows(self, statement: str) -> list[Row]:
        """The rows of one statement by column name: whole numbers, texts and nulls."""
        return self._attempt(lambda: self._rows(statement), statement)

    def garbage(self) -> SourceError:
        """What to raise where the rows are not those of a MySQL server."""
        return failures.source_error("MySQL", _place(self._login), _NOT_MYSQL)

    def _client(self) -> pymysql.Connection:
        """The client, not yet connected; texts come as bytes, since what clients wrote need not be UTF-8."""
        return pymysql.connect(
            host=self._login.host,
            port=self._login.port,
            user=self._login.user,
            password=self._login.password.encode(),  # as text it would have to be Latin-1
            autocommit=True,
            use_unicode=False,
            program_name="runbook",
            ssl=_verifying(self._config),
            ssl_disabled=self._config.tls == "off",
            defer_connect=True,
        )

    def _connect(self) -> None:
        where = (self._login.host, self._login.port)
        opened = socket.create_connection(where, timeout=self._limit.remaining)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each statement waits 40 ms for its answer
        self._limit.watch(opened)
        self._connection.connect(opened)

    def _prepare(self) -> None:
        seconds = 0.9 * self._limit.remaining  # the server gives up a little before we do
        for statement in SESSION:
            self.rows(statement.format(seconds=seconds, milliseconds=1000 * seconds))

    def _close(self) -> None:
        if self._connection.open:
            self._connection.close()

    def _rows(self, statement: str) -> list[Row]:
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(statement)
            return [{_plain(name): _plain(value) for name, value in row.items()} for row in cursor.fetchall()]

    def _attempt(self, step: Callable[[], T], statement: str = "") -> T:
        try:
            return step()
        except (OSError, RuntimeError, *_GARBAGE, pymysql.MySQLError) as error:
            raise self._error(error, statement) from None

    def _error(self, error: Exception, statement: str) -> SourceError:
        code, words = (*error.args, "", "")[:2]
        place = _place(self._login)
        if self._limit.over:
            return failures.source_error("MySQL", place, failures.TIMEOUT)
        if isinstance(error, pymysql.MySQLError) and isinstance(code, int) and code // 1000 not in (0, 2):
            return self._refused(code, self._shown(str(words)), statement)
        if isinstance(error, RuntimeError):
            what = "wants a password that is only safe to send encrypted; let it offer TLS"
            return SourceError(f'MySQL at {place} {what}, and do not set tls = "off".', "forbidden")
        return failures.source_error("MySQL", place, _fault(error))

    def _refused(self, code: int, words: str, statement: str) -> Refused:
        what = "refused the statement" if statement else "refused the login"
        reason, advice = _ADVICE.get(code, _NO_LOGIN)
        if code in _NO_LONGER:
            what, reason, advice = "gave the statement up", "timeout", "check that it is not overloaded"
        elif statement and code in _FORBIDDEN:
            what, reason, advice = "does not let us read this", "forbidden", "grant deploy/mysql-grants.sql"
        elif statement:
            reason, advice = "refused", "it should be MySQL 8 or MariaDB 10.5, or later"
        told = f" Statement: {' '.join(statement.split())[:200]}" if statement else ""
        sentence = f"MySQL at {_place(self._login)} {what} ({code}: {words}); {advice}.{told}"
        return Refused(sentence, reason, code, words)

    def _shown(self, words: str) -> str:
        """The server's own words on one line, without our password, should it repeat that."""
        return " ".join(words.replace(self._login.password, "***").split())[:300].rstrip(".")


def login(config: schema.MySQL) -> dsn.Login:
    """Where and as whom, its secret read now; SettingsError where that is missing or no DSN."""
    text = secret(config.dsn_env, config.dsn_file, "dsn")
    if not text:
        return dsn.Login(
            config.host, config.port, config.user, secret(config.password_env, config.password_file, "password")
        )
    try:
        return dsn.parse(text)
    except ValueError:
        raise SettingsError(
            f"The DSN of `{config.dsn_env or config.dsn_file}` is none; write it like mysql://user:password@host:3306."
        ) from None


def _verifying(config: schema.MySQL) -> ssl.SSLContext | None:
    """TLS that must be, with a server that proves its name; None where it need not."""
    if config.tls == "off" or (config.tls == "auto" and not config.ca_file):
        return None
    try:
        return ssl.create_default_context(cafile=existing(config.ca_file, "ca_file") or None)
    except ssl.SSLError:
        raise SettingsError(f"The file {config.ca_file} of `ca_file` holds no certificate; correct its path.") from None


def _fault(error: Exception) -> failures.Fault:
    if isinstance(error, pymysql.OperationalError) and error.args[0] == CR.CR_SSL_CONNECTION_ERROR:
        return _NO_TLS
    if isinstance(error, pymysql.OperationalError) and error.args[0] in (CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR):
        return failures.CLOSED
    if isinstance(error, _GARBAGE):
        return _NOT_MYSQL
    found = failures.fault(error)
    return _BROKEN_TLS if found in (failures.NOT_TLS, failures.BROKEN_TLS, failures.CLIENT_CERTIFICATE) else found


def _place(login: dsn.Login) -> str:
    host = f"[{login.host}]" if ":" in login.host else login.host
    return f"mysql://{host}:{login.port}"


def _plain(value: JSON) -> JSON:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
