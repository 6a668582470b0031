"""Times, durations and incidents' IDs: nothing impossible or dangerous gets as far as a run."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import ParameterError
from runbook.investigation import window

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC).timestamp()
START = "2026-01-15T10:47:00Z"


def sentence(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        function(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert text.endswith(".")
    return text


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
    assert told in sentence(window.moment, "started_at", text, NOW)


@pytest.mark.parametrize("which", ["ended_at", "mitigated_at"])
def test_nothing_ends_before_it_started(which: str):
    """An end or a mitigation before the alert's start is a mix-up."""
    early = {"ended_at": "", "mitigated_at": "", which: "2026-01-15T10:46:59Z"}
    assert f"{which} (2026-01-15T10:46:59Z) is before started_at" in sentence(
        lambda: window.span(START, "90m", now=NOW, **early)
    )


def test_a_clock_a_little_ahead_is_forgiven():
    """Another machine's clock may be two minutes ahead of ours; the alert then started now."""
    assert window.moment("started_at", "2026-01-15T12:01:30Z", NOW) == NOW


def test_a_window_is_not_months_long_because_its_end_was_forgotten():
    """An alert that started more than 7 days ago needs an end near to it; recordings are replayed as they are."""
    day = 86_400
    assert window.span(START, "90m", "", "", now=NOW + 6 * day).ended_at is None
    told = "The alert started 30 d 1 h ago; say where the window ends by ended_at (--ended-at), at most 7 d later."
    assert sentence(window.span, START, "90m", "", "", now=NOW + 30 * day) == told
    late = "2026-02-15T10:47:00Z"
    told = "The parameter ended_at is 31 d after started_at; a window has at most 7 d."
    assert sentence(window.span, START, "90m", late, "", now=NOW + 60 * day) == told
    assert window.span(START, "90m", late, "", now=math.inf).ended_at


def test_a_replay_knows_no_future():
    """A recording may be of a time that this machine's clock has not reached."""
    assert window.span("2090-01-01T00:00:00Z", "5m", "", "", now=math.inf).started_at > NOW


def test_alertmanagers_spelling_is_read():
    """startsAt comes with nanoseconds and with any offset."""
    assert window.moment("started_at", "2026-01-15T12:47:00.123456789+02:00", NOW) == pytest.approx(1768474020.123456)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_every_time_with_an_offset_is_the_same_moment(naive: datetime, minutes: int):
    """What Python writes with an offset reads back as the same epoch seconds."""
    aware = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert window.moment("started_at", aware.isoformat(), NOW) == pytest.approx(aware.timestamp(), abs=1e-6)


@given(st.text(max_size=40))
def test_no_text_makes_anything_but_a_time_or_one_sentence(text: str):
    """Any text is a time between 2000 and now, or a ParameterError."""
    try:
        assert window.EARLIEST <= window.moment("started_at", text, NOW) <= NOW
    except ParameterError as error:
        assert "\n" not in str(error)


# --- lookback


@pytest.mark.parametrize(
    "text", ["", "90", "90 m", "m", "1.5h", "-5m", "1w", "90m\n2", "007m", "٩m", "1h1h1h1h1h", "9" * 12 + "s"]
)
def test_a_duration_that_is_none_is_refused(text: str):
    """A number needs its unit, so that nobody has to guess it."""
    assert "a duration like 90m" in sentence(window.seconds, "lookback", text)


@pytest.mark.parametrize("text", ["0m", "4m", "299s", "8d", "169h", "604801s"])
def test_a_duration_out_of_bounds_is_refused(text: str):
    """Less than 5 minutes shows nothing, more than 7 days asks too much."""
    assert "from 5m to 7d" in sentence(window.seconds, "lookback", text)


@pytest.mark.parametrize(
    ("text", "expected"), [("5m", 300), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("7d", 604800), (" 1d ", 86400)]
)
def test_durations_are_read(text: str, expected: int):
    """Seconds, minutes, hours and days, alone or together."""
    assert window.seconds("lookback", text) == expected


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
    assert "incident" in sentence(window.incident_id, text)


@pytest.mark.parametrize("text", ["INC-2026-01-15-01", "INC-2026-01-15-123", "PD-4711", "OPS-2026-q1-x9"])
def test_ours_and_other_trackers_ids_are_accepted(text: str):
    """INC-YYYY-MM-DD-XX, or the number that another tracker gave."""
    assert window.incident_id(text) == text


@given(st.text(max_size=80))
def test_an_accepted_id_is_one_harmless_path_component(text: str):
    """Whatever is accepted stays inside the evidence folder and needs no quoting."""
    try:
        accepted = window.incident_id(text)
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
    assert window.next_incident_id(started, taken) == "INC-2026-01-15-10"
    assert window.next_incident_id(started, ["INC-2026-01-15-99"]) == "INC-2026-01-15-100"
    assert window.next_incident_id(started + 60, taken) == "INC-2026-01-16-01"
