"""The report of an investigation as one HTML file, and the procedure's incident report in Markdown. Pure.

Every value that the templates print passes through `escaping`, by the environments' `finalize`: a template
cannot forget it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from runbook.investigation import timeline
from runbook.investigation.result import Investigation
from runbook.investigation.severity import RESPONSES
from runbook.model import Chart, Finding, Recovery, Table, Verdict
from runbook.reporting import presentation
from runbook.text import escape
from runbook.text.format import clock_text, duration_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
ROWS, FOLDED = 8, 30  # of a table that are shown, and that are shown or under a fold; all are in data/
_WHOLE = re.compile(r"(?<![^\s>(])(--?[A-Za-z][\w-]{0,30}|\d{1,3}(?:\.\d{1,3}){3})(?![\w-])", re.ASCII)
Draw = Callable[[Chart], bytes]


@dataclass(frozen=True)
class Proof:
    """What the report says about the evidence that it belongs to; `made` in epoch seconds."""

    evidence: str
    made: float
    version: str
    answers: int
    recording_sha256: str = ""
    replayed: bool = False


class _Safe(str):
    """Text that is Markdown on purpose."""


@lru_cache(maxsize=64)
def picture(chart: Chart) -> bytes:
    """A chart's PNG, drawn once for the notebook, the report and the bundle of a run."""
    from runbook.reporting.charts import render  # matplotlib takes half a second, and Markdown needs none

    return render.png(chart)


def html(investigation: Investigation, *, proof: Proof, draw: Draw = picture) -> str:
    """The report: one file without script or remote reference; the verdict first, the proof last."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = (
        _html_environment()
        .get_template("report.html.j2")
        .render(
            **_common(investigation),
            **_page(investigation),
            proof=proof,
            recorded=_recorded(investigation, proof.replayed),
            image=lambda chart: _data_uri(draw(chart)),
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=digest,
        )
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def markdown(investigation: Investigation, *, replayed: bool = False) -> str:
    """The procedure's incident report, filled in as far as the evidence goes."""
    began, lasted = timeline.began(investigation), timeline.duration(investigation)
    moments = timeline.timeline(investigation)
    days = {presentation.day(moment.time) for moment in moments if moment.time is not None}
    return (
        _markdown_environment()
        .get_template("report.md.j2")
        .render(
            **_common(investigation),
            began=began,
            duration="" if lasted is None else duration_text(lasted),
            recorded=_recorded(investigation, replayed),
            timeline=moments,
            one_day=len(days) <= 1,
            bundle=escape.filename(
                f"{investigation.alert.name}-{presentation.stamp(investigation.context.started_at)}"
            ),
        )
    )


def _recorded(investigation: Investigation, replayed: bool) -> str:
    """When the answers were recorded, where nobody was asked anew; "" for a run that asked."""
    now = investigation.context.now
    return f"replayed from answers recorded {presentation.day(now)} {presentation.clock(now)} UTC" if replayed else ""


def _data_uri(png: bytes) -> Markup:
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode()


def _common(investigation: Investigation) -> dict[str, Any]:
    """What both reports show."""
    return {
        "alert": investigation.alert,
        "context": investigation.context,
        "headline": investigation.headline,
        "why": investigation.why,
        "impact": timeline.impact(investigation),
        "ledger": _ledger(investigation),
        "verdicts": [_verdict(v) for v in investigation.verdicts],
        "mitigations": investigation.mitigations,
        "recovery": _recovery(investigation),
    }


def _page(investigation: Investigation) -> dict[str, Any]:
    """What only the HTML shows."""
    context = investigation.context
    response = RESPONSES[investigation.alert.severity]
    shown = [_finding(finding, investigation) for finding in investigation.findings]
    rest = shown[1:]
    order = {"abnormal": 0, "unknown": 1, "normal": 2}
    brief = [
        f for f in rest if f["status"] == "normal" or not (f["charts"] or f["tables"] or f["status"] == "abnormal")
    ]
    return {
        "response": response,
        "severity_tone": presentation.SEVERITY[investigation.alert.severity],
        "respond_by": presentation.clock(context.started_at + response.seconds) if response.seconds else "",
        "so_far": duration_text(context.end - context.started_at) if context.end > context.started_at else "",
        "window": presentation.window(context.start, context.end),
        "tone": _tone(investigation),
        "now": _now(investigation),
        "stuck": _tone(investigation) == "amber" and bool(investigation.alert.escalate_if),
        "first": shown[0] if shown else None,
        "checks": sorted((f for f in rest if f not in brief), key=lambda f: order[f["status"]]),
        "lines": sorted(brief, key=lambda f: order[f["status"]]),
        "timeline": [
            {"when": clock_text(moment.time, context.started_at), "label": moment.label}
            for moment in timeline.timeline(investigation)
            if moment.time is not None
        ],
    }


def _tone(investigation: Investigation) -> presentation.Tone:
    """The verdict's colour: red for a cause found, green for no alarm or recovered, amber for not known."""
    if investigation.recovery.state == "recovered":
        return "green"
    if investigation.findings and investigation.findings[0].result.status == "normal":
        return "green"
    return "red" if any(v.state == "supported" for v in investigation.verdicts) else "amber"


def _now(investigation: Investigation) -> dict[str, Any] | None:
    """The one thing to do: the first step against the most probable cause that changes something, unless it has helped
    already; before it, what to look at first. Where all of them only look, the first of those.
    """
    first = next((m for m in investigation.mitigations if m.steps), None)
    if first is None or investigation.recovery.state == "recovered":
        return None
    place = next((n for n, step in enumerate(first.steps) if not presentation.only_looks(step)), 0)
    return {"title": first.title, "looks": first.steps[:place], "step": first.steps[place]}


def _ledger(investigation: Investigation) -> dict[str, Any]:
    reasons: dict[str, list[str]] = {}
    for finding in investigation.unknown:
        reasons.setdefault(escape.plain(finding.result.sentence, 200), []).append(finding.question)
    unknown = [{"question": " ".join(questions), "why": why} for why, questions in reasons.items()]
    partial = [
        {"question": f.question, "why": escape.plain(_gap(f), 200)}
        for f in investigation.findings
        if f.ran and f.completeness == "partial"
    ]
    checks = len(investigation.findings)
    return {"checks": checks, "ran": checks - len(investigation.unknown), "unknown": unknown, "partial": partial}


def _gap(finding: Finding) -> str:
    said = dict.fromkeys(text for a in finding.answers for text in (a.error, *a.warnings) if text)
    return "; ".join(said) or "some answers were not whole"


def _finding(finding: Finding, investigation: Investigation) -> dict[str, Any]:
    return {
        "question": finding.question,
        "status": finding.result.status,
        "tone": presentation.STATUS[finding.result.status],
        "sentence": finding.result.sentence,
        "charts": finding.result.charts,
        "tables": [_table(table) for table in finding.result.tables],
        "queries": [presentation.asked(answer, investigation.context) for answer in finding.answers],
        "pages": presentation.pages(finding.answers, investigation.context),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": table.columns,
        "numeric": presentation.numeric_columns(table),
        "rows": [[presentation.cell(value) for value in row] for row in table.rows[:ROWS]],
        "folded": [[presentation.cell(value) for value in row] for row in table.rows[ROWS:FOLDED]],
        "more": max(0, len(table.rows) - FOLDED),
        "file": escape.filename(table.name),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    score = min(1.0, max(0.0, verdict.score or 0.0))
    return {
        "title": verdict.title,
        "state": verdict.state,
        "tone": presentation.STATE[verdict.state],
        "score": verdict.score,
        "percent": f"{score * 100:.0f}",
        "points": f"{score:.2f}",
        "because": verdict.because,
    }


def _recovery(investigation: Investigation) -> dict[str, Any]:
    recovery: Recovery = investigation.recovery
    return {
        "state": recovery.state,
        "tone": presentation.RECOVERY[recovery.state],
        "said": recovery.state != "not mitigated",
        "sentence": recovery.sentence,
        "charts": recovery.charts,
        "tables": [],
        "queries": [presentation.asked(answer, investigation.context) for answer in recovery.answers],
        "pages": presentation.pages(recovery.answers, investigation.context),
    }


def _unbroken(html: Markup) -> Markup:
    """Escaped text whose options and IPv4 addresses stay on one line; what is copied is the same."""
    return Markup(_WHOLE.sub(r'<span class="whole">\1</span>', str(html)))  # noqa: S704 - escaped before


@cache
def _html_environment() -> Environment:
    environment = _environment(_finalize_html)
    environment.autoescape = True
    environment.filters |= {
        "prose": lambda text: _unbroken(escape.prose(text)),
        "block": escape.html_block,
        "href": lambda url: url if isinstance(url, Markup) else escape.html(url, 10_000),
    }
    environment.filters |= {"command": lambda text: _unbroken(escape.html_block(escape.command(text)))}
    environment.filters |= {"is_command": presentation.is_command, "undone_by_command": presentation.undone_by_command}
    return environment


@cache
def _markdown_environment() -> Environment:
    environment = _environment(_finalize_markdown)
    environment.filters["indented"] = _indented
    environment.filters["minute"] = lambda time: presentation.iso(time)[:16].replace("T", " ")
    return environment


def _environment(finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(  # noqa: S701 - the HTML one escapes, the Markdown one has its own finalize
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, finalize=finalize
    )
    environment.filters |= {"shown": presentation.shown, "undo": presentation.undo}
    environment.filters |= {"clock": presentation.clock, "day": presentation.day}
    return environment


def _finalize_html(value: Any) -> Markup:
    return value if isinstance(value, Markup) else escape.html(str(value))


def _finalize_markdown(value: Any) -> str:
    return value if isinstance(value, _Safe) else escape.markdown(str(value))


def _indented(text: str) -> _Safe:
    """A Markdown code block that nothing within can end."""
    return _Safe("\n".join(f"    {line}" for line in escape.command(text).split("\n")))
