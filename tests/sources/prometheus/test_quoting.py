"""Prometheus: text in a query, quoted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import ParameterError
from runbook.sources.prometheus.client import label_matchers, label_values, quote


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_a_quoted_value_cannot_break_out(value: str):
    """Between the outer quotes there is no bare quote, backslash or line break, and unquoting gives the value back."""
    literal = quote(value)
    assert (literal[0], literal[-1]) == ('"', '"')
    assert unquote(literal[1:-1]) == value
    assert literal.isprintable() or not value.isascii()


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), st.text(), max_size=3))
def test_matchers_stand_between_braces(labels: dict[str, str]):
    """Each label is one matcher, whatever its value holds."""
    expected = ",".join(f"{name}={quote(value)}" for name, value in labels.items())
    assert label_matchers(labels) == expected


@pytest.mark.parametrize("name", ["", "a-b", 'a="1"', "1a", "a\n", "ä"])
def test_a_label_name_must_be_one(name: str):
    """A label name cannot be quoted, so anything but a name is refused."""
    with pytest.raises(ParameterError, match="is not a label name"):
        label_matchers({name: "x"})
    with pytest.raises(ParameterError):
        label_values(name, "up", 0, 1)


def test_text_that_is_no_unicode_is_refused():
    """A lone surrogate cannot be sent, and says so instead of failing in a client library."""
    with pytest.raises(ParameterError):
        quote("\ud800")


def unquote(inner: str) -> str:
    """Go's reading of a double-quoted string; an AssertionError where it would have ended."""
    out, rest = "", iter(inner)
    plain = {"\\": "\\", '"': '"', "n": "\n"}
    for character in rest:
        assert character not in '"\n'
        if character == "\\":
            kind = next(rest)
            character = chr(int(next(rest) + next(rest), 16)) if kind == "x" else plain[kind]
        out += character
    return out
