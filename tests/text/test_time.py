"""Times as people and files spell them."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.text import time
from runbook.text.time import clock_text, days_text, duration_text

MORNING = 1768473600.0  # 15 January 2026, 10:40 UTC
DAY = 86_400.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.0042, "4.2 ms"),
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (40, "40 s"),
        (59.7, "1 min"),
        (60, "1 min"),
        (75, "75 s"),
        (119, "119 s"),
        (149, "2 min"),
        (120, "2 min"),
        (3599, "1 h"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (86_400, "24 h"),
        (273_600, "3 d 4 h"),
        (-120, "-2 min"),
        (nan, "an unknown time"),
    ],
)
def test_a_duration_is_said_in_its_largest_units(seconds: float, said: str):
    """Seconds, minutes, hours with minutes, days with hours."""
    assert duration_text(seconds) == said


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_is_said_nearly_as_it_is(seconds: float):
    """What is said, read back, is right within a twentieth, or half a minute from two minutes on."""
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": DAY}
    words = duration_text(seconds).split()
    read = sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(read - seconds) <= max(0.05 * seconds, 30 if seconds >= 119 else 1e-4)


def test_a_time_is_said_in_utc():
    """With seconds where wanted; what the calendar does not know is unknown."""
    assert clock_text(MORNING + 59.9) == "10:40 UTC"
    assert clock_text(MORNING + 59.9, seconds=True) == "10:40:59 UTC"
    assert [clock_text(1e20), clock_text(nan), clock_text(inf)] == ["an unknown time"] * 3


def test_a_time_of_another_day_says_which():
    """The date stands before the clock only where it is not that of the reference, the year only where it differs."""
    assert clock_text(MORNING, MORNING + 3600) == "10:40 UTC"
    assert clock_text(MORNING - DAY, MORNING) == "14 January 10:40 UTC"
    assert clock_text(MORNING - 15 * DAY, MORNING) == "31 December 2025 10:40 UTC"


def test_days_are_said_as_shortly_as_is_clear():
    """One day, two of a month, of two months, of two years."""
    assert days_text(MORNING, MORNING) == "15 January 2026"
    assert days_text(MORNING, MORNING + DAY) == "15–16 January 2026"
    assert days_text(MORNING, MORNING + 20 * DAY) == "15 January – 4 February 2026"
    assert days_text(MORNING - 15 * DAY, MORNING) == "31 December 2025 – 15 January 2026"


def test_words_do_not_depend_on_the_machine():
    """Another time zone and locale say the same."""
    program = (
        "import locale; locale.setlocale(locale.LC_ALL, '')\n"
        "from runbook.text.time import *\n"
        f"print(clock_text({MORNING}), days_text({MORNING}, {MORNING}), duration_text(75))"
    )
    elsewhere = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=elsewhere, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "10:40 UTC 15 January 2026 75 s\n"


def test_one_time_has_one_spelling_for_each_place():
    """On an axis, in a window, in a file, in a name, in an address."""
    moment = MORNING + 7.25
    assert [time.clock(moment), time.clock(moment, seconds=True), time.short_day(moment)] == [
        "10:40",
        "10:40:07",
        "15 Jan",
    ]
    assert time.window(moment, moment + 3600) == "10:40–11:40 UTC, 15 January 2026"
    assert [time.iso(moment), time.iso(moment, milliseconds=True)] == [
        "2026-01-15T10:40:07Z",
        "2026-01-15T10:40:07.250Z",
    ]
    assert [time.minute(moment), time.second(moment)] == ["2026-01-15 10:40", "2026-01-15 10:40:07"]
    assert time.stamp(moment) == "20260115T104007Z"


@pytest.mark.parametrize("moment", [nan, inf, 1e20])
def test_a_file_holds_no_time_that_is_none(moment: float):
    """A name or a field with a time that the calendar does not have is refused."""
    with pytest.raises((ValueError, OverflowError, OSError)):
        time.iso(moment)
