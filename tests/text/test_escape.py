"""Text from outside at each border: whatever it holds, it does nothing there and can be read."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runbook.text import escape

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
ANY = st.text(st.characters(codec=None), max_size=200)
NASTY = st.lists(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "\x1b[2J",
            "\u202e",
            "\x00",
            chr(0xD800),
            "`",
            "```",
            "|",
            "](http://x)",
            "![](",
            "\r",
            "\n",
            "=1+1",
            "@SUM(A1)",
            ";=2",
            '"',
            "'",
            "&amp;",
            "<b",
            "--",
            "_a_",
            "**",
            "\\",
            "~~~",
            "# ",
            "1. ",
            "http://x.y",
            "$x$",
            "\t",
            " ",
        ]
    ),
    max_size=12,
).map("".join)
TEXT = ANY | NASTY


class Seen(HTMLParser):
    """The tags and the text that a browser takes from HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def visible(text: str) -> bool:
    return not any(unicodedata.category(c) in INVISIBLE for c in text)


@given(TEXT)
def test_plain_never_holds_what_moves_a_cursor_or_turns_text(text: str) -> None:
    """No control, format, surrogate or line-separating character reaches a terminal, and UTF-8 can spell the rest."""
    shown = escape.plain(text)
    assert visible(shown)
    shown.encode("utf-8")


@given(TEXT)
def test_plain_is_done_once(text: str) -> None:
    """What was made visible stays as it is when it passes a second border."""
    once = escape.plain(text)
    assert escape.plain(once, limit=10_000) == once


def test_what_cannot_be_seen_is_named() -> None:
    """An escape character becomes its picture, a direction override its number."""
    assert escape.plain("\x1b[31m\u202eabc\x7f") == "␛[31m⟨U+202E⟩abc␡"


def test_a_megabyte_in_one_line_is_cut_and_says_so() -> None:
    """A long line keeps both its ends, with an ellipsis between them."""
    shown = escape.plain(f"begin{'x' * 1_048_576}end")
    assert (shown[:6], shown[-4:], shown.count("…")) == ("beginx", "xend", 1)
    assert len(shown) <= escape.READABLE


def test_text_in_a_sentence_is_one_visible_line() -> None:
    """White space becomes one space, what cannot be seen is named, the middle of a long text becomes an ellipsis."""
    assert escape.plain_text("\x1b[31ma\n\t b\u202e\x00") == "␛[31ma b⟨U+202E⟩␀"
    assert escape.plain_text("abcdefghijklmnop", 9) == "abcde…nop"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_text_in_a_sentence_keeps_to_its_limit(text: str, limit: int) -> None:
    """Whatever the text, it is at most so long and printable."""
    said = escape.plain_text(text, limit)
    assert len(said) <= limit
    assert said.isprintable()


@given(TEXT)
def test_a_block_keeps_lines_and_nothing_else_that_hides(text: str) -> None:
    """Line ends and tabs are the only control characters of a block."""
    assert visible(escape.block(text).replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize("text", ["kubectl get pods\x1b[2K", "rm x\u202e", "kubectl\r\nls", "echo " + "x" * 30_000])
def test_a_command_with_anything_hidden_is_not_shown(text: str) -> None:
    """What could not be read before pasting becomes a comment."""
    assert escape.command(text).startswith("# not shown")
    assert visible(escape.command(text))


def test_a_command_is_whole_and_unchanged() -> None:
    """What can be read is pasted as it is, of several lines too."""
    text = "kubectl -n web \\\n\trollout undo deployment/x --to-revision=13"
    assert escape.command(text) == text


@given(TEXT)
def test_html_holds_no_element(text: str) -> None:
    """Within an element, a browser sees exactly the visible text and no tag."""
    seen = Seen(f"<p>{escape.html(text)}</p>")
    assert seen.tags == ["p"]
    assert seen.text == escape.plain(text)


@given(TEXT)
def test_html_stays_within_a_quoted_attribute(text: str) -> None:
    """Within a quoted attribute, it is that attribute's value and no second one."""
    seen = Seen(f'<img alt="{escape.html(text)}">')
    assert seen.attributes == [("alt", escape.plain(text))]


@given(TEXT)
def test_prose_holds_code_at_most(text: str) -> None:
    """A sentence's backticks become code elements, everything else text."""
    seen = Seen(f"<p>{escape.prose(text)}</p>")
    assert set(seen.tags) <= {"p", "code"}
    assert seen.text.replace("`", "") == escape.plain(text).replace("`", "")


@given(TEXT)
def test_no_cell_is_a_formula(text: str) -> None:
    """Whether a spreadsheet splits at commas or at semicolons, no cell begins like a formula unless it is a number."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow([escape.csv_cell(text), escape.csv_cell("end")])
    line = written.getvalue().rstrip("\n")
    assert "\n" not in line
    for delimiter in ",;":
        for cell in next(csv.reader([line], delimiter=delimiter)):
            first = unicodedata.normalize("NFKC", cell.strip()[:1])[:1]
            assert first not in tuple("=+-@") or re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", cell)


@pytest.mark.parametrize(
    ("value", "cell"), [("-5", "-5"), ("+1.5e3", "+1.5e3"), (-5, "-5"), (float("nan"), ""), (None, "")]
)
def test_numbers_stay_numbers(value: str | float | None, cell: str) -> None:
    """A negative number is no formula, and no value is an empty cell."""
    assert escape.csv_cell(value) == cell


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@A1", " =1", "\t=1", "\rx", "＝1"])
def test_formulas_are_disarmed(text: str) -> None:
    """What a spreadsheet would calculate gets an apostrophe."""
    assert escape.csv_cell(text).startswith("'")


@given(TEXT)
def test_markdown_reads_as_the_text_itself(text: str) -> None:
    """Rendered as a list item and as a paragraph, only the text is there: no link, code, image or emphasis."""
    expected = re.sub(r"\s+", " ", escape.plain(text)).strip()
    for wrapped in (f"- **Impact**: {escape.markdown(text)}", escape.markdown(text)):
        seen = Seen(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(wrapped))
        assert set(seen.tags) <= {"ul", "li", "p", "strong"}
        assert re.sub(r"\s+", " ", seen.text).strip().removeprefix("Impact: ").removeprefix("Impact:") == expected


def test_markdown_makes_no_bare_address_a_link() -> None:
    """Addresses are broken up for renderers that link them unasked."""
    assert escape.markdown("see http://evil.example and www.evil.example") == (
        r"see http\://evil.example and www\.evil.example"
    )


@given(TEXT)
def test_json_takes_any_text(text: str) -> None:
    """What JSON cannot spell is replaced, all else comes back as it was."""
    shown = escape.json_text(text)
    assert json.loads(msgspec.json.encode(shown)) == shown
    assert len(shown) == len(text)


@given(TEXT)
def test_filename_is_one_harmless_name(text: str) -> None:
    """Never hidden, never a path, never reserved, never too long."""
    name = escape.filename(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name)
    assert ".." not in name or "/" not in name


@pytest.mark.parametrize(
    ("text", "name"), [("../../etc/passwd", "etc-passwd"), ("", "unnamed"), ("...", "unnamed"), ("NUL.txt", "_NUL.txt")]
)
def test_filename_examples(text: str, name: str) -> None:
    """Paths, nothing at all and the names that Windows keeps for devices."""
    assert escape.filename(text) == name
