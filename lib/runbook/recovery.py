"""Did it recover? Watches the alert's own series from the mitigation on, and asks the endpoints at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runbook.alerts.base import Answers, Context, Recovering
from runbook.alerts.checks import endpoints
from runbook.clock import Clock
from runbook.model import Answer, Chart, Event, Query, Recovery, Series
from runbook.wording import clock_text, duration_text

Ask = Callable[[Mapping[str, Query]], Answers]
Tell = Callable[[str], None]
Outcome = Literal["recovered", "not recovered", "relapsed", "not enough data"]

EVERY_SECONDS = 30
PATIENCE = 3  # times the observed span: a roll-back takes minutes to reach every pod


NOT_MITIGATED = Recovery(
    "not mitigated", "Not yet: apply a mitigation, then run again with mitigated_at set to its time (UTC)."
)


def verify(context: Context, watched: Recovering, ask: Ask, clock: Clock, tell: Tell) -> Recovery:
    """Wait until the series stayed below its threshold for `watched.seconds`, or patience ends.

    A mitigation long ago is judged by everything since; one just made is waited for, with a word now and then.
    """
    if context.mitigated_at is None:
        return NOT_MITIGATED
    latest = context.mitigated_at + PATIENCE * watched.seconds
    moment = context.now
    while True:
        end = _whole_step(context, min(moment, max(context.end, latest)))
        answers = ask(watched.queries(context, end))
        series = watched.series(context, answers)
        outcome = judge(series, watched.threshold(context.service), watched.seconds)
        if outcome == "recovered" or end >= latest:
            break
        tell(f"{outcome} so far; watching until {clock_text(latest)} at most")
        moment = end + EVERY_SECONDS
        clock.wait_until(moment)
    probes = ask({path: _now(query, end) for path, query in endpoints.queries(context).items()})
    return _conclude(context, watched, series, outcome, probes, (*answers.values(), *probes.values()))


def _whole_step(context: Context, moment: float) -> float:
    """Full scrape intervals since the mitigation, so that a replay asks the same."""
    step = context.service.scrape_interval_seconds
    start = context.mitigated_at or context.started_at
    return start + max(1, (moment - start) // step) * step


def _now(query: Query, moment: float) -> Query:
    """The same question asked again later is another query."""
    return replace(query, params={**query.params, "at": int(moment)})


def judge(series: Series, threshold: float, seconds: int) -> Outcome:
    """recovered: at or below the threshold for the last `seconds` without a gap; relapsed: it was, and is above again."""
    times, values = np.asarray(series.times, dtype=float), np.asarray(series.values, dtype=float)
    if np.isnan(values).all():
        return "not enough data"
    newest = int(np.flatnonzero(~np.isnan(values))[-1])
    calm = _stretches(values[: newest + 1] <= threshold)
    lasting = [(a, b) for a, b in calm if times[b] - times[a] >= seconds]
    if values[newest] > threshold:
        return "relapsed" if lasting else "not recovered"
    if lasting and lasting[-1][1] == newest:
        return "recovered"
    return "not recovered" if np.any(values > threshold) else "not enough data"


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) index of each stretch of true flags; a gap in the data ends a stretch."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _conclude(
    context: Context,
    watched: Recovering,
    series: Series,
    outcome: Outcome,
    probes: Answers,
    answers: tuple[Answer, ...],
) -> Recovery:
    silent = [path for path, answer in probes.items() if not endpoints.answers_well(answer)]
    asked = any(answer.usable for answer in probes.values())
    state: Outcome = outcome
    if outcome == "recovered" and silent:
        state = "not recovered" if asked else "not enough data"
    mitigated = context.mitigated_at or context.started_at
    chart = Chart(
        "recovery",
        f"{watched.what} since the mitigation",
        watched.unit,
        (series,),
        threshold=watched.threshold(context.service),
        events=(Event(mitigated, "mitigation", "mitigation"),),
    )
    return Recovery(
        state, f"{_watched(watched, context, outcome)}{_endpoints(probes, silent, asked)}", (chart,), answers
    )


def _watched(watched: Recovering, context: Context, outcome: Outcome) -> str:
    limit = f"{watched.threshold(context.service):g} {watched.unit}"
    span = duration_text(watched.seconds)
    return {
        "recovered": f"Recovered: at or below {limit} for the last {span}",
        "relapsed": f"Relapsed: below {limit} for {span} after the mitigation, above it again now",
        "not recovered": f"Not recovered: not below {limit} for {span} in a row since the mitigation",
        "not enough data": f"Not enough data to say: fewer than {span} of values below {limit} and none above",
    }[outcome]


def _endpoints(probes: Answers, silent: list[str], asked: bool) -> str:
    if not silent:
        return f"; {' and '.join(probes)} answer."
    if not asked:
        return f"; the endpoints could not be asked: {next(iter(probes.values())).error}"
    return f"; {' and '.join(silent)} {'does' if len(silent) == 1 else 'do'} not answer as they should."
