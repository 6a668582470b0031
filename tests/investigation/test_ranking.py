"""The ranking of causes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runbook.investigation.definitions import Cause, Sign
from runbook.investigation.ranking import judge, rank
from runbook.model import Result


def sign(check: str, weight: float, fact: str) -> Sign:
    return Sign(check, weight, lambda facts: bool(facts.get(fact)), lambda facts: f"{check} shows {fact}")


def cause(name: str = "database", **changes: object) -> Cause:
    fields: dict[str, object] = {
        "phrase": lambda results: "the database",
        "plan": lambda context, results: ("Restore it", ()),
        "needs": ("errors", "database"),
        "supports": (sign("database", 0.6, "refusing"), sign("logs", 0.5, "speak")),
        "refutes": (sign("database", 0.8, "well"),),
    }
    return Cause(name, name.title(), **{**fields, **changes})  # type: ignore[arg-type]


def results(**facts: dict[str, bool] | None) -> dict[str, Result]:
    return {name: Result("unknown" if f is None else "abnormal", "", f or {}) for name, f in facts.items()}


def test_missing_data_leaves_a_cause_untested():
    """A check that could not run makes its causes untested, however strong the other signs are."""
    verdict = judge(cause(), results(errors={}, database=None, logs={"speak": True}))
    assert (verdict.state, verdict.score) == ("not tested", None)
    assert verdict.because == "no data from: database"


def test_signs_that_meet_odd_facts_leave_their_cause_untested():
    """What the person reads names the checks to judge by; the error itself is for whoever repairs the rules."""
    odd = Sign("database", 0.6, lambda facts: facts["share"] > 0.5, lambda facts: "it is high")
    verdict = judge(cause(supports=(odd,)), results(errors={}, database={}))
    assert (verdict.state, verdict.score) == ("not tested", None)
    assert verdict.because == "its signs could not be read off errors, database: judge by what these checks found"
    assert verdict.fault == "KeyError: 'share'"


def test_a_check_without_an_answer_is_called_by_its_question():
    """A reader knows the question, not the name that the code has for it."""
    asked = {"database": "Is the database well?"}
    missing = judge(cause(), results(errors={}, database=None), asked)
    assert missing.because == "no data from: Is the database well?"
    undecided = cause(decides=(("database", "slow_queries"),))
    unknown = judge(undecided, results(errors={}, database={}, logs={}), asked)
    assert unknown.because == "not known: slow queries (Is the database well?)"


def test_a_check_that_never_ran_counts_as_missing():
    """A result that is not there at all is no data either."""
    assert judge(cause(), results(errors={})).state == "not tested"


def test_signs_add_up_without_reaching_certainty():
    """Independent signs exclude chance together: 0.6 and 0.5 give 0.8."""
    verdict = judge(cause(), results(errors={}, database={"refusing": True}, logs={"speak": True}))
    assert (verdict.state, verdict.score) == ("supported", 0.8)
    assert verdict.because == "database shows refusing; logs shows speak"


def test_a_refuting_sign_weakens():
    """What speaks against a cause is weighed against what speaks for it, and named first."""
    verdict = judge(cause(), results(errors={}, database={"refusing": True, "well": True}, logs={}))
    assert (verdict.state, verdict.score) == ("refuted", 0.12)
    assert verdict.because.startswith("database shows well")


def test_too_little_support_is_called_that():
    """Where nothing speaks against a cause that falls short, its reason is the want of support."""
    verdict = judge(
        cause(supports=(sign("logs", 0.46, "speak"),)), results(errors={}, database={}, logs={"speak": True})
    )
    assert (verdict.state, verdict.score) == ("refuted", 0.46)
    assert verdict.because == "too little speaks for it: logs shows speak"


def test_no_sign_at_all_refutes():
    """Data without any sign says so in words."""
    verdict = judge(cause(), results(errors={}, database={}, logs={}))
    assert (verdict.state, verdict.score, verdict.because) == ("refuted", 0.0, "no sign of it")


def test_an_unknown_deciding_fact_refutes_nothing():
    """What is not known speaks neither for nor against: the cause is not tested, and the fact is named."""
    undecided = cause(decides=(("database", "slow_queries"),))
    verdict = judge(undecided, results(errors={}, database={"slow_queries": None, "well": True}, logs={}))  # type: ignore[dict-item]
    assert (verdict.state, verdict.because) == ("not tested", "not known: slow queries (database)")


def test_strong_signs_need_no_further_fact():
    """A cause that is supported already stays so, whatever else is not known."""
    undecided = cause(decides=(("database", "slow_queries"),))
    assert judge(undecided, results(errors={}, database={"refusing": True}, logs={})).state == "supported"


def test_a_sign_that_fails_costs_its_cause_only():
    """Odd facts make one cause untested; the ranking goes on."""
    odd = cause("odd", supports=(Sign("database", 0.6, lambda facts: facts["surprise"] > 1, lambda facts: ""),))
    ranked = rank([odd, cause("other")], results(errors={}, database={"refusing": True}))
    assert [(v.cause, v.state) for v in ranked] == [("other", "supported"), ("odd", "not tested")]


def test_ranking_puts_the_untested_last():
    """The most probable cause comes first, what could not be tested last, ties in the order given."""
    strong = cause("strong", needs=("database",))
    weak = cause("weak", needs=("database",), supports=(sign("database", 0.2, "refusing"),))
    blind = cause("blind", needs=("resources",))
    ranked = rank([blind, weak, strong], results(database={"refusing": True}))
    assert [v.cause for v in ranked] == ["strong", "weak", "blind"]


@given(st.lists(st.floats(0, 1), max_size=6), st.lists(st.floats(0, 1), max_size=6))
def test_a_score_stays_within_bounds(supports: list[float], refutes: list[float]):
    """Whatever the weights, a score is between nothing and certainty, and only support can support."""
    made = cause(
        supports=tuple(sign("database", w, "on") for w in supports),
        refutes=tuple(sign("database", w, "on") for w in refutes),
    )
    verdict = judge(made, results(errors={}, database={"on": True}))
    assert verdict.score is not None and 0 <= verdict.score <= 1
    assert verdict.state == ("supported" if verdict.score >= 0.5 else "refuted")
