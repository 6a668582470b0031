"""What did containers say last before they ended?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Query, Result, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.containers import previous_logs_of
from runbook.text.format import plain_text, plural

_TELLING = re.compile(r"panic|fatal|exception|traceback|\berror\b|out of memory|killed|cannot|failed", re.IGNORECASE)
LINES, SHOWN = 5, 4


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    ended: TODO
    last: TODO
    times: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    return {"previous logs": kubernetes.previous_logs(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    known = earlier["pods"].facts if "pods" in earlier else {}
    ended = [*(known.get("crashed") or ()), *(known.get("killed") or ())]
    found = [log for log in previous_logs_of(answers["previous logs"]) if log.pod in ended or not known]
    spoken = [log for log in found if log.lines]
    lasts = Counter(_last(log.lines) for log in spoken)
    most = min(lasts, key=lambda line: (-lasts[line], line), default=None)
    facts: dict[str, JSON] = {"ended": len(found), "last": most, "times": lasts[most] if most else 0}
    rows = tuple(
        (log.pod, log.container, plain_text(line, 300)) for log in spoken[:SHOWN] for line in log.lines[-LINES:]
    )
    tables = (Table("last-words", ("Pod", "Container", "Its last lines"), rows),) if rows else ()
    return Result("abnormal" if found else "normal", _sentence(facts), facts, tables=tables)


def _last(lines: Sequence[str]) -> str:
    """The last line that speaks of trouble, else the last one."""
    telling = [line for line in lines if _TELLING.search(line)]
    return plain_text((telling or lines)[-1], 160)


def _sentence(facts: Facts) -> str:
    if not facts.ended:
        return "Nothing: none of the containers that are there now ended near the onset."
    if facts.last is None:
        return f"{plural(facts.ended, 'container')} ended without a word."
    if facts.ended == 1:
        return f"The one that ended said last: “{facts.last}”."
    return f"{facts.times} of {facts.ended} containers said last: “{facts.last}”."


CHECK = Check("previous_logs", "What did crashed containers say last?", Facts, _queries, _judge, empty_is_none=True)
