"""The investigator: questions out at once, judged in order, nothing concluded from absence."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from runbook.alerts.high_error_rate import ALERT
from runbook.alerts.shared_causes import TRAFFIC
from runbook.clock import Frozen
from runbook.investigation.definitions import Plan
from runbook.investigation.investigator import Investigator
from runbook.model import Answer, Query, failed
from tests.fakes import ONSET, Scripted, context, line, nothing

FAILED, ALL = ("http_requests_total", "5.."), ("http_requests_total",)


def rising(before: float, since: float):
    """A rate that steps up at the onset; at the same hours of other days it does not."""
    return line(lambda t: since if ONSET <= t < ONSET + 86_400 else before)


def inquire(source: object, **changes: object) -> Investigator:
    return Investigator(ALERT, context(**changes), source, Frozen(context().now))  # type: ignore[arg-type]


def test_everything_down_supports_nothing():
    """With every source down each check is unknown with the source's own words, and no cause is tested."""
    found = inquire(Scripted({})).investigation()
    assert {f.result.status for f in found.findings} == {"unknown"}
    assert all("is down; start it." in f.result.sentence for f in found.findings)
    assert {v.state for v in found.verdicts} == {"not tested"}
    assert found.mitigations == ()
    assert found.headline == "Not known whether HighErrorRate is real."
    assert found.ledger == "0 of 9 checks ran"


def test_no_traffic_is_not_health():
    """0/0 is no traffic: the alert is not known to be over, and never 0 %."""
    found = inquire(Scripted({FAILED: nothing, ALL: line(lambda t: 0.0)})).finding("request_error_rate")
    assert found.result.status == "unknown"
    assert "no requests" in found.result.sentence


def test_no_failures_need_data_on_requests():
    """Without any 5xx series but with requests, nothing failed: 0 %, measured."""
    found = inquire(Scripted({FAILED: nothing, ALL: line(lambda t: 50.0)})).finding("request_error_rate")
    assert found.result.status == "normal"
    assert "0 %" in found.result.sentence


def test_the_onset_is_found_and_told():
    """A step to 16 % is real, began at its onset, and is told against last week's hour."""
    found = inquire(Scripted({FAILED: rising(0.3, 8.0), ALL: line(lambda t: 50.0)})).finding("request_error_rate")
    assert found.result.status == "abnormal"
    assert abs(found.result.facts.onset - ONSET) <= 60
    assert found.result.sentence.startswith("Yes. 16 % of requests fail now (threshold 5 %; at this hour 0.6 %")


def test_a_real_alert_without_further_data_has_untested_causes():
    """Errors alone support no cause; the traffic, which is known, is refuted as one."""
    found = inquire(Scripted({FAILED: rising(0.3, 8.0), ALL: line(lambda t: 50.0)})).investigation()
    states = {v.cause: v.state for v in found.verdicts}
    assert states == {
        "database": "not tested",
        "authentication": "not tested",
        "resources": "not tested",
        "deployment": "not tested",
        "traffic": "refuted",
    }
    assert found.headline.startswith("Real; no cause found, but not tested:")


def test_partial_data_is_never_called_normal():
    """A normal result from an answer with warnings is unknown, and says what is missing."""

    def warned(query: Query) -> Answer:
        return replace(line(lambda t: 50.0)(query), completeness="partial", warnings=("a store is unavailable",))

    found = inquire(Scripted({FAILED: nothing, ALL: warned})).finding("request_error_rate")
    assert found.result.status == "unknown"
    assert "a store is unavailable" in found.result.sentence


def test_odd_data_costs_its_check_only():
    """An answer of an unexpected shape makes its check unknown; the others go on."""

    def odd(query: Query) -> Answer:
        return Answer(query, "complete", {"resultType": "matrix", "result": [{"surprise": 1}]})

    investigator = inquire(Scripted({("auth_attempts_total",): odd, FAILED: nothing, ALL: line(lambda t: 50.0)}))
    found = investigator.finding("authentication").result
    assert found.sentence.startswith("Not known: the answers of Prometheus could not be judged, having another form")
    assert "Error" not in found.sentence
    assert (found.facts, found.fault) == (None, "KeyError: 'values'")
    assert investigator.finding("request_error_rate").result.status == "normal"


def test_a_quiet_alert_supports_no_cause():
    """Where the share of failed requests stays below the threshold, nothing is blamed."""
    found = inquire(Scripted({FAILED: line(lambda t: 0.3), ALL: rising(50, 500)})).investigation()
    assert not [v for v in found.verdicts if v.state == "supported"]
    assert found.headline == "HighErrorRate does not hold in this window: nothing to mitigate."


def test_queries_go_out_together():
    """All queries are under way at once: where a source hangs, that costs one deadline."""
    count = sum(len(check.queries(context())) for check in ALERT.checks)
    together, met = threading.Barrier(count, timeout=30), threading.Event()

    class Meeting:
        def ask(self, query: Query) -> Answer:
            if not met.is_set():
                together.wait()
                met.set()
            return failed(query, "met")

    found = inquire(Meeting()).investigation()
    assert all("met" in a.error for a in found.answers)


def test_a_series_that_only_begins_is_no_surge():
    """The rate of a service that was just started grows to its true value: that is nothing to compare with."""
    begun = ONSET - 100

    def young(t: float) -> float:
        return min(1.0, (t - begun) / 300) * 50 if begun < t < ONSET + 86_400 else float("nan")

    def answer(query: Query) -> Answer:
        whole = line(young)(query)
        if query.kind == "range":
            values = [v for v in whole.data["result"][0]["values"] if v[1] != "nan"]
            whole.data["result"] = [{"metric": {}, "values": values}] if values else []
        return replace(whole, completeness="complete" if whole.data["result"] else "empty")

    found = inquire(Scripted({FAILED: nothing, ALL: answer})).finding("traffic")
    assert found.result.status == "unknown"
    assert "nothing to compare with" in found.result.sentence


def test_a_fault_in_an_alert_s_own_words_costs_those_words():
    """A plan, a phrase or a note that raises is logged; the verdicts, the other words and the evidence are there."""

    def fails(*_: object) -> Any:
        raise KeyError("queue")

    broken = replace(TRAFFIC, phrase=fails, plan=Plan(fails))
    alert = replace(ALERT, causes=(broken, *(c for c in ALERT.causes if c.name != "traffic")), note=fails)
    source = Scripted({FAILED: rising(0.3, 80.0), ALL: rising(50.0, 500.0)})
    found = Investigator(alert, context(), source, Frozen(context().now)).investigation()
    assert [v.cause for v in found.verdicts if v.state == "supported"] == ["traffic"]
    assert found.headline == "Probably Traffic surge."
    assert found.mitigations == ()


def test_a_query_that_a_check_only_names_costs_nothing_else():
    """A check that requires a query which it does not ask is judged by those that it does."""
    wrong = replace(ALERT.checks[-1], requires=("atempts",))
    alert = replace(ALERT, checks=(*ALERT.checks[:-1], wrong))
    found = Investigator(alert, context(), Scripted({}), Frozen(context().now)).investigation()
    assert {finding.result.status for finding in found.findings} == {"unknown"}
