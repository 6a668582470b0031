"""The investigator: all questions of an alert asked in parallel, judged in order, concluded; no screen and no disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

from runbook.clock import Clock
from runbook.errors import UsageError, fault
from runbook.investigation import ranking, verification
from runbook.investigation.definitions import Alert, Answers, Cause, Check, Context
from runbook.investigation.events import events
from runbook.investigation.result import Investigation, conclude
from runbook.investigation.results import Results
from runbook.model import Answer, Finding, Mitigation, Query, Recovery, Result, Source, Verdict
from runbook.text.escape import READABLE, shortened
from runbook.text.format import source_text
from runbook.text.suggest import hint

logger = logging.getLogger(__name__)
PARALLEL = 64  # more than any alert has queries: a source that hangs costs one deadline, not two
SHOWN_CAUSES = 2


class Investigator:
    """One alert being investigated: all queries go out at once, whoever wants a finding waits for its own answers."""

    def __init__(self, alert: Alert, context: Context, source: Source, clock: Clock) -> None:
        self.alert, self.context = alert, context
        self._source, self._clock = source, clock
        self._found: dict[str, Result] = {}
        self._results = Results(self._found, alert.checks)
        self._ranked: tuple[Verdict, ...] = ()
        self._recovery: Recovery | None = None
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="ask")
        self._asked = {check.name: self._send(check.queries(context)) for check in alert.checks}

    def _send(self, queries: Mapping[str, Query]) -> dict[str, Future[Answer]]:
        return {name: self._pool.submit(copy_context().run, self._source.ask, query) for name, query in queries.items()}

    def _answers(self, check: str) -> Answers:
        return {name: future.result() for name, future in self._asked[check].items()}

    def results(self) -> Results:
        """Every check judged, in the catalogue's order, so that each knows what those before it found."""
        for check in self.alert.checks:
            if check.name not in self._found:
                result = judge(check, self.context, self._answers(check.name), self._results)
                self._found[check.name] = result
                logger.info("Check %s: %s. %s", check.name, result.status, result.sentence)
        return self._results

    def finding(self, name: str) -> Finding:
        """A check's result with its answers; its charts carry the events of the whole incident."""
        check = next((check for check in self.alert.checks if check.name == name), None)
        if check is None:
            known = (check.name for check in self.alert.checks)
            raise UsageError(f"{self.alert.name} has no check {name[:80]!r}; {hint(name, known)}")
        result = self.results()[name]
        happened = events(self.context, self.results())
        charts = tuple(replace(chart, events=happened) for chart in result.charts)
        return Finding(name, check.question, replace(result, charts=charts), tuple(self._answers(name).values()))

    def verdicts(self) -> tuple[Verdict, ...]:
        """The probable causes, ranked."""
        if not self._ranked:
            self._ranked = ranking.of(self.alert, self.results())
            for one in self._ranked:
                score = "" if one.score is None else f" ({one.score:.2f})"
                logger.info("Cause %s: %s%s, %s", one.cause, one.state, score, one.because)
        return self._ranked

    def mitigations(self) -> tuple[Mitigation, ...]:
        """What to do about the supported causes, most probable first."""
        causes = {cause.name: cause for cause in self.alert.causes}
        supported = [v.cause for v in self.verdicts() if v.state == "supported"][:SHOWN_CAUSES]
        return tuple(one for name in supported if (one := self._planned(causes[name])))

    def _planned(self, cause: Cause) -> Mitigation | None:
        """What to do about one cause; None where its plan fails, which costs nothing else."""
        try:
            return Mitigation(cause.name, *cause.plan(self.context, self.results()))
        except Exception:
            logger.exception("The plan for %s cannot be filled in", cause.name)
            return None

    def recovery(self, tell: verification.ProgressCallback) -> Recovery:
        """Whether the service recovered; waits for it where a mitigation was just made."""
        if self._recovery is None:
            self._recovery = verification.verify(
                self.context, self.alert.recovery, ask=self._ask_now, clock=self._clock, tell=tell
            )
            logger.info("Recovery: %s", self._recovery.sentence)
        return self._recovery

    def _ask_now(self, queries: Mapping[str, Query]) -> Answers:
        return {name: future.result() for name, future in self._send(queries).items()}

    def investigation(self) -> Investigation:
        """All of it as data. Recovery is only in it once it was verified, or where nothing was mitigated."""
        verdicts = self.verdicts()
        headline, why = conclude(self.alert, self.results(), verdicts)
        recovered = self._recovery or verification.NOT_MITIGATED
        answers = [answer for check in self.alert.checks for answer in self._answers(check.name).values()]
        return Investigation(
            self.alert,
            self.context,
            tuple(self.finding(check.name) for check in self.alert.checks),
            verdicts,
            self.mitigations(),
            recovered,
            headline,
            why,
            events(self.context, self.results()),
            tuple({a.query.key: a for a in [*answers, *recovered.answers]}.values()),
        )


def judge(check: Check, context: Context, answers: Answers, earlier: Results) -> Result:
    """A check's result, its sentence of a readable length; unknown where data is missing, or not whole for "normal"."""
    result = _judged(check, context, answers, earlier)
    return replace(result, sentence=shortened(result.sentence, READABLE))


def _judged(check: Check, context: Context, answers: Answers, earlier: Results) -> Result:
    telling = ("complete", "partial", "empty") if check.empty_is_none else ("complete", "partial")
    absent = [answers[name] for name in check.requires if name in answers and answers[name].completeness not in telling]
    if absent:
        return Result("unknown", f"Not known: {_absence(absent[0])}")
    if answers and not any(answer.completeness in telling for answer in answers.values()):
        return Result("unknown", f"Not known: {_absence(next(iter(answers.values())))}")
    try:
        result = check.judge(context, answers, earlier)
    except Exception as error:  # odd data must cost this check, never the notebook
        logger.exception("Check %s cannot judge its answers", check.name)
        return Result("unknown", _unreadable(answers), fault=fault(error))
    if result.status == "normal" and (gap := _gap(check, answers)):
        return replace(
            result,
            status="unknown",
            sentence=f"Not sure: {result.sentence} But the data is not whole ({gap.rstrip('.')}).",
        )
    return result


def _unreadable(answers: Answers) -> str:
    sources = " and ".join(dict.fromkeys(source_text(answer.query.source) for answer in answers.values()))
    what = f"the answers of {sources}" if sources else "what earlier checks found"
    return (
        f"Not known: {what} could not be judged, having another form than this check knows; "
        "look at them yourself, and report the bundle to whoever keeps the runbooks."
    )


def _gap(check: Check, answers: Answers) -> str:
    """What is missing from the answers that a "normal" would rest on; "" where nothing is."""
    for name, answer in answers.items():
        if name not in check.optional and answer.completeness in ("partial", "failed"):
            return answer.error or next(iter(answer.warnings), "part of an answer is missing")
    return ""


def _absence(answer: Answer) -> str:
    if answer.completeness == "failed":
        return answer.error
    return f"{source_text(answer.query.source)} has no data for {answer.query.text[:200]}"
