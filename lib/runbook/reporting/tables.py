"""A table as it is shown: its cells as text, and which of its columns are numbers. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.model import Table
from runbook.text import escape

MOST = 30  # rows that anybody is shown; all are in data/
Cell = str | int | float | None
_NUMERIC = re.compile(r"[+-]?[\d,.]+(\s?(%|s|ms|min|h|[KMGT]i?B|x))?", re.ASCII)


@dataclass(frozen=True)
class TableView:
    """The first rows of a table under its columns' titles; `total` is how many there are, `file` where all of them are.

    A column without a title holds marks, such as "new".
    """

    file: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int

    @property
    def more(self) -> int:
        """How many rows are not here."""
        return self.total - len(self.rows)

    def first(self, count: int) -> TableView:
        """The same with fewer rows."""
        return TableView(self.file, self.columns, self.numeric, self.rows[:count], self.total)


def table_view(table: Table) -> TableView:
    """A table as it is shown."""
    rows = tuple(tuple(cell(value) for value in row) for row in table.rows[:MOST])
    file = f"data/{escape.filename(table.name)}.csv"
    return TableView(file, table.columns, numeric_columns(table), rows, len(table.rows))


def numeric_columns(table: Table) -> tuple[bool, ...]:
    """Which columns hold numbers only, and so are set flush right; the first one names its row and is not."""
    columns = [[row[i] for row in table.rows if row[i] not in (None, "")] for i in range(len(table.columns))]
    return tuple(i > 0 and bool(column) and all(map(_is_number, column)) for i, column in enumerate(columns))


def _is_number(value: Cell) -> bool:
    return not isinstance(value, str) or bool(_NUMERIC.fullmatch(value))


def cell(value: Cell) -> str:
    """A cell's text."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value
