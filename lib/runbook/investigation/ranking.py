"""Ranks the probable causes: explicit signs in, verdicts out; pure and deterministic.

A cause's score is how far its supporting signs together exclude chance, 1 - prod(1 - weight), weakened by
each refuting sign, times (1 - weight). From 0.5 on it is supported; without data it is not tested. One that is refuted
for want of support alone, with nothing seen against it, says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from runbook.errors import fault
from runbook.investigation.definitions import Alert, Cause, Sign
from runbook.investigation.results import Results
from runbook.model import State, Verdict
from runbook.text.escape import READABLE, shortened

logger = logging.getLogger(__name__)
SUPPORTED_FROM = 0.5


def of(alert: Alert, results: Results) -> tuple[Verdict, ...]:
    """The verdicts on an alert's causes: none is supported unless its first check says that the alert is real."""
    ranked = rank(alert.causes, results)
    match results[alert.checks[0].name].status:
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


def rank(causes: Sequence[Cause], results: Results) -> tuple[Verdict, ...]:
    """Verdicts of all causes, most probable first; untested ones last, ties in the order given."""
    verdicts = [judge(cause, results) for cause in causes]
    return tuple(sorted(verdicts, key=lambda v: -1.0 if v.score is None else v.score, reverse=True))


def judge(cause: Cause, results: Results) -> Verdict:
    """One cause after the signs that its checks show; a check without an answer is called by its question."""
    missing = [results.question_of(facts) for facts in cause.requires if results.known(facts) is None]
    if missing:
        return _untested(cause, results, f"no data from: {', '.join(missing)}")
    try:
        return _weighed(cause, results)
    except Exception as error:  # a sign that meets odd facts must cost its cause, never the ranking
        logger.exception("Cause %s cannot be judged", cause.name)
        named = ", ".join(results.name_of(facts) for facts in cause.requires)
        why = f"its signs could not be read off {named}: judge by what these checks found"
        return replace(_untested(cause, results, why), fault=fault(error))


def _untested(cause: Cause, results: Results, because: str) -> Verdict:
    return Verdict(cause.name, cause.title, "not tested", None, because, _required(cause, results))


def _required(cause: Cause, results: Results) -> tuple[str, ...]:
    return tuple(results.name_of(facts) for facts in cause.requires)


def _weighed(cause: Cause, results: Results) -> Verdict:
    supports, refutes = _seen(cause.supports, results), _seen(cause.refutes, results)
    score = round((1 - prod(1 - s.weight for s in supports)) * prod(1 - s.weight for s in refutes), 2)
    state: State = "supported" if score >= SUPPORTED_FROM else "refuted"
    unknown = [
        f"{one.name.replace('_', ' ')} ({results.question_of(one.facts)})"
        for one in cause.conclusive
        if getattr(results.known(one.facts), one.name, None) is None
    ]
    if state == "refuted" and unknown:
        return _untested(cause, results, f"not known: {', '.join(unknown)}")
    telling = supports if state == "supported" else refutes + supports
    because = shortened("; ".join(_say(s, results) for s in telling), READABLE) or "no sign of it"
    if state == "refuted" and supports and not refutes:
        because = f"the evidence is too weak: {because}"
    checks = (*_required(cause, results), *(results.name_of(s.facts) for s in telling))
    return Verdict(cause.name, cause.title, state, score, because, tuple(dict.fromkeys(checks)))


def _seen(signs: Sequence[Sign[Any]], results: Results) -> list[Sign[Any]]:
    """The signs that hold, the weightiest first; one whose check could not run shows nothing."""
    known = ((sign, results.known(sign.facts, optional=sign.optional)) for sign in signs)
    return sorted((sign for sign, facts in known if facts is not None and sign.holds(facts)), key=lambda s: -s.weight)


def _say(sign: Sign[Any], results: Results) -> str:
    facts = results.known(sign.facts, optional=sign.optional)
    return sign.says(facts) if facts is not None else ""
