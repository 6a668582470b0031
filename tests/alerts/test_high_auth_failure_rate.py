"""HighAuthFailureRate: what its checks find, which cause comes first, and whether to call security."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from runbook.alerts.causes.high_auth_failure_rate import (
    ATTACKS,
    AUTH_SERVICE,
    BRUTE_FORCE,
    CLOCK,
    KEY,
    SPREAD_ATTACK,
    TOKENS,
)
from runbook.alerts.checks.logins import (
    accounts,
    addresses,
    attempts,
    auth_service,
    failures_by_node,
    login_failure_rate,
    rejection_reasons,
    signing_key,
    takeover,
)
from runbook.alerts.checks.logins.addresses import LoudAddress, is_address
from runbook.alerts.checks.logins.failures_by_field import PHRASE, first_few
from runbook.alerts.checks.logins.rejection_reasons import REASONS, reason
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.workload import changes
from runbook.alerts.high_auth_failure_rate import ALERT, note
from runbook.alerts.mitigations.attacks import keep_out, withstand
from runbook.alerts.mitigations.logins import restore_key, set_clocks
from runbook.clock import Frozen
from runbook.config.schema import Environment, Kubernetes
from runbook.investigation.definitions import Cause, Check, Context, Planned
from runbook.investigation.investigator import Investigator
from runbook.investigation.ranking import of
from runbook.investigation.result import conclude
from runbook.investigation.results import Results, check_name
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Facts, Query, Recovery, Result, Status, Step, failed
from runbook.text.shell import command
from tests import fakes
from tests.fakes import ONSET, STARTED, Scripted, line, nothing

FAILED, ALL = ("auth_attempts_total", "failure"), ("auth_attempts_total",)
BY_POD_FAILED, BY_POD = ("by (pod)", *FAILED), ("by (pod)", *ALL)
EARLY = f'"lt":{round((STARTED - 900) * 1000)}'  # the queries about the time before end there
ADDRESSES, ACCOUNTS, LOGINS = '"field":"client_ip","size"', '"field":"username","size"', "login succeeded"


def context(**given: object) -> Context:
    return fakes.context(alert=ALERT.name, **given)


def investigator(answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **given: object) -> Investigator:
    return Investigator(ALERT, context(**given), Scripted(answers), Frozen(context().now))


def finding(check: Check, answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **given: object) -> Result:
    return investigator(answers, **given).finding(check.name).result


def stepping(before: float, since: float) -> Callable[[Query], Answer]:
    return line(lambda t: since if ONSET <= t < ONSET + 86_400 else before)


def found(total: int, **aggregations: JSON) -> Callable[[Query], Answer]:
    """A search that counted so many documents."""

    def answer(query: Query) -> Answer:
        data = {"hits": {"total": {"value": total, "relation": "eq"}, "hits": []}, "aggregations": aggregations}
        return Answer(query, "complete" if total else "empty", data)

    return answer


def values(counts: Mapping[str, int], distinct: int | None = None, others: int = 0) -> Callable[[Query], Answer]:
    """The most frequent values of a field."""
    buckets = [{"key": key, "doc_count": count} for key, count in counts.items()]
    top = {"buckets": buckets, "sum_other_doc_count": others}
    known = len(counts) if distinct is None else distinct
    return found(sum(counts.values()) + others, top=top, distinct={"value": known})


def by_pod(**shares: float) -> dict[tuple[str, ...], Callable[[Query], Answer]]:
    """Two attempts a second in each pod, of which this share fails since the onset."""

    def part(query: Query) -> Answer:
        return joined(query, {name: stepping(0.02, 2 * share) for name, share in shares.items()})

    def total(query: Query) -> Answer:
        return joined(query, {name: stepping(2.0, 2.0) for name in shares})

    return {BY_POD_FAILED: part, BY_POD: total}


def joined(query: Query, lines: Mapping[str, Callable[[Query], Answer]]) -> Answer:
    series = [
        {"metric": {"pod": name}, "values": one(query).data["result"][0]["values"]} for name, one in lines.items()
    ]
    return Answer(query, "complete", {"resultType": "matrix", "result": series})


def placed(**nodes: str) -> Callable[[Query], Answer]:
    """Running pods on these nodes."""

    def answer(query: Query) -> Answer:
        pods = [
            {
                "metadata": {"name": name, "creationTimestamp": "2026-01-10T00:00:00Z", "ownerReferences": []},
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": "Running"},
            }
            for name, node in nodes.items()
        ]
        return Answer(query, "complete", {"pods": pods, "replicasets": []})

    return answer


QUIET = {FAILED: stepping(2.0, 2.0), ALL: stepping(50.0, 50.0)}
FAULT = {FAILED: stepping(2.0, 30.0), ALL: stepping(50.0, 50.0)}  # good logins become bad ones
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
        assert (lost.status, lost.sentence) == ("unknown", "Not known: It is down.")

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
        assert result.sentence == (
            "Yes: 203.0.113.7 logged in as admin after at least 10 failed attempts (400 in all)."
        )

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


class TestFailuresByNode:
    def test_one_node_stands_out(self):
        """Where exactly the pods of one node refuse, that is said with the node's name."""
        answers = {**by_pod(a=0.9, b=0.95, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        result = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **answers})
        assert result.facts.one_node and result.facts.node == "n1"
        assert (result.facts.failing_pods, result.facts.good_pods) == (("a", "b"), ("c", "d"))
        assert result.sentence.startswith("No: 2 of 4 pods refuse logins, all on n1")

    def test_some_pods_of_a_node_are_no_node(self):
        """Where another pod of the same node is healthy, it is not the node."""
        answers = {**by_pod(a=0.9, b=0.03, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        facts = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **answers}).facts
        assert facts.some and not facts.one_node

    def test_without_the_cluster_the_node_is_not_known(self):
        """Pods that differ are seen without Kubernetes; whose node it is, is then not known."""
        facts = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **by_pod(a=0.9, b=0.03)}).facts
        assert facts.some and facts.one_node is None

    def test_all_alike(self):
        """Where every pod refuses, none stands out."""
        result = finding(failures_by_node.CHECK, {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.62)})
        assert result.status == "normal" and result.facts.alike

    @pytest.mark.parametrize(
        ("pod", "theirs", "skewed"),
        [("a", 600.0, "a is 10 min ahead"), ("a", -600.0, "a is 10 min behind"), ("a", 1.0, ""), ("b", 1.0, None)],
    )
    def test_clocks_are_read_where_that_is_allowed(self, pod: str, theirs: float, skewed: str | None):
        """A clock that is off by minutes is named; right ones clear the clocks where a failing pod's is among them."""

        def clock(query: Query) -> Answer:
            said = {"pod": pod, "sent": 1000.0, "received": 1000.2, "said": f"{1000.1 + theirs:.9f}", "error": ""}
            return Answer(query, "complete", {"clock": [said]})

        inside = Environment(service="shop", kubernetes=Kubernetes(exec=True))
        answers = {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.02), ("date -u",): clock}
        assert finding(failures_by_node.CHECK, answers, environment=inside).facts.skewed == skewed


FAULT_AT_PODS = {BY_POD_FAILED: nothing, BY_POD: nothing, **FAULT}


def secrets(
    *, age: str = "90d", name: str = "jwt-public-key", asked_at: float = STARTED + 1500
) -> Callable[[Query], Answer]:
    """A namespace with one key, asked for by default at the end of the window."""

    def answer(query: Query) -> Answer:
        known = [{"kind": "secret", "name": name, "type": "Opaque", "age": age}]
        data = {"referenced": [], "listed": [{"kind": "secret"}], "asked_at": asked_at, "known": known}
        return Answer(query, "complete", data)

    return answer


class TestSigningKey:
    def test_a_key_replaced_shortly_before(self):
        """A Secret created a minute and a half before the onset is named with that."""
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(age="34m")})
        assert result.facts.replaced == "secret/jwt-public-key"
        assert result.facts.replaced_before == 90
        assert result.sentence.startswith("Secret/jwt-public-key was created 90 s before the onset.")

    def test_an_old_key_may_have_been_edited_in_place(self):
        """A key's Secret that is months old may hold a new key: that none was created is said with this."""
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets()})
        assert result.status == "normal"
        assert "edited in place keeps its age" in result.sentence
        assert result.sentence.endswith("The key file was not read.")

    def test_an_age_in_days_says_nothing_of_an_hour(self):
        """Days later, a key's age no longer shows whether it was replaced shortly before the onset."""
        later = ONSET + 10.5 * 86_400
        result = finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(age="10d", asked_at=later)}, now=later)
        assert (result.status, result.facts.replaced) == ("unknown", None)
        assert result.facts.unclear == ("secret/jwt-public-key",)

    def test_no_key_by_name_is_unknown(self):
        """A namespace whose Secrets have other names says nothing of the key."""
        assert finding(signing_key.CHECK, {**FAULT, ("get secrets",): secrets(name="database")}).status == "unknown"

    @pytest.mark.parametrize(
        ("form", "status"), [("public key", "normal"), ("private key", "abnormal"), ("empty", "abnormal")]
    )
    def test_the_file_is_read_where_that_is_allowed(self, form: str, status: Status):
        """What the file begins with is judged; anything but a public key or certificate is abnormal."""

        def head(query: Query) -> Answer:
            found = {"pod": "a", "container": "app", "path": "/keys/jwt.pem", "form": form, "lines": [], "error": ""}
            return Answer(query, "complete", {"public_key": found})

        inside = Environment(service="shop", kubernetes=Kubernetes(exec=True))
        service = msgspec.structs.replace(fakes.SERVICE, jwt_public_key_path="/keys/jwt.pem")
        answers = {**FAULT, ("get secrets",): secrets(), ("head -n 3",): head}
        assert finding(signing_key.CHECK, answers, environment=inside, service=service).status == status


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("JWT validation failed: InvalidSignature (kid 3f2a)", "key"),
        ("JWT validation failed: cannot read public key /etc/keys/x.pem", "key"),
        ("JWT validation failed: ExpiredSignature for user mia", "tokens"),
        ("authentication failure for user mia: token expired 12 s ago", "tokens"),
        ("JWT validation failed: ImmatureSignature", "clock"),
        ("token used before issued", "clock"),
        ("auth service request failed: certificate has expired", "auth_service"),
        ("authentication failure for user mia: bad password", "guesses"),
        ("database connection failed", ""),
        ("avatar service answered 502", ""),
    ],
)
def test_messages_say_why(message: str, named: str):
    """The reason that a message gives; the auth service's own certificate is not taken for an expired token."""
    assert reason(message) == named


NO_SHARES = dict.fromkeys(REASONS, 0.0)
Given = Mapping[type[Facts], Mapping[str, Any]]
FACTS: dict[type[Facts], dict[str, Any]] = {
    login_failure_rate.Facts: {"onset": ONSET},
    attempts.Facts: {"added": False, "missed": True, "times": 1.0, "lost": 0.6},
    addresses.Facts: {"grown": True, "distinct": 40, "top_share": 0.03},
    accounts.Facts: {"distinct": 40},
    takeover.Facts: {"succeeded": False},
    rejection_reasons.Facts: {"reasons_given": True, "shares": NO_SHARES},
    changes.Facts: {"near": False, "revision": 3},
    failures_by_node.Facts: {"one_node": False, "alike": True},
    signing_key.Facts: {},
    auth_service.Facts: {"failing": False},
}
LOUD = (LoudAddress("203.0.113.7", 600), LoudAddress("2001:db8::9", 300))
GUESSES: Given = {
    attempts.Facts: {"added": True, "missed": False, "times": 2.4, "lost": 0.0},
    rejection_reasons.Facts: {"shares": {**NO_SHARES, "guesses": 0.97}},
}
FEW: Given = {**GUESSES, addresses.Facts: {"few": True, "loud": LOUD, "loud_share": 0.94}}
MANY: Given = {**GUESSES, addresses.Facts: {"many": True, "distinct": 640}}
TAKEN: Given = {
    takeover.Facts: {"succeeded": True, "addresses": ("203.0.113.7",), "accounts": ("admin",), "failures": 600}
}
ON_ONE_NODE: Given = {failures_by_node.Facts: {"one_node": True, "node": "n1", "alike": False}}


def logged(**shares: float) -> Given:
    """The logs give these reasons for the logins that are refused."""
    return {rejection_reasons.Facts: {"shares": {**NO_SHARES, **shares}}}


def results(*changed: Given, unknown: Sequence[type[Facts]] = (), real: bool = True) -> Results:
    """Everything known and as it is in a fault that gives no sign of its cause, but for the changes."""
    merged = {kind: dict(given) for kind, given in FACTS.items()}
    for change in changed:
        for kind, given in change.items():
            merged[kind] |= given
    status: dict[type[Facts], Status] = {
        login_failure_rate.Facts: "abnormal" if real else "normal",
        takeover.Facts: "abnormal" if merged[takeover.Facts]["succeeded"] else "normal",
        **dict.fromkeys(unknown, "unknown"),
    }
    found = {
        check_name(kind): Result(
            status.get(kind, "abnormal"), "It is.", None if kind in unknown else fakes.facts(kind, **given)
        )
        for kind, given in merged.items()
    }
    return Results(found, ALERT.checks)


def first(seen: Results) -> tuple[str, str]:
    verdict = of(ALERT, seen)[0]
    return verdict.cause, verdict.state


class TestCauses:
    @pytest.mark.parametrize(
        ("changed", "cause"),
        [
            ([logged(key=0.9)], KEY),
            ([logged(key=0.9), {signing_key.Facts: {"replaced": "secret/jwt", "replaced_before": 60}}], KEY),
            ([logged(tokens=0.9)], TOKENS),
            ([logged(auth_service=0.9), {auth_service.Facts: {"failing": True, "per_minute": 40.0}}], AUTH_SERVICE),
            ([FEW], BRUTE_FORCE),
            ([FEW, TAKEN], BRUTE_FORCE),
            ([MANY], SPREAD_ATTACK),
            ([logged(clock=0.9), ON_ONE_NODE], CLOCK),
            ([logged(tokens=0.9), ON_ONE_NODE], CLOCK),
        ],
    )
    def test_the_right_one_comes_first(self, changed: list[Given], cause: Cause):
        """What was seen supports the one cause that it speaks for."""
        assert first(results(*changed)) == (cause.name, "supported")

    def test_nothing_seen_supports_nothing(self):
        """Logins that fail without any further sign have no supported cause."""
        assert not [v for v in of(ALERT, results()) if v.state == "supported"]

    @pytest.mark.parametrize(
        "check", [kind for kind in FACTS if kind not in (login_failure_rate.Facts, accounts.Facts)]
    )
    def test_missing_data_supports_nothing_new(self, check: type[Facts]):
        """Whichever check could not run, no cause is supported that was not."""
        supported = {v.cause for v in of(ALERT, results(unknown=[check])) if v.state == "supported"}
        assert supported == set()

    def test_logs_that_name_no_reason_refute_none(self):
        """Where the logs say no more than before, neither the key nor the tokens are cleared by that."""
        silent: Given = {rejection_reasons.Facts: {"reasons_given": None, "shares": NO_SHARES}}
        states = {v.cause: v.state for v in of(ALERT, results(silent))}
        assert states[KEY.name] == states[TOKENS.name] == "not tested"

    def test_an_attack_is_not_tested_without_addresses(self):
        """Without knowing where failures come from, neither attack is refuted."""
        states = {v.cause: v.state for v in of(ALERT, results(GUESSES, unknown=[addresses.Facts]))}
        assert {states[cause.name] for cause in ATTACKS} == {"not tested"}

    @pytest.mark.parametrize("cause", ALERT.causes, ids=lambda cause: cause.name)
    def test_each_has_a_phrase_whatever_else_is_known(self, cause: Cause):
        """A cause's phrase needs nothing but the facts that the cause requires."""
        assert cause.phrase(results(unknown=[kind for kind in FACTS if kind not in cause.requires]))


def headline(seen: Results) -> str:
    return conclude(ALERT, seen, of(ALERT, seen))[0]


class TestNote:
    def test_an_attack_calls_security(self):
        """A supported attack is said first, with its strongest reason."""
        said = headline(results(FEW))
        assert said.startswith(
            "Call security: this looks like an attack (94 % of the failed logins come from 2 addresses). Probably "
            "someone is guessing passwords and tokens from 2 addresses: 203.0.113.7 and 2001:db8::9."
        )

    def test_a_taken_account_calls_security_whatever_the_cause(self):
        """A success after many failures calls security even where another cause explains the failures."""
        said = headline(results(logged(key=0.9), TAKEN))
        assert said.startswith(
            "Call security: 203.0.113.7 logged in as admin after at least 10 failed attempts (600 in all)."
        )

    def test_a_taken_account_calls_security_below_the_threshold(self):
        """A success after many failures calls security although the alert does not hold."""
        assert headline(results(TAKEN, real=False)).startswith("Call security: 203.0.113.7 logged in as admin")

    def test_no_attack_with_the_data_for_it(self):
        """Where addresses and successes are known and another cause explains it, there is no sign of an attack."""
        assert headline(results(logged(key=0.9))).startswith("No sign of an attack. Probably the JWT key")

    @pytest.mark.parametrize("missing", [addresses.Facts, takeover.Facts])
    def test_without_the_data_it_is_not_known(self, missing: type[Facts]):
        """Without addresses or successes in the logs an attack cannot be excluded, and what is missing is said."""
        seen = results(logged(key=0.9), unknown=[missing])
        assert headline(seen).startswith("Not known whether it is an attack (")

    def test_what_nothing_explains_may_be_an_attack(self):
        """Failures that no cause explains are not said to be harmless."""
        assert "no supported cause explains the failures" in headline(results())

    def test_a_quiet_alert_needs_no_note(self):
        """Where logins do not fail, nothing is said of attacks."""
        quiet = results(real=False)
        assert note(quiet, of(ALERT, quiet)) == ""

    def test_everything_down(self):
        """With every source down nothing is known, and that is what is said."""
        found = investigator({}).investigation()
        assert {f.result.status for f in found.findings} == {"unknown"}
        assert {v.state for v in found.verdicts} == {"not tested"}
        assert found.headline.startswith("Not known whether it is an attack")


def shown(step: Step) -> str:
    return command(step.argv) if step.argv else step.text


def texts(planned: Planned) -> list[str]:
    return [shown(step) for step in planned[1]]


def at_proxy(**given: object) -> Context:
    service = msgspec.structs.replace(fakes.SERVICE, proxy_deployment="edge", jwt_public_key_path="/keys/jwt.pem")
    environment = Environment(service="shop", kubernetes=Kubernetes(context="production"))
    return context(service=service, environment=environment, **given)


class TestPlans:
    def test_exactly_the_addresses_found_are_blocked(self):
        """Each loud address has a ready command at the proxy, undone by its opposite, IPv6 by its own tool."""
        _, steps = keep_out(at_proxy(), results(FEW))
        rules = [(command(one.argv), command(one.undo_argv)) for one in steps if "DROP" in one.argv]
        lead = "kubectl --context production -n web exec deployment/edge -- "
        assert rules == [
            (f"{lead}iptables -A INPUT -s 203.0.113.7 -j DROP", f"{lead}iptables -D INPUT -s 203.0.113.7 -j DROP"),
            (f"{lead}ip6tables -A INPUT -s 2001:db8::9 -j DROP", f"{lead}ip6tables -D INPUT -s 2001:db8::9 -j DROP"),
        ]

    @pytest.mark.parametrize("address", ["1.2.3.4; reboot", "$(id)", "0.0.0.0/0", "none", None, 7])
    def test_nothing_but_an_address_gets_into_a_command(self, address: JSON):
        """What is no address is left out, whatever the facts say."""
        odd: Given = {
            addresses.Facts: {"loud": (LoudAddress(address, 900),)},
            takeover.Facts: {"addresses": (address,)},
        }
        for make in (keep_out, withstand):
            assert not [text for text in texts(make(at_proxy(), results(FEW, odd))) if "DROP" in text]

    def test_without_a_proxy_by_name_the_address_is_named(self):
        """A profile without the proxy has no command, but says which address to block."""
        assert "Block 203.0.113.7 at the proxy." in texts(keep_out(context(), results(FEW)))

    def test_taken_accounts_come_first(self):
        """Accounts that somebody got into are closed before anything else."""
        assert "admin" in texts(keep_out(at_proxy(), results(FEW, TAKEN)))[0]

    def test_what_is_not_known_blocks_and_closes_nothing(self):
        """Without addresses and without successes in the logs, the plans still limit the attempts."""
        nothing_known = results(unknown=[addresses.Facts, takeover.Facts])
        for make in (keep_out, withstand):
            steps = make(at_proxy(), nothing_known)[1]
            assert "rate limiting" in shown(steps[0])
            assert not [one for one in steps if one.kind == "change"]

    def test_the_key_is_read_where_it_is(self):
        """Mounted, its age, its first lines, its expiry: each has its command, and none of them changes anything."""
        read = [one for one in restore_key(at_proxy(), results(logged(key=0.9)))[1] if one.kind == "read"]
        shown_together = " | ".join(map(shown, read))
        for words in (
            "describe deployment",
            "get secrets",
            "head -n 3 /keys/jwt.pem",
            "| openssl x509 -noout",
        ):
            assert words in shown_together

    def test_the_node_with_the_wrong_clock_is_named(self):
        """The node is set right by name, and its pods can be moved away."""
        seen: Given = {failures_by_node.Facts: {"one_node": True, "node": "n1", "failing_pods": ("web-1", "x; y")}}
        said = texts(set_clocks(at_proxy(), results(seen)))
        assert any(text.startswith("On n1: chronyc") for text in said)
        assert "kubectl --context production -n web cordon n1" in said
        assert [text for text in said if "delete" in text] == ["kubectl --context production -n web delete pod/web-1"]

    def test_a_node_that_is_not_known_is_not_cordoned(self):
        """Without the node's name its clock is set right in words alone."""
        steps = set_clocks(at_proxy(), results(unknown=[failures_by_node.Facts]))[1]
        assert not [one for one in steps if one.kind == "change"]


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


def verified(login: Callable[[Query], Answer], share: float = 0.04) -> Recovery:
    """Recovery looked at half an hour after a mitigation, with endpoints that answer."""
    source = Scripted(
        {
            FAILED: line(lambda t: 50 * share),
            ALL: line(lambda t: 50.0),
            ("/edit",): login,
            ("/",): lambda query: Answer(query, "complete", {"status": 200, "error": None}),
        }
    )
    seen = context(mitigated_at=STARTED, now=STARTED + 1800, end=STARTED + 1800)

    def ask(queries: Mapping[str, Query]) -> Mapping[str, Answer]:
        return {name: source.ask(query) for name, query in queries.items()}

    return verify(seen, ALERT.recovery, ask=ask, clock=Frozen(seen.now), tell=lambda said: None)


class TestVerification:
    @pytest.mark.parametrize(("status", "state"), [(200, "recovered"), (401, "not recovered"), (302, "not recovered")])
    def test_a_valid_login_has_to_work(self, status: int, state: str):
        """Few failures for five minutes are a recovery where a login with a valid token works as well."""
        found = verified(lambda query: Answer(query, "complete", {"status": status, "error": None}))
        assert found.state == state
        assert "/edit with a valid token" in found.sentence

    def test_without_a_token_the_login_is_not_tested(self):
        """Without a token the recovery stands, and says that no login was tried."""
        found = verified(lambda query: failed(query, "The probe has no token for /edit; name one."))
        assert found.state == "recovered"
        assert found.sentence == (
            "Recovered: at or below 20 % of attempts for the last 5 min; /health and /api/username/test answer. "
            "Not tested: /edit with a valid token (The probe has no token for /edit; name one)."
        )

    def test_failures_that_go_on_are_no_recovery(self):
        """A valid login alone is no recovery while a third of them fail."""
        assert (
            verified(lambda query: Answer(query, "complete", {"status": 200, "error": None}), 0.33).state
            == "not recovered"
        )


def test_partial_data_is_never_called_normal():
    """A calm share from an answer with warnings is not known to be calm."""

    def warned(query: Query) -> Answer:
        return replace(line(lambda t: 50.0)(query), completeness="partial", warnings=("a store is unavailable",))

    assert finding(login_failure_rate.CHECK, {FAILED: nothing, ALL: warned}).status == "unknown"


def test_few_enough_queries():
    """Not more than 64 questions, so that all go out at once."""
    assert sum(len(check.queries(at_proxy())) for check in ALERT.checks) <= 64
    assert PHRASE in next(iter(ALERT.checks[2].queries(at_proxy()).values())).text
