"""The ranking of causes."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from runbook.investigation.definitions import Cause, Check, Conclusive, Plan, Sign
from runbook.investigation.ranking import judge, rank
from runbook.investigation.results import Results
from runbook.model import Facts, Result


@dataclass(frozen=True, kw_only=True)
class Errors(Facts):
    speak: bool = False


@dataclass(frozen=True, kw_only=True)
class Database(Facts):
    refusing: bool = False
    healthy: bool = False
    slow_queries: bool | None = False
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Logs(Facts):
    speak: bool = False


KINDS: dict[str, type[Facts]] = {"errors": Errors, "database": Database, "logs": Logs}
CHECKS = tuple(
    Check(name, f"Are the {name} fine?", kind, lambda context: {}, lambda *_: Result("unknown", ""))
    for name, kind in KINDS.items()
)


def sign(kind: type[Facts], weight: float, fact: str) -> Sign[Facts]:
    name = next(name for name, one in KINDS.items() if one is kind)
    return Sign(kind, weight, lambda facts: bool(getattr(facts, fact)), lambda facts: f"{name} shows {fact}")


def cause(name: str = "database", **changes: object) -> Cause:
    fields: dict[str, object] = {
        "phrase": lambda results: "the database",
        "plan": Plan(lambda context, results: ("Restore it", ())),
        "requires": (Errors, Database),
        "supports": (sign(Database, 0.6, "refusing"), sign(Logs, 0.5, "speak")),
        "refutes": (sign(Database, 0.8, "healthy"),),
    }
    return Cause(name, name.title(), **{**fields, **changes})  # type: ignore[arg-type]


def results(**facts: Facts | None) -> Results:
    found = {name: Result("unknown" if f is None else "abnormal", "", f) for name, f in facts.items()}
    return Results(found, CHECKS)


def test_missing_data_leaves_a_cause_untested():
    """A check that could not run makes its causes untested, however strong the other signs are."""
    verdict = judge(cause(), results(errors=Errors(), database=None, logs=Logs(speak=True)))
    assert (verdict.state, verdict.score) == ("not tested", None)
    assert verdict.because == "no data from: Are the database fine?"


def test_signs_that_meet_odd_facts_leave_their_cause_untested():
    """What the person reads names the checks to judge by; the error itself is for whoever repairs the rules."""
    odd = Sign(Database, 0.6, lambda facts: facts.share > 0.5, lambda facts: "it is high")  # type: ignore[operator]
    verdict = judge(cause(supports=(odd,)), results(errors=Errors(), database=Database()))
    assert (verdict.state, verdict.score) == ("not tested", None)
    assert verdict.because == "its signs could not be read off errors, database: judge by what these checks found"
    assert verdict.fault.startswith("TypeError: ")


def test_a_check_without_an_answer_is_called_by_its_question():
    """A reader knows the question, not the name that the code has for it."""
    missing = judge(cause(), results(errors=Errors(), database=None))
    assert missing.because.endswith("Are the database fine?")
    assert missing.checks == ("errors", "database")


def test_a_check_that_never_ran_counts_as_missing():
    """A result that is not there at all is no data either."""
    assert judge(cause(), results(errors=Errors())).state == "not tested"


def test_signs_add_up_without_reaching_certainty():
    """Independent signs exclude chance together: 0.6 and 0.5 give 0.8."""
    verdict = judge(cause(), results(errors=Errors(), database=Database(refusing=True), logs=Logs(speak=True)))
    assert (verdict.state, verdict.score) == ("supported", 0.8)
    assert verdict.because == "database shows refusing; logs shows speak"


def test_a_refuting_sign_weakens():
    """What speaks against a cause is weighed against what speaks for it, and named first."""
    verdict = judge(cause(), results(errors=Errors(), database=Database(refusing=True, healthy=True), logs=Logs()))
    assert (verdict.state, verdict.score) == ("refuted", 0.12)
    assert verdict.because.startswith("database shows healthy")


def test_too_little_support_is_called_that():
    """Where nothing speaks against a cause that falls short, its reason is the want of support."""
    verdict = judge(
        cause(supports=(sign(Logs, 0.46, "speak"),)),
        results(errors=Errors(), database=Database(), logs=Logs(speak=True)),
    )
    assert (verdict.state, verdict.score) == ("refuted", 0.46)
    assert verdict.because == "the evidence is too weak: logs shows speak"


def test_no_sign_at_all_refutes():
    """Data without any sign says so in words."""
    verdict = judge(cause(), results(errors=Errors(), database=Database(), logs=Logs()))
    assert (verdict.state, verdict.score, verdict.because) == ("refuted", 0.0, "no sign of it")


def test_an_unknown_deciding_fact_refutes_nothing():
    """What is not known speaks neither for nor against: the cause is not tested, and the fact is named."""
    undecided = cause(conclusive=(Conclusive(Database, "slow_queries"),))
    verdict = judge(
        undecided, results(errors=Errors(), database=Database(slow_queries=None, healthy=True), logs=Logs())
    )
    assert (verdict.state, verdict.because) == ("not tested", "not known: slow queries (Are the database fine?)")


def test_strong_signs_need_no_further_fact():
    """A cause that is supported already stays so, whatever else is not known."""
    undecided = cause(conclusive=(Conclusive(Database, "slow_queries"),))
    assert (
        judge(undecided, results(errors=Errors(), database=Database(refusing=True), logs=Logs())).state == "supported"
    )


def test_a_sign_that_fails_costs_its_cause_only():
    """Odd facts make one cause untested; the ranking goes on."""
    odd = cause("odd", supports=(Sign(Database, 0.6, lambda facts: facts.share > 1, lambda facts: ""),))
    ranked = rank([odd, cause("other")], results(errors=Errors(), database=Database(refusing=True)))
    assert [(v.cause, v.state) for v in ranked] == [("other", "supported"), ("odd", "not tested")]


def test_ranking_puts_the_untested_last():
    """The most probable cause comes first, what could not be tested last, ties in the order given."""
    strong = cause("strong", requires=(Database,))
    weak = cause("weak", requires=(Database,), supports=(sign(Database, 0.2, "refusing"),))
    blind = cause("blind", requires=(Logs,))
    ranked = rank([blind, weak, strong], results(database=Database(refusing=True)))
    assert [v.cause for v in ranked] == ["strong", "weak", "blind"]


@given(st.lists(st.floats(0, 1), max_size=6), st.lists(st.floats(0, 1), max_size=6))
def test_a_score_stays_within_bounds(supports: list[float], refutes: list[float]):
    """Whatever the weights, a score is between nothing and certainty, and only support can support."""
    made = cause(
        supports=tuple(sign(Database, w, "refusing") for w in supports),
        refutes=tuple(sign(Database, w, "refusing") for w in refutes),
    )
    verdict = judge(made, results(errors=Errors(), database=Database(refusing=True)))
    assert verdict.score is not None and 0 <= verdict.score <= 1
    assert verdict.state == ("supported" if verdict.score >= 0.5 else "refuted")
