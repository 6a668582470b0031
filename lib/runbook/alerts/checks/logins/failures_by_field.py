"""Failed logins by one field of the logs, an address or an account: which values have far more of them than before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runbook.alerts.checks.logins import login_failure_rate
from runbook.alerts.checks.logs import error_messages
from runbook.config.schema import Service
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Facts, Query, Result, Table
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural, share_text

PHRASE, LEVEL = "authentication failure", "warn"
SHOWN, COMPARED = 10, 100
LOUD_SHARE, LOUD_COUNT = 0.05, 10  # this share of all failures, and at least this many: more than a usual user has
GROWN = 3.0  # times the rate before
LOGGED_SHARE, LOGGED_LEAST = 0.01, 100  # of the failures counted by metrics: with fewer logged, the logs prove nothing
NAMED = 3  # values in a sentence


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Failed logins by the values of a field: rates are per minute; `loud` values have far more than before, and a
    considerable share of all; about so many `distinct` values there are (None: not known).
    """

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
        """The loud values' share of all failures."""
        return sum(count for _, count in self.loud) / self.total if self.total else 0.0

    def table(self, name: str, column: str) -> Table:
        """The most frequent values."""
        rows = ((value, count_text(count), share_text(count / self.total)) for value, count in self.top)
        return Table(name, (column, "Failed logins", "% of all failures"), tuple(rows))


def _queries(c: Context, field: str) -> Mapping[str, Query]:
    """The values since shortly before the alert, and those before."""
    split = error_messages.sample_split(c)
    asked = {"since": (split, c.end, SHOWN), "before": (c.start, split, COMPARED)}
    return {
        when: elasticsearch.top_values(c.service, start, end, field, size=size, level=LEVEL, phrases=(PHRASE,))
        for when, (start, end, size) in asked.items()
    }


def check(
    name: str,
    question: str,
    *,
    facts: type[Facts],
    what: str,
    field: Callable[[Service], str],
    judge: Callable[[Spread], Result],
) -> Check:
    """A check of the values of one field, which hold `what`, e.g. "account": `judge` gets those that there are."""

    def judged(c: Context, answers: Answers, earlier: Results) -> Result:
        if gap := _gap(c, answers, earlier):
            return Result("unknown", f"Not known: {gap}")
        found = _spread(c, answers)
        if not found.top:
            where = f"failed logins are logged without the {what}, or not in “{field(c.service)}”"
            return Result("unknown", f"Not known: {where}.")
        return judge(found)

    reads = (login_failure_rate.Facts,)
    return Check(name, question, facts, lambda c: _queries(c, field(c.service)), judged, reads=reads)


def first_few(names: Sequence[str]) -> str:
    """The first names, and how many more there are: "a", "a and b", "a, b, c and 2 more"."""
    rest = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    *others, last = [*names[:NAMED], *rest] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _gap(c: Context, answers: Answers, earlier: Results) -> str:
    """Why the logs do not suffice to judge by; "" where they do."""
    if missing := error_messages.usual_gap(c):
        return missing
    for answer in answers.values():
        if answer.completeness == "failed":
            return answer.error
    total = elasticsearch.total(answers["since"])[0]
    if not total:
        return f"the logs hold no “{PHRASE}” at level {LEVEL} since shortly before the alert."
    counted = earlier.facts(login_failure_rate.Facts)
    failed = counted.failed_logins if counted else None
    if failed and total < min(LOGGED_LEAST, LOGGED_SHARE * failed):
        return f"the logs hold only {count_text(total)} of the {plural(failed, 'failed login')} that the metrics count."
    return ""


def _spread(c: Context, answers: Answers) -> Spread:
    """A value is loud that has a considerable share of the failures, at a far higher rate than before."""
    split = error_messages.sample_split(c)
    minutes, minutes_before = (c.end - split) / 60, (split - c.start) / 60
    total, before = (elasticsearch.total(answers[when])[0] for when in ("since", "before"))
    top = elasticsearch.terms(answers["since"])[0]
    usual = dict(elasticsearch.terms(answers["before"])[0])
    loud = tuple(
        (value, count)
        for value, count in top
        if count >= max(LOUD_COUNT, LOUD_SHARE * total)
        and count / minutes >= GROWN * usual.get(value, 0) / minutes_before
    )
    return Spread(
        total=total,
        rate=total / minutes,
        rate_before=before / minutes_before,
        top=top,
        loud=loud,
        distinct=elasticsearch.distinct(answers["since"]),
    )
