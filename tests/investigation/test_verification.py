"""Whether the service recovered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import nan

import msgspec
import pytest

from runbook.alerts.high_error_rate import ALERT
from runbook.clock import Frozen
from runbook.investigation.verification import EVERY_SECONDS, PATIENCE, judge, verify
from runbook.model import Answer, Query, Recovery, Series
from tests.fakes import SERVICE, STARTED, Scripted, context, line, nothing

HIGH, LOW = 12.0, 1.0


def series(*stretches: tuple[float, int]) -> Series:
    """Values at 15 s, from (value, minutes) stretches."""
    values = [value for value, minutes in stretches for _ in range(minutes * 4)]
    return Series("now", tuple(15.0 * i for i in range(len(values))), tuple(values))


@pytest.mark.parametrize(
    ("stretches", "outcome"),
    [
        ([], "not enough data"),
        ([(nan, 10)], "not enough data"),
        ([(LOW, 3)], "not enough data"),
        ([(LOW, 6)], "recovered"),
        ([(HIGH, 4), (LOW, 6)], "recovered"),
        ([(HIGH, 10)], "not recovered"),
        ([(HIGH, 4), (LOW, 3)], "not recovered"),
        ([(LOW, 3), (HIGH, 2)], "not recovered"),
        ([(LOW, 6), (HIGH, 2)], "relapsed"),
        ([(LOW, 6), (HIGH, 2), (LOW, 2)], "not recovered"),
        ([(LOW, 6), (HIGH, 2), (LOW, 6)], "recovered"),
        ([(5.0, 6)], "recovered"),
    ],
)
def test_recovery_needs_five_whole_minutes_below_the_threshold(stretches: list[tuple[float, int]], outcome: str):
    """Five minutes in a row at or below the threshold, up to the newest value, and with data, are a recovery."""
    assert judge(series(*stretches), threshold=5.0, seconds=300) == outcome


def test_a_gap_in_the_data_is_no_calm():
    """Silence is not health: values on both sides of a long gap do not make one calm stretch."""
    assert judge(series((LOW, 1), (nan, 6), (LOW, 1)), threshold=5.0, seconds=300) == "not enough data"


def test_a_value_long_ago_is_none_of_now():
    """Calm, and then nothing for most of an hour, says nothing about now; a missed scrape or two does not matter."""
    assert judge(series((LOW, 7), (nan, 53)), threshold=5.0, seconds=300) == "not enough data"
    assert judge(series((HIGH, 7), (nan, 53)), threshold=5.0, seconds=300) == "not enough data"
    assert judge(series((LOW, 7), (nan, 1)), threshold=5.0, seconds=300) == "recovered"


# --- the whole verification, with a source that answers from functions

FAILED, ALL, HEALTH, WORK = ("http_requests_total", "5.."), ("http_requests_total",), ("/health",), ("/api/",)
Answering = Callable[[Query], Answer]


def answering(status: int) -> Answering:
    return lambda query: Answer(query, "complete", {"status": status, "error": None})


def partly(answer: Answering) -> Answering:
    return lambda query: replace(answer(query), completeness="partial", warnings=("a store is unavailable",))


GOOD = {FAILED: line(lambda t: 0.5), ALL: line(lambda t: 50.0), HEALTH: answering(200), WORK: answering(200)}


def check(source: Scripted, told: list[str] | None = None, interval: int = 15, **changes: object) -> Recovery:
    """The verification of a mitigation at the alert's start, seen from half an hour later unless said otherwise."""
    said = [] if told is None else told

    def tell(progress: str) -> None:
        said.append(progress)
        assert len(said) < 100, "it would watch for ever"

    service = msgspec.structs.replace(SERVICE, scrape_interval_seconds=interval)
    seen = context(service=service, mitigated_at=STARTED, now=STARTED + 1800, end=STARTED + 1800)
    seen = replace(seen, **changes)  # type: ignore[arg-type]
    return verify(
        seen,
        ALERT.recovery,
        ask=lambda queries: {name: source.ask(query) for name, query in queries.items()},
        clock=Frozen(seen.now),
        tell=tell,
    )


def without(*keys: tuple[str, ...]) -> Scripted:
    """All is well, but these questions get no answer."""

    def down(query: Query) -> Answer:
        return Answer(query, "failed", error=f"{query.source} is down; start it.")

    return Scripted({**GOOD, **dict.fromkeys(keys, down)})


def test_a_recovery_is_told():
    """A low share for five minutes and endpoints that answer are a recovery, at the first look."""
    told: list[str] = []
    found = check(Scripted(GOOD), told)
    assert found.state == "recovered"
    assert found.sentence == (
        "Recovered: at or below 5 % of requests for the last 5 min; /health and /api/username/test answer."
    )
    assert told == []


def test_no_failures_at_all_are_a_recovery():
    """No series of failed requests is an answer: none failed."""
    assert check(Scripted({**GOOD, FAILED: nothing})).state == "recovered"


@pytest.mark.parametrize(("key", "name"), [(FAILED, "failed"), (ALL, "total")])
def test_a_question_without_answer_is_no_recovery(key: tuple[str, ...], name: str):
    """Where one of the two answers did not come nothing has recovered, and the sentence says which and why."""
    found = check(without(key))
    assert found.state == "not enough data"
    assert f"the query “{name}” got no answer (prometheus is down; start it)" in found.sentence
    assert "Recovered" not in found.sentence


@pytest.mark.parametrize(("key", "name"), [(FAILED, "failed"), (ALL, "total")])
def test_part_of_an_answer_is_no_recovery(key: tuple[str, ...], name: str):
    """What is missing from an answer may be what still fails."""
    found = check(Scripted({**GOOD, key: partly(GOOD[key])}))
    assert found.state == "not enough data"
    assert f"the query “{name}” got only part of its answer (a store is unavailable)" in found.sentence


def test_failures_seen_in_part_of_an_answer_are_failures():
    """A partial answer may still show that it did not recover, and says that it is partial."""
    found = check(Scripted({**GOOD, FAILED: partly(line(lambda t: 9.0))}))
    assert found.state == "not recovered"
    assert found.sentence.startswith("Not recovered: not at or below 5 % of requests for 5 min in a row")
    assert "as far as is known: the query “failed” got only part" in found.sentence


def test_an_answer_that_comes_later_counts():
    """A question that fails at first is asked again, later, until patience ends."""
    calls: list[int] = []

    def late(query: Query) -> Answer:
        calls.append(query.params["end"])
        return Answer(query, "failed", error="slow.") if len(calls) < 3 else GOOD[FAILED](query)

    found = check(Scripted({**GOOD, FAILED: late}), now=STARTED + 600, end=STARTED + 600)
    assert found.state == "recovered"
    assert calls == [STARTED + 600, STARTED + 630, STARTED + 660]


def test_data_that_stopped_is_told():
    """Where the values ended long ago the sentence says since when."""
    found = check(Scripted({**GOOD, ALL: line(lambda t: 50.0 if t <= STARTED + 420 else nan)}))
    assert found.state == "not enough data"
    assert found.sentence.startswith("Not enough data to say: no values since 10:54 UTC")


@pytest.mark.parametrize("interval", [7, 15, 16, 40, 120])
def test_watching_ends_whatever_the_scrape_interval(interval: int):
    """Each look asks about a later moment in whole scrapes, the last one as late as patience allows."""
    source = Scripted({**GOOD, FAILED: line(lambda t: 9.0)})
    told: list[str] = []
    assert check(source, told, interval, now=STARTED + 20, end=STARTED + 20).state == "not recovered"
    keys = [query.key for query in source.asked]
    assert len(keys) == len(set(keys))
    ends = [query.params["end"] - STARTED for query in source.asked if query.kind == "range"][::2]
    patience = PATIENCE * ALERT.recovery.seconds
    assert ends == sorted(ends)
    assert patience - interval < ends[-1] <= patience
    assert len(told) <= patience / EVERY_SECONDS


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({HEALTH: answering(500)}, "but /health does not"),
        ({HEALTH: answering(500), WORK: answering(404)}, "but /health and /api/username/test do not"),
    ],
)
def test_an_endpoint_that_does_not_answer_well_is_no_recovery(changes: dict[tuple[str, ...], Answering], bad: str):
    """The sentence begins with the state that it explains, and says what speaks against a recovery."""
    found = check(Scripted({**GOOD, **changes}))
    assert found.state == "not recovered"
    assert found.sentence.startswith("Not recovered: at or below 5 % of requests")
    assert bad in found.sentence


def test_endpoints_that_could_not_be_asked_are_no_recovery():
    """Who cannot ask an endpoint does not know; the sentence says which, and why."""
    found = check(without(HEALTH, WORK))
    assert found.state == "not enough data"
    assert found.sentence.startswith("Not enough data to say: at or below 5 % of requests for the last 5 min, but the")
    assert found.sentence.endswith("endpoints could not be asked: probe is down; start it.")
    assert check(without(WORK)).sentence.endswith("but /api/username/test could not be asked: probe is down; start it.")


@pytest.mark.parametrize("failing", [0.5, 9.0])
@pytest.mark.parametrize("health", [200, 500])
@pytest.mark.parametrize("stop", [200, 420, 1800])
@pytest.mark.parametrize("turn", [0, 700, 1700])
def test_state_and_sentence_agree(failing: float, health: int, stop: int, turn: int):
    """Whatever happens, the sentence begins with its state, and only a recovery says Recovered."""
    heads = {
        "recovered": "Recovered: ",
        "relapsed": "Relapsed: ",
        "not recovered": "Not recovered: ",
        "not enough data": "Not enough data to say: ",
    }
    share = line(lambda t: (failing if t >= STARTED + turn else 0.5) if t <= STARTED + stop else nan)
    every = line(lambda t: 50.0 if t <= STARTED + stop else nan)
    found = check(Scripted({**GOOD, FAILED: share, ALL: every, HEALTH: answering(health)}))
    assert found.sentence.startswith(heads[found.state])
    assert found.sentence.count("ecovered") == (found.state in ("recovered", "not recovered"))
