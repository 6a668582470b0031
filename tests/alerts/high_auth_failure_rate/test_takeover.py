"""HighAuthFailureRate: whether somebody got in, and what the logs say of the reasons."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from runbook.alerts.checks.logins import auth_service, rejection_reasons, takeover
from runbook.alerts.checks.logins.failures_by_field import first_few
from runbook.alerts.checks.logins.rejection_reasons import reason
from runbook.alerts.checks.logs import error_messages
from runbook.investigation.definitions import Check
from runbook.model import JSON, Result
from tests.alerts.high_auth_failure_rate.answers import LOGINS, context, finding, found
from tests.fakes import ONSET, STARTED


def logged_in(address: str, failures: int, names: Sequence[str], *, early: int = 0, last: float = STARTED) -> JSON:
    """An address that failed every second since the onset."""
    tenth = [{"sort": [(ONSET + 9) * 1000]}] if failures >= 10 else []
    return {
        "key": address,
        "failed": {"doc_count": failures},
        "guessed": {"doc_count": failures, "last of many": {"hits": {"hits": tenth}}},
        "succeeded": {
            "doc_count": len(names) + early,
            "accounts": {"buckets": [{"key": name, "doc_count": 1} for name in names]},
            "last": {"value": last * 1000 if names or early else None},
            "early": {"doc_count": early},
        },
    }


def logins_after_failures(*buckets: JSON, succeeded: int | None = None, **given: object) -> Result:
    """`succeeded`: how many logins did in all; those of the buckets unless given."""
    of_buckets = sum(one["succeeded"]["doc_count"] for one in buckets)
    every = of_buckets if succeeded is None else succeeded
    answer = found(900, addresses={"buckets": list(buckets)}, succeeded={"doc_count": every})
    return finding(takeover.CHECK, {(LOGINS,): answer}, **given)


@pytest.mark.parametrize("check", [error_messages.CHECK, rejection_reasons.CHECK], ids=lambda check: check.name)
def test_samples_stay_inside_a_short_window(check: Check):
    """However short the window is, no message from before it is compared with its rates."""
    c = context(start=STARTED - 600)
    samples = [msgspec.json.decode(q.text) for q in check.queries(c).values() if "random_score" in q.text]
    spans = [
        one["query"]["function_score"]["query"]["bool"]["filter"][0]["range"]["timestamp"]["gte"] for one in samples
    ]
    assert samples and min(spans) == c.start * 1000


@pytest.mark.parametrize("phrase", ["auth service", "identity provider", "introspection", "JWKS"])
def test_what_blames_the_auth_service_is_asked_for_where_it_is_judged(phrase: str):
    """A message that gives the auth service as the reason is one that the question whether it answers counts."""
    asked = auth_service.CHECK.queries(context())
    assert reason(f"{phrase} request failed: timed out") == "auth_service"
    assert all(f'{{"match_phrase":{{"message":"{phrase.lower()}"}}}}' in asked[n].text for n in ("over time", "newest"))


class TestTakeover:
    def test_a_success_after_many_failures(self):
        """An address that failed 400 times and then logs in has taken an account over."""
        result = logins_after_failures(logged_in("203.0.113.7", 400, ["admin"]), logged_in("192.0.2.4", 2, ["mia"]))
        assert result.status == "abnormal"
        facts = result.facts
        assert (facts.succeeded, facts.addresses, facts.accounts) == (True, ("203.0.113.7",), ("admin",))
        assert facts.failures == 400
        for words in ("203.0.113.7 logged in as admin", "at least 10 failed attempts", "400 in all"):
            assert words in result.sentence

    def test_several_addresses_are_named_with_all_their_failures(self):
        """Two addresses that each failed often and then logged in are both named, with their failures together."""
        seen = [logged_in("203.0.113.7", 400, ["admin"]), logged_in("203.0.113.8", 47, ["noah.k"])]
        said = logins_after_failures(*seen).sentence
        assert "203.0.113.7 and 203.0.113.8 logged in as admin and noah.k" in said
        assert said.endswith("after at least 10 failed attempts each (447 in all).")

    def test_a_few_mistakes_are_human(self):
        """Who logs in after three mistakes is no intruder."""
        assert logins_after_failures(logged_in("192.0.2.4", 3, ["mia"])).status == "normal"

    def test_an_address_that_logged_in_before_is_known(self):
        """An office whose users fail and succeed, as they did before the alert, is no intruder."""
        assert logins_after_failures(logged_in("192.0.2.4", 80, ["mia", "ada"], early=12)).status == "normal"

    def test_a_window_that_begins_too_late_knows_no_address(self):
        """Where nothing was asked of the time before, an office's address is not called new."""
        result = logins_after_failures(logged_in("192.0.2.4", 80, ["mia"]), start=STARTED - 900)
        assert result.status == "unknown"
        assert result.sentence.startswith("Not known: the window begins too late")

    def test_failures_after_the_success_prove_nothing(self):
        """A success after a typo or two is not the end of guessing, however often that address fails later."""
        assert logins_after_failures(logged_in("192.0.2.4", 80, ["mia"], last=ONSET + 2)).status == "normal"

    def test_successes_of_addresses_that_were_not_looked_at_are_unknown(self):
        """Where logins succeeded from more addresses than were looked at, none of them is cleared."""
        result = logins_after_failures(logged_in("192.0.2.4", 3, ["mia"]), succeeded=30)
        assert result.status == "unknown"
        assert "only 1 of 30" in result.sentence

    def test_a_service_that_logs_no_success_is_unknown(self):
        """Where successes are not logged, none of them is no news."""
        assert logins_after_failures(logged_in("203.0.113.7", 400, []), succeeded=0).status == "unknown"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_three_names_are_enough_for_a_sentence(names: list[str], said: str):
    """A sentence names three, and says how many more there are."""
    assert first_few(names) == said
