"""The log's lines: no secret in them wherever it was said, none that reads as another, no folder of this machine."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.redaction.log_lines import MOST, SHOWN, Lines
from runbook.redaction.redactor import Redactor
from runbook.text import escape
from tests import ROOT
from tests.redaction.planted import CORE, names, spaced
from tests.redaction.test_named_secrets import QUOTED, UNQUOTED, tokens
from tests.redaction.test_shaped_secrets import SHAPES, alnum

quick = settings(deadline=None, max_examples=150)
HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) runbook\S* .*")


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("runbook.test", logging.ERROR, __file__, 1, message, arguments or None, raised)


def raised(text: str, how: str) -> Exception:
    """An error that says the text: itself, in the one behind it, in a note, as a key, or in one of a group."""
    try:
        if how == "cause":
            try:
                raise OSError(text)
            except OSError as cause:
                raise RuntimeError("it failed") from cause
        if how == "note":
            noted = ValueError("it failed")
            noted.add_note(text)
            raise noted
        if how == "group":
            raise ExceptionGroup("several", [ValueError(text), KeyError("x")])
        raise {"itself": ValueError, "key": KeyError}[how](text)
    except Exception as error:
        return error


def said(text: str, redactor: Redactor | None = None) -> list[str]:
    """The text in each place where a record can hold one."""
    lines = Lines(redactor or Redactor())
    places = [
        record(text.replace("%", "%%"), 1) if "%" not in text else record(text),
        record("it said %s", text),
        record("%d said %s", 3, text),
        record("it said %(what)s", {"what": text}),
        *(record("it failed", error=raised(text, how)) for how in ("itself", "cause", "note", "group")),
    ]
    return [lines.format(one) for one in places]


@quick
@given(names, tokens, st.sampled_from(UNQUOTED))
def test_an_unquoted_secret_is_in_no_line(name: str, secret: str, form: Callable[[str, str], str]) -> None:
    """Message, argument, exception, the one behind it, notes: a value after a secret's name reaches none of them."""
    assert not [text for text in said(form(name, secret)) if CORE in text]


@quick
@given(names, spaced, st.sampled_from(QUOTED))
def test_a_quoted_secret_is_in_no_line(name: str, secret: str, form: Callable[[str, str], str]) -> None:
    """The same for values in quotes, in JSON and in code."""
    assert not [text for text in said(form(name, secret)) if CORE in text]


@quick
@given(alnum, st.sampled_from(SHAPES))
def test_a_secret_known_by_its_shape_is_in_no_line(secret: str, form: Callable[[str], str]) -> None:
    """The same for headers, addresses, data source names and command lines."""
    assert not [text for text in said(form(secret)) if CORE in text]


@quick
@given(spaced)
def test_a_secret_of_the_settings_is_in_no_line(secret: str) -> None:
    """The same for known values, also as Python's own errors spell them."""
    redactor = Redactor(secrets=[secret])
    lines = Lines(redactor)
    told = [*said(f"no such user: {secret}", redactor), lines.format(record("it was %r", secret))]
    told.append(lines.format(record("it failed", error=raised(secret, "key"))))
    told.append(lines.format(record("it failed", error=raised(f"'\"{secret}", "key"))))
    assert not [text for text in told if CORE in text]


@quick
@given(st.text(st.sampled_from("ab\n\r\t\x0b\x0c\x1c\x1b\x85\u2028\u202e ") | st.characters(), max_size=60))
def test_nothing_reads_as_another_line(text: str) -> None:
    """The first line has the head, all others are indented; nothing breaks a line or moves a cursor."""
    for line in said(text):
        first, *more = line.split("\n")
        assert HEAD.fullmatch(first)
        assert all(one.startswith("    ") for one in more)
        assert escape.block(line) == line
        assert line.splitlines() == line.split("\n")


def test_a_forged_line_is_no_line_of_its_own() -> None:
    """A message with a line break and a head in it stands indented below its own head."""
    forged = "2026-01-15T10:47:00.123Z INFO runbook.runs.runner all is well"
    assert Lines(Redactor()).format(record("%s", f"x\n{forged}")).endswith(f"x\n    {forged}")


def test_the_time_is_utc_in_milliseconds() -> None:
    """Head: the time, the level, the logger."""
    one = record("began")
    one.created = 1768474020.1239
    assert Lines(Redactor()).format(one) == "2026-01-15T10:47:00.123Z ERROR runbook.test began"


def test_a_traceback_tells_file_and_line() -> None:
    """Files read as they are imported: no folder of this machine, the home folder included, stands in a line."""
    home = Path.home() / "x.toml"
    error = raised(f"{home} and {tempfile.gettempdir()}/y and {sys.prefix}/bin/z", "itself")
    text = Lines(Redactor()).format(record("it failed", error=error))
    assert error.__traceback__
    assert f'File "tests/redaction/test_log_lines.py", line {error.__traceback__.tb_lineno}, in raised' in text
    assert "ValueError: ~/x.toml and …/y and " in text
    for folder in (ROOT, Path.home(), tempfile.gettempdir(), sys.prefix):
        assert f"{folder}/" not in text


def test_folders_that_are_private_are_left_out() -> None:
    """What was named private is left out, and other paths are not."""
    text = Lines(Redactor(), Path("/srv/evidence")).format(
        record("%s", "/srv/evidence/INC-1/x, /srv/evidence2 and /etc/hosts")
    )
    assert text.endswith(" …/INC-1/x, /srv/evidence2 and /etc/hosts")


def test_other_formatters_find_nothing_of_ours() -> None:
    """The record is left as it was: whoever else formats it does so by himself."""
    one = record("it failed", error=raised("x", "itself"))
    before = dict(vars(one))
    Lines(Redactor()).format(one)
    assert vars(one) == before


class Unspeakable:
    """Cannot be spelled."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(("message", "arguments"), [("it said %s", (Unspeakable(),)), ("%d of %d", ("x",))])
def test_an_argument_that_cannot_be_spelled_costs_no_line(message: str, arguments: tuple[object, ...]) -> None:
    """The message stays, and says that its arguments could not be."""
    assert f"{message} (its arguments cannot be spelled: " in Lines(Redactor()).format(record(message, *arguments))


def test_a_long_text_is_cut_in_its_middle() -> None:
    """Redacted whole, then cut: its beginning and its end stay."""
    text = Lines(Redactor()).format(record("begin %s end", "password=" + CORE + " a b" * SHOWN))
    assert CORE not in text
    assert "begin " in text
    assert text.endswith(" end")
    assert len(text) < SHOWN + 200


def test_a_text_too_long_to_be_looked_through_is_left_out() -> None:
    """Ten megabytes hold up no run; of an error its type and where it was raised are told all the same."""
    began = time.process_time()
    text = Lines(Redactor()).format(
        record("it failed", error=raised(f"token={CORE}" + "password='a\\'" * MOST, "itself"))
    )
    assert time.process_time() - began < 1
    assert CORE not in text
    assert "in raised" in text
    assert re.search(r"ValueError: \(a text of [\d,]+ characters is left out\)", text)
