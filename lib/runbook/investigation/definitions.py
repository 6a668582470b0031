"""What an alert module is made of: checks with their queries, candidate causes with their signs, mitigations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runbook.config.schema import Environment, Service, Thresholds
from runbook.model import JSON, Answer, Query, Result, Series, Step, Verdict
from runbook.text.format import duration_text

Severity = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True)
class Context:
    """One open incident: what every query and judgement may know. Times in epoch seconds, UTC.

    `hold_seconds` is the alert's `for`; `healthy` says when it is over, e.g. "failed requests at or below 5 % for 5 min".
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
    hold_seconds: int
    healthy: str
    mitigated_at: float | None = None


Answers = Mapping[str, Answer]
Results = Mapping[str, Result]
Plan = tuple[str, tuple[Step, ...]]


@dataclass(frozen=True)
class Check:
    """One diagnostic question.

    `queries(context)` names its queries (all checks' queries go out at once); `judge(context, answers, earlier)`
    is pure and gets the results of earlier checks by name. A judge need not guard against missing data itself where
    `needs` names the queries without which nothing can be said: the check is then unknown, with the source's error.
    Where any query but the `optional` ones failed or was partial, a "normal" becomes unknown. With `empty_is_none`, an
    empty answer is one to judge by: there is none of what was asked for.
    """

    name: str
    question: str
    queries: Callable[[Context], Mapping[str, Query]]
    judge: Callable[[Context, Answers, Results], Result]
    needs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    empty_is_none: bool = False


@dataclass(frozen=True)
class Sign:
    """One observation for or against a cause: when `holds` for the check's facts, it weighs `weight` (0..1).

    `says` makes a clause from the facts, e.g. "errors began 2 min after revision 14".
    """

    check: str
    weight: float
    holds: Callable[[Mapping[str, JSON]], bool]
    says: Callable[[Mapping[str, JSON]], str]


@dataclass(frozen=True)
class Cause:
    """A hypothesis. Without a result of every check in `needs` it is not tested, whatever else is seen.

    `decides` names the facts (check, fact) without which it cannot be refuted either: None means not known.
    `phrase` completes "Probably ..." from the results, e.g. "a bad deployment: revision 14". `plan` is what to do
    about it: a title and ready steps, filled in from the results; a fact that is not known is read, never guessed.
    """

    name: str
    title: str
    phrase: Callable[[Results], str]
    plan: Callable[[Context, Results], Plan]
    needs: tuple[str, ...]
    supports: tuple[Sign, ...]
    refutes: tuple[Sign, ...] = ()
    decides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LoadTest:
    """So many requests to a service that has recovered: none may fail, 95 % may take at most `seconds(service)`."""

    requests: int
    seconds: Callable[[Service], float]


@dataclass(frozen=True)
class Recovering:
    """How recovery is verified: `queries(context, end)` asked again and again until `seconds` after the mitigation
    are covered; `series` turns the answers into one series that has to stay at or below `threshold(service)`.

    `amiss(context, answers)` says what else is not as it should be, "" where all is. `probes` are asked once at the end;
    all of them have to answer well, and under `load` where that is wanted.
    """

    what: str
    unit: str
    seconds: int
    threshold: Callable[[Service], float]
    queries: Callable[[Context, float], Mapping[str, Query]]
    series: Callable[[Context, Answers], Series]
    probes: Callable[[Context], Mapping[str, Query]]
    amiss: Callable[[Context, Answers], str] = lambda context, answers: ""
    load: LoadTest | None = None

    def goal(self, service: Service) -> str:
        """When it is over, e.g. "failed requests at or below 5 % of requests for 5 min"."""
        limit = self.threshold(service)
        level = f" at or below {limit:g} {self.unit}" if limit else ": none"
        return f"{self.what[0].lower()}{self.what[1:]}{level} for {duration_text(self.seconds)}"


def no_remark(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Most alerts have nothing to say before the verdict."""
    return ""


@dataclass(frozen=True)
class Alert:
    """All of one alert. `expression` is PromQL for the rule; `hold_seconds` its `for`.

    The first check says whether the alert is real: its facts may hold `onset` (epoch seconds) and `impact` (a clause).
    `remark` is said before the verdict, e.g. whether to call security; what it says of an alert that is not real is its own.
    """

    name: str
    summary: Callable[[Thresholds], str]
    meaning: Callable[[Thresholds], str]
    impact: str
    severity: Severity
    hold_seconds: int
    expression: Callable[[Service], str]
    checks: tuple[Check, ...]
    causes: tuple[Cause, ...]
    recovery: Recovering
    escalate_if: tuple[str, ...]
    remark: Callable[[Results, Sequence[Verdict]], str] = no_remark
