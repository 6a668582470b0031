"""Parameters: nothing unknown, ill-typed, impossible or dangerous gets as far as a run."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
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


# --- times


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a time like"),
        ("yesterday", "a time like"),
        ("2026-13-01T00:00:00Z", "a time like"),
        ("2026-01-15T10:47:00Z\nx", "a time like"),
        ("1768474020", "a time like"),
        ("2026-01-15", "with its zone"),
        ("2026-01-15T10:47:00", "with its zone"),
        ("0001-01-01T00:00:00Z", "since the year 2000"),
        ("1999-12-31T23:59:59Z", "since the year 2000"),
        ("2026-01-15T12:02:01Z", "that has passed"),
        ("9999-12-31T23:59:59-23:59", "that has passed"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(text: str, told: str):
    """Unreadable, without a zone, before 2000 or in the future: each is told with what was expected."""
    assert told in sentence(parameters.moment, "started_at", text, NOW)


@pytest.mark.parametrize("which", ["ended_at", "mitigated_at"])
def test_nothing_ends_before_it_started(which: str):
    """An end or a mitigation before the alert's start is a mix-up."""
    early = {"ended_at": "", "mitigated_at": "", which: "2026-01-15T10:46:59Z"}
    assert f"{which} (2026-01-15T10:46:59Z) is before started_at" in sentence(
        lambda: parameters.span(START, "90m", now=NOW, **early)
    )


def test_a_clock_a_little_ahead_is_forgiven():
    """Another machine's clock may be two minutes ahead of ours; the alert then started now."""
    assert parameters.moment("started_at", "2026-01-15T12:01:30Z", NOW) == NOW


def test_a_window_is_not_months_long_because_its_end_was_forgotten():
    """An alert that started more than 7 days ago needs an end near to it; recordings are replayed as they are."""
    day = 86_400
    assert parameters.span(START, "90m", "", "", NOW + 6 * day).ended_at is None
    told = "The alert started 30 d 1 h ago; say where the window ends by ended_at (--ended-at), at most 7 d later."
    assert sentence(parameters.span, START, "90m", "", "", NOW + 30 * day) == told
    late = "2026-02-15T10:47:00Z"
    told = "The parameter ended_at is 31 d after started_at; a window has at most 7 d."
    assert sentence(parameters.span, START, "90m", late, "", NOW + 60 * day) == told
    assert parameters.span(START, "90m", late, "", math.inf).ended_at


def test_a_replay_knows_no_future():
    """A recording may be of a time that this machine's clock has not reached."""
    assert parameters.span("2090-01-01T00:00:00Z", "5m", "", "", math.inf).started_at > NOW


def test_alertmanagers_spelling_is_read():
    """startsAt comes with nanoseconds and with any offset."""
    assert parameters.moment("started_at", "2026-01-15T12:47:00.123456789+02:00", NOW) == pytest.approx(
        1768474020.123456
    )


@given(st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_every_time_with_an_offset_is_the_same_moment(naive: datetime, minutes: int):
    """What Python writes with an offset reads back as the same epoch seconds."""
    aware = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parameters.moment("started_at", aware.isoformat(), NOW) == pytest.approx(aware.timestamp(), abs=1e-6)


@given(st.text(max_size=40))
def test_no_text_makes_anything_but_a_time_or_one_sentence(text: str):
    """Any text is a time between 2000 and now, or a ParameterError."""
    try:
        assert parameters.EARLIEST <= parameters.moment("started_at", text, NOW) <= NOW
    except ParameterError as error:
        assert "\n" not in str(error)


# --- lookback


@pytest.mark.parametrize(
    "text", ["", "90", "90 m", "m", "1.5h", "-5m", "1w", "90m\n2", "007m", "٩m", "1h1h1h1h1h", "9" * 12 + "s"]
)
def test_a_duration_that_is_none_is_refused(text: str):
    """A number needs its unit, so that nobody has to guess it."""
    assert "a duration like 90m" in sentence(parameters.seconds, "lookback", text)


@pytest.mark.parametrize("text", ["0m", "4m", "299s", "8d", "169h", "604801s"])
def test_a_duration_out_of_bounds_is_refused(text: str):
    """Less than 5 minutes shows nothing, more than 7 days asks too much."""
    assert "from 5m to 7d" in sentence(parameters.seconds, "lookback", text)


@pytest.mark.parametrize(
    ("text", "expected"), [("5m", 300), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("7d", 604800), (" 1d ", 86400)]
)
def test_durations_are_read(text: str, expected: int):
    """Seconds, minutes, hours and days, alone or together."""
    assert parameters.seconds("lookback", text) == expected


# --- incidents


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../INC-2026-01-15-01",
        "INC-2026-01-15-01/..",
        "/etc/passwd",
        "INC-2026-01-15-01\n",
        "INC-2026-01-15-01\nx",
        "A-" + "1" * 300,
        "-".join(["AB"] * 40),
        "INC 1",
        "INC-2026-1-5-1",
        "INC-2026-13-01-01",
        "INC-2026-02-30-01",
        "INC-2026-01-15",
        "inc-x",
        "-INC-1",
        ".hidden-1",
        "INC-２０２６-01-15-01",
        "PD-$(id)",
        "lonely",
    ],
)
def test_an_id_that_is_no_safe_folder_name_is_refused(text: str):
    """An incident's ID becomes a folder's name and part of commands."""
    assert "incident" in sentence(parameters.incident_id, text)


@pytest.mark.parametrize("text", ["INC-2026-01-15-01", "INC-2026-01-15-123", "PD-4711", "OPS-2026-q1-x9"])
def test_ours_and_other_trackers_ids_are_accepted(text: str):
    """INC-YYYY-MM-DD-XX, or the number that another tracker gave."""
    assert parameters.incident_id(text) == text


@given(st.text(max_size=80))
def test_an_accepted_id_is_one_harmless_path_component(text: str):
    """Whatever is accepted stays inside the evidence folder and needs no quoting."""
    try:
        accepted = parameters.incident_id(text)
    except ParameterError:
        return
    assert accepted == text
    assert Path(text).name == text
    assert text.isascii()
    assert text.replace("-", "").isalnum()


def test_the_next_id_follows_the_highest_of_the_day():
    """A new incident gets the number after the last one of its UTC day, and the first of a day gets 01."""
    taken = ["INC-2026-01-15-01", "INC-2026-01-15-09", "INC-2026-01-14-30", "INC-2026-01-15-x", "PD-1"]
    started = datetime(2026, 1, 15, 23, 59, tzinfo=UTC).timestamp()
    assert parameters.next_incident_id(started, taken) == "INC-2026-01-15-10"
    assert parameters.next_incident_id(started, ["INC-2026-01-15-99"]) == "INC-2026-01-15-100"
    assert parameters.next_incident_id(started + 60, taken) == "INC-2026-01-16-01"
