"""Parameters: nothing unknown or ill-typed gets as far as a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import ParameterError
from runbook.runs import parameters
from runbook.runs.parameters import Declared
from tests import ROOT

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC).timestamp()
START = "2026-01-15T10:47:00Z"
KNOWN = {
    "started_at": Declared("started_at", "str", ""),
    "limit": Declared("limit", "int", 3),
    "share": Declared("share", "float", 0.5),
    "deep": Declared("deep", "bool", False),
}


def notebook(*lines: str, cells: int = 1) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [f"{line}\n" for line in lines]}
    return {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# A"}, *[cell] * cells]}


def sentence(function: Any, *arguments: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        function(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert text.endswith(".")
    return text


# --- what a notebook declares


@pytest.mark.parametrize(
    "line",
    [
        "a = 1",
        "a: list = []",
        "a: str",
        "import os",
        "a: str = 'x'; b = 2",
        "print('x')",
        "a: str | None = None",
        "a.b: str = 'x'",
    ],
)
def test_a_line_that_declares_nothing_is_refused(line: str):
    """Each line of the parameters cell is `name: type = value`, so that what is given can be checked against it."""
    assert "`name: type = value`" in sentence(parameters.declared, notebook(line))


def test_a_default_must_be_a_literal_of_its_type():
    """A default that has to be computed, or has another type than declared, is refused."""
    assert "not a literal" in sentence(parameters.declared, notebook("a: str = str(1)"))
    assert "declared as int but is str" in sentence(parameters.declared, notebook("a: int = '1'"))
    assert "declared as int but is bool" in sentence(parameters.declared, notebook("a: int = True"))


def test_a_cell_that_is_no_python_is_refused_with_its_line():
    """A slip in the parameters cell is found by its line."""
    assert "(line 2)" in sentence(parameters.declared, notebook("a: str = 'x'", "b: str = 'y"))


@pytest.mark.parametrize("cells", [0, 2])
def test_a_notebook_needs_exactly_one_parameters_cell(cells: int):
    """Without the tagged cell papermill would put the parameters on top, where the defaults undo them."""
    assert "needs exactly one" in sentence(parameters.declared, notebook("a: str = 'x'", cells=cells))


def test_declarations_are_read_with_their_comments():
    """Name, type, default and comment come from the cell itself, in its order; nothing of it is executed."""
    found = parameters.declared(
        notebook('a: str = "x # y"  # why: because', "b: int = -7", "c: float = 1", "d: bool = True")
    )
    assert list(found.values()) == [
        Declared("a", "str", "x # y", "why: because"),
        Declared("b", "int", -7),
        Declared("c", "float", 1.0),
        Declared("d", "bool", True),
    ]


def test_the_shipped_notebooks_declare_text_only():
    """The notebooks' own parameters are all readable, and all of them are text."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for file in files:
        kinds = {one.kind for one in parameters.declared(json.loads(file.read_text())).values()}
        assert kinds == {"str"}


# --- what is given


def test_an_unknown_name_lists_the_known_and_the_nearest():
    """papermill would only warn about a mistyped name and run with the default."""
    text = sentence(parameters.check, KNOWN, {"start_at": START})
    assert "did you mean started_at?" in text
    assert "deep, limit, share, started_at" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", text) for text in ("", "07", "1.0", "1e3", "x", " 1", "1_000", "١", "0x10", "9" * 30, "true")),
        *(("share", text) for text in ("", "nan", "inf", "1e999", "5%", "0,5", "x", "1_0.0")),
        *(("deep", text) for text in ("", "1", "yes", "TRUE", "on")),
    ],
)
def test_a_text_that_is_not_of_the_declared_type_is_refused(name: str, value: str):
    """Nothing is guessed: a number with a typing error must not become another number."""
    assert f"The parameter {name} is" in sentence(parameters.check, KNOWN, {name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("limit", 1.0), ("limit", True), ("started_at", 7), ("deep", 1), ("share", True)]
)
def test_a_value_of_another_type_is_refused(name: str, value: Any):
    """Whoever calls with values instead of text has to give the declared type."""
    assert f"The parameter {name} is declared as" in sentence(parameters.check, KNOWN, {name: value})


def test_what_papermill_would_convert_stays_text():
    """007 and 10.1 stay what was typed where text is declared."""
    assert parameters.check(KNOWN, {"started_at": "007"}) == {"started_at": "007"}
    assert parameters.check(KNOWN, {"started_at": "10.1"}) == {"started_at": "10.1"}


@given(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text())
def test_values_of_the_declared_types_arrive_unchanged(whole: int, real: float, truth: bool, text: str):
    """Python's own spelling of a value reads back as that value; any text is itself."""
    given_ = {"limit": str(whole), "share": repr(real), "deep": str(truth), "started_at": text}
    assert parameters.check(KNOWN, given_) == {"limit": whole, "share": real, "deep": truth, "started_at": text}
