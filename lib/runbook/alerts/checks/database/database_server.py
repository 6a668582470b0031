"""Is the database server healthy? Its connections against their limit, long statements, and waits for locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Table
from runbook.sources.mysql import client as mysql
from runbook.sources.mysql import readers
from runbook.sources.mysql.readers import Process, ServerStatus, Transaction, Wait
from runbook.text.format import plural, share_text
from runbook.text.time import duration_text

NEARLY_FULL = 0.95  # of max_connections
LONG_SECONDS = 10  # a statement that has run for so long is long
MANY = 3  # statements that are long, or wait for locks, at the same time
LONG_WAIT = 5  # seconds: a wait for a lock that is worth a mention by itself
SHOWN = 15
_SYSTEM = ("system user", "event_scheduler")  # replication and scheduled events: their threads never end
_IDLE = ("Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID", "Connect", "Slave_IO", "Slave_SQL")


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The server now: connections and their limit, `full` (nearly all are in use), and what it counts since its start.

    Of locks: how many statements wait for them (`waits`), whether many do or one does for long (`locked`), the process
    that blocks most of them, whether it is idle, the table, and the seconds of the oldest open transaction. Of
    statements that run for long: whether there are many (`long`), how many, and seconds and process of the longest.
    None is not known, or none there; of a server that refuses every connection only `full` is known. `uptime` is in
    seconds.
    """

    full: bool
    max_connections: int | None
    connected: int | None
    running: int | None = None
    refused: int | None = None
    aborted_connects: int | None = None
    uptime: int | None = None
    waits: int | None
    locked: bool | None
    blocking: int | None
    blocking_idle: bool | None
    table: str | None
    transaction_seconds: int | None
    long: bool | None
    long_statements: int | None
    longest: int | None
    longest_id: int | None


def _queries(c: Context) -> Mapping[str, Query]:
    return {"status": mysql.status(), "processes": mysql.processes(), "transactions": mysql.transactions()}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    refusal = readers.refusal_of(answers["status"])
    if refusal:
        return _refused(refusal)
    status = readers.status_of(answers["status"])
    if status is None:
        return Result("unknown", "Not known: the server did not report its connections.")
    processes = readers.processes_of(answers["processes"]) if answers["processes"].usable else None
    open_, waits = _transactions(answers["transactions"])
    facts = _facts(status, processes, open_, waits)
    tables = (*_processes_table(processes or (), open_ or (), facts.blocking), *_waits_table(waits or ()))
    bad = facts.full or facts.locked or facts.long
    return Result(
        "abnormal" if bad else "normal", _sentence(status, facts), facts, tables=(_status_table(status), *tables)
    )


def _refused(refusal: readers.Refusal) -> Result:
    """That a server refuses us because it is full is evidence; that it denies our account is none."""
    if refusal.kind != "too many connections":
        return Result("unknown", f"Not known: the server answers but refuses our account ({refusal.words}).")
    facts = Facts(
        full=True,
        max_connections=None,
        connected=None,
        waits=None,
        locked=None,
        blocking=None,
        blocking_idle=None,
        table=None,
        transaction_seconds=None,
        long=None,
        long_statements=None,
        longest=None,
        longest_id=None,
    )
    return Result("abnormal", "No: it refuses new connections because it has too many.", facts)


def _transactions(answer: Answer) -> tuple[tuple[Transaction, ...], tuple[Wait, ...]] | tuple[None, None]:
    return (readers.transactions_of(answer), readers.waits_of(answer)) if answer.usable else (None, None)


def _facts(
    status: ServerStatus,
    processes: Sequence[Process] | None,
    transactions: Sequence[Transaction] | None,
    waits: Sequence[Wait] | None,
) -> Facts:
    busy = None if processes is None else [p for p in processes if _is_long(p)]
    blocking = _blocking(waits or ())
    return Facts(
        full=status.connected >= NEARLY_FULL * status.max_connections,
        max_connections=status.max_connections,
        connected=status.connected,
        running=status.running,
        refused=status.refused,
        aborted_connects=status.aborted_connects,
        uptime=status.uptime_seconds,
        waits=None if waits is None else len({w.waiting for w in waits}),
        locked=None if waits is None else _locked(waits),
        blocking=blocking,
        blocking_idle=next((p.command == "Sleep" for p in processes or () if p.id == blocking), None),
        table=next((w.table for w in waits or () if w.blocking == blocking), None),
        transaction_seconds=max((t.seconds for t in transactions), default=0) if transactions is not None else None,
        long=None if busy is None else len(busy) >= MANY,
        long_statements=None if busy is None else len(busy),
        longest=None if not busy else busy[0].seconds,
        longest_id=None if not busy else busy[0].id,
    )


def _is_long(process: Process) -> bool:
    """Whether it is a client's statement that has run for long."""
    return process.command not in _IDLE and process.user not in _SYSTEM and process.seconds >= LONG_SECONDS


def _locked(waits: Sequence[Wait]) -> bool:
    """Whether many statements wait for locks, or one for long; a short wait is normal."""
    return len({w.waiting for w in waits}) >= MANY or any(w.seconds >= LONG_WAIT for w in waits)


def _blocking(waits: Sequence[Wait]) -> int | None:
    """The process whose locks block most others; in a chain of waits, the one at its head that waits for nobody."""
    free = [w.blocking for w in waits if w.blocking not in {o.waiting for o in waits}] or [w.blocking for w in waits]
    return max(sorted(set(free)), key=free.count, default=None)


def _status_table(status: ServerStatus) -> Table:
    rows = (
        ("Threads_connected", status.connected),
        ("max_connections", status.max_connections),
        ("Threads_running", status.running),
        ("Max_used_connections", status.max_used),
        ("Connection_errors_max_connections", status.refused),
        ("Aborted_connects", status.aborted_connects),
        ("Aborted_clients", status.aborted_clients),
        ("Slow_queries", status.slow_queries),
    )
    return Table("server", ("Variable", "Value"), rows)


def _processes_table(
    processes: Sequence[Process], transactions: Sequence[Transaction], blocking: int | None
) -> tuple[Table, ...]:
    """First the process that blocks others, even if it is idle; then all that are not idle."""
    first, rest = ([p for p in processes if (p.id == blocking) is blocks] for blocks in (True, False))
    shown = [*first, *(p for p in rest if p.command != "Sleep")][:SHOWN]
    open_ = {t.id: f"{duration_text(t.seconds)}, {plural(t.modified_rows, 'row')} changed" for t in transactions}
    rows = tuple(
        (p.id, p.user, p.host, p.seconds, p.state or p.command, open_.get(p.id, "none"), p.statement) for p in shown
    )
    columns = ("Process", "User", "Client", "Seconds", "State", "Transaction", "Statement (literals masked)")
    return (Table("processes", columns, rows),) if rows else ()


def _waits_table(waits: Sequence[Wait]) -> tuple[Table, ...]:
    held = {w.waiting: sorted(o.blocking for o in waits if o.waiting == w.waiting) for w in waits}
    first = {w.waiting: w for w in reversed(waits)}
    rows = tuple(
        (id, ", ".join(map(str, held[id])), first[id].seconds, first[id].table, first[id].waiting_statement)
        for id in sorted(held)[:SHOWN]
    )
    columns = ("Waiting process", "Blocked by", "Seconds", "Table", "Statement (literals masked)")
    return (Table("lock-waits", columns, rows),) if rows else ()


def _sentence(status: ServerStatus, facts: Facts) -> str:
    share = share_text(status.connected / status.max_connections)
    parts = [f"{status.connected:,} of {status.max_connections:,} connections ({share}) in use now"]
    if facts.locked and facts.waits:
        parts.append(f"{plural(facts.waits, 'statement')} waiting for locks, mostly those of process {facts.blocking}")
    if facts.long_statements and facts.longest:
        long = plural(facts.long_statements, "statement")
        parts.append(f"{long} running for {LONG_SECONDS} s or more, the longest for {duration_text(facts.longest)}")
    if facts.locked is None or facts.long is None:
        parts.append("running statements or locks could not be read")
    bad = facts.full or facts.locked or facts.long
    return f"{'No' if bad else 'Yes'}: {'; '.join(parts)}."


CHECK = Check("database_server", "Is the database server healthy?", Facts, _queries, _judge, requires=("status",))
