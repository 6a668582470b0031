"""The small parts that a notebook's outputs are made of: chips, bars, tables, folds; each in HTML and in plain text.

The HTML carries its own few styles, fit for a light and a dark JupyterLab; nothing is said by colour alone, since a
reader elsewhere (GitHub, an untrusted notebook) may take the styles away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from runbook.investigation.definitions import Context
from runbook.model import Answer, Mitigation, Step, Table
from runbook.reporting import presentation
from runbook.text import escape
from runbook.text.escape import plain, prose

ROWS = 12  # of a table in a cell
_TONES = {"red": "#b3303f", "green": "#2e6b39", "amber": "#8a5a00", "grey": "#56606b", "blue": "#1f5fa8"}
_PRE = Markup(
    '<pre style="white-space:pre-wrap;padding:6px 9px;margin:4px 0;border-radius:4px;user-select:all;background:rgba(127,127,127,.14)">'
    "{}</pre>"
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


def chip(text: str, tone: presentation.Tone) -> Markup:
    """A word on its colour, white on dark: readable on any background."""
    return _CHIP.format(_TONES[tone], escape.html(text))


def bar(score: float | None) -> Markup:
    """A score as a number behind a bar."""
    if score is None:
        return Markup("–")
    return _BAR.format(round(60 * min(1.0, max(0.0, score))), f"{score:.2f}")


def said(question: str, word: str, tone: presentation.Tone, sentence: str) -> Block:
    """A question, the chip of its answer and the sentence."""
    html = Markup("<p><b>{}</b> {}<br>{}</p>").format(prose(question), chip(word, tone), prose(sentence))
    return Block(html, f"{plain(question)} [{word}] {plain(sentence)}")


def lines(head: Markup, head_text: str, rest: Iterable[str]) -> Block:
    """A heading line and the lines below it, empty ones left out."""
    kept = [line for line in rest if line]
    html = Markup("<br>").join([part for part in (head, *map(prose, kept)) if part])
    return Block(Markup("<p>{}</p>").format(html), "\n".join(filter(None, [plain(head_text), *map(plain, kept)])))


def table(table: Table) -> Block:
    """A table's first rows, numbers flush right."""
    rows = [[presentation.cell(value) for value in row] for row in table.rows[:ROWS]]
    shown = rows_of(
        table.columns,
        [[_value(c, v) for c, v in zip(table.columns, row, strict=True)] for row in rows],
        rows,
        presentation.numeric_columns(table),
    )
    if len(table.rows) <= ROWS:
        return shown
    more = f"and {len(table.rows) - ROWS} more rows in data/{escape.filename(table.name)}.csv"
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


def queries(answers: Sequence[Answer], context: Context) -> tuple[Block, ...]:
    """The queries behind an output under a fold: text to copy, and a link to the page that shows it."""
    if not answers:
        return ()
    asked = [presentation.asked(answer, context) for answer in answers]
    title = presentation.pages(tuple(answers), context)
    html = _FOLD.format(escape.html(title), Markup("").join(map(_query, asked)))
    return (Block(html, "\n".join([title, *(f"  {plain(_caption(one))}" for one in asked)])),)


def _query(asked: presentation.Asked) -> Markup:
    link = _LINK.format(asked.link, asked.page) if asked.link else ""
    caption = Markup("<div>{}{}</div>").format(escape.html(_caption(asked)), link)
    return caption + _PRE.format(escape.html_block(asked.text))


def _caption(asked: presentation.Asked) -> str:
    return f"{asked.caption} · {asked.trouble}" if asked.trouble else asked.caption


def mitigation(mitigation: Mitigation) -> Block:
    """Numbered steps: the command, what must hold before, its risk, how to undo it, what to watch."""
    steps = [_step(number, step) for number, step in enumerate(mitigation.steps, 1)]
    html = [Markup("<p><b>{}</b></p>").format(prose(mitigation.title)), *(step.html for step in steps)]
    return Block(_NEW_LINE.join(html), "\n".join([plain(mitigation.title), *(step.text for step in steps)]))


def _step(number: int, step: Step) -> Block:
    """A command stands alone in its element, to be copied; a sentence to a person does not."""
    command = escape.command(presentation.shown(step))
    if bool(step.argv):
        what = Markup("<p>{}.</p>{}").format(number, _PRE.format(escape.html_block(command)))
    else:
        what = Markup("<p>{}. {}</p>").format(number, prose(presentation.shown(step)))
    about = {"Before": step.precondition, "Risk": step.risk, "Undo": presentation.undo(step), "Watch": step.watch}
    undo = Markup("<code>{}</code>").format(escape.html_block(escape.command(presentation.undo(step))))
    shown = {key: prose(value) for key, value in about.items()} | (
        {"Undo": undo} if presentation.undone_by_command(step) else {}
    )
    notes = Markup("<br>").join(Markup("<b>{}</b> {}").format(key, value) for key, value in shown.items())
    text = [f"{number}. {escape.block(command)}", *(f"   {key}: {plain(value)}" for key, value in about.items())]
    return Block(what + Markup("<p>{}</p>").format(notes), "\n".join(text))
