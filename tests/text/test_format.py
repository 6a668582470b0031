"""Numbers and times as words."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.text.format import (
    bytes_text,
    clock_text,
    count_text,
    days_text,
    duration_text,
    plain_text,
    plural,
    share_text,
)

MORNING = 1768473600.0  # 15 January 2026, 10:40 UTC
DAY = 86_400.0


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.151, "15.1 %"),
        (0.05, "5 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0004, "0.04 %"),
        (0.00004, "< 0.01 %"),
        (0.9996, "99.96 %"),
        (0.99999, "> 99.99 %"),
        (-0.02, "-2 %"),
        (13.2, "1,320 %"),
        (nan, "an unknown share"),
        (inf, "an unknown share"),
    ],
)
def test_a_share_is_said_in_per_cent(share: float, said: str):
    """One decimal at most where that is enough, two where it would say nothing or all."""
    assert share_text(share) == said


@given(st.floats(min_value=0, max_value=1))
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float):
    """0 % and 100 % are said of exactly these."""
    assert (share_text(share) == "0 %") == (share == 0)
    assert (share_text(share) == "100 %") == (share * 100 == 100)


@pytest.mark.parametrize(("count", "said"), [(4812, "4,812"), (0, "0"), (1788.4, "1,788"), (nan, "an unknown number")])
def test_a_count_has_its_thousands_apart(count: float, said: str):
    """Counts of scaled-up samples are rounded."""
    assert count_text(count) == said


def test_a_count_and_its_noun_agree():
    """One thing is no plural."""
    assert [plural(1, "request"), plural(0, "request"), plural(4812, "request")] == [
        "1 request",
        "0 requests",
        "4,812 requests",
    ]


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
        "from runbook.text.format import *\n"
        f"print(clock_text({MORNING}), days_text({MORNING}, {MORNING}), count_text(4812), share_text(0.151))"
    )
    elsewhere = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=elsewhere, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "10:40 UTC 15 January 2026 4,812 15.1 %\n"


def test_plain_text_is_one_visible_line():
    """Control and bidirectional characters go, white space becomes one space, the middle of a long text an ellipsis."""
    assert plain_text("\x1b[31ma\n\t b\u202e\u2066c\x00") == "[31ma bc"
    assert plain_text("abcdefghijklmnop", 9) == "abcde…nop"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_plain_text_keeps_to_its_limit(text: str, limit: int):
    """Whatever the text, it is at most so long and printable."""
    plain = plain_text(text, limit)
    assert len(plain) <= limit
    assert plain.isprintable()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (900, "900 B"),
        (24 * 2**10, "24 KiB"),
        (4.2 * 2**20, "4.2 MiB"),
        (500 * 2**20, "500 MiB"),
        (1023.9 * 2**20, "1 GiB"),
        (1.5 * 2**30, "1.5 GiB"),
        (-3 * 2**20, "-3 MiB"),
        (float("nan"), "an unknown amount"),
    ],
)
def test_an_amount_of_memory_is_told_in_its_unit(count: float, text: str):
    """Binary units, three digits at most below the next unit."""
    assert bytes_text(count) == text
