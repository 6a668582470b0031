"""Ranks the probable causes: explicit signs in, verdicts out; pure and deterministic.

A cause's score is how far its supporting signs together exclude chance, 1 - prod(1 - weight), weakened by
each refuting sign, times (1 - weight). From 0.5 on it is supported; without data it is not tested. One that is refuted
for want of support alone, with nothing seen against it, says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from runbook.errors import fault
from runbook.investigation.definitions import Alert, Cause, Results, Sign
from runbook.model import JSON, Result, State, Verdict
from runbook.text.format import READABLE, shortened

SUPPORTED_FROM = 0.5
_NO_QUESTIONS: Mapping[str, str] = {}


def of(alert: Alert, results: Results) -> tuple[Verdict, ...]:
    """The verdicts on an alert's causes: none is supported unless its first check says that the alert is real."""
    first = alert.checks[0]
    ranked = rank(alert.causes, results, {check.name: check.question for check in alert.checks})
    match results[first.name].status:
        case "abnormal":
            return ranked
        case "unknown":
            missing = "it is not known whether the alert is real"
            return tuple(replace(v, state="not tested", score=None, because=missing) for v in ranked)
        case "normal":
            tested = [v for v in ranked if v.state != "not tested"]
            because = "the alert does not hold in this window"
            return (
                *(replace(v, state="refuted", score=0.0, because=because) for v in tested),
                *(v for v in ranked if v.state == "not tested"),
            )


def rank(
    causes: Sequence[Cause], results: Results, questions: Mapping[str, str] = _NO_QUESTIONS
) -> tuple[Verdict, ...]:
    """Verdicts of all causes, most probable first; untested ones last, ties in the order given.

    A check without an answer is called by its question, where `questions` knows it by the check's name.
    """
    verdicts = [judge(cause, results, questions) for cause in causes]
    return tuple(sorted(verdicts, key=lambda v: -1.0 if v.score is None else v.score, reverse=True))


def judge(cause: Cause, results: Results, questions: Mapping[str, str] = _NO_QUESTIONS) -> Verdict:
    """One cause after the signs that its checks show; `questions` as in `rank`."""
    missing = [questions.get(name, name) for name in cause.needs if _facts(results, name) is None]
    if missing:
        return Verdict(cause.name, cause.title, "not tested", None, f"no data from: {', '.join(missing)}", cause.needs)
    try:
        return _weighed(cause, results, questions)
    except Exception as error:  # a sign that meets odd facts must cost its cause, never the ranking
        why = f"its signs could not be read off {', '.join(cause.needs)}: judge by what these checks found"
        return Verdict(cause.name, cause.title, "not tested", None, why, cause.needs, fault(error))


def _weighed(cause: Cause, results: Results, questions: Mapping[str, str]) -> Verdict:
    supports, refutes = _seen(cause.supports, results), _seen(cause.refutes, results)
    score = round((1 - prod(1 - s.weight for s in supports)) * prod(1 - s.weight for s in refutes), 2)
    state: State = "supported" if score >= SUPPORTED_FROM else "refuted"
    unknown = [
        f"{fact.replace('_', ' ')} ({questions.get(check, check)})"
        for check, fact in cause.decides
        if (_facts(results, check) or {}).get(fact) is None
    ]
    if state == "refuted" and unknown:
        why = f"not known: {', '.join(unknown)}"
        return Verdict(cause.name, cause.title, "not tested", None, why, cause.needs)
    telling = supports if state == "supported" else refutes + supports
    because = shortened("; ".join(_say(s, results) for s in telling), READABLE) or "no sign of it"
    if state == "refuted" and supports and not refutes:
        because = f"too little speaks for it: {because}"
    return Verdict(
        cause.name,
        cause.title,
        state,
        score,
        because,
        tuple(dict.fromkeys((*cause.needs, *(s.check for s in telling)))),
    )


def _facts(results: Results, check: str) -> Mapping[str, JSON] | None:
    """A check's facts; None where it could not run, so that nothing is concluded from absence."""
    result: Result | None = results.get(check)
    return None if result is None or result.status == "unknown" else result.facts


def _seen(signs: Sequence[Sign], results: Results) -> list[Sign]:
    known = ((sign, _facts(results, sign.check)) for sign in signs)
    return sorted((sign for sign, facts in known if facts is not None and sign.holds(facts)), key=lambda s: -s.weight)


def _say(sign: Sign, results: Results) -> str:
    facts = _facts(results, sign.check)
    return sign.says(facts) if facts is not None else ""
