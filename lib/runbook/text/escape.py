"""Text from outside, made harmless at each border that it crosses: one function per border.

Log lines, labels, error messages and file names may hold markup, control and bidirectional characters, formulas or
a megabyte in one line. Whoever prints one sends it through the function named after the place it goes to. What is
taken away stays visible: a control character becomes its picture, a direction mark its number, the middle of a text
that is too long an ellipsis.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache

from markupsafe import Markup, escape

ELLIPSIS = "…"
READABLE = 1000  # characters of a sentence, or a few: nobody reads more
BLOCK_LIMIT = 20_000
CELL_LIMIT = 32_000
NAME_LIMIT = 100
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)


def plain(text: str, limit: int = READABLE) -> str:
    """One line for a terminal, a log or a text/plain output: nothing in it moves the cursor or turns the reading."""
    return _visible(shortened(text, limit))


def plain_text(text: str, limit: int = 200) -> str:
    """Text from outside within a sentence of ours: the same with white space as single spaces, never above `limit`."""
    spaced = " ".join(shortened(text, 4 * limit + 100).split())
    return shortened(_visible(spaced), limit)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; the middle of a longer text is an ellipsis: the ends of names tell them apart."""
    if len(text) <= limit:
        return text
    tail = max(0, (limit - 1) * 2 // 5)
    return f"{text[: limit - 1 - tail].rstrip()}{ELLIPSIS}{text[len(text) - tail :].lstrip()}"


def block(text: str, limit: int = BLOCK_LIMIT) -> str:
    """Several lines, such as a query: line ends and tabs stay, everything else as in `plain`."""
    return _visible(shortened(text.replace("\r\n", "\n"), limit), keep="\n\t")


def command(text: str) -> str:
    """A command as it may be pasted into a shell: whole and unchanged, or not at all."""
    if len(text) > BLOCK_LIMIT or block(text) != text:
        return f"# not shown: a command of {len(text):,} characters with some that cannot be seen: {plain(text, 80)}"
    return text


def html(text: str, limit: int = READABLE) -> Markup:
    """One line of text within an HTML element or a quoted attribute."""
    return escape(plain(text, limit))


def html_block(text: str, limit: int = BLOCK_LIMIT) -> Markup:
    """Several lines of text within an HTML <pre>."""
    return escape(block(text, limit))


def prose(text: str, limit: int = READABLE) -> Markup:
    """A sentence in HTML; what it has between backticks is set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(html(text, limit))))  # noqa: S704 - escaped just before


def csv_cell(value: str | int | float | None) -> str:
    """The text of a cell that no spreadsheet takes for a formula; numbers stay numbers, NaN is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        return str(value)
    text = _visible(shortened(value, CELL_LIMIT))
    if _NUMBER.fullmatch(text):
        return text
    text = re.sub(r";(\s*)(?=[=+@-])", r";\1'", text)  # a spreadsheet may split cells at semicolons
    return f"'{text}" if value[:1] in ("\t", "\r", "\n") or _starts_formula(text) else text


def _starts_formula(text: str) -> bool:
    return unicodedata.normalize("NFKC", text.lstrip()[:1])[:1] in tuple("=+-@")


def markdown(text: str, limit: int = READABLE) -> str:
    """One line of Markdown that reads as the text itself: no link, markup, code, table cell or heading comes of it."""
    line = re.sub(r"([\\`*\[\]<>|~&$])", r"\\\1", plain(text, limit).strip())
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)
    line = re.sub(r"://", r"\://", line)
    line = re.sub(r"(?i)\b(www|mailto|xmpp)([.:])", r"\1\\\2", line)
    line = re.sub(r"^([#+=-])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)


def json_text(text: str) -> str:
    """Text that every JSON parser takes: what UTF-8 cannot spell becomes a question mark; the rest JSON escapes."""
    return text.encode("utf-8", "replace").decode()


def filename(text: str) -> str:
    """A name of one file, the same on every system: ASCII, no separators, not hidden, at most 100 characters."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text[: 4 * NAME_LIMIT]).strip(".-")[:NAME_LIMIT].rstrip(".-")
    if not name:
        return "unnamed"
    return f"_{name}"[:NAME_LIMIT] if _RESERVED.fullmatch(name) else name


def _visible(text: str, keep: str = "") -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character in keep else _token(character) for character in text)


@cache
def _token(character: str) -> str:
    """The character itself if it can be seen, else a picture or its number."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩" if unicodedata.category(character) in _INVISIBLE else character
