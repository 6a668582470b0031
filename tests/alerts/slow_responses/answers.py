"""SlowResponses: what Prometheus answers, and what its checks make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from runbook.alerts.checks.database import pool, slow_queries
from runbook.alerts.checks.logs import error_messages, warning_messages
from runbook.alerts.checks.requests import latency, paths, time_breakdown, traffic
from runbook.alerts.checks.workload import changes, cpu_throttling
from runbook.alerts.slow_responses import ALERT
from runbook.investigation.definitions import Answers, Check
from runbook.investigation.investigator import judge
from runbook.investigation.results import Results, check_name
from runbook.model import Answer, Facts, Query, Result
from tests.fakes import ONSET, Scripted, context, facts, line

F = TypeVar("F", bound=Facts)
Rate = Callable[[float], float]
Told = Callable[[Query], Answer]


def step(before: float, since: float) -> Rate:
    """A level that changes at the onset; at the same hours of other days it does not."""
    return lambda t: since if ONSET <= t < ONSET + 86_400 else before


def several(*rows: tuple[Mapping[str, str], Rate]) -> Told:
    """Several series, each with its labels."""

    def answer(query: Query) -> Answer:
        parts = [line(value, **labels)(query) for labels, value in rows]
        return replace(parts[0], data={**parts[0].data, "result": [part.data["result"][0] for part in parts]})

    return answer


def asked(told: Told) -> Answer:
    return told(Query("prometheus", "range", "x", {"start": 0, "end": 60, "step": 30}))


def judged(check: Check, source: Mapping[tuple[str, ...], Told], onset: float | None = ONSET) -> Result:
    """A check after the alert's first one found this onset."""
    scripted = Scripted(source)
    answers: Answers = {name: scripted.ask(query) for name, query in check.queries(context()).items()}
    earlier = Results({"latency": Result("abnormal", "", facts(latency.Facts, onset=onset))})
    return judge(check, context(), answers, earlier)


def known(kind: type[F], result: Result) -> F:
    """The facts of a result."""
    assert isinstance(result.facts, kind)
    return result.facts


def kind(p95: tuple[float, float], mean: tuple[float, float], rate: float = 10.0) -> dict[str, tuple[Rate, ...]]:
    return {
        "histogram_quantile": (step(*p95),),
        "_sum": (step(*(one * rate for one in mean)),),
        "_count": (lambda t: rate,),
    }


Known = Mapping[type[Facts], Mapping[str, object]]
ABOUT = dict.fromkeys(warning_messages.SUBJECTS, 0.0)
HEALTHY: Known = {
    latency.Facts: {"onset": ONSET},
    changes.Facts: {"near": False},
    paths.Facts: {"slow": ("GET /",), "endpoints": 6, "all": True, "top": "GET /"},
    time_breakdown.Facts: {"longer": True, "queries": 0.05, "waiting": 0.0, "cpu": 0.05, "rest": 0.9},
    slow_queries.Facts: {"kinds": 3, "worst": "select users", "p95": 0.01, "p95_before": 0.01},
    pool.Facts: {"waiting": 0.0, "waiting_before": 0.0, "pods": 6},
    cpu_throttling.Facts: {
        "cpu_reached": False,
        "cpu_used": 0.4,
        "memory_reached": False,
        "memory_used": 0.5,
        "throttled": False,
        "throttled_share": 0.0,
    },
    traffic.Facts: {"times": 1.0},
    error_messages.Facts: {"about": ABOUT},
    warning_messages.Facts: {"about": ABOUT},
}


def found(*more: Known, without: type[Facts] | None = None) -> Results:
    """Requests are slow, nothing else is wrong but these facts; the check `without` is unknown."""
    known = {kind: facts(kind, **{**given, **merged(kind, more)}) for kind, given in HEALTHY.items()}
    results = {
        check_name(kind): Result("unknown", "") if kind is without else Result("abnormal", "", one)
        for kind, one in known.items()
    }
    return Results(results, ALERT.checks)


def merged(kind: type[Facts], more: Sequence[Known]) -> dict[str, object]:
    """What several say of one check."""
    return {name: value for known in more for name, value in known.get(kind, {}).items()}
