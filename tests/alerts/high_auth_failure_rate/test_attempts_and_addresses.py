"""HighAuthFailureRate: whether it is real, what was attempted, and from where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from runbook.alerts.checks.logins import addresses, attempts, login_failure_rate
from runbook.alerts.checks.logins.addresses import is_address
from runbook.model import JSON, Answer, Query, Result, Status, failed
from tests.alerts.high_auth_failure_rate.answers import ADDRESSES, ALL, FAILED, FAULT, finding, found, stepping
from tests.fakes import ONSET, STARTED, Scripted, line, nothing

EARLY = f'"lt":{round((STARTED - 900) * 1000)}'  # the queries about the time before end there


def values(counts: Mapping[str, int], distinct: int | None = None, others: int = 0) -> Callable[[Query], Answer]:
    """The most frequent values of a field."""
    buckets = [{"key": key, "doc_count": count} for key, count in counts.items()]
    top = {"buckets": buckets, "sum_other_doc_count": others}
    known = len(counts) if distinct is None else distinct
    return found(sum(counts.values()) + others, top=top, distinct={"value": known})


GUESSED = {FAILED: stepping(2.0, 50.0), ALL: stepping(50.0, 98.0)}  # bad ones come on top
ORDINARY = values({"192.0.2.1": 2, "192.0.2.2": 1}, others=40, distinct=38)


class TestFailureRate:
    def test_a_step_is_real_and_has_its_onset(self):
        """A share that steps to 60 % is abnormal, begins at its onset, and is compared with other days."""
        result = finding(login_failure_rate.CHECK, FAULT)
        assert result.status == "abnormal"
        assert abs(result.facts.onset - ONSET) <= 60
        assert result.sentence.startswith("Yes. 60 % of logins fail (threshold 20 %; at this hour 4 % yesterday")
        assert (result.facts.failed_logins, result.facts.yesterday) == (58_560, 0.04)
        assert "logins failed in" in result.facts.impact

    def test_nobody_who_tries_is_no_health(self):
        """Without any attempt it is not known whether logins work."""
        result = finding(login_failure_rate.CHECK, {FAILED: nothing, ALL: line(lambda t: 0.0)})
        assert result.status == "unknown"
        assert "no login attempts were counted" in result.sentence

    def test_failures_that_were_not_answered_are_not_none(self):
        """Where only the failures' query failed, their share is unknown, not 0 %."""
        assert (
            finding(login_failure_rate.CHECK, {("status",): Scripted({}).ask, ALL: line(lambda t: 50.0)}).status
            == "unknown"
        )


class TestAttempts:
    def test_a_fault_takes_successes_away(self):
        """As many attempts as before of which fewer succeed: missed, not added."""
        facts = finding(attempts.CHECK, FAULT).facts
        assert (facts.missed, facts.added) == (True, False)

    def test_guesses_come_on_top(self):
        """Twice the attempts with as many successes: added, not missed."""
        result = finding(attempts.CHECK, GUESSED)
        assert (result.facts.missed, result.facts.added) == (False, True)
        assert 1.8 <= result.facts.times <= 2.0
        assert "as many succeed as before" in result.sentence

    def test_nothing_before_is_nothing_to_compare_with(self):
        """A service that nobody used before the onset has neither added nor missed attempts."""
        began = STARTED - 300  # without a share before there is no onset: the alert's own time splits before from since
        answers = {FAILED: line(lambda t: 5.0 * (t >= began)), ALL: line(lambda t: 9.0 * (t >= began))}
        facts = finding(attempts.CHECK, answers).facts
        assert facts.added is None and facts.missed is None


def from_addresses(
    since: Callable[[Query], Answer], before: Callable[[Query], Answer] = ORDINARY, **more: Any
) -> Result:
    return finding(addresses.CHECK, {(ADDRESSES, EARLY): before, (ADDRESSES,): since, **more})


class TestAddresses:
    def test_few_that_stand_out(self):
        """Two addresses with most of the failures, which had none before, are few and loud."""
        result = from_addresses(
            values({"203.0.113.7": 600, "2001:db8::9": 300, "192.0.2.1": 3}, others=60, distinct=41)
        )
        assert result.facts.few and not result.facts.many
        assert [one.address for one in result.facts.loud] == ["203.0.113.7", "2001:db8::9"]
        assert result.sentence.endswith("from 41 addresses: 93.5 % from 203.0.113.7 and 2001:db8::9.")

    def test_many_of_which_none_stands_out(self):
        """Hundreds of addresses with a few failures each are many."""
        result = from_addresses(values({f"198.51.100.{n}": 9 for n in range(10)}, others=1500, distinct=420))
        assert result.facts.many and not result.facts.few

    def test_an_office_that_always_fails_a_lot_is_not_loud(self):
        """An address with the same part of the failures before stands out as little as then."""
        office = {"203.0.113.7": 300}
        result = from_addresses(values(office, others=900, distinct=80), values({"203.0.113.7": 900}, others=100))
        assert result.facts.loud == ()

    def test_what_is_no_address_is_not_passed_on(self):
        """A field that holds anything but an address leads to nothing that could be blocked."""
        result = from_addresses(values({"1.2.3.4; reboot": 900, "$(id)": 500}, others=10, distinct=9))
        assert result.facts.loud == ()

    def test_without_a_before_nobody_stands_out(self):
        """Where the hours before could not be asked, an office's address is not called loud: it is not known."""
        lost = from_addresses(
            values({"203.0.113.7": 900}, others=10), before=lambda query: failed(query, "It is down.")
        )
        assert (lost.status, lost.facts, "It is down" in lost.sentence) == ("unknown", None, True)

    @pytest.mark.parametrize(("lookback", "status"), [(600, "unknown"), (900, "unknown"), (1800, "normal")])
    def test_a_window_that_begins_too_late_calls_nobody_loud(self, lookback: int, status: Status):
        """An office that always fails a lot is not loud because the window leaves no time before."""

        def always(query: Query) -> Answer:
            asked = msgspec.json.decode(query.text)["query"]["bool"]["filter"][0]["range"]["timestamp"]
            each = max(0, asked["lt"] - asked["gte"]) // 2000
            return values({"203.0.113.7": each} if each else {}, others=each, distinct=40)(query)

        result = finding(addresses.CHECK, {(ADDRESSES,): always}, start=STARTED - lookback)
        assert result.status == status
        assert "203.0.113.7" not in result.sentence
        assert status == "normal" or result.sentence.endswith(
            "begins too late to know what is usual; look back 30m or more."
        )

    def test_logs_that_hold_hardly_any_of_the_failures_clear_nobody(self):
        """A handful of lines beside thousands of counted failures says nothing of where they come from."""
        few = values({"203.0.113.7": 6})
        result = finding(addresses.CHECK, {**FAULT, (ADDRESSES, EARLY): ORDINARY, (ADDRESSES,): few})
        assert result.status == "unknown"
        assert "hold only 6 of the" in result.sentence

    def test_logs_without_addresses_are_unknown(self):
        """Failed logins without the field say nothing of where they come from."""
        result = from_addresses(values({}, others=900))
        assert result.status == "unknown" and "client_ip" in result.sentence

    def test_logs_without_failed_logins_are_unknown(self):
        """Where nothing is logged of the logins that fail, their sources are not known."""
        assert from_addresses(found(0)).status == "unknown"

    @pytest.mark.parametrize("text", ["", "none", "1.2.3", "1.2.3.4/8", "fe80::1%eth0", " 1.2.3.4", 16909060, None])
    def test_only_an_address_is_one(self, text: JSON):
        """Nets, zones, numbers and anything around an address are refused."""
        assert not is_address(text)


def test_partial_data_is_never_called_normal():
    """A calm share from an answer with warnings is not known to be calm."""

    def warned(query: Query) -> Answer:
        return replace(line(lambda t: 50.0)(query), completeness="partial", warnings=("a store is unavailable",))

    assert finding(login_failure_rate.CHECK, {FAILED: nothing, ALL: warned}).status == "unknown"
