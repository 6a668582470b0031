"""What MySQL's answers say, as values. Pure; times are seconds, a process is named by its connection's number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runbook.model import Answer

RefusalKind = Literal["too many connections", "access denied", "host blocked"]

REFUSALS: Mapping[int, RefusalKind] = {
    1040: "too many connections",
    1045: "access denied",
    1698: "access denied",  # MariaDB, for an account that may not log in with a password
    1129: "host blocked",
}


@dataclass(frozen=True)
class ServerStatus:
    """The server now; `refused`, `aborted_…`, `slow_queries` and `max_used` since it was started.

    One who comes while all connections are taken is in `refused` or, where MariaDB finds the place free that it keeps
    for an administrator, in `aborted_connects`; `max_used` is then more than `max_connections`.
    """

    version: str
    max_connections: int
    connected: int
    running: int
    max_used: int
    refused: int
    aborted_connects: int
    aborted_clients: int
    slow_queries: int
    row_lock_waits_now: int
    uptime_seconds: int


@dataclass(frozen=True)
class Refusal:
    """The server is there and lets nobody in, or not us."""

    kind: RefusalKind
    words: str


@dataclass(frozen=True)
class Process:
    """One connection; an idle one has the command "Sleep" and no statement, `seconds` are since its last change."""

    id: int
    user: str
    host: str
    database: str
    command: str
    seconds: int
    state: str
    statement: str


@dataclass(frozen=True)
class Transaction:
    """An open transaction of the process `id`; without a statement its client is doing something else meanwhile."""

    id: int
    user: str
    host: str
    state: str
    seconds: int
    locked_rows: int
    modified_rows: int
    statement: str


@dataclass(frozen=True)
class Wait:
    """The process `waiting` waits for a lock that the process `blocking` holds."""

    waiting: int
    blocking: int
    seconds: int
    table: str
    waiting_statement: str
    blocking_statement: str


@dataclass(frozen=True)
class Access:
    """Whether something may be read: `error` is "" or the reason why not."""

    what: str
    error: str


def status_of(answer: Answer) -> ServerStatus | None:
    """The server's counters; None without an answer, and where it refused the login, see `refusal_of`."""
    known = (answer.data or {}).get("variables")
    if known is None:
        return None
    return ServerStatus(
        version=known["version"],
        max_connections=int(known["max_connections"]),
        connected=int(known["Threads_connected"]),
        running=int(known["Threads_running"]),
        max_used=int(known["Max_used_connections"]),
        refused=int(known["Connection_errors_max_connections"]),
        aborted_connects=int(known["Aborted_connects"]),
        aborted_clients=int(known["Aborted_clients"]),
        slow_queries=int(known["Slow_queries"]),
        row_lock_waits_now=int(known["Innodb_row_lock_current_waits"]),
        uptime_seconds=int(known["Uptime"]),
    )


def refusal_of(answer: Answer) -> Refusal | None:
    """How the server refused the login, in an answer to `status`; None where it did not."""
    refused = (answer.data or {}).get("refused")
    return Refusal(REFUSALS[refused["code"]], refused["words"]) if refused else None


def processes_of(answer: Answer) -> tuple[Process, ...]:
    """The processes, longest first; ours is not among them."""
    return tuple(
        Process(
            id=row["id"],
            user=row["user"] or "",
            host=_address(row["host"] or ""),
            database=row["database"] or "",
            command=row["command"],
            seconds=row["seconds"] or 0,
            state=row["state"] or "",
            statement=row["statement"] or "",
        )
        for row in answer.data["processes"]
    )


def transactions_of(answer: Answer) -> tuple[Transaction, ...]:
    """The open transactions, oldest first."""
    return tuple(
        Transaction(
            id=row["id"],
            user=row["user"] or "",
            host=_address(row["host"] or ""),
            state=row["state"],
            seconds=row["seconds"],
            locked_rows=row["locked_rows"],
            modified_rows=row["modified_rows"],
            statement=row["statement"] or "",
        )
        for row in answer.data["transactions"]
    )


def waits_of(answer: Answer) -> tuple[Wait, ...]:
    """Who waits for whom, longest first."""
    return tuple(
        Wait(
            waiting=row["waiting"],
            blocking=row["blocking"],
            seconds=row["seconds"] or 0,
            table=row["table"].replace("`", ""),
            waiting_statement=row["waiting_statement"] or "",
            blocking_statement=row["blocking_statement"] or "",
        )
        for row in answer.data["waits"]
    )


def version_of(answer: Answer) -> str:
    """The version in an answer to `info`, as the server writes it: "10.11.6-MariaDB", "8.4.2"."""
    return str(answer.data["version"])


def access_of(answer: Answer) -> tuple[Access, ...]:
    """What may be read, in an answer to `info`."""
    return tuple(Access(one["what"], one["error"]) for one in answer.data["access"])


def _address(host: str) -> str:
    """A client's address without the port it came from."""
    return re.sub(r"(?<=.):[0-9]+\Z", "", host)
