"""One investigation, finished or not: everything that a report, a bundle or a comparison of runs needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from runbook.investigation.definitions import Alert, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Event, Finding, Mitigation, Recovery, Verdict
from runbook.text.escape import READABLE, shortened

logger = logging.getLogger(__name__)


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


def conclude(alert: Alert, results: Results, verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """The verdict in one sentence, and why in the next: what the first check of the alert and the causes say."""
    first = results[alert.checks[0].name]
    note = f"{said} " if (said := _safely(lambda: alert.note(results, verdicts), "")) else ""
    if first.status == "unknown":
        return f"{note}Not known whether {alert.name} is real.", first.sentence
    if first.status == "normal":
        return f"{note}{alert.name} does not hold in this window: nothing to mitigate.", first.sentence
    supported = [v for v in verdicts if v.state == "supported"]
    told = first.sentence.removeprefix("Yes. ")  # nobody has asked here whether it is real
    if not supported:
        return f"{note}{_unexplained(verdicts)}", told
    phrases = {cause.name: cause.phrase for cause in alert.causes}
    named = ", and ".join(_safely(partial(phrases[v.cause], results), v.title) for v in supported)
    return shortened(f"{note}Probably {named}.", READABLE), f"{told} {_sentence(supported[0].because)}"


def _safely(words: Callable[[], str], otherwise: str) -> str:
    """What an alert's own words say; a fault in them costs no more than these words."""
    try:
        return words()
    except Exception:
        logger.exception("An alert's own words cannot be made")
        return otherwise


def _unexplained(verdicts: Sequence[Verdict]) -> str:
    untested = [v.title.lower() for v in verdicts if v.state == "not tested"]
    if not untested:
        return f"Real, but none of the {len(verdicts)} usual causes explains it: escalate."
    return f"Real; no cause found, but not tested: {', '.join(untested)}."


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."
