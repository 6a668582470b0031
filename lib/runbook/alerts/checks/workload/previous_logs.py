"""The last log lines of containers before they ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.workload import pod_states
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.containers import previous_logs_of
from runbook.text.escape import plain_text
from runbook.text.format import plural

_ABOUT_ERRORS = re.compile(
    r"panic|fatal|exception|traceback|\berror\b|out of memory|killed|cannot|failed", re.IGNORECASE
)
LINES, SHOWN = 5, 4


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many containers `ended`, the line that most of them logged `last`, and how many did (`times`).

    `last` is None where none of them logged anything.
    """

    ended: int
    last: str | None
    times: int


def _queries(c: Context) -> Mapping[str, Query]:
    return {"previous logs": kubernetes.previous_logs(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    pods = earlier.facts(pod_states.Facts)
    found = [log for log in previous_logs_of(answers["previous logs"]) if pods is None or _ended(pods, log.pod)]
    logged = [log for log in found if log.lines]
    lasts = Counter(_last(log.lines) for log in logged)
    most = min(lasts, key=lambda line: (-lasts[line], line), default=None)
    facts = Facts(ended=len(found), last=most, times=lasts[most] if most else 0)
    rows = tuple(
        (log.pod, log.container, plain_text(line, 300)) for log in logged[:SHOWN] for line in log.lines[-LINES:]
    )
    tables = (Table("previous-logs", ("Pod", "Container", "Last lines"), rows),) if rows else ()
    return Result("abnormal" if found else "normal", _sentence(facts), facts, tables=tables)


def _ended(pods: pod_states.Facts, name: str) -> bool:
    return name in (pods.crashed or ()) or name in (pods.killed or ())


def _last(lines: Sequence[str]) -> str:
    """The last line about an error, else the last line."""
    errors = [line for line in lines if _ABOUT_ERRORS.search(line)]
    return plain_text((errors or lines)[-1], 160)


def _sentence(facts: Facts) -> str:
    if not facts.ended:
        return "No existing container ended near the onset."
    if facts.last is None:
        return f"{plural(facts.ended, 'container')} ended without logging anything."
    if facts.ended == 1:
        return f"The last line of the one that ended: “{facts.last}”."
    return f"The last line of {facts.times} of {facts.ended} containers: “{facts.last}”."


CHECK = Check(
    "previous_logs",
    "What did crashed containers log last?",
    Facts,
    _queries,
    _judge,
    empty_is_none=True,
    reads=(pod_states.Facts,),
)
