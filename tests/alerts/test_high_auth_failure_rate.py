"""HighAuthFailureRate: what its checks find, which cause comes first, and whether to call security."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from runbook.alerts.checks.logins import auth_service, rejection_reasons
from runbook.alerts.checks.logins.addresses import is_address
from runbook.alerts.checks.logins.rejection_reasons import reason
from runbook.alerts.checks.logins.takeover import PHRASE
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.high_auth_failure_rate import ALERT, remark
from runbook.alerts.mitigations.logins import keep_out, restore_key, set_clocks, withstand
from runbook.clock import Frozen
from runbook.config.schema import Environment, Kubernetes
from runbook.investigation.definitions import Check, Context, Results
from runbook.investigation.investigator import Inquiry
from runbook.investigation.ranking import of
from runbook.investigation.result import conclude
from runbook.investigation.verification import verify
from runbook.model import JSON, Answer, Query, Recovery, Result, Status, failed
from tests import fakes
from tests.fakes import ONSET, STARTED, Scripted, line, nothing

FAILED, ALL = ("auth_attempts_total", "failure"), ("auth_attempts_total",)
BY_POD_FAILED, BY_POD = ("by (pod)", *FAILED), ("by (pod)", *ALL)
EARLY = f'"lt":{round((STARTED - 900) * 1000)}'  # the queries about the time before end there
ADDRESSES, ACCOUNTS, LOGINS = '"field":"client_ip","size"', '"field":"username","size"', "login succeeded"


def context(**changes: object) -> Context:
    return fakes.context(alert=ALERT.name, **changes)


def inquire(answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **changes: object) -> Inquiry:
    return Inquiry(ALERT, context(**changes), Scripted(answers), Frozen(context().now))


def finding(check: str, answers: Mapping[tuple[str, ...], Callable[[Query], Answer]], **changes: object) -> Result:
    return inquire(answers, **changes).finding(check).result


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

    def whole(query: Query) -> Answer:
        return joined(query, {name: stepping(2.0, 2.0) for name in shares})

    return {BY_POD_FAILED: part, BY_POD: whole}


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


class TestLogins:
    def test_a_step_is_real_and_told_with_its_onset(self):
        """A share that steps to 60 % is abnormal, begins at its onset, and is told against other days."""
        result = finding("logins", FAULT)
        assert result.status == "abnormal"
        assert abs(result.facts["onset"] - ONSET) <= 60
        assert result.sentence.startswith("Yes. 60 % of logins fail (threshold 20 %), against 4 % last week")
        assert "logins failed in" in result.facts["impact"]

    def test_nobody_who_tries_is_no_health(self):
        """Without any attempt it is not known whether logins work."""
        result = finding("logins", {FAILED: nothing, ALL: line(lambda t: 0.0)})
        assert result.status == "unknown"
        assert "nobody tried to log in" in result.sentence

    def test_failures_that_were_not_answered_are_not_none(self):
        """Where only the failures' query failed, their share is unknown, not 0 %."""
        assert finding("logins", {("status",): Scripted({}).ask, ALL: line(lambda t: 50.0)}).status == "unknown"


class TestAttempts:
    def test_a_fault_takes_successes_away(self):
        """As many attempts as before of which fewer succeed: missed, not added."""
        facts = finding("attempts", FAULT).facts
        assert (facts["missed"], facts["added"]) == (True, False)

    def test_guesses_come_on_top(self):
        """Twice the attempts with as many successes: added, not missed."""
        result = finding("attempts", GUESSED)
        assert (result.facts["missed"], result.facts["added"]) == (False, True)
        assert result.sentence.endswith(" times as many as before; as many succeed as before.")
        assert 1.8 <= result.facts["times"] <= 2.0

    def test_nothing_before_is_nothing_to_compare_with(self):
        """A service that nobody used before the onset has neither added nor missed attempts."""
        began = STARTED - 300  # without a share before there is no onset: the alert's own time parts before from since
        answers = {FAILED: line(lambda t: 5.0 * (t >= began)), ALL: line(lambda t: 9.0 * (t >= began))}
        facts = finding("attempts", answers).facts
        assert facts["added"] is None and facts["missed"] is None


def addresses(since: Callable[[Query], Answer], before: Callable[[Query], Answer] = ORDINARY, **more: Any) -> Result:
    return finding("addresses", {(ADDRESSES, EARLY): before, (ADDRESSES,): since, **more})


class TestAddresses:
    def test_few_that_stand_out(self):
        """Two addresses with most of the failures, which had none before, are few and loud."""
        result = addresses(values({"203.0.113.7": 600, "2001:db8::9": 300, "192.0.2.1": 3}, others=60, distinct=41))
        assert result.facts["few"] and not result.facts["many"]
        assert [one["address"] for one in result.facts["loud"]] == ["203.0.113.7", "2001:db8::9"]
        assert result.sentence.endswith("from 41 addresses: 93.5 % from 203.0.113.7, 2001:db8::9.")

    def test_many_of_which_none_stands_out(self):
        """Hundreds of addresses with a few failures each are many."""
        result = addresses(values({f"198.51.100.{n}": 9 for n in range(10)}, others=1500, distinct=420))
        assert result.facts["many"] and not result.facts["few"]

    def test_an_office_that_always_fails_a_lot_is_not_loud(self):
        """An address with the same part of the failures before stands out as little as then."""
        office = {"203.0.113.7": 300}
        result = addresses(values(office, others=900, distinct=80), values({"203.0.113.7": 900}, others=100))
        assert result.facts["loud"] == []

    def test_what_is_no_address_is_not_passed_on(self):
        """A field that holds anything but an address leads to nothing that could be blocked."""
        result = addresses(values({"1.2.3.4; reboot": 900, "$(id)": 500}, others=10, distinct=9))
        assert result.facts["loud"] == []

    def test_without_a_before_nobody_stands_out(self):
        """Where the hours before could not be asked, an office's address is not called loud: it is not known."""
        lost = addresses(values({"203.0.113.7": 900}, others=10), before=lambda query: failed(query, "It is down."))
        assert (lost.status, lost.sentence) == ("unknown", "Not known: It is down.")

    @pytest.mark.parametrize(("lookback", "status"), [(600, "unknown"), (900, "unknown"), (1800, "normal")])
    def test_a_window_that_begins_too_late_calls_nobody_loud(self, lookback: int, status: Status):
        """An office that always fails a lot is not loud because the window leaves no time before."""

        def always(query: Query) -> Answer:
            asked = msgspec.json.decode(query.text)["query"]["bool"]["filter"][0]["range"]["timestamp"]
            each = max(0, asked["lt"] - asked["gte"]) // 2000
            return values({"203.0.113.7": each} if each else {}, others=each, distinct=40)(query)

        result = finding("addresses", {(ADDRESSES,): always}, start=STARTED - lookback)
        assert result.status == status
        assert "203.0.113.7" not in result.sentence
        assert status == "normal" or result.sentence.endswith(
            "begins too late to know what is usual; look back 30m or more."
        )

    def test_logs_that_hold_hardly_any_of_the_failures_clear_nobody(self):
        """A handful of lines beside thousands of counted failures says nothing of where they come from."""
        few = values({"203.0.113.7": 6})
        result = finding("addresses", {**FAULT, (ADDRESSES, EARLY): ORDINARY, (ADDRESSES,): few})
        assert result.status == "unknown"
        assert "hold only 6 failed logins of the" in result.sentence

    def test_logs_without_addresses_are_unknown(self):
        """Failed logins without the field say nothing of where they come from."""
        result = addresses(values({}, others=900))
        assert result.status == "unknown" and "client_ip" in result.sentence

    def test_logs_without_failed_logins_are_unknown(self):
        """Where nothing is logged of the logins that fail, their sources are not known."""
        assert addresses(found(0)).status == "unknown"

    @pytest.mark.parametrize("text", ["", "none", "1.2.3", "1.2.3.4/8", "fe80::1%eth0", " 1.2.3.4", 16909060, None])
    def test_only_an_address_is_one(self, text: JSON):
        """Nets, zones, numbers and anything around an address are refused."""
        assert not is_address(text)


def logged_in(address: str, failures: int, accounts: Sequence[str], early: int = 0, last: float = STARTED) -> JSON:
    """An address that failed every second since the onset."""
    tenth = [{"sort": [(ONSET + 9) * 1000]}] if failures >= 10 else []
    return {
        "key": address,
        "failed": {"doc_count": failures},
        "guessed": {"doc_count": failures, "last of many": {"hits": {"hits": tenth}}},
        "succeeded": {
            "doc_count": len(accounts) + early,
            "accounts": {"buckets": [{"key": name, "doc_count": 1} for name in accounts]},
            "last": {"value": last * 1000 if accounts or early else None},
            "early": {"doc_count": early},
        },
    }


def takeover(*buckets: JSON, succeeded: int | None = None, **changes: object) -> Result:
    """`succeeded`: how many logins did in all; those of the buckets unless told otherwise."""
    of_buckets = sum(one["succeeded"]["doc_count"] for one in buckets)
    every = of_buckets if succeeded is None else succeeded
    answer = found(900, addresses={"buckets": list(buckets)}, succeeded={"doc_count": every})
    return finding("takeover", {(LOGINS,): answer}, **changes)


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
        result = takeover(logged_in("203.0.113.7", 400, ["admin"]), logged_in("192.0.2.4", 2, ["mia"]))
        assert result.status == "abnormal"
        assert (
            result.sentence == "Yes: a login as admin succeeded from 203.0.113.7 after 10 or more of 400 failed ones."
        )

    def test_a_few_mistakes_are_human(self):
        """Who logs in after three mistakes is no intruder."""
        assert takeover(logged_in("192.0.2.4", 3, ["mia"])).status == "normal"

    def test_an_address_that_logged_in_before_is_known(self):
        """An office whose users fail and succeed, as they did before the alert, is no intruder."""
        assert takeover(logged_in("192.0.2.4", 80, ["mia", "ada"], early=12)).status == "normal"

    def test_a_window_that_begins_too_late_knows_no_address(self):
        """Where nothing was asked of the time before, an office's address is not called new."""
        result = takeover(logged_in("192.0.2.4", 80, ["mia"]), start=STARTED - 900)
        assert result.status == "unknown"
        assert result.sentence.startswith("Not known: the window begins too late")

    def test_failures_after_the_success_prove_nothing(self):
        """A success after a typo or two is not the end of guessing, however often that address fails later."""
        assert takeover(logged_in("192.0.2.4", 80, ["mia"], last=ONSET + 2)).status == "normal"

    def test_successes_of_addresses_that_were_not_looked_at_are_unknown(self):
        """Where logins succeeded from more addresses than were told apart, none of them is cleared."""
        result = takeover(logged_in("192.0.2.4", 3, ["mia"]), succeeded=30)
        assert result.status == "unknown"
        assert "(1 of 30)" in result.sentence

    def test_a_service_that_logs_no_success_is_unknown(self):
        """Where successes are not logged, none of them is no news."""
        assert takeover(logged_in("203.0.113.7", 400, []), succeeded=0).status == "unknown"


class TestPlaces:
    def test_one_node_stands_apart(self):
        """Where exactly the pods of one node refuse, that is said with the node's name."""
        answers = {**by_pod(a=0.9, b=0.95, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        result = finding("places", {**FAULT_AT_PODS, **answers})
        assert result.facts["one_node"] and result.facts["node"] == "n1"
        assert (
            result.sentence == "No: 2 of 4 pods refuse logins, all on n1, where no pod does well; the others do well."
        )

    def test_some_pods_of_a_node_are_no_node(self):
        """Where another pod of the same node does well, it is not the node."""
        answers = {**by_pod(a=0.9, b=0.03, c=0.03, d=0.02), ("get pods",): placed(a="n1", b="n1", c="n2", d="n2")}
        facts = finding("places", {**FAULT_AT_PODS, **answers}).facts
        assert facts["some"] and not facts["one_node"]

    def test_without_the_cluster_the_node_is_not_known(self):
        """Pods that differ are seen without Kubernetes; whose node it is, is then not known."""
        facts = finding("places", {**FAULT_AT_PODS, **by_pod(a=0.9, b=0.03)}).facts
        assert facts["some"] and facts["one_node"] is None

    def test_all_alike(self):
        """Where every pod refuses, none stands apart."""
        result = finding("places", {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.62)})
        assert result.status == "normal" and result.facts["alike"]

    @pytest.mark.parametrize(
        ("pod", "theirs", "skewed"),
        [("a", 600.0, "a is 10 min ahead"), ("a", -600.0, "a is 10 min behind"), ("a", 1.0, ""), ("b", 1.0, None)],
    )
    def test_clocks_are_read_where_that_is_allowed(self, pod: str, theirs: float, skewed: str | None):
        """A clock that is off by minutes is named; right ones clear the clocks where a failing pod's is among them."""

        def told(query: Query) -> Answer:
            said = {"pod": pod, "sent": 1000.0, "received": 1000.2, "said": f"{1000.1 + theirs:.9f}", "error": ""}
            return Answer(query, "complete", {"clock": [said]})

        inside = Environment(service="shop", kubernetes=Kubernetes(exec=True))
        answers = {**FAULT_AT_PODS, **by_pod(a=0.6, b=0.02), ("date -u",): told}
        assert finding("places", answers, environment=inside).facts["skewed"] == skewed


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


class TestKey:
    def test_a_key_replaced_shortly_before(self):
        """A Secret made a minute and a half before the onset is named with that."""
        result = finding("key", {**FAULT, ("get secrets",): secrets(age="34m")})
        assert result.facts["replaced"] == "secret/jwt-public-key"
        assert result.sentence.startswith("Secret/jwt-public-key was made anew 90 s before the onset;")

    def test_an_old_key_may_have_been_changed_in_place(self):
        """A key's Secret that is months old may hold a new key: that none was made anew is said with this."""
        result = finding("key", {**FAULT, ("get secrets",): secrets()})
        assert result.status == "normal"
        assert "made anew shortly before the onset, but one changed in place keeps its age" in result.sentence
        assert result.sentence.endswith("the file itself was not looked at.")

    def test_an_age_in_days_says_nothing_of_an_hour(self):
        """Looked at days later, a key's age does not tell any more whether it was replaced shortly before the onset."""
        later = ONSET + 10.5 * 86_400
        result = finding("key", {**FAULT, ("get secrets",): secrets(age="10d", asked_at=later)}, now=later)
        assert (result.status, result.facts["replaced"]) == ("unknown", None)
        assert "its age is not known to the minute" in result.sentence

    def test_no_key_by_name_is_unknown(self):
        """A namespace whose Secrets have other names says nothing of the key."""
        assert finding("key", {**FAULT, ("get secrets",): secrets(name="database")}).status == "unknown"

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
        assert finding("key", answers, environment=inside, service=service).status == status


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
    """What a message speaks of, the auth service's own certificate not taken for an expired token."""
    assert reason(message) == named


FACTS: dict[str, dict[str, Any]] = {
    "logins": {"onset": ONSET},
    "attempts": {"added": False, "missed": True, "times": 1.0, "lost": 0.6},
    "addresses": {"few": False, "many": False, "loud": [], "loud_share": 0.0, "distinct": 40, "top_share": 0.03},
    "accounts": {"few": False, "loud": [], "loud_share": 0.0},
    "takeover": {"succeeded": False, "addresses": [], "accounts": [], "failures": 0},
    "rejections": {"told": True, "shares": dict.fromkeys(("auth_service", "clock", "tokens", "key", "guesses"), 0.0)},
    "changes": {"near": False, "only_new": False, "worse": False, "alike": False, "calm_minutes": 0, "distance": None, "revision": 3, "compared": None},
    "places": {"one_node": False, "alike": True, "some": False, "node": None, "skewed": None, "failing_pods": []},
    "key": {"replaced": None, "replaced_before": None, "sound": None, "form": None, "missing": []},
    "auth_service": {"failing": False, "per_minute": 0.0, "per_minute_before": 0.0},
}  # fmt: skip
LOUD = [{"address": "203.0.113.7", "failures": 600}, {"address": "2001:db8::9", "failures": 300}]
GUESSES = {
    "attempts": {"added": True, "missed": False, "times": 2.4, "lost": 0.0},
    "rejections": {"shares": {**FACTS["rejections"]["shares"], "guesses": 0.97}},
}
FEW = {**GUESSES, "addresses": {"few": True, "loud": LOUD, "loud_share": 0.94}}
MANY = {**GUESSES, "addresses": {"many": True, "distinct": 640}}
TAKEN = {"takeover": {"succeeded": True, "addresses": ["203.0.113.7"], "accounts": ["admin"], "failures": 600}}


def speaking(**shares: float) -> dict[str, dict[str, Any]]:
    return {"rejections": {"shares": {**FACTS["rejections"]["shares"], **shares}}}


def results(*changed: Mapping[str, Mapping[str, Any]], unknown: Sequence[str] = ()) -> Results:
    """Everything known and as it is in a fault that nobody has named yet, but for the changes."""
    merged = {name: dict(facts) for name, facts in FACTS.items()}
    for change in changed:
        for name, facts in change.items():
            merged[name] |= facts
    status: dict[str, Status] = {"logins": "abnormal", "takeover": "normal", **dict.fromkeys(unknown, "unknown")}
    if merged["takeover"]["succeeded"] and "takeover" not in unknown:
        status["takeover"] = "abnormal"
    return {
        name: Result(status.get(name, "abnormal"), "It is.", {} if name in unknown else facts)
        for name, facts in merged.items()
    }


def first(seen: Results) -> tuple[str, str]:
    verdict = of(ALERT, seen)[0]
    return verdict.cause, verdict.state


class TestCauses:
    @pytest.mark.parametrize(
        ("changed", "cause"),
        [
            ([speaking(key=0.9)], "key"),
            ([speaking(key=0.9), {"key": {"replaced": "secret/jwt", "replaced_before": 60}}], "key"),
            ([speaking(tokens=0.9)], "tokens"),
            ([speaking(auth_service=0.9), {"auth_service": {"failing": True, "per_minute": 40.0}}], "auth_service"),
            ([FEW], "brute_force"),
            ([FEW, TAKEN], "brute_force"),
            ([MANY], "spread_attack"),
            ([speaking(clock=0.9), {"places": {"one_node": True, "node": "n1", "alike": False}}], "clock"),
            ([speaking(tokens=0.9), {"places": {"one_node": True, "node": "n1", "alike": False}}], "clock"),
        ],
    )
    def test_the_right_one_comes_first(self, changed: list[dict[str, Any]], cause: str):
        """What was seen supports the one cause that it speaks for."""
        assert first(results(*changed)) == (cause, "supported")

    def test_nothing_telling_supports_nothing(self):
        """Logins that fail without any further sign have no supported cause."""
        assert not [v for v in of(ALERT, results()) if v.state == "supported"]

    @pytest.mark.parametrize("check", [name for name in FACTS if name not in ("logins", "accounts")])
    def test_missing_data_supports_nothing_new(self, check: str):
        """Whichever check could not run, no cause is supported that was not."""
        supported = {v.cause for v in of(ALERT, results(unknown=[check])) if v.state == "supported"}
        assert supported == set()

    def test_logs_that_name_no_reason_refute_none(self):
        """Where the logs say no more than before, neither the key nor the tokens are cleared by that."""
        silent = {"rejections": {"told": None, "shares": dict.fromkeys(FACTS["rejections"]["shares"], 0.0)}}
        states = {v.cause: v.state for v in of(ALERT, results(silent))}
        assert states["key"] == states["tokens"] == "not tested"

    def test_an_attack_is_not_tested_without_addresses(self):
        """Without knowing where failures come from, neither attack is refuted."""
        states = {v.cause: v.state for v in of(ALERT, results(GUESSES, unknown=["addresses"]))}
        assert states["brute_force"] == states["spread_attack"] == "not tested"


def headline(seen: Results) -> str:
    return conclude(ALERT, seen, of(ALERT, seen))[0]


class TestRemark:
    def test_an_attack_calls_security(self):
        """A supported attack is said first, with its strongest reason."""
        said = headline(results(FEW))
        assert said.startswith(
            "Call security: this looks like an attack (94 % of the failed logins come from 2 addresses). Probably guesses"
        )

    def test_a_taken_account_calls_security_whatever_the_cause(self):
        """A success after many failures calls security even where another cause explains the failures."""
        said = headline(results(speaking(key=0.9), TAKEN))
        assert said.startswith(
            "Call security: a login as admin succeeded from 203.0.113.7 after 10 or more of 600 failed ones."
        )

    def test_a_taken_account_calls_security_below_the_threshold(self):
        """A success after many failures calls security although the alert does not hold."""
        quiet = {**results(TAKEN), "logins": Result("normal", "No.", FACTS["logins"])}
        assert headline(quiet).startswith("Call security: a login as admin")

    def test_no_attack_with_the_data_for_it(self):
        """Where addresses and successes are known and another cause explains it, there is no sign of an attack."""
        assert headline(results(speaking(key=0.9))).startswith("No sign of an attack. Probably the JWT key")

    @pytest.mark.parametrize("missing", ["addresses", "takeover"])
    def test_without_the_data_it_is_not_known(self, missing: str):
        """Without addresses or without successes in the logs an attack cannot be excluded, and what is missing is said."""
        seen = results(speaking(key=0.9), unknown=[missing])
        assert headline(seen).startswith("Not known whether it is an attack (")

    def test_what_nothing_explains_may_be_an_attack(self):
        """Failures that no cause explains are not said to be harmless."""
        assert "no cause found explains the failures" in headline(results())

    def test_a_quiet_alert_needs_no_remark(self):
        """Where logins do not fail, nothing is said of attacks."""
        quiet = {**results(), "logins": Result("normal", "No.", FACTS["logins"])}
        assert remark(quiet, of(ALERT, quiet)) == ""

    def test_everything_down(self):
        """With every source down nothing is known, and that is what is said."""
        found = inquire({}).investigation()
        assert {f.result.status for f in found.findings} == {"unknown"}
        assert {v.state for v in found.verdicts} == {"not tested"}
        assert found.headline.startswith("Not known whether it is an attack")


def commands(plan: tuple[str, tuple[Any, ...]]) -> list[str]:
    return [step.command for step in plan[1]]


def at_proxy(**changes: object) -> Context:
    service = msgspec.structs.replace(fakes.SERVICE, proxy_deployment="edge", jwt_public_key_path="/keys/jwt.pem")
    environment = Environment(service="shop", kubernetes=Kubernetes(context="production"))
    return context(service=service, environment=environment, **changes)


class TestPlans:
    def test_exactly_the_addresses_found_are_blocked(self):
        """Each loud address has a ready command at the proxy, undone by its opposite, IPv6 by its own tool."""
        _, steps = keep_out(at_proxy(), results(FEW))
        rules = [
            (step.command, step.undo) for step in steps if "iptables" in step.command or "ip6tables" in step.command
        ]
        lead = "kubectl --context production -n web exec deployment/edge -- "
        assert rules == [
            (f"{lead}iptables -A INPUT -s 203.0.113.7 -j DROP", f"{lead}iptables -D INPUT -s 203.0.113.7 -j DROP"),
            (f"{lead}ip6tables -A INPUT -s 2001:db8::9 -j DROP", f"{lead}ip6tables -D INPUT -s 2001:db8::9 -j DROP"),
        ]

    @pytest.mark.parametrize("address", ["1.2.3.4; reboot", "$(id)", "0.0.0.0/0", "none", None, 7])
    def test_nothing_but_an_address_gets_into_a_command(self, address: JSON):
        """What is no address is left out, whatever the facts say."""
        loud = {"addresses": {"loud": [{"address": address, "failures": 900}]}, "takeover": {"addresses": [address]}}
        for plan in (keep_out, withstand):
            assert not [text for text in commands(plan(at_proxy(), results(FEW, loud))) if "DROP" in text]

    def test_without_a_proxy_by_name_the_address_is_named(self):
        """A profile without the proxy has no command, but says which address to block."""
        assert "Block 203.0.113.7 at the proxy." in commands(keep_out(context(), results(FEW)))

    def test_taken_accounts_come_first(self):
        """Accounts that somebody got into are closed before anything else."""
        assert "admin" in commands(keep_out(at_proxy(), results(FEW, TAKEN)))[0]

    def test_the_key_is_read_where_it_is(self):
        """Mounted, its age, its first lines, its expiry: each has its command."""
        texts = " | ".join(commands(restore_key(at_proxy(), results(speaking(key=0.9)))))
        for words in ("describe deployment", "get secrets", "head -n 3 /keys/jwt.pem", "openssl x509 -noout -enddate"):
            assert words in texts

    def test_the_node_with_the_wrong_clock_is_named(self):
        """The node is set right by name, and its pods can be moved away."""
        seen = results({"places": {"one_node": True, "node": "n1", "failing_pods": ["web-1", "x; y"]}})
        texts = commands(set_clocks(at_proxy(), seen))
        assert any(text.startswith("On n1: chronyc") for text in texts)
        assert "kubectl --context production -n web cordon n1" in texts
        assert [text for text in texts if "delete" in text] == ["kubectl --context production -n web delete pod/web-1"]


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

    return verify(seen, ALERT.recovery, ask, Frozen(seen.now), lambda said: None)


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

    assert finding("logins", {FAILED: nothing, ALL: warned}).status == "unknown"


def test_few_enough_queries():
    """Not more than 64 questions, so that all go out at once."""
    assert sum(len(check.queries(at_proxy())) for check in ALERT.checks) <= 64
    assert PHRASE in next(iter(ALERT.checks[2].queries(at_proxy()).values())).text
