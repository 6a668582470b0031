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

from runbook.reporting import blocks
from runbook.reporting.blocks import Block
from runbook.reporting.findings import Figure, FindingView, RecoveryView
from runbook.reporting.presentation import CauseView, Header, Presentation
from runbook.reporting.report import picture
from runbook.reporting.steps import MitigationView
from runbook.text import escape
from runbook.text.escape import plain, prose


@dataclass(frozen=True, repr=False)
class Picture:
    """A chart: the figure for people, its twin in words for comparison and for who cannot see it."""

    figure: Figure

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = {"image/png": picture(self.figure.chart), "text/plain": repr(self)}
        return shown, {"image/png": {"alt": plain(self.figure.alt)}}

    def __repr__(self) -> str:
        from runbook.reporting.charts import text  # matplotlib takes half a second; only a chart needs it

        return text.twin(self.figure.chart)


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


def context(header: Header) -> Block:
    """What is investigated: severity and what it asks for, incident, service, window."""
    lasting = f" ({header.lasting})" if header.lasting else ""
    facts = [
        f"{header.within}; notify by {header.notify}",
        f"incident {header.incident}, {header.service} in {header.environment}, firing since {header.since}{lasting}",
        f"data {header.window}, every {header.step}",
    ]
    head = Markup("<b>{}</b> {}").format(escape.html(header.alert), blocks.chip(header.severity, header.tone))
    return blocks.lines(head, f"{header.alert} [{header.severity}]", facts)


def finding(found: FindingView) -> Shown:
    """A check: its status and sentence, its charts and tables unless all is normal, its queries under a fold."""
    spoken = blocks.answer(found.question, found.status, found.tone, found.sentence)
    whole = found.status != "normal"
    pictures = tuple(Picture(figure) for figure in found.charts if whole)
    tables = tuple(blocks.table(table) for table in found.tables if whole)
    folded = blocks.queries(found.queries)
    if not pictures:
        return Shown(blocks.together((spoken, *tables, *folded)))
    return Shown((spoken, *pictures, *blocks.together((*tables, *folded))))


def verdict(shown: Presentation) -> Block:
    """The verdict in one sentence, why, and how much of it could be answered."""
    said, ledger = shown.verdict, shown.ledger
    missing = [f"{' '.join(gap.questions)} {gap.why}" for gap in ledger.unknown]
    head = Markup("<b>{}</b>").format(prose(said.headline))
    return blocks.lines(head, said.headline, [said.why, f"{ledger.sentence}.", *missing])


def causes(judged: Sequence[CauseView]) -> Block:
    """The probable causes, most probable first."""
    html = [
        (escape.html(v.title), blocks.chip(v.state, v.tone), blocks.bar(v.score, v.points), prose(v.because))
        for v in judged
    ]
    text = [(v.title, v.state, v.points, v.because) for v in judged]
    return blocks.rows_of(("Cause", "State", "Score", "Because"), html, text, (False,) * 4)


def mitigations(planned: Sequence[MitigationView]) -> Shown:
    """What to do about the probable causes: each command with its precondition, risk, undo and what to watch."""
    if not planned:
        return Shown((blocks.lines(Markup(""), "", ["None is proposed: no cause is supported by the data."]),))
    return Shown(tuple(blocks.mitigation(mitigation) for mitigation in planned))


def escalation(reasons: Sequence[str]) -> Block:
    """When to call somebody else."""
    items = Markup("").join(Markup("<li>{}</li>").format(prose(line)) for line in reasons)
    text = "\n".join(["Escalate if:", *(f"- {plain(line)}" for line in reasons)])
    return Block(Markup("<p><b>Escalate if:</b></p><ul>{}</ul>").format(items), text)


def recovery(seen: RecoveryView) -> Shown:
    """Whether the service recovered, its curve, and its queries under a fold."""
    spoken = blocks.answer("Did it recover?", seen.state, seen.tone, seen.sentence)
    return Shown((spoken, *map(Picture, seen.charts), *blocks.queries(seen.queries)))


def record(left: Path | None, shown: Presentation) -> Block:
    """Where the evidence is, by its last two names: the outputs of a notebook hold no path of a machine."""
    name = left.name.removeprefix(".").removesuffix(".partial") if left else ""  # a draft by the name it will have
    where = (
        f"Evidence: {left.parent.name}/{name}" if left else "No evidence is written: recorded answers were replayed."
    )
    head = Markup("<b>{}</b>").format(prose(where))
    return blocks.lines(head, where, [f"{shown.verdict.headline} {shown.ledger.sentence}."])


def show_context(header: Header) -> None:
    """Put what is investigated into the cell."""
    Shown((context(header),))._ipython_display_()


def show_finding(found: FindingView) -> None:
    """Put a check's outputs into the cell."""
    finding(found)._ipython_display_()


def show_causes(shown: Presentation) -> None:
    """Put the verdict and the ranking into the cell."""
    Shown(blocks.together((verdict(shown), causes(shown.causes))))._ipython_display_()


def show_mitigations(shown: Presentation) -> None:
    """Put the commands into the cell, and when to call for help."""
    Shown((*mitigations(shown.mitigations).parts, escalation(shown.escalation)))._ipython_display_()


def show_recovery(seen: RecoveryView) -> None:
    """Put the verification into the cell."""
    recovery(seen)._ipython_display_()


def show_record(left: Path | None, shown: Presentation) -> None:
    """Say in the cell where the evidence is."""
    Shown((record(left, shown),))._ipython_display_()


def progress(text: str) -> None:
    """One line while a cell waits."""
    print(plain(text), flush=True)
