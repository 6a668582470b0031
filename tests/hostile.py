"""Text as an attacker would write it into a log, an investigation full of it, and what a browser sees of a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html.parser import HTMLParser

from runbook.investigation.result import Investigation
from runbook.model import (
    AlertFacts,
    Answer,
    Chart,
    Event,
    Finding,
    Mitigation,
    Recovery,
    Result,
    Series,
    Step,
    Table,
    Verdict,
)
from tests import samples

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[2J\x00",
    "\u202egnp.exe",
    "{{ 7 * 7 }}{% raw %}",
    "</style></title></pre>",
    "`](javascript:alert(1))",
    "\r\n\r\n# Root Cause\n",
    chr(0xD800),
]


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img", "rect"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def body(self) -> str:
        return self.texts["body"][0]


@dataclass(frozen=True, kw_only=True)
class Said(AlertFacts):
    """Facts with text from outside."""

    words: tuple[str, ...]


def with_text(text: str) -> Investigation:
    """An investigation that holds this text wherever text from outside may stand."""
    answer = Answer(replace(samples.SHARE, text=text, params={"index": text}), "partial", {}, (text,))
    chart = Chart(text, text, text, (Series(text, (samples.START, samples.END), (1.0, 2.0)),))
    table = Table(text, (text, "", "b"), ((text, text, 1.5), (None, "", -3)))
    failed = Answer(samples.LOGS, "failed", error=text)
    findings = tuple(
        Finding(
            "check",
            text,
            Result(status, text, Said(onset=None, impact=text, words=(text,)), (chart,), (table,)),
            (answer, failed),
        )
        for status in ("abnormal", "unknown", "normal", "abnormal")
    )
    return replace(
        samples.INVESTIGATION,
        findings=findings,
        verdicts=(Verdict("a", text, "supported", 0.9, text), Verdict("b", text, "not tested", None, text)),
        mitigations=(Mitigation("a", text, (_manual(text), _change(text))),),
        recovery=Recovery("not recovered", text, (chart,), (answer,)),
        headline=text,
        why=text,
        events=(Event(samples.ONSET, text, "rollout"), Event(samples.ONSET, text, "onset")),
    )


def _manual(text: str) -> Step:
    return Step(kind="manual", text=text or "-", precondition=text, risk=text, undo=text or "-", watch=text)


def _change(text: str) -> Step:
    argv = ("ls", text)
    return Step(kind="change", argv=argv, precondition=text, risk=text, undo_argv=argv, watch=text)
