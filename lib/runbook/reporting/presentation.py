"""An investigation as people are shown it, made by `present`; HTML, Markdown, notebook and findings.json render it.

Everything is text or a number that is ready to be printed, and holds text from outside as it is: whoever prints it
escapes it. The command line prints what findings.json holds, since the notebook ran in a process of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.investigation import timeline
from runbook.investigation.definitions import Alert, Context, Severity
from runbook.investigation.result import Investigation
from runbook.investigation.severity import RESPONSES
from runbook.model import State, Verdict
from runbook.reporting import tones
from runbook.reporting.findings import FindingView, RecoveryView, finding_view, recovery_view
from runbook.reporting.steps import DoNow, MitigationView, first_step, mitigation_view
from runbook.reporting.tones import Tone
from runbook.text import time
from runbook.text.escape import filename


@dataclass(frozen=True)
class Header:
    """What is investigated: the alert, how soon to respond and how to tell, where, since when, on which data.

    `by` and `lasting` are "" where there is no such time.
    """

    alert: str
    severity: Severity
    tone: Tone
    within: str
    by: str
    notify: str
    incident: str
    service: str
    environment: str
    since: str
    lasting: str
    window: str
    step: str


@dataclass(frozen=True)
class VerdictView:
    """The verdict in one sentence, and why in the next ones."""

    headline: str
    why: str
    tone: Tone


@dataclass(frozen=True)
class Gap:
    """Questions that are not answered, or not on whole data, for one reason."""

    questions: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Ledger:
    """How much of it could be answered: `sentence` is "8 of 9 checks ran"."""

    sentence: str
    checks: int
    ran: int
    unknown: tuple[Gap, ...]
    partial: tuple[Gap, ...]

    @property
    def whole(self) -> bool:
        """Whether all checks ran on complete data."""
        return self.checks > 0 and not self.unknown and not self.partial


@dataclass(frozen=True)
class CauseView:
    """A cause after the rules; `score` is None and `points` a dash where it was not tested."""

    title: str
    state: State
    tone: Tone
    score: float | None
    points: str
    because: str


@dataclass(frozen=True)
class TimelineEntry:
    """A line of the timeline; `time` is None and `when` "" where nobody knows it yet."""

    time: float | None
    when: str
    label: str


@dataclass(frozen=True)
class Timeline:
    """What happened when; `day` is the day of all of it, "" where it took several."""

    moments: tuple[TimelineEntry, ...]
    day: str


@dataclass(frozen=True)
class Summary:
    """The numbers of the incident report: when it began, how long it took ("" while it goes on), whom it hit.

    `impact` is counted, "" where it could not be; `harm` is what the alert means for people; `until` is the data's end.
    """

    began: str
    duration: str
    until: str
    impact: str
    harm: str


@dataclass(frozen=True)
class Presentation:
    """All of it. `now` is None where there is nothing to do; `recorded` says when the answers were given; `bundle` is
    how the first evidence of this alert is called.
    """

    header: Header
    verdict: VerdictView
    now: DoNow | None
    ledger: Ledger
    findings: tuple[FindingView, ...]
    causes: tuple[CauseView, ...]
    mitigations: tuple[MitigationView, ...]
    recovery: RecoveryView
    timeline: Timeline
    summary: Summary
    escalation: tuple[str, ...]
    recorded: str
    bundle: str


def present(investigation: Investigation) -> Presentation:
    """Everything that people are shown of an investigation."""
    alert, context = investigation.alert, investigation.context
    mitigations = tuple(mitigation_view(one) for one in investigation.mitigations)
    findings = tuple(finding_view(one, context) for one in investigation.findings)
    ledger, tone = _ledger(investigation.ledger, findings), _tone(investigation)
    return Presentation(
        header=header(alert, context),
        verdict=VerdictView(investigation.headline, investigation.why, tone),
        now=None if tone == "green" else first_step(mitigations) or _stuck(alert, ledger, tone),
        ledger=ledger,
        findings=findings,
        causes=tuple(map(_cause, investigation.verdicts)),
        mitigations=mitigations,
        recovery=recovery_view(investigation.recovery, context),
        timeline=_timeline(investigation),
        summary=_summary(investigation),
        escalation=alert.escalate_if,
        recorded=f"replayed from answers recorded {time.day(context.now)} {time.clock(context.now)} UTC",
        bundle=filename(f"{alert.name}-{time.stamp(context.started_at)}"),
    )


def header(alert: Alert, context: Context) -> Header:
    """What is investigated, before anything is found."""
    response = RESPONSES[alert.severity]
    lasting = context.end - context.started_at
    return Header(
        alert=alert.name,
        severity=alert.severity,
        tone=tones.SEVERITY[alert.severity],
        within=response.within,
        by=time.clock_text(context.started_at + response.seconds) if response.seconds else "",
        notify=response.told,
        incident=context.incident,
        service=context.service.name,
        environment=context.environment_name,
        since=time.clock_text(context.started_at),
        lasting=time.duration_text(lasting) if lasting > 0 else "",
        window=time.window(context.start, context.end),
        step=f"{context.step} s",
    )


def _tone(investigation: Investigation) -> Tone:
    """The verdict's colour: red for a cause found, green for no alarm or recovered, amber for not known."""
    if investigation.recovery.state == "recovered":
        return "green"
    if investigation.findings and investigation.findings[0].result.status == "normal":
        return "green"
    return "red" if any(v.state == "supported" for v in investigation.verdicts) else "amber"


def _stuck(alert: Alert, ledger: Ledger, tone: Tone) -> DoNow | None:
    """What to do where no mitigation is known: close the gaps, or call for help."""
    if tone != "amber" or not alert.escalate_if:
        return None
    gaps = ledger.unknown or ledger.partial
    first = "Fix the sources listed below, then run again. " if gaps else ""
    return DoNow("no mitigation is supported by the data", otherwise=f"{first}Escalate if:")


def _ledger(sentence: str, findings: Sequence[FindingView]) -> Ledger:
    unknown = [one for one in findings if one.status == "unknown"]
    reasons: dict[str, list[str]] = {}
    for one in unknown:
        reasons.setdefault(one.sentence, []).append(one.question)
    return Ledger(
        sentence=sentence,
        checks=len(findings),
        ran=len(findings) - len(unknown),
        unknown=tuple(Gap(tuple(questions), why) for why, questions in reasons.items()),
        partial=tuple(Gap((one.question,), one.gap) for one in findings if one.gap),
    )


def _cause(verdict: Verdict) -> CauseView:
    score = None if verdict.score is None else min(1.0, max(0.0, verdict.score))
    points = "–" if score is None else f"{score:.2f}"
    return CauseView(verdict.title, verdict.state, tones.STATE[verdict.state], score, points, verdict.because)


def _timeline(investigation: Investigation) -> Timeline:
    told, started_at = timeline.timeline(investigation), investigation.context.started_at
    moments = tuple(
        TimelineEntry(one.time, "" if one.time is None else time.clock_text(one.time, started_at), one.label)
        for one in told
    )
    days = {time.day(one.time) for one in told if one.time is not None}
    return Timeline(moments, days.pop() if len(days) == 1 else "")


def _summary(investigation: Investigation) -> Summary:
    lasted = timeline.duration(investigation)
    return Summary(
        began=time.minute(timeline.began(investigation)),
        duration="" if lasted is None else time.duration_text(lasted),
        until=time.clock_text(investigation.context.end),
        impact=timeline.impact(investigation),
        harm=investigation.alert.impact,
    )
