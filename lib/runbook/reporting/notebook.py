"""What a notebook's cells show: the report's chips, sentences, charts and tables.

Each function makes its outputs as data (`Shown`), each `show_…` puts them into the cell. Equal data gives equal
`text/html` and `text/plain`, which nbval compares; a picture's plain text is the chart's twin in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from runbook.investigation.definitions import Alert, Context
from runbook.investigation.result import Investigation
from runbook.investigation.severity import RESPONSES
from runbook.model import Chart, Finding, Mitigation, Recovery, Verdict
from runbook.reporting import blocks, presentation
from runbook.reporting.blocks import Block
from runbook.reporting.report import picture
from runbook.text import escape
from runbook.text.escape import plain, prose
from runbook.text.format import clock_text, duration_text


@dataclass(frozen=True, repr=False)
class Picture:
    """A chart: the figure for people, its twin in words for comparison and for who cannot see it."""

    chart: Chart
    sentence: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        alt = plain(f"{self.chart.title}: {self.sentence}")
        return {"image/png": picture(self.chart), "text/plain": repr(self)}, {"image/png": {"alt": alt}}

    def __repr__(self) -> str:
        from runbook.reporting.charts import text  # matplotlib takes half a second; only a chart needs it

        return text.twin(self.chart)


@dataclass(frozen=True, repr=False)
class Shown:
    """Several outputs of one cell, in order; also shown when it is a cell's last expression."""

    parts: tuple[Block | Picture, ...]

    def _ipython_display_(self) -> None:
        from IPython.display import display  # a notebook has it loaded; the command line need not

        for part in self.parts:
            display(part)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.parts))


def context(alert: Alert, context: Context) -> Block:
    """What is investigated: severity and what it asks for, incident, service, window."""
    response = RESPONSES[alert.severity]
    firing = duration_text(max(0.0, context.end - context.started_at))
    facts = [
        f"{response.within}; notify by {response.told}",
        f"incident {context.incident}, {context.service.name} in {context.environment_name}, "
        f"firing since {clock_text(context.started_at)} ({firing})",
        f"data {presentation.window(context.start, context.end)}, every {context.step} s",
    ]
    head = Markup("<b>{}</b> {}").format(
        escape.html(alert.name), blocks.chip(alert.severity, presentation.SEVERITY[alert.severity])
    )
    return blocks.lines(head, f"{alert.name} [{alert.severity}]", facts)


def finding(finding: Finding, context: Context) -> Shown:
    """A check: its status and sentence, its charts and tables unless all is normal, its queries under a fold."""
    result = finding.result
    spoken = blocks.said(finding.question, result.status, presentation.STATUS[result.status], result.sentence)
    whole = result.status != "normal"
    pictures = tuple(Picture(chart, result.sentence) for chart in result.charts if whole)
    tables = tuple(blocks.table(table) for table in result.tables if whole)
    folded = blocks.queries(finding.answers, context)
    if not pictures:
        return Shown(blocks.together((spoken, *tables, *folded)))
    return Shown((spoken, *pictures, *blocks.together((*tables, *folded))))


def verdict(investigation: Investigation) -> Block:
    """The verdict in one sentence, why, and how much of it could be answered."""
    missing = [f"{f.question} {f.result.sentence}" for f in investigation.unknown]
    head = Markup("<b>{}</b>").format(prose(investigation.headline))
    return blocks.lines(head, investigation.headline, [investigation.why, f"{investigation.ledger}.", *missing])


def causes(verdicts: Sequence[Verdict]) -> Block:
    """The probable causes, most probable first."""
    html = [
        (escape.html(v.title), blocks.chip(v.state, presentation.STATE[v.state]), blocks.bar(v.score), prose(v.because))
        for v in verdicts
    ]
    text = [(v.title, v.state, "–" if v.score is None else f"{v.score:.2f}", v.because) for v in verdicts]
    return blocks.rows_of(("Cause", "State", "Score", "Because"), html, text, (False,) * 4)


def mitigations(mitigations: Sequence[Mitigation]) -> Shown:
    """What to do about the probable causes: each command with its precondition, risk, undo and what to watch."""
    if not mitigations:
        return Shown((blocks.lines(Markup(""), "", ["None is proposed: no cause is supported by the data."]),))
    return Shown(tuple(blocks.mitigation(mitigation) for mitigation in mitigations))


def escalation(alert: Alert) -> Block:
    """When to call somebody else."""
    items = Markup("").join(Markup("<li>{}</li>").format(prose(line)) for line in alert.escalate_if)
    text = "\n".join(["Escalate if", *(f"- {plain(line)}" for line in alert.escalate_if)])
    return Block(Markup("<p><b>Escalate if</b></p><ul>{}</ul>").format(items), text)


def recovery(recovery: Recovery, context: Context | None = None) -> Shown:
    """Whether the service recovered, and its curve; without a context, without its queries."""
    spoken = blocks.said("Did it recover?", recovery.state, presentation.RECOVERY[recovery.state], recovery.sentence)
    pictures = tuple(Picture(chart, recovery.sentence) for chart in recovery.charts)
    return Shown((spoken, *pictures, *(blocks.queries(recovery.answers, context) if context else ())))


def record(left: Path | None, investigation: Investigation) -> Block:
    """Where the evidence is, by its last two names: the outputs of a notebook hold no path of a machine."""
    name = left.name.removeprefix(".").removesuffix(".partial") if left else ""  # a draft by the name it will have
    where = (
        f"Evidence: {left.parent.name}/{name}" if left else "No evidence is written: recorded answers were replayed."
    )
    head = Markup("<b>{}</b>").format(prose(where))
    return blocks.lines(head, where, [f"{investigation.headline} {investigation.ledger}."])


def show_context(alert: Alert, opened: Context) -> None:
    """Put what is investigated into the cell."""
    Shown((context(alert, opened),))._ipython_display_()


def show_finding(found: Finding, context: Context) -> None:
    """Put a check's outputs into the cell."""
    finding(found, context)._ipython_display_()


def show_causes(investigation: Investigation) -> None:
    """Put the verdict and the ranking into the cell."""
    Shown(blocks.together((verdict(investigation), causes(investigation.verdicts))))._ipython_display_()


def show_mitigations(investigation: Investigation) -> None:
    """Put the commands into the cell, and when to call for help."""
    Shown((*mitigations(investigation.mitigations).parts, escalation(investigation.alert)))._ipython_display_()


def show_recovery(recovered: Recovery, context: Context | None = None) -> None:
    """Put the verification into the cell."""
    recovery(recovered, context)._ipython_display_()


def show_record(left: Path | None, investigation: Investigation) -> None:
    """Say in the cell where the evidence is."""
    Shown((record(left, investigation),))._ipython_display_()


def progress(text: str) -> None:
    """One line while a cell waits."""
    print(plain(text), flush=True)
