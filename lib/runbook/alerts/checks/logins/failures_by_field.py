"""Failed logins by one field of the logs, an address or an account: who has many of them, beyond what was usual before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.toolkit.series import fact
from runbook.config.schema import Service
from runbook.investigation.definitions import Answers, Check, Context, Results
from runbook.model import Query, Result, Table
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural, share_text

PHRASE, LEVEL = "authentication failure", "warn"
SHOWN, COMPARED = 10, 100
LOUD_SHARE, LOUD_COUNT = 0.05, 10  # this share of all failures, and at least so many: more than a usual user has
GROWN = 3.0  # times the rate before
LOGGED_SHARE, LOGGED_LEAST = 0.01, 100  # of the failures that are counted: with fewer logged, the logs tell nothing


@dataclass(frozen=True)
class Spread:
    """How failed logins lie over the values of a field; rates are per minute, `loud` those with a remarkable part."""

    total: int
    rate: float
    rate_before: float
    top: tuple[tuple[str, int], ...]
    loud: tuple[tuple[str, int], ...]
    distinct: int | None

    @property
    def grown(self) -> bool:
        """Whether far more logins fail than before."""
        return self.total >= LOUD_COUNT and self.rate >= GROWN * self.rate_before

    @property
    def loud_share(self) -> float:
        """The part of all failures that the loud ones have."""
        return sum(count for _, count in self.loud) / self.total if self.total else 0.0

    def table(self, name: str, column: str) -> Table:
        """The most frequent values."""
        rows = ((value, count_text(count), share_text(count / self.total)) for value, count in self.top)
        return Table(name, (column, "Failed logins", "Of all"), tuple(rows))


def _queries(c: Context, field: str) -> Mapping[str, Query]:
    """The values since shortly before the alert, and those before."""
    parted = error_messages.parted(c)
    asked = {"since": (parted, c.end, SHOWN), "before": (c.start, parted, COMPARED)}
    return {
        when: elasticsearch.top_values(c.service, start, end, field, size=size, level=LEVEL, phrases=(PHRASE,))
        for when, (start, end, size) in asked.items()
    }


def check(
    name: str,
    question: str,
    what: str,
    field: Callable[[Service], str],
    judge: Callable[[Spread], Result],
) -> Check:
    """A check of the values of one field, which hold `what`, e.g. "account": `judge` has some to judge by."""
    return Check(
        name,
        question,
        lambda c: _queries(c, field(c.service)),
        lambda c, answers, earlier: _judged(c, answers, earlier, what, field(c.service), judge),
    )


def _judged(
    c: Context, answers: Answers, earlier: Results, what: str, field: str, judge: Callable[[Spread], Result]
) -> Result:
    if gap := _gap(c, answers, earlier):
        return Result("unknown", f"Not known: {gap}")
    found = _spread(c, answers)
    if not found.top:
        return Result("unknown", f"Not known: failed logins are logged without the {what}, or not in “{field}”.")
    return judge(found)


def _gap(c: Context, answers: Answers, earlier: Results) -> str:
    """What is missing from the logs to judge by them; "" where nothing is."""
    if missing := error_messages.usual_gap(c):
        return missing
    for answer in answers.values():
        if answer.completeness == "failed":
            return answer.error
    total = elasticsearch.total(answers["since"])[0]
    if not total:
        return f"the logs hold no “{PHRASE}” at level {LEVEL} since shortly before the alert."
    failed = fact(earlier, next(iter(earlier), ""), "failed_logins")
    if failed and total < min(LOGGED_LEAST, LOGGED_SHARE * failed):
        return f"the logs hold only {plural(total, 'failed login')} of the {count_text(failed)} that were counted."
    return ""


def _spread(c: Context, answers: Answers) -> Spread:
    """A value is loud that has a remarkable part of the failures, and had far fewer in the same time before."""
    parted = error_messages.parted(c)
    minutes, minutes_before = (c.end - parted) / 60, (parted - c.start) / 60
    total, before = (elasticsearch.total(answers[when])[0] for when in ("since", "before"))
    top = elasticsearch.terms(answers["since"])[0]
    usual = dict(elasticsearch.terms(answers["before"])[0])
    loud = tuple(
        (value, count)
        for value, count in top
        if count >= max(LOUD_COUNT, LOUD_SHARE * total)
        and count / minutes >= GROWN * usual.get(value, 0) / minutes_before
    )
    return Spread(total, total / minutes, before / minutes_before, top, loud, elasticsearch.distinct(answers["since"]))
