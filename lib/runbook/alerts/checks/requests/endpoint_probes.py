"""Do the service's own endpoints answer, from where the runbook runs?"""

from __future__ import annotations

from collections.abc import Mapping

from runbook.investigation.definitions import Answers, Check, Context, Results
from runbook.model import JSON, Answer, Query, Result, Table
from runbook.sources.http.failures import NO_HOST, NO_RESOLVER
from runbook.sources.probe import http as probe

_NAMELESS = (NO_HOST.words, NO_RESOLVER.words)


def queries(c: Context) -> Mapping[str, Query]:
    """One request to the health path and one to a path that does the service's work."""
    return {path: probe.get(path) for path in (c.service.health_path, c.service.probe_path)}


def judge(c: Context, answers: Answers, earlier: Results) -> Result:
    """Normal when every endpoint answers 2xx or 3xx, to its end; unknown when none could even be asked.

    A name that does not resolve here says more of where the runbook runs than of the service.
    """
    asked = {path: answer for path, answer in answers.items() if answer.usable}
    if not asked:
        return Result("unknown", f"Not known: {next(iter(answers.values())).error}")
    facts: dict[str, JSON] = {
        path: {"status": answer.data.get("status"), "error": answer.data.get("error")} for path, answer in asked.items()
    }
    bad = [path for path, answer in asked.items() if not answers_well(answer)]
    table = Table(
        "endpoints",
        ("Endpoint", "Status", "Latency (ms)", "Trouble"),
        tuple(_row(path, answer) for path, answer in asked.items()),
    )
    if bad and all(asked[path].data.get("error") in _NAMELESS for path in bad):
        trouble = asked[bad[0]].data
        said = f"Not known: {trouble.get('url') or bad[0]} cannot be asked from here ({trouble['error']})."
        return Result("unknown", said, facts, tables=(table,))
    if bad:
        return Result(
            "abnormal", f"No: {', '.join(_trouble(path, asked[path]) for path in bad)}.", facts, tables=(table,)
        )
    if len(asked) < len(answers):
        return Result(
            "unknown",
            f"Not known of all: {next(a.error for a in answers.values() if not a.usable)}",
            facts,
            tables=(table,),
        )
    return Result("normal", f"Yes: {' and '.join(asked)} answer.", facts, tables=(table,))


def answers_well(answer: Answer) -> bool:
    """Whether an endpoint gave a 2xx or 3xx, and all of its answer; a login sent elsewhere failed, as does a load once."""
    if not answer.usable:
        return False
    if answer.query.kind == "load":
        return answer.completeness == "complete" and answer.data["failures"] == 0
    status = answer.data.get("status")
    beyond = 300 if answer.query.kind == "login" else 400
    return isinstance(status, int) and 200 <= status < beyond and not answer.data.get("error")


def _trouble(path: str, answer: Answer) -> str:
    status, error = answer.data.get("status"), answer.data.get("error")
    if status and error:
        return f"{path} answers {status}, but not to its end ({error})"
    return f"{path} answers {status}" if status else f"{path} does not answer ({error})"


def _row(path: str, answer: Answer) -> tuple[str | int | float | None, ...]:
    latency = answer.data.get("latency_ms")
    return path, answer.data.get("status"), None if latency is None else round(latency), answer.data.get("error") or ""


CHECK = Check("endpoints", "Do the endpoints answer?", queries, judge)
