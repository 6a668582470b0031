"""One investigation, finished or not: everything that a report, a bundle or a comparison of runs needs."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.alerts.base import Alert, Context
from runbook.model import Answer, Event, Finding, Mitigation, Recovery, Verdict


@dataclass(frozen=True)
class Investigation:
    """The outcome of one run. `verdicts` are sorted: most probable cause first.

    `headline` is the verdict in one sentence ("Probably a bad deployment: revision 14."), `why` the one after it.
    `answers` are all answers of the run in the order in which their queries were named; `events` are the rollouts,
    restarts, onset and alert on the time axis.
    """

    alert: Alert
    context: Context
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]
    mitigations: tuple[Mitigation, ...]
    recovery: Recovery
    headline: str
    why: str
    events: tuple[Event, ...]
    answers: tuple[Answer, ...]

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """The checks that could not run."""
        return tuple(f for f in self.findings if not f.ran)

    @property
    def ledger(self) -> str:
        """How much of it could be answered, e.g. "8 of 9 checks ran"."""
        return f"{len(self.findings) - len(self.unknown)} of {len(self.findings)} checks ran"
