"""Why are logins refused? The reasons in log messages about logins: how many more than at the rate before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.logins.auth_service import PHRASES
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.toolkit.series import split_time
from runbook.analysis.log_patterns import Template, group
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result, Series, Table
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural, share_text

JWT = "JWT validation"
NEWEST, SAMPLE = 20, 2000
LEVELS = ("warn", "error")
SHOWN = 0.05  # of the messages above the usual rate: a reason with a smaller share is left out of the sentence
FEW = 1.0  # messages per minute above the usual rate: fewer prove nothing
REASONS = {  # the first one that matches
    "auth_service": rf"\b({'|'.join(map(re.escape, PHRASES))})\b",
    "clock": r"immature|not ?yet ?valid|before (it was )?issued|in the future|\bnbf\b|\biat\b",
    "tokens": r"expired",
    "key": r"public key|signing key|unknown key|invalid ?signature|\bkid\b|\bpem\b",
    "guesses": (
        r"password|credential|unknown user|no such (user|account)|invalid ?token|malformed|signature mismatch"
        r"|too many attempts"
    ),
}
SAYS = {
    "auth_service": "the auth service",
    "clock": "tokens that are not valid yet",
    "tokens": "expired tokens or certificates",
    "key": "the key or signatures",
    "guesses": "wrong passwords or forged tokens",
}
_REASONS = {name: re.compile(words, re.IGNORECASE) for name, words in REASONS.items()}


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Log messages that say why a login was refused.

    `since_onset` counts those with “JWT validation” since the onset. Of all reasons, `per_minute` is how many more
    there are than at the rate before; `reasons_given` that they are enough to judge by (None: not); `shares` is each
    reason's share of them (0..1; 0 where they are not enough).
    """

    since_onset: int
    per_minute: float
    reasons_given: bool | None
    shares: Mapping[str, float]


def _queries(c: Context) -> Mapping[str, Query]:
    split = error_messages.sample_split(c)
    samples = {
        f"{level} {side}": elasticsearch.sample_of_errors(c.service, *span, SAMPLE, level=level)
        for level in LEVELS
        for side, span in {"before": (c.start, split), "since": (split, c.end)}.items()
    }
    return {
        "newest": elasticsearch.newest_errors(c.service, c.start, c.end, NEWEST, level="", phrases=(JWT,)),
        "over time": elasticsearch.errors_over_time(
            c.service, c.start, c.end, max(60, c.step), level="", phrases=(JWT,)
        ),
        **samples,
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    began = split_time(c, earlier.onset)
    times, counts = elasticsearch.histogram(answers["over time"])
    samples = [answers[f"{level} {side}"] for side in ("before", "since") for level in LEVELS]
    if not all(one.usable or one.completeness == "empty" for one in samples):
        return Result("unknown", f"Not known: {next(one.error for one in samples if one.completeness == 'failed')}")
    found = group([message for one in samples for message in error_messages.messages(c, one)], began)
    grown = error_messages.grown(found, c, began)
    more = _by_reason(found, grown)
    total, minutes = sum(more.values()), (c.end - began) / 60
    enough = total / minutes >= FEW
    facts = Facts(
        since_onset=round(float(np.sum(counts[times >= began]))),
        per_minute=round(total / minutes, 1),
        reasons_given=enough or None,
        shares={name: round(count / total, 3) if enough else 0.0 for name, count in more.items()},
    )
    chart = Chart(
        "jwt-messages",
        f"Messages with “{JWT}”",
        "messages / min",
        (Series("messages", tuple(times), tuple(counts * 60 / max(60, c.step))),),
        kind="bars",
    )
    tables = (_patterns(found), error_messages.newest(c, answers["newest"], "newest-jwt-messages"))
    charts = (chart,) if counts.any() else ()
    return Result(
        "abnormal" if enough else "normal", _sentence(facts), facts, charts, tuple(t for t in tables if t.rows)
    )


def reason(pattern: str) -> str:
    """The reason for a refused login that a message gives; "" where it gives none."""
    return next((name for name, words in _REASONS.items() if words.search(pattern)), "")


def _by_reason(found: Iterable[Template], grown: Mapping[str, float]) -> dict[str, float]:
    """Messages above the usual rate by the reason that they give."""
    reasons = [(reason(one.pattern), grown.get(one.pattern, 0.0)) for one in found]
    return {name: sum(count for said, count in reasons if said == name) for name in REASONS}


def _sentence(facts: Facts) -> str:
    jwt = f"{plural(facts.since_onset, 'message')} with “{JWT}” since the onset"
    if not facts.reasons_given:
        return f"The logs name no reason more often than before; {jwt}."
    ranked = sorted(facts.shares.items(), key=lambda one: -one[1])
    shown = [(SAYS[name], share) for name, share in ranked if share >= SHOWN]
    if len(shown) == 1 and shown[0][1] == 1:
        return f"All login messages above the usual rate are about {shown[0][0]}; {jwt}."
    reasons = ", ".join(f"{share_text(share)} are about {what}" for what, share in shown)
    return f"Of the login messages above the usual rate, {reasons}; {jwt}."


def _patterns(found: Sequence[Template]) -> Table:
    rows = tuple(
        (one.pattern, SAYS[said], "new" if one.new else "", count_text(one.before), count_text(one.since))
        for one in found
        if (said := reason(one.pattern))
    )
    return Table("rejection-patterns", ("Message pattern", "About", "", "Before", "Since onset"), rows[:8])


CHECK = Check("rejection_reasons", "Why are logins refused?", Facts, _queries, _judge, optional=("newest", "over time"))
