"""The files of a bundle that come from the investigation, by their names in it. Pure: text and pictures out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import msgspec

from runbook import model
from runbook.investigation.result import Investigation
from runbook.model import Chart, Table
from runbook.reporting import findings_json, report
from runbook.reporting.presentation import present
from runbook.reporting.report import Proof
from runbook.text import escape


def files(investigation: Investigation, proof: Proof) -> Iterator[tuple[str, bytes]]:
    """Name and content of each; what explains most comes first, should the disk fill up."""
    from runbook.reporting.charts import (
        text,  # matplotlib takes half a second; opening and auditing evidence needs none
    )

    findings = model.canonical(findings_json.findings_json(investigation))
    yield "findings.json", msgspec.json.format(findings, indent=1) + b"\n"
    shown = present(investigation)
    yield "report.html", report.html(shown, proof=proof).encode()
    yield "report.md", report.markdown(shown, replayed=proof.replayed).encode()
    taken: set[str] = set()
    for table in _tables(investigation):
        yield f"data/{_free(table.name, taken)}.csv", table_csv(table).encode()
    for chart in _charts(investigation):
        name = _free(chart.name, taken)
        yield f"charts/{name}.png", report.picture(chart)
        yield f"data/{name}.csv", text.csv(chart).encode()


def marked(name: str, report: bytes, sentence: str) -> bytes:
    """A report with a banner at its top: that its run did not come to its end, and why."""
    text = report.decode()
    if name.endswith(".html"):
        banner = f'<p class="verdict amber" role="alert"><b>{escape.prose(sentence, 2000)}</b></p>'
        return text.replace("<main>", f"<main>\n{banner}", 1).encode()
    return f"> **{escape.markdown(sentence, 2000)}**\n\n{text}".encode()


def table_csv(table: Table) -> str:
    """A table for a spreadsheet, in which no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape.csv_cell(column) for column in table.columns])
    writer.writerows([escape.csv_cell(value) for value in row] for row in table.rows)
    return text.getvalue()


def _charts(investigation: Investigation) -> Iterator[Chart]:
    for finding in investigation.findings:
        yield from finding.result.charts
    yield from investigation.recovery.charts


def _tables(investigation: Investigation) -> Iterator[Table]:
    for finding in investigation.findings:
        yield from finding.result.tables


def _free(name: str, taken: set[str]) -> str:
    """The name as a file name that no other file has, on systems that ignore case as well."""
    base = escape.filename(name)
    numbered = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
    free = next(one for one in numbered if one.casefold() not in taken)
    taken.add(free.casefold())
    return free
