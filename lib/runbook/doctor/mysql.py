"""MySQL: reachable, and whatever the checks read is allowed."""

from __future__ import annotations

from runbook.doctor.line import Line, failed
from runbook.model import Source
from runbook.sources.mysql import client as mysql


def look(source: Source) -> list[Line]:
    """A line for the connection, and for each permission."""
    hello = source.ask(mysql.info())
    if not hello.usable:
        return [failed(hello, "connection")]
    first = Line("mysql", "connection", "ok", f"reachable, version {mysql.version_of(hello)}")
    lines = [
        Line("mysql", one.what, "failed" if one.error else "ok", one.error or "allowed")
        for one in mysql.access_of(hello)
    ]
    return [first, *lines]
