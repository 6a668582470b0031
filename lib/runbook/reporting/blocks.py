"""The small parts that a notebook's outputs are made of: chips, bars, tables, folds; each in HTML and in plain text.

The HTML carries its own few styles, fit for a light and a dark JupyterLab; nothing is said by colour alone, since a
reader elsewhere (GitHub, an untrusted notebook) may take the styles away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from runbook.reporting.queries import Queries, QueryView
from runbook.reporting.steps import MitigationView, StepView
from runbook.reporting.tables import TableView
from runbook.reporting.tones import Tone
from runbook.text import escape
from runbook.text.escape import plain, prose

ROWS = 12  # of a table in a cell
_COLOURS: dict[Tone, str] = {
    "red": "#b3303f",
    "green": "#2e6b39",
    "amber": "#8a5a00",
    "grey": "#56606b",
    "blue": "#1f5fa8",
}
_PRE = Markup(
    '<pre style="white-space:pre-wrap;padding:6px 9px;margin:4px 0;border-radius:4px;user-select:all;'
    'background:rgba(127,127,127,.14)">{}</pre>'
)
_CHIP = Markup(
    '<span style="background:{};color:#fff;border-radius:99px;padding:1px 9px;font-weight:600;font-size:85%;'
    'white-space:nowrap">{}</span>'
)
_BAR = Markup(
    '<svg width="60" height="8" aria-hidden="true"><rect width="60" height="8" fill="currentColor" opacity=".15"/>'
    '<rect width="{}" height="8" fill="currentColor"/></svg> {}'
)
_FOLD = Markup('<details><summary style="cursor:pointer;opacity:.75">{}</summary>{}</details>')
_HEAD = Markup('<th style="text-align:{};vertical-align:top;padding:2px 12px 2px 0">{}</th>')
_CELL = Markup('<td style="text-align:{};vertical-align:top;padding:2px 12px 2px 0">{}</td>')
_LINK = Markup(' · <a href="{}" target="_blank" rel="noreferrer noopener">open in {}</a>')
_NEW_LINE = Markup("\n")


@dataclass(frozen=True, repr=False)
class Block:
    """HTML and the plain text that says the same."""

    html: Markup
    text: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": str(self.html), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def together(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks as one output, so that a cell has few; none of none."""
    parts = tuple(blocks)
    if not parts:
        return ()
    return (Block(_NEW_LINE.join(b.html for b in parts), "\n\n".join(b.text for b in parts)),)


def chip(text: str, tone: Tone) -> Markup:
    """A word on its colour, white on dark: readable on any background."""
    return _CHIP.format(_COLOURS[tone], escape.html(text))


def bar(score: float | None, points: str) -> Markup:
    """A score as a number behind a bar."""
    return escape.html(points) if score is None else _BAR.format(round(60 * score), points)


def answer(question: str, word: str, tone: Tone, sentence: str) -> Block:
    """A question, the chip of its answer and the sentence."""
    html = Markup("<p><b>{}</b> {}<br>{}</p>").format(prose(question), chip(word, tone), prose(sentence))
    return Block(html, f"{plain(question)} [{word}] {plain(sentence)}")


def lines(head: Markup, head_text: str, rest: Iterable[str]) -> Block:
    """A heading line and the lines below it, empty ones left out."""
    kept = [line for line in rest if line]
    html = Markup("<br>").join([part for part in (head, *map(prose, kept)) if part])
    return Block(Markup("<p>{}</p>").format(html), "\n".join(filter(None, [plain(head_text), *map(plain, kept)])))


def table(whole: TableView) -> Block:
    """A table's first rows, numbers flush right."""
    view = whole.first(ROWS)
    cells = [[_value(c, v) for c, v in zip(view.columns, row, strict=True)] for row in view.rows]
    shown = rows_of(view.columns, cells, view.rows, view.numeric)
    if not view.more:
        return shown
    more = f"and {view.more} more rows in {view.file}"
    return Block(shown.html + Markup("\n<p>{}</p>").format(more), f"{shown.text}\n{more}")


def _value(column: str, value: str) -> Markup:
    """A cell; in a column without a title it is a mark, such as "new"."""
    return escape.html(value, 300) if column or not value else chip(value, "amber")


def rows_of(
    columns: Sequence[str],
    cells: Sequence[Sequence[Markup]],
    texts: Sequence[Sequence[str]],
    numeric: Sequence[bool],
) -> Block:
    """Rows under column titles, in HTML and as aligned text."""
    sides = ["right" if number else "left" for number in numeric]
    head = Markup("").join(_HEAD.format(s, escape.html(c)) for s, c in zip(sides, columns, strict=True))
    body = [Markup("").join(_CELL.format(s, c) for s, c in zip(sides, row, strict=True)) for row in cells]
    html = _NEW_LINE.join(Markup("<tr>{}</tr>").format(row) for row in [head, *body])
    return Block(Markup("<table>\n{}\n</table>").format(html), _aligned([columns, *texts]))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    every = [[plain(text, 120) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in every)


def queries(behind: Queries) -> tuple[Block, ...]:
    """The queries behind an output under a fold: text to copy, and a link to the page that shows it."""
    if not behind.asked:
        return ()
    html = _FOLD.format(escape.html(behind.title), Markup("").join(map(_query, behind.asked)))
    return (Block(html, "\n".join([behind.title, *(f"  {plain(one.heading)}" for one in behind.asked)])),)


def _query(query: QueryView) -> Markup:
    link = _LINK.format(query.link, query.page) if query.link else ""
    heading = Markup("<div>{}{}</div>").format(escape.html(query.heading), link)
    return heading + _PRE.format(escape.html_block(query.text))


def mitigation(mitigation: MitigationView) -> Block:
    """Numbered steps: the command, what must hold before, its risk, how to undo it, what to watch."""
    steps = [_step(step) for step in mitigation.steps]
    html = [Markup("<p><b>{}</b></p>").format(prose(mitigation.title)), *(step.html for step in steps)]
    return Block(_NEW_LINE.join(html), "\n".join([plain(mitigation.title), *(step.text for step in steps)]))


def _step(step: StepView) -> Block:
    """A command stands alone in its element, to be copied; a sentence to a person does not."""
    if step.command:
        shown = escape.command(step.command)
        what, text = Markup("<p>{}.</p>{}").format(step.number, _PRE.format(escape.html_block(shown))), shown
    else:
        what, text = Markup("<p>{}. {}</p>").format(step.number, prose(step.sentence)), plain(step.sentence)
    undo = escape.command(step.undo_command) if step.undo_command else plain(step.undo)
    told = {"Before": step.precondition, "Risk": step.risk, "Undo": undo, "Watch": step.watch}
    html = {key: prose(value) for key, value in told.items()}
    if step.undo_command:
        html["Undo"] = Markup("<code>{}</code>").format(escape.html_block(undo))
    notes = Markup("<br>").join(Markup("<b>{}</b> {}").format(key, value) for key, value in html.items())
    below = [f"   {key}: {plain(value)}" for key, value in told.items()]
    return Block(what + Markup("<p>{}</p>").format(notes), "\n".join([f"{step.number}. {escape.block(text)}", *below]))
