"""MySQL: statements without their literals."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runbook.sources.mysql.masking import LENGTH, masked

CANARY = "ψ"  # stands in literals alone: one of it in the outcome is a leak
TEXTS = st.text(
    st.sampled_from([CANARY, "'", '"', "`", "\\", "/", "*", "-", "#", "!", " ", "\n", "a", "7"]), max_size=12
)
SQL = st.sampled_from(
    [
        "SELECT",
        "FROM users",
        "t1.c2",
        "`odd ``name`",
        "WHERE x =",
        "(",
        ")",
        ",",
        "5--3",
        "<>",
        "/*+ hint */",
        "@v",
        ";",
    ]
)


def quoted(quote: str, *, backslashes: bool) -> Callable[[str], str]:
    """How a client writes a text as a literal: quotes doubled or, unless the mode forbids them, after a backslash."""

    def write(text: str) -> str:
        if backslashes:
            text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
        else:
            text = text.replace(quote, quote * 2)
        return quote + text + quote

    return write


LITERALS = st.one_of(
    [TEXTS.map(quoted(quote, backslashes=backslashes)) for quote in "'\"" for backslashes in (True, False)]
    + [
        TEXTS.map(lambda text: "N'" + text.replace("\\", "").replace("'", "''") + "'"),
        TEXTS.map(lambda text: f"/*{text.replace('*/', '')} */" if not text.startswith(("!", "M!")) else "/**/"),
        TEXTS.map(lambda text: "# " + text.replace("\n", "") + "\n"),
        TEXTS.map(lambda text: "-- " + text.replace("\n", "") + "\n"),
    ]
)
STATEMENTS = st.lists(st.one_of(SQL, LITERALS), max_size=8).map(" ".join)


@given(STATEMENTS, st.integers(0, 120))
@example(r"SELECT 'a\', 'ψ'", 120)  # ends after the backslash in the mode NO_BACKSLASH_ESCAPES
@example("/*!99999 don't */ 'ψ'", 120)
def test_nothing_of_a_literal_survives(statement: str, end: int):
    """Whatever literals and comments hold, in whichever mode they were written and wherever cut, it is gone."""
    assert CANARY not in masked(statement)
    assert CANARY not in masked(statement[:end])


@pytest.mark.parametrize(
    "form",
    ["747", "-747", "747.5", ".747", "747e-747", "0x747AF", "x'747AF'", "0b747", "b'747'", "(747,747)", "747or b"],
)
def test_no_number_survives(form: str):
    """Whole numbers, fractions, exponents, and hexadecimal and binary ones become question marks."""
    assert not set("7A5") & set(masked(f"select c1 where c2={form} limit 747"))


@given(STATEMENTS)
def test_what_is_shown_is_one_short_line(statement: str):
    """A report has room for a line."""
    shown = masked(statement)
    assert len(shown) <= LENGTH
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            "SELECT u.name2 FROM `my users` u\n WHERE id = 42 AND name IN ('o''b', \"x\")",
            "SELECT u.name2 FROM `my users` u WHERE id = ? AND name IN (?, ?)",
        ),
        ("INSERT INTO t VALUES (-1.5e-3, 0xFF, x'4D', NULL)", "INSERT INTO t VALUES (-?, ?, ?, NULL)"),
        (r"UPDATE t SET a = 'C:\\dir\\' WHERE b = 1", "UPDATE t SET a = ? WHERE b = ?"),
        (r"UPDATE t SET a = 'it\'s' WHERE b = 1", "UPDATE t SET a = ?…"),
        ("SELECT /*!40001 SQL_NO_CACHE */ * FROM `users`", "SELECT * FROM `users`"),
        ("SELECT a /* why */ FROM t -- who\nWHERE b", "SELECT a FROM t WHERE b"),
        ("SELECT a FROM t WHERE b = 'unfini", "SELECT a FROM t WHERE b = ?…"),
        ("SELECT a FROM t /* unfini", "SELECT a FROM t ?…"),
        ("SELECT a FROM `unfini", "SELECT a FROM ?…"),
        ("COMMIT", "COMMIT"),
        ("SELECT " + "a, " * 200, "SELECT " + ("a, " * 200)[: LENGTH - 8] + "…"),
    ],
)
def test_what_a_statement_does_stays(statement: str, shown: str):
    """Verbs, tables, columns and their numbers stay readable; where an end is not sure, the rest is left out."""
    assert masked(statement) == shown


@pytest.mark.parametrize("part", ["'", "'\\", "/*", "''", "'\\''", "--", "1", "x'", "/*!", "`", '"\\a'])
def test_a_huge_statement_takes_no_time(part: str):
    """No statement makes the masking backtrack for long."""
    began = time.monotonic()
    masked(part * 20_000)
    assert time.monotonic() - began < 2
