"""Did it recover? Watches the alert's own series from the mitigation on, and asks the endpoints at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runbook.clock import Clock
from runbook.investigation.definitions import Answers, Context, Recovering
from runbook.model import Answer, Chart, Event, Query, Recovery, Series
from runbook.sources.probe import http as probe
from runbook.text.time import clock_text, duration_text

Ask = Callable[[Mapping[str, Query]], Answers]
ProgressCallback = Callable[[str], None]
RecoveryState = Literal["recovered", "not recovered", "relapsed", "not enough data"]

logger = logging.getLogger(__name__)
EVERY_SECONDS = 30
STALE_SECONDS, STALE_STEPS = 60, 2  # a newest value older than both is none
PATIENCE = 3  # times the observed span: a roll-back takes minutes to reach every pod


_HEADS: Mapping[RecoveryState, str] = {
    "recovered": "Recovered",
    "relapsed": "Relapsed",
    "not recovered": "Not recovered",
    "not enough data": "Not enough data to say",
}
NOT_MITIGATED = Recovery(
    "not mitigated",
    "Not yet: apply a mitigation, then run again with `--mitigated-at` (in a notebook: mitigated_at) set to its time.",
)


@dataclass(frozen=True)
class _Look:
    """What the series showed up to one moment.

    `gap` says what is missing from its data, `problem` what else is not well though it is calm; "" where nothing is.
    """

    series: Series
    outcome: RecoveryState
    gap: str
    problem: str
    answers: Answers


def verify(context: Context, watched: Recovering, *, ask: Ask, clock: Clock, tell: ProgressCallback) -> Recovery:
    """Wait until the series stayed below its threshold for `watched.seconds`, or patience ends.

    A mitigation long ago is judged by everything since; one just made is waited for, with a word now and then.
    """
    if context.mitigated_at is None:
        return NOT_MITIGATED
    latest = context.mitigated_at + PATIENCE * watched.seconds
    pause = max(EVERY_SECONDS, context.service.scrape_interval_seconds)  # so that no question is asked twice
    moment = context.now
    while True:
        end = _whole_step(context, min(moment, max(context.end, latest)))
        look = _look(context, watched, ask(watched.queries(context, end)))
        if look.outcome == "recovered" or end >= _whole_step(context, latest):
            break
        logger.info("%s so far; looking again in %d s at most", look.outcome, pause)
        tell(f"{look.outcome} so far; watching until {clock_text(latest)} at most")
        moment = min(max(moment, end) + pause, latest)
        clock.wait_until(moment)
    asked = {**watched.probes(context), **(_load(context, watched) if look.outcome == "recovered" else {})}
    probes = ask({name: _now(query, end) for name, query in asked.items()})
    return _conclude(context, watched, look, probes)


def _look(context: Context, watched: Recovering, answers: Answers) -> _Look:
    """A calm that rests on answers which did not come, or not whole, is not known to be one."""
    series = watched.series(context, answers)
    outcome = judge(series, watched.threshold(context.service), watched.seconds, below=watched.below)
    gap = _gap(answers)
    if gap and outcome == "recovered":
        outcome = "not enough data"
    problem = watched.problem(context, answers) if outcome == "recovered" else ""
    return _Look(series, "not recovered" if problem else outcome, gap, problem, answers)


def _gap(answers: Answers) -> str:
    """Which answer did not come, or not whole, and why."""
    for name, answer in answers.items():
        if answer.completeness == "failed":
            return f"the query “{name}” got no answer ({answer.error.rstrip('.')})"
        if answer.completeness == "partial":
            why = next(iter(answer.warnings), "the rest is missing").rstrip(".")
            return f"the query “{name}” got only part of its answer ({why})"
    return ""


def _load(context: Context, watched: Recovering) -> Mapping[str, Query]:
    """The load test, if any; a service in trouble is spared it."""
    path, test = context.service.probe_path, watched.load
    return {f"{test.requests} requests to {path}": probe.load(path, test.requests)} if test else {}


def _whole_step(context: Context, moment: float) -> float:
    """Full scrape intervals since the mitigation, so that a replay asks the same."""
    step = context.service.scrape_interval_seconds
    start = context.mitigated_at or context.started_at
    return start + max(1, (moment - start) // step) * step


def _now(query: Query, moment: float) -> Query:
    """The same question asked again later is another query."""
    return replace(query, params={**query.params, "at": int(moment)})


def judge(series: Series, threshold: float, seconds: int, *, below: bool = False) -> RecoveryState:
    """recovered: at or below the threshold for the last `seconds` without a gap; relapsed: it was, and is above again.

    With `below` the other way round: the alert fires below the threshold.
    """
    times, values = np.asarray(series.times, dtype=float), np.asarray(series.values, dtype=float)
    if below:
        values, threshold = -values, -threshold
    newest = _newest(series)
    if newest is None or _stale(series, newest):
        return "not enough data"
    calm = _stretches(values[: newest + 1] <= threshold)
    lasting = [(a, b) for a, b in calm if times[b] - times[a] >= seconds]
    if values[newest] > threshold:
        return "relapsed" if lasting else "not recovered"
    if lasting and lasting[-1][1] == newest:
        return "recovered"
    return "not recovered" if np.any(values > threshold) else "not enough data"


def _newest(series: Series) -> int | None:
    """The index of the newest value; None where there is none."""
    known = np.flatnonzero(~np.isnan(np.asarray(series.values, dtype=float)))
    return int(known[-1]) if len(known) else None


def _stale(series: Series, newest: int) -> bool:
    """Whether the newest value is too old to say how things are now."""
    step = series.times[1] - series.times[0] if len(series.times) > 1 else 0.0
    return series.times[-1] - series.times[newest] > max(STALE_SECONDS, STALE_STEPS * step)


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) index of each stretch of true flags; a gap in the data ends a stretch."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _well(context: Context, watched: Recovering, answer: Answer) -> bool:
    """Whether an endpoint answers, under load fast enough as well."""
    fast = (
        answer.query.kind != "load"
        or watched.load is None
        or (answer.data["p95_ms"] is not None and answer.data["p95_ms"] <= 1000 * watched.load.seconds(context.service))
    )
    return probe.answers_well(answer) and fast


def _conclude(context: Context, watched: Recovering, look: _Look, asked: Answers) -> Recovery:
    """A login that could not be tried, since there is no token for it, is told, but holds up no recovery."""
    untried = [path for path, answer in asked.items() if answer.query.kind == "login" and not answer.usable]
    probes = {path: answer for path, answer in asked.items() if path not in untried}
    unasked = [path for path, answer in probes.items() if not answer.usable]
    silent = [path for path, answer in probes.items() if answer.usable and not _well(context, watched, answer)]
    state = look.outcome
    if state == "recovered" and (silent or unasked):
        state = "not recovered" if silent else "not enough data"
    mitigated = context.mitigated_at or context.started_at
    chart = Chart(
        "recovery",
        f"{watched.what} since the mitigation",
        watched.unit,
        (look.series,),
        threshold=watched.threshold(context.service),
        events=(Event(mitigated, "mitigation", "mitigation"),),
    )
    joint = "; " if state == look.outcome else ", but "
    sentence = f"{_HEADS[state]}: {_watched(watched, context, look)}{joint}{_endpoints(probes, silent, unasked)}"
    told = "".join(f" Not tested: {path} ({asked[path].error.rstrip('.')})." for path in untried)
    return Recovery(state, f"{sentence}{told}", (chart,), (*look.answers.values(), *asked.values()))


def _watched(watched: Recovering, context: Context, look: _Look) -> str:
    limit = f"{watched.calm} {watched.threshold(context.service):g} {watched.unit}"
    span = duration_text(watched.seconds)
    known = f", as far as is known: {look.gap}" if look.gap else ""
    if look.problem:
        return f"{limit} for the last {span}, but {look.problem}"
    return {
        "recovered": f"{limit} for the last {span}",
        "relapsed": f"{limit} for {span} after the mitigation, and no longer now{known}",
        "not recovered": f"not {limit} for {span} in a row up to the newest value{known}",
        "not enough data": look.gap or _too_little(look.series, limit, span),
    }[look.outcome]


def _too_little(series: Series, limit: str, span: str) -> str:
    newest = _newest(series)
    if newest is None:
        return "no values since the mitigation"
    if _stale(series, newest):
        return f"no values since {clock_text(series.times[newest])}"
    return f"less than {span} in a row {limit} up to the newest value, and none beyond"


def _endpoints(probes: Answers, silent: list[str], unasked: list[str]) -> str:
    if silent:
        one = len(silent) == 1 and probes[silent[0]].query.kind != "load"
        told = " and ".join(f"{name}{_measured(probes[name])}" for name in silent)
        return f"{told} {'does' if one else 'do'} not answer as {'it' if one else 'they'} should."
    if unasked:
        whole = "the endpoints" if len(unasked) == len(probes) else " and ".join(unasked)
        return f"{whole} could not be asked: {probes[unasked[0]].error}"
    told = " and ".join(f"{name}{_measured(answer)}" for name, answer in probes.items())
    return f"{told} {'answers' if len(probes) == 1 else 'answer'}."


def _measured(answer: Answer) -> str:
    """What a load test found; nothing of other probes."""
    if answer.query.kind != "load" or not answer.usable:
        return ""
    p95, failures = answer.data["p95_ms"], answer.data["failures"]
    found = [*([f"{failures} failed"] if failures else []), *([f"p95 {duration_text(p95 / 1000)}"] if p95 else [])]
    return f" ({', '.join([*found, *answer.warnings])})"
