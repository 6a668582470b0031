"""How things are shown, the same in the report and in the notebook: chips, cells, queries, times. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from runbook.investigation.definitions import Context, Severity
from runbook.model import Answer, Query, State, Status, Step, Table
from runbook.reporting.links import link, page
from runbook.text.format import clock_text, days_text, source_text
from runbook.text.shell import command

Tone = Literal["red", "green", "amber", "grey", "blue"]

STATUS: Mapping[Status, Tone] = {"abnormal": "red", "normal": "green", "unknown": "grey"}
STATE: Mapping[State, Tone] = {"supported": "red", "refuted": "green", "not tested": "grey"}
SEVERITY: Mapping[Severity, Tone] = {"critical": "red", "high": "red", "medium": "amber", "low": "grey"}
RECOVERY: Mapping[str, Tone] = {
    "recovered": "green",
    "not recovered": "red",
    "relapsed": "red",
    "not enough data": "grey",
    "not mitigated": "grey",
}
_NUMERIC = re.compile(r"[+-]?[\d,.]+(\s?(%|s|ms|min|h|[KMGT]i?B|x))?", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """A query as a person reads it: what was asked of whom, the text to copy, where to see it, what was amiss."""

    caption: str
    text: str
    link: str
    page: str
    trouble: str


def asked(answer: Answer, context: Context) -> Asked:
    """The query behind an answer."""
    query = answer.query
    trouble = answer.error or ", ".join(answer.warnings)
    if answer.completeness != "complete":
        trouble = f"{answer.completeness}: {trouble}" if trouble else answer.completeness
    return Asked(_caption(query), query.text, link(query, context), page(query), trouble)


def _caption(query: Query) -> str:
    words = [f"{source_text(query.source)}, {query.kind}"]
    if query.params.get("index"):
        words.append(f"in {query.params['index']}")
    start, end, step = (query.params.get(name) for name in ("start", "end", "step"))
    if isinstance(start, int | float) and isinstance(end, int | float):
        words.append(window(start, end))
    if isinstance(step, int | float):
        words.append(f"every {step:g} s")
    return ", ".join(words)


def pages(answers: tuple[Answer, ...], context: Context) -> str:
    """The title of a fold of queries, e.g. "8 queries · Prometheus"."""
    count = "1 query" if len(answers) == 1 else f"{len(answers)} queries"
    names = dict.fromkeys(page(a.query) for a in answers if link(a.query, context))
    return " · ".join([count, *names])


def numeric_columns(table: Table) -> tuple[bool, ...]:
    """Which columns hold numbers only, and so are set flush right; the first one names its row and is not."""
    columns = [[row[i] for row in table.rows if row[i] not in (None, "")] for i in range(len(table.columns))]
    return tuple(i > 0 and bool(column) and all(map(_is_number, column)) for i, column in enumerate(columns))


def _is_number(cell: str | int | float | None) -> bool:
    return not isinstance(cell, str) or bool(_NUMERIC.fullmatch(cell))


def cell(value: str | int | float | None) -> str:
    """A cell's text."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def is_command(text: str) -> bool:
    """Whether a step is something for a shell, not a sentence to a person."""
    return bool(re.match(r"[a-z./][\w./-]*(\s+\S|$)", text)) and not text.rstrip().endswith(".")


def only_looks(step: Step) -> bool:
    """Whether a step changes nothing."""
    return step.kind == "read"


def undone_by_command(step: Step) -> bool:
    """Whether the undo is a command of the same program."""
    return bool(step.undo_argv)


def shown(step: Step) -> str:
    """A step's command, or what it says to do."""
    return command(step.argv) if step.argv else step.text


def undo(step: Step) -> str:
    """A step's undo likewise."""
    return command(step.undo_argv) if step.undo_argv else step.undo


def clock(time: float) -> str:
    """10:47"""
    return clock_text(time).removesuffix(" UTC")


def day(time: float) -> str:
    """15 January 2026"""
    return days_text(time, time)


def window(start: float, end: float) -> str:
    """09:42–11:12 UTC, 15 January 2026"""
    return f"{clock(start)}–{clock(end)} UTC, {days_text(start, end)}"


def stamp(time: float) -> str:
    """20260115T104700Z, as in the name of a bundle."""
    return _utc(time).strftime("%Y%m%dT%H%M%SZ")


def iso(time: float) -> str:
    """2026-01-15T10:47:00Z"""
    return _utc(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
