"""A fake at the one seam: a source that answers from functions, for judgements that need no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import TypeVar

from runbook.config.schema import Environment, Service
from runbook.investigation.definitions import Context
from runbook.investigation.results import Results
from runbook.model import JSON, AlertFacts, Answer, Facts, Query, Result, failed

F = TypeVar("F", bound=Facts)

ONSET = 1_768_473_600.0  # 2026-01-15 10:40 UTC
STARTED = ONSET + 420

SERVICE = Service(
    name="shop",
    metric_prefix="micro_frontend_",
    metric_labels={"app": "micro-frontend"},
    log_app="rust-micro-front-end",
    deployment="rust-micro-front-end",
    namespace="web",
    index="micro-apps-*",
)


def context(**changes: object) -> Context:
    """An incident whose errors began at ONSET."""
    fields: dict[str, object] = {
        "alert": "HighErrorRate",
        "incident": "INC-2026-01-15-01",
        "environment_name": "test",
        "environment": Environment(service="shop"),
        "service": SERVICE,
        "started_at": STARTED,
        "start": STARTED - 5400,
        "end": STARTED + 1500,
        "step": 30,
        "now": STARTED + 1500,
        "for_seconds": 300,
        "healthy": "failed requests at or below 5 % of requests for 5 min",
    }
    return Context(**{**fields, **changes})  # type: ignore[arg-type]


class Scripted:
    """Answers each query by the first function whose words all occur in its text; the others fail."""

    def __init__(self, answers: Mapping[tuple[str, ...], Callable[[Query], Answer]]) -> None:
        self._answers = answers
        self.asked: list[Query] = []

    def ask(self, query: Query) -> Answer:
        self.asked.append(query)
        for words, answer in self._answers.items():
            if all(word in query.text for word in words):
                return answer(query)
        return failed(query, f"{query.source} is down; start it.")


def line(value: Callable[[float], float], **labels: str) -> Callable[[Query], Answer]:
    """One series: `value` of each time of a range query's grid, or at an instant query's time."""

    def answer(query: Query) -> Answer:
        if query.kind == "instant":
            sample = {"metric": labels, "value": [query.params["time"], str(value(query.params["time"]))]}
            return Answer(query, "complete", {"resultType": "vector", "result": [sample]})
        start, end, step = (query.params[name] for name in ("start", "end", "step"))
        values: list[JSON] = [[t, str(value(t))] for t in range(start, end + 1, step)]
        return Answer(query, "complete", {"resultType": "matrix", "result": [{"metric": labels, "values": values}]})

    return answer


def nothing(query: Query) -> Answer:
    """The source knows no such series."""
    return Answer(query, "empty", {"resultType": "matrix", "result": []})


def facts(kind: type[F], **given: object) -> F:
    """Facts of which only some are given; the others are None, empty, or their default."""
    missing = {field.name: _empty(str(field.type)) for field in fields(kind) if field.default is MISSING}
    return kind(**{**missing, **given})


def _empty(annotation: str) -> object:
    """What says nothing in a field of that type."""
    for opening, value in (("tuple[", ()), ("Mapping[", {}), ("dict[", {})):
        if annotation.startswith(opening) and "| None" not in annotation.rpartition("]")[2]:
            return value
    return None if "None" in annotation else {"bool": False, "int": 0, "float": 0.0, "str": ""}.get(annotation)


def after_onset(**found: Result) -> Results:
    """What checks found after one that says that it began at ONSET."""
    real = Result("abnormal", "", AlertFacts(onset=ONSET))
    return Results({"real": real, **found})
