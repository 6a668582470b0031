"""MySQL: reachable, and whatever the checks read is allowed."""

from __future__ import annotations

from runbook.doctor.line import Diagnosis, failed
from runbook.model import Source
from runbook.sources.mysql import client as mysql
from runbook.sources.mysql import readers


def look(source: Source) -> list[Diagnosis]:
    """A line for the connection, and for each permission."""
    hello = source.ask(mysql.info())
    if not hello.usable:
        return [failed(hello, "connection")]
    first = Diagnosis("mysql", "connection", "ok", f"reachable, version {readers.version_of(hello)}")
    lines = [
        Diagnosis("mysql", one.what, "failed" if one.error else "ok", one.error or "allowed")
        for one in readers.access_of(hello)
    ]
    return [first, *lines]
