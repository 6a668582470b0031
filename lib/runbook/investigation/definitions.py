"""What an alert module is made of: checks with their queries, candidate causes with their signs, mitigations.

An alert that names a check, fact or cause that it does not have is refused when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar, get_args

from runbook.config.schema import Environment, Service, Thresholds
from runbook.errors import DefinitionError
from runbook.investigation.results import Results, asks, check_name
from runbook.investigation.thresholds import Threshold
from runbook.model import AlertFacts, Answer, Facts, Query, Result, Series, Step, Verdict
from runbook.text.suggest import hint
from runbook.text.time import duration_text

F = TypeVar("F", bound=Facts)
Severity = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True)
class Context:
    """One open incident: what every query and judgement may know. Times in epoch seconds, UTC.

    `for_seconds` is the alert's `for`; `healthy` says when it is over: "failed requests at or below 5 % for 5 min".
    """

    alert: str
    incident: str
    environment_name: str
    environment: Environment
    service: Service
    started_at: float
    start: float
    end: float
    step: int
    now: float
    for_seconds: int
    healthy: str
    mitigated_at: float | None = None


Answers = Mapping[str, Answer]
Planned = tuple[str, tuple[Step, ...]]


@dataclass(frozen=True)
class Check:
    """One diagnostic question; `facts` is the type of what it finds, `name` its module's name.

    `queries(context)` names its queries (all checks' queries go out at once); `judge(context, answers, earlier)`
    is pure and gets the results of earlier checks. A judge need not guard against missing data itself where
    `requires` names the queries without which nothing can be said: the check is then unknown, with the source's error.
    Where any query but the `optional` ones failed or was partial, a "normal" becomes unknown. With `empty_is_none`, an
    empty answer is one to judge by: there is none of what was asked for. `reads` are the facts of earlier checks that
    it judges by: an alert must have those checks, before this one.
    """

    name: str
    question: str
    facts: type[Facts]
    queries: Callable[[Context], Mapping[str, Query]]
    judge: Callable[[Context, Answers, Results], Result]
    requires: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    empty_is_none: bool = False
    reads: tuple[type[Facts], ...] = ()


@dataclass(frozen=True)
class Sign(Generic[F]):
    """One observation for or against a cause: when `holds` for a check's facts, it weighs `weight` (0..1).

    `says` makes a clause from the facts, e.g. "errors began 2 min after revision 14". An `optional` sign is one of a
    cause that alerts without that check share.
    """

    facts: type[F]
    weight: float
    holds: Callable[[F], bool | None]
    says: Callable[[F], str]
    optional: bool = False


@dataclass(frozen=True)
class Conclusive:
    """A fact without which a cause cannot be refuted: None means not known. Refused where there is no such field."""

    facts: type[Facts]
    name: str

    def __post_init__(self) -> None:
        known = [field.name for field in fields(self.facts)]
        if self.name not in known:
            raise DefinitionError(
                f"The check {check_name(self.facts)} finds no fact {self.name!r}; {hint(self.name, known)}"
            )


@dataclass(frozen=True)
class Plan:
    """What to do about a cause: a title and ready steps, filled in from the results; made by `plan`.

    `reads` are the facts without whose checks an alert cannot use it, `may_read` those that help where there are any.
    """

    make: Callable[[Context, Results], Planned]
    reads: tuple[type[Facts], ...] = ()
    may_read: tuple[type[Facts], ...] = ()

    def __call__(self, context: Context, results: Results) -> Planned:
        """The title and the steps; a fact that is not known is read, never guessed."""
        return self.make(context, results.limited_to((*self.reads, *self.may_read)))


def plan(
    *reads: type[Facts], may_read: tuple[type[Facts], ...] = ()
) -> Callable[[Callable[[Context, Results], Planned]], Plan]:
    """Declares which facts a plan reads."""
    return lambda make: Plan(make, reads, may_read)


@dataclass(frozen=True)
class Cause:
    """A hypothesis. Without a result of every check that it `requires` it is not tested, whatever else is seen.

    `conclusive` are the facts without which it cannot be refuted either. `phrase` completes "Probably ..." from the
    results, e.g. "a bad deployment: revision 14". `plan` is what to do about it.
    """

    name: str
    title: str
    phrase: Callable[[Results], str]
    plan: Plan
    requires: tuple[type[Facts], ...]
    supports: tuple[Sign[Any], ...]
    refutes: tuple[Sign[Any], ...] = ()
    conclusive: tuple[Conclusive, ...] = ()


@dataclass(frozen=True)
class LoadTest:
    """So many requests to a service that has recovered: none may fail, 95 % may take at most `seconds(service)`."""

    requests: int
    seconds: Callable[[Service], float]


@dataclass(frozen=True)
class Recovering:
    """How recovery is verified: `queries(context, end)` asked again and again until `seconds` after the mitigation
    are covered; `series` turns the answers into one series that has to stay at or below `threshold(service)`, or at or
    above it where the alert fires `below`.

    `problem(context, answers)` says what else is not as it should be, "" where all is. `probes` are asked once at the
    end; all of them have to answer well, and under `load` where that is wanted.
    """

    what: str
    unit: str
    seconds: int
    threshold: Callable[[Service], float]
    queries: Callable[[Context, float], Mapping[str, Query]]
    series: Callable[[Context, Answers], Series]
    probes: Callable[[Context], Mapping[str, Query]]
    problem: Callable[[Context, Answers], str] = lambda context, answers: ""
    load: LoadTest | None = None
    below: bool = False

    @property
    def calm(self) -> str:
        """Where the series has to stay: "at or below"."""
        return "at or above" if self.below else "at or below"

    def holds(self, value: float, threshold: float) -> bool:
        """Whether the alert still holds for a value."""
        return value < threshold if self.below else value > threshold

    def goal(self, service: Service) -> str:
        """When it is over, e.g. "failed requests at or below 5 % of requests for 5 min"."""
        limit = self.threshold(service)
        level = f" {self.calm} {limit:g} {self.unit}" if limit else ": none"
        return f"{self.what[0].lower()}{self.what[1:]}{level} for {duration_text(self.seconds)}"


def no_note(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Most alerts have nothing to say before the verdict."""
    return ""


@dataclass(frozen=True)
class Alert:
    """All of one alert. `expression` is PromQL for the rule; `for_seconds` its `for`; `thresholds` the limits of its
    own, which `expression`, `summary` and `meaning` read from the service's profile.

    The first check says whether the alert is real: its facts are AlertFacts. `note` is said before the verdict, e.g.
    whether to call security; what it says of an alert that is not real is its own.

    Raises DefinitionError where a cause, sign or plan names a check that the alert does not have.
    """

    name: str
    summary: Callable[[Thresholds], str]
    meaning: Callable[[Thresholds], str]
    impact: str
    severity: Severity
    for_seconds: int
    expression: Callable[[Service], str]
    checks: tuple[Check, ...]
    causes: tuple[Cause, ...]
    recovery: Recovering
    escalate_if: tuple[str, ...]
    thresholds: tuple[Threshold, ...] = ()
    note: Callable[[Results, Sequence[Verdict]], str] = no_note

    def __post_init__(self) -> None:
        wrong = next(self._wrong(), "")
        if wrong:
            raise DefinitionError(f"The alert {self.name} cannot be used: {wrong}")

    def _wrong(self) -> Iterator[str]:
        """What is wrong with it, a sentence each."""
        if self.severity not in get_args(Severity):
            yield f"it has the severity {self.severity!r}; {hint(self.severity, get_args(Severity))}"
        if not self.checks or not issubclass(self.checks[0].facts, AlertFacts):
            yield "its first check must say whether the alert is real, with facts of the type AlertFacts."
        for kind, named in (("check", self.checks), ("cause", self.causes), ("threshold", self.thresholds)):
            names = [one.name for one in named]
            yield from (
                f"it has two {kind}s named {name}." for name in sorted({n for n in names if names.count(n) > 1})
            )
        for place, check in enumerate(self.checks):
            lacking = (facts for facts in check.reads if not asks(self.checks[:place], facts))
            yield from (self._lacking(f"the check {check.name}", "needs, before it,", facts) for facts in lacking)
        for cause in self.causes:
            yield from (self._lacking(f"the cause {cause.name}", *one) for one in self._unasked(cause))
            signs = (*cause.supports, *cause.refutes)
            yield from (
                f"a sign of the cause {cause.name} weighs {sign.weight:g}; a weight is above 0 and at most 1."
                for sign in signs
                if not 0 < sign.weight <= 1
            )

    def _unasked(self, cause: Cause) -> Iterator[tuple[str, type[Facts]]]:
        """What of a cause names which facts that no check of the alert finds."""
        named: list[tuple[str, type[Facts]]] = [
            *(("requires", facts) for facts in cause.requires),
            *(("has a sign on", sign.facts) for sign in (*cause.supports, *cause.refutes) if not sign.optional),
            *(("is decided by", fact.facts) for fact in cause.conclusive),
            *(("has a plan that reads", facts) for facts in cause.plan.reads),
        ]
        return ((how, facts) for how, facts in named if not asks(self.checks, facts))

    def _lacking(self, who: str, how: str, facts: type[Facts]) -> str:
        name = check_name(facts)
        mend = "mark the sign optional, or add the check" if how == "has a sign on" else "add the check"
        told = hint(name, [check.name for check in self.checks])
        return f"{who} {how} the check {name}, which the alert does not have; {told} Correct the name, {mend}."
