"""Do the service's own endpoints answer, from where the runbook runs?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import model
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Table
from runbook.sources.http.failures import NO_HOST, NO_RESOLVER
from runbook.sources.probe import http as probe

_NAMELESS = (NO_HOST.words, NO_RESOLVER.words)


@dataclass(frozen=True)
class Probed:
    """What one endpoint answered: its status, and why that was not a whole answer."""

    status: int | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """What each endpoint answered, by its path; those that could not be asked are left out."""

    endpoints: Mapping[str, Probed]


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
    facts = Facts(
        endpoints={path: Probed(answer.data.get("status"), answer.data.get("error")) for path, answer in asked.items()}
    )
    bad = [path for path, answer in asked.items() if not probe.answers_well(answer)]
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


def _trouble(path: str, answer: Answer) -> str:
    status, error = answer.data.get("status"), answer.data.get("error")
    if status and error:
        return f"{path} answers {status}, but not to its end ({error})"
    return f"{path} answers {status}" if status else f"{path} does not answer ({error})"


def _row(path: str, answer: Answer) -> tuple[str | int | float | None, ...]:
    latency = answer.data.get("latency_ms")
    return path, answer.data.get("status"), None if latency is None else round(latency), answer.data.get("error") or ""


CHECK = Check("endpoint_probes", "Do the endpoints answer?", Facts, queries, judge)
