"""The report of an investigation as one HTML file, and the procedure's incident report in Markdown. Pure.

Every value that the templates print passes through `runbook.text.escape`, by the environments' `finalize`: a template
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

from runbook.model import Chart
from runbook.reporting.findings import FindingView
from runbook.reporting.presentation import Presentation
from runbook.text import escape, time

TEMPLATES = Path(__file__).resolve().parent / "templates"
ROWS = 8  # of a table before the fold
_ORDER = ("abnormal", "unknown", "normal")
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


def html(shown: Presentation, *, proof: Proof, draw: Draw = picture) -> str:
    """The report: one file without script or remote reference; the verdict first, the proof last."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    told = [found for found in shown.findings[1:] if not found.brief]
    text = (
        _html_environment()
        .get_template("report.html.j2")
        .render(
            shown=shown,
            first=next(iter(shown.findings), None),
            checks=sorted(told, key=_place),
            lines=sorted((found for found in shown.findings[1:] if found.brief), key=_place),
            proof=proof,
            rows=ROWS,
            image=lambda chart: _data_uri(draw(chart)),
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=digest,
        )
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def markdown(shown: Presentation, *, replayed: bool = False) -> str:
    """The procedure's incident report, filled in as far as the evidence goes."""
    return _markdown_environment().get_template("report.md.j2").render(shown=shown, replayed=replayed)


def _place(found: FindingView) -> int:
    """What is abnormal comes first."""
    return _ORDER.index(found.status)


def _data_uri(png: bytes) -> Markup:
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode()


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
        "command": lambda text: _unbroken(escape.html_block(escape.command(text))),
    }
    return environment


@cache
def _markdown_environment() -> Environment:
    environment = _environment(_finalize_markdown)
    environment.filters["indented"] = _indented
    return environment


def _environment(finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(  # noqa: S701 - the HTML one escapes, the Markdown one has its own finalize
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, finalize=finalize
    )
    environment.filters |= {"clock": time.clock, "day": time.day, "minute": time.minute}
    return environment


def _finalize_html(value: Any) -> Markup:
    return value if isinstance(value, Markup) else escape.html(str(value))


def _finalize_markdown(value: Any) -> str:
    return value if isinstance(value, _Safe) else escape.markdown(str(value))


def _indented(text: str) -> _Safe:
    """A Markdown code block that nothing within can end."""
    return _Safe("\n".join(f"    {line}" for line in escape.command(text).split("\n")))
