"""Patterns of log messages: what varies, and what is new."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.alerts.checks.logs.error_messages import patterns as shown
from runbook.analysis.log_patterns import Template, group


def patterns(*lines: str, onset: float | None = None) -> list[str]:
    return sorted(t.pattern for t in group([(float(k), line, 1.0) for k, line in enumerate(lines)], onset))


@pytest.mark.parametrize(
    ("lines", "pattern"),
    [
        (["upstream timeout after 12 ms", "upstream timeout after 7 ms"], "upstream timeout after <*> ms"),
        (["took 12ms", "took 1.5s"], "took <*>"),
        (["GET /api/user/17/edit failed", "GET /api/user/4/edit failed"], "GET /api/user/<*>/edit failed"),
        (["dial tcp 10.0.3.7:3306: refused", "dial tcp 10.1.0.9:3306: refused"], "dial tcp <*>: refused"),
        (["dial tcp [fe80::1%eth0]:80: refused", "dial tcp [::1]:81: refused"], "dial tcp <*>: refused"),
        (["request 8f14e45f-ceea-467f-a9b8-0123456789ab lost"], "request <*> lost"),
        (["key deadbeef01 at 0x7f00", "key 00c0ffee00 at 0x7f10"], "key <*> at <*>"),
        (["2026-01-15T10:40:00.123Z boom", "2026-01-15 10:41:00,5 boom"], "<*> boom"),
        (["mail to ann@example.com bounced"], "mail to <*> bounced"),
        (["pod web-7d9f8b6c5-abcde gone", "pod web-7d9f8b6c5-fghij gone"], "pod <*> gone"),
        (["x509: bad", "x509: bad", "x509: bad"], "x509: bad"),
        (["failed: [1, 2, 3]", "failed: [4]"], "failed: [<*>]"),
        (["\x1b[31mboom\x1b[0m\n  at main"], "boom at main"),
        ([""], ""),
    ],
)
def test_what_varies_becomes_a_wildcard(lines: list[str], pattern: str):
    """Numbers, durations, addresses, identities, times; not what is constant."""
    assert patterns(*lines) == [pattern]


def test_quoted_strings_and_values_vary_where_they_do():
    """Many values are a parameter, two are categories, and both at once are kept apart."""
    users = ["ann", "ben", "cleo", "dan", "eve", "finn", "gus", "hal"]
    lines = [f"user '{u} {v}' is {s}: page={v}" for u in users for v in users for s in ("gone", "late")]
    assert patterns(*lines) == ["user '<*>' is gone: page=<*>", "user '<*>' is late: page=<*>"]
    assert patterns(*(f"state={s}" for s in ("up", "down") * 10)) == ["state=down", "state=up"]


def test_a_word_varies_where_many_stand_in_its_place():
    """Eight names are a parameter, three servers are not."""
    users = ["ann", "ben", "cleo", "dan", "eve", "finn", "gus", "hal"]
    assert patterns(*(f"failed to load user {u}" for u in users * 3)) == ["failed to load user <*>"]
    servers = ["mysql", "redis", "kafka"]
    assert len(patterns(*(f"lost connection to {s}" for s in servers * 10))) == 3


WORDS = st.lists(
    st.sampled_from(["lost", "user", "ann", "'x y'", "12", "a=b", "10.0.0.1", "id=7f", "\x00"]), max_size=6
)
LINES = st.lists(st.tuples(st.floats(0, 100), WORDS.map(" ".join), st.sampled_from([1.0, 2.5])), max_size=40)


@given(LINES, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(lines: list[tuple[float, str, float]], mixed: random.Random):
    """Equal messages give equal templates, and every message is counted once, with its weight."""
    found = group(lines, 50.0)
    shuffled = list(lines)
    mixed.shuffle(shuffled)
    again = group(shuffled, 50.0)
    assert [(t.pattern, t.new, t.first_seen) for t in again] == [(t.pattern, t.new, t.first_seen) for t in found]
    assert sum(t.before for t in found) == pytest.approx(sum(w for t, _, w in lines if t < 50))
    assert sum(t.since for t in found) == pytest.approx(sum(w for t, _, w in lines if t >= 50))
    assert [t.since for t in found] == sorted((t.since for t in found), reverse=True)


def since_and_before(before: int, since: int, weight: float = 1.0) -> list[tuple[float, str, float]]:
    """An hour before and ten minutes since time 0: the usual message, and another as often as said."""
    usual = [(float(t), "usual", 1.0) for t in range(-3600, 600, 60)]
    early = [(-3000.0 + 2400 * k / max(1, before), "strange", weight) for k in range(before)]
    return [*usual, *early, *((600.0 * k / max(1, since), "strange", 1.0) for k in range(since))]


def strange(messages: list[tuple[float, str, float]], onset: float | None = 0.0) -> Template:
    return next(t for t in group(messages, onset) if t.pattern == "strange")


def test_what_is_unheard_of_before_is_new():
    """Also where a single one came long before; not where it was usual, at whatever rate it is now."""
    assert strange(since_and_before(0, 50)).new
    assert strange(since_and_before(1, 50)).new
    assert not strange(since_and_before(30, 50)).new
    assert not strange(since_and_before(0, 2)).new
    assert not strange(since_and_before(0, 50), onset=None).new


def test_messages_just_before_the_onset_do_not_make_it_old():
    """The onset is known to a minute or so."""
    early = [(-60.0 + k, "strange", 1.0) for k in range(20)]
    assert strange([*since_and_before(0, 50), *early]).new


def test_silence_in_a_thin_sample_does_not_make_it_new():
    """One message in 500 was kept before the onset: that this one is not among them says little."""
    usual = [(float(t), "usual", 500.0) for t in range(-3600, 0, 60)]
    few = [(100.0 * k, "strange", 1.0) for k in range(6)]
    assert not strange([*usual, *few]).new
    assert strange([*((t, m, 1.0) for t, m, _ in usual), *few]).new


def test_when_a_pattern_was_first_seen_is_kept():
    """The time of its earliest message, whatever the order."""
    found = group([(5.0, "lost 7", 2.0), (3.0, "lost\n\u202e 3" + "x" * 500, 1.0), (9.0, "lost 9", 2.0)], 4.0)
    assert [(t.before, t.since, t.first_seen) for t in found] == [(0.0, 4.0, 5.0), (1.0, 0.0, 3.0)]


@pytest.mark.parametrize("line", ["x", '"', "'a", "1:", "a1 ", "<*>", "=", "a=", "1.", "::", "a@", "\x00", "[", "é "])
def test_a_line_of_a_megabyte_takes_no_time(line: str):
    """Whatever it repeats, only its beginning is read, in time that grows with its length."""
    began = time.process_time()
    (found,) = group([(0.0, line * (1_000_000 // len(line)), 1.0)], None)
    assert time.process_time() - began < 0.5
    assert len(found.pattern) <= 200
    assert found.pattern.isprintable()


def test_many_messages_take_little_time():
    """Five thousand different lines in a second or two."""
    mixed = random.Random(1)
    lines = [
        (float(k), f"user {mixed.random()} lost /page/{mixed.getrandbits(64):x} in {k} ms", 1.0) for k in range(5_000)
    ]
    began = time.process_time()
    assert len(group(lines, 2_500.0)) == 1
    assert time.process_time() - began < 4


def test_the_word_new_agrees_with_the_count_beside_it():
    """What came within the onset's uncertainty is held against nobody; a pattern surely heard of before has no chip."""
    usual = [(float(t), "usual", 1.0) for t in range(0, 2400, 60)]
    just_before = [(1160.0 + n, "brand-new trouble", 1.0) for n in range(40)]
    since = [(1200.0 + n * 8, word, 1.0) for n in range(140) for word in ("brand-new trouble", "almost none before")]
    rare = [(30.0, "almost none before", 1.0)]
    found = group([*usual, *just_before, *since, *rare], 1200.0)
    rows = {row[0]: row[1:] for row in shown(found).rows}
    assert rows["brand-new trouble"] == ("new", "0", "140")
    assert rows["almost none before"] == ("", "1", "140")
    assert {t.pattern for t in found if t.new} == {"brand-new trouble", "almost none before"}
