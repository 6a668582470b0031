"""Is the database server well? Its connections against their limit, what runs for long, who waits for whose locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Answer, Query, Result, Table
from runbook.sources.mysql import client as mysql
from runbook.sources.mysql.client import Process, Status, Transaction, Wait
from runbook.text.format import duration_text, plural, share_text

NEARLY_FULL = 0.95  # of max_connections
LONG_SECONDS = 10  # a statement or an open transaction that takes longer is long
MANY = 3  # statements at the same time that run or wait so
LONG_WAIT = 5  # seconds of a wait for a lock
SHOWN = 15
_SYSTEM = ("system user", "event_scheduler")  # replication and the like run for ever
_IDLE = ("Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID", "Connect", "Slave_IO", "Slave_SQL")


def _queries(c: Context) -> Mapping[str, Query]:
    return {"status": mysql.status(), "processes": mysql.processes(), "transactions": mysql.transactions()}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    refusal = mysql.refusal_of(answers["status"])
    if refusal:
        return _refused(refusal)
    status = mysql.status_of(answers["status"])
    if status is None:
        return Result("unknown", "Not known: the server told nothing of its connections.")
    processes = mysql.processes_of(answers["processes"]) if answers["processes"].usable else None
    open_, waits = _transactions(answers["transactions"])
    facts = _facts(status, processes, open_, waits)
    tables = (*_processes_table(processes or (), open_ or (), facts.blocking), *_waits_table(waits or ()))
    bad = facts.full or facts.locked or facts.long
    return Result("abnormal" if bad else "normal", _sentence(facts), facts, tables=(_status_table(status), *tables))


def _refused(refusal: mysql.Refusal) -> Result:
    """A server that is full tells by refusing us; that it does not know our account says nothing of the service's."""
    if refusal.kind != "too many connections":
        return Result("unknown", f"Not known: the server is there, but refuses our account ({refusal.words}).")
    unknown = dict.fromkeys(("max_connections", "connected", "locked", "waits", "blocking", "long", "longest"))
    return Result("abnormal", "No: it refuses new connections, for it has too many.", {"full": True, **unknown})


def _transactions(answer: Answer) -> tuple[tuple[Transaction, ...], tuple[Wait, ...]] | tuple[None, None]:
    return (mysql.transactions_of(answer), mysql.waits_of(answer)) if answer.usable else (None, None)


def _facts(
    status: Status,
    processes: Sequence[Process] | None,
    transactions: Sequence[Transaction] | None,
    waits: Sequence[Wait] | None,
) -> dict[str, JSON]:
    busy = None if processes is None else [p for p in processes if _is_long(p)]
    blocking = _blocking(waits or ())
    return {
        "max_connections": status.max_connections,
        "connected": status.connected,
        "running": status.running,
        "full": status.connected >= NEARLY_FULL * status.max_connections,
        "refused": status.refused,
        "aborted_connects": status.aborted_connects,
        "uptime": status.uptime_seconds,
        "waits": None if waits is None else len({w.waiting for w in waits}),
        "locked": None if waits is None else _locked(waits),
        "blocking": blocking,
        "blocking_idle": next((p.command == "Sleep" for p in processes or () if p.id == blocking), None),
        "table": next((w.table for w in waits or () if w.blocking == blocking), None),
        "transaction_seconds": max((t.seconds for t in transactions), default=0) if transactions is not None else None,
        "long": None if busy is None else len(busy) >= MANY,
        "long_statements": None if busy is None else len(busy),
        "longest": None if not busy else busy[0].seconds,
        "longest_id": None if not busy else busy[0].id,
    }


def _is_long(process: Process) -> bool:
    """Whether it is somebody's statement that takes long."""
    return process.command not in _IDLE and process.user not in _SYSTEM and process.seconds >= LONG_SECONDS


def _locked(waits: Sequence[Wait]) -> bool:
    """Whether statements wait for locks in number or for long; a moment's wait is everyday life."""
    return len({w.waiting for w in waits}) >= MANY or any(w.seconds >= LONG_WAIT for w in waits)


def _blocking(waits: Sequence[Wait]) -> int | None:
    """Who holds the locks that most wait for; where one waits for another in turn, who waits for nobody."""
    free = [w.blocking for w in waits if w.blocking not in {o.waiting for o in waits}] or [w.blocking for w in waits]
    return max(sorted(set(free)), key=free.count, default=None)


def _status_table(status: Status) -> Table:
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
    return Table("server", ("Of the server", "Value"), rows)


def _processes_table(
    processes: Sequence[Process], transactions: Sequence[Transaction], blocking: int | None
) -> tuple[Table, ...]:
    """Who blocks the others first, even where it does nothing, then all that do something."""
    first, rest = ([p for p in processes if (p.id == blocking) is blocks] for blocks in (True, False))
    shown = [*first, *(p for p in rest if p.command != "Sleep")][:SHOWN]
    open_ = {t.id: f"{duration_text(t.seconds)}, {plural(t.modified_rows, 'row')} changed" for t in transactions}
    rows = tuple(
        (p.id, p.user, p.host, p.seconds, p.state or p.command, open_.get(p.id, "none"), p.statement) for p in shown
    )
    columns = ("Process", "User", "From", "Seconds", "State", "Transaction", "Statement (literals masked)")
    return (Table("processes", columns, rows),) if rows else ()


def _waits_table(waits: Sequence[Wait]) -> tuple[Table, ...]:
    held = {w.waiting: sorted(o.blocking for o in waits if o.waiting == w.waiting) for w in waits}
    first = {w.waiting: w for w in reversed(waits)}
    rows = tuple(
        (id, ", ".join(map(str, held[id])), first[id].seconds, first[id].table, first[id].waiting_statement)
        for id in sorted(held)[:SHOWN]
    )
    columns = ("Waiting process", "For the locks of", "Seconds", "Table", "Statement (literals masked)")
    return (Table("lock-waits", columns, rows),) if rows else ()


def _sentence(facts: Facts) -> str:
    connected, most = facts.connected, facts.max_connections
    parts = [f"{connected:,} of {most:,} connections ({share_text(connected / most)})"]
    if facts.locked:
        parts.append(
            f"{plural(facts.waits, 'statement')} waiting for locks, most for those of process {facts.blocking}"
        )
    if facts.long_statements:
        parts.append(f"{plural(facts.long_statements, 'statement')} running for {duration_text(facts.longest)} at most")
    if facts.locked is None or facts.long is None:
        parts.append("what it is doing may not be read")
    bad = facts.full or facts.locked or facts.long
    return f"{'No' if bad else 'Yes'}; it has {', '.join(parts)} now."


CHECK = Check("database_server", "Is the database server well?", Facts, _queries, _judge, requires=("status",))
