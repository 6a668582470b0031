"""SlowResponses: which endpoints and which queries are slow."""

from __future__ import annotations

from math import nan

from runbook.alerts.checks.database import slow_queries
from runbook.alerts.checks.requests import paths
from runbook.alerts.checks.toolkit.duration_breakdown import _by as named_by
from tests.alerts.slow_responses.answers import Rate, Told, asked, judged, kind, known, several
from tests.fakes import nothing


def kinds(**rows: dict[str, tuple[Rate, ...]]) -> dict[tuple[str, ...], Told]:
    """Kinds named "GET_/x" or "select_users", as a histogram's p95, seconds and number tell of them."""

    def labels(name: str) -> dict[str, str]:
        first, _, second = name.partition("_")
        return {"method": first, "path": second, "operation": first, "table": second}

    return {
        (part,): several(*((labels(name), row[part][0]) for name, row in rows.items()))
        for part in ("histogram_quantile", "_sum", "_count")
    }


FAST, SLOW = kind((0.03, 0.03), (0.01, 0.01)), kind((0.03, 3.1), (0.01, 1.2))


class TestPaths:
    def test_the_slow_one_is_named(self) -> None:
        """One endpoint above the threshold, with its time before, and the others that are as before."""
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": FAST, "GET_/display": FAST}))
        facts = known(paths.Facts, found)
        assert (facts.slow, facts.some, facts.all, facts.top) == (("GET /edit",), True, False, "GET /edit")
        assert found.sentence.startswith("GET /edit with a p95 of 3.1 s (30 ms before)")
        assert "GET /, GET /display" in found.sentence

    def test_all_of_them(self) -> None:
        """Where every endpoint is slow, none of them is to blame; the health check, doing nothing, does not count."""
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": SLOW, "GET_/health": FAST}))
        facts = known(paths.Facts, found)
        assert (facts.all, facts.some) == (True, False)
        assert found.sentence.startswith("All of them; the slowest is ")

    def test_what_is_slower_below_the_threshold_is_not_as_before(self) -> None:
        """Seven times slower, at 1.4 s: not above the limit, yet not spared."""
        slower = kind((0.2, 1.4), (0.1, 0.6))
        found = judged(paths.CHECK, kinds(**{"GET_/edit": SLOW, "GET_/": slower}))
        facts = known(paths.Facts, found)
        assert (facts.slow, facts.slower, facts.all) == (("GET /edit",), ("GET /edit", "GET /"), True)
        assert found.sentence.startswith("1 of 2 are above 2 s, the others also slower than before; ")

    def test_none(self) -> None:
        """No endpoint is above the threshold."""
        assert judged(paths.CHECK, kinds(**{"GET_/": FAST})).status == "normal"

    def test_without_data_it_is_not_known(self) -> None:
        """No series, or a source that is down, names no endpoint."""
        assert judged(paths.CHECK, {("histogram",): nothing}).status == "unknown"
        assert "down" in judged(paths.CHECK, {}).sentence


class TestQueries:
    def test_the_slow_kind_is_named_with_how_much_it_grew(self) -> None:
        """A missing index: one operation on one table, the others as fast as before."""
        found = judged(slow_queries.CHECK, kinds(select_users=SLOW, update_users=FAST, select_sessions=FAST))
        facts = known(slow_queries.Facts, found)
        assert (facts.operation, facts.table, facts.alone) == ("select", "users", True)
        assert found.sentence.startswith("SELECT on table users, with a p95 of 3.1 s (30 ms before)")
        assert "the other queries" in found.sentence

    def test_the_whole_database(self) -> None:
        """All kinds have become slow together."""
        found = judged(slow_queries.CHECK, kinds(select_users=SLOW, update_users=SLOW))
        facts = known(slow_queries.Facts, found)
        assert (facts.any, facts.alone, len(facts.slow)) == (True, False, 2)
        assert found.sentence.startswith("2 of 2 kinds of queries; ")

    def test_fast_ones_are_named_too(self) -> None:
        """Without a slow one, the slowest is named as evidence."""
        found = judged(slow_queries.CHECK, kinds(select_users=FAST))
        assert (found.status, known(slow_queries.Facts, found).any) == ("normal", False)
        assert all(words in found.sentence for words in ("None", "SELECT on table users", "30 ms"))

    def test_a_kind_without_a_before_is_slow_by_its_time_alone(self) -> None:
        """A query that nobody asked before the onset has nothing to compare with; above a second it is slow."""
        new = kind((nan, 1.4), (0.0, 0.5))
        found = judged(slow_queries.CHECK, kinds(insert_audit=new))
        assert known(slow_queries.Facts, found).slow == ("insert audit",)


def test_kinds_of_one_name_can_be_told() -> None:
    """“a b” and “a” of “b” read alike: they are in order all the same."""
    told = several(({"x": "a b"}, lambda t: 1.0), ({"x": "a", "y": "b"}, lambda t: 2.0), ({"x": "a"}, lambda t: 3.0))
    assert list(named_by(asked(told), ("x", "y"))) == ["a", "a b"]
