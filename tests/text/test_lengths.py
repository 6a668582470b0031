"""However long a label, a message or a name is, what is said of it stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from runbook.alerts.registry import SHIPPED
from runbook.clock import Frozen
from runbook.incident import Incident
from runbook.investigation import timeline
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.model import JSON, Answer, Query
from runbook.recording.replay import Replay
from runbook.text import shell
from runbook.text.escape import READABLE

NAMED = ("message", "reason", "key", "image", "user", "state", "command", "host", "info")


class LongWinded:
    """The answers of a recording, with labels a megabyte longer; texts of logs and the cluster are much longer too."""

    def __init__(self, recorded: Replay) -> None:
        self._recorded = recorded

    def ask(self, query: Query) -> Answer:
        answer = self._recorded.ask(query)
        return replace(answer, data=self._longer(answer.data))

    def _longer(self, value: JSON, name: str = "", label: bool = False) -> JSON:
        if isinstance(value, dict):
            return {key: self._longer(one, key, label or name == "metric") for key, one in value.items()}
        if isinstance(value, list):
            return [self._longer(one, name, label) for one in value]
        if not isinstance(value, str) or name == "le" or not (label or name in NAMED):
            return value
        return _long(value, 2**20 if label else 2**15)


@cache
def _long(text: str, by: int) -> str:
    return text + "x" * by


def said(found: Investigation) -> Iterator[str]:
    """Every sentence of an investigation that is made from data."""
    yield from (found.headline, *found.why.split(". "), timeline.impact(found))
    for finding in found.findings:
        yield finding.result.sentence
    for verdict in found.verdicts:
        yield verdict.because
    for mitigation in found.mitigations:
        yield mitigation.title
        for step in mitigation.steps:
            yield from (shell.command(step.argv) or step.text, step.precondition, step.risk, step.watch)
            yield shell.command(step.undo_argv) or step.undo


@pytest.mark.parametrize("alert", SHIPPED.names)
def test_no_sentence_is_longer_than_is_readable(alert: str) -> None:
    """Labels of a megabyte, long messages and names are cut where they are put into words; the rest stays."""
    path = SHIPPED.notebook(alert).parent / "recordings" / f"{alert}.jsonl.gz"
    context = Incident.replay(path).investigation().context
    found = Investigator(SHIPPED.load(alert), context, LongWinded(Replay(path)), Frozen(context.now)).investigation()
    for sentence in said(found):
        assert len(sentence) <= READABLE, sentence[:200]
    for finding in found.findings:
        assert "x" * 250 not in finding.result.sentence, finding.check
