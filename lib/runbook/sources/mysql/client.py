"""MySQL and MariaDB: a few read-only questions about the server, and readers that turn their answers into values.

`MySQL.ask` is the only part that talks to anybody, with `mysql_statements` and nothing else; the readers are pure. What
clients asked the server for is recorded without literals (`mysql_masking`). `deploy/mysql-grants.sql` is all that the
account needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runbook.config import schema
from runbook.model import JSON, Answer, Query
from runbook.sources.mysql.masking import masked
from runbook.sources.mysql.readers import (
    REFUSALS,
    access_of,
    processes_of,
    status_of,
    transactions_of,
    version_of,
    waits_of,
)
from runbook.sources.mysql.statements import ALLOWED, LIMITS, MOST, PROCESSES, STATUS, TRANSACTIONS, VERSION, WAITS

if TYPE_CHECKING:  # on the first question only
    from runbook.sources.mysql.session import Session

Row = Mapping[str, JSON]
Rows = Callable[[str], list[dict[str, JSON]]]

_STATEMENTS: Mapping[str, tuple[str, ...]] = {
    "status": (STATUS, LIMITS),
    "processes": (ALLOWED, PROCESSES),
    "transactions": (TRANSACTIONS, WAITS),
    "info": (VERSION, STATUS, ALLOWED, WAITS),
}
_READABLE = {"status": STATUS, "processes and transactions": ALLOWED, "lock waits": WAITS}


def status() -> Query:
    """Connections, their limit, and what the server counts since its start; see `status_of` and `refusal_of`."""
    return _query("status")


def processes() -> Query:
    """Who is connected and does what, longest first; see `processes_of`."""
    return _query("processes")


def transactions() -> Query:
    """The open InnoDB transactions, oldest first, and who waits for whose locks; see `transactions_of`, `waits_of`."""
    return _query("transactions")


def info() -> Query:
    """The version, and which of the things that the other questions need may be read, by trying; see `access_of`."""
    return _query("info")


def _query(kind: str) -> Query:
    return Query("mysql", kind, "".join(f"{statement};\n" for statement in _STATEMENTS[kind]).strip())


def _status(rows: Rows) -> JSON:
    return {"variables": {row["Variable_name"]: row["Value"] for part in (STATUS, LIMITS) for row in rows(part)}}


def _processes(rows: Rows) -> JSON:
    rows(ALLOWED)
    return {"processes": _shown(rows(PROCESSES))}


def _transactions(rows: Rows) -> JSON:
    return {"transactions": _shown(rows(TRANSACTIONS)), "waits": _shown(rows(WAITS))}


def _info(rows: Rows) -> JSON:
    (row,) = rows(VERSION)
    access = [{"what": what, "error": _trouble(rows, statement)} for what, statement in _READABLE.items()]
    return {**row, "access": access}


def _trouble(rows: Rows, statement: str) -> str:
    """Why a statement cannot be run, "" if it can."""
    from runbook.sources.mysql.session import Refused

    try:
        rows(statement)
    except Refused as refused:
        return str(refused)
    return ""


def _shown(found: list[dict[str, JSON]]) -> list[Row]:
    """The rows with every statement in them masked."""
    return [
        {name: masked(value) if name.endswith("statement") and value else value for name, value in row.items()}
        for row in found
    ]


_QUESTIONS: Mapping[str, Callable[[Rows], JSON]] = {
    "status": _status,
    "processes": _processes,
    "transactions": _transactions,
    "info": _info,
}
_READERS: Mapping[str, tuple[Callable[[Answer], Any], ...]] = {
    "status": (status_of,),
    "processes": (processes_of,),
    "transactions": (transactions_of, waits_of),
    "info": (version_of, access_of),
}


def answered(query: Query, data: Mapping[str, JSON], seconds: float) -> Answer:
    """The answer that this data is: partial, and without the row too many, where there is more than MOST of a thing."""
    more = [name for name, rows in data.items() if isinstance(rows, list) and len(rows) > MOST]
    kept = {name: rows[:MOST] if name in more else rows for name, rows in data.items()}
    warnings = tuple(f"more than {MOST} {name}: the rest is left out" for name in more)
    return Answer(query, "partial" if warnings else "complete", kept, warnings, seconds=seconds)


class MySQL:
    """One server as one account; many threads may ask at once, each question logs in anew and read-only.

    `seconds` bounds each question with all its statements, by cutting the connection. Keep it a little below the
    Deadline around it: the sentence from here names the address.
    """

    def __init__(self, config: schema.MySQL, seconds: float = 18.0) -> None:
        self._config, self._seconds = config, seconds

    def ask(self, query: Query) -> Answer:
        """The parts of the answer by name; partial where there were more than MOST processes, transactions or waits.

        A server that is there and refuses the login is evidence: it completes the answer to `status`, and `refusal_of`
        tells how. Raises SourceError if nothing can be answered, SettingsError if a secret or certificate is missing.
        """
        from runbook.sources.http.timelimit import TimeLimit
        from runbook.sources.mysql.session import Refused, Session

        began = time.monotonic()
        try:
            with TimeLimit(self._seconds) as limit, Session(self._config, limit) as session:
                data = _QUESTIONS[query.kind](session.rows)
                self._read(Answer(query, "complete", data), session)
        except Refused as refused:
            if query.kind != "status" or refused.code not in REFUSALS:
                raise
            data = {"refused": {"code": refused.code, "words": refused.words}}
        return answered(query, data, time.monotonic() - began)

    def _read(self, answer: Answer, session: Session) -> None:
        """Refuse an answer that the readers would fail on."""
        try:
            for reader in _READERS[answer.query.kind]:
                reader(answer)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise session.garbage() from None
