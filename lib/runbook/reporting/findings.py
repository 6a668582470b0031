"""What a check found, and whether the service recovered, as they are shown: sentence, charts, tables, queries. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.investigation.definitions import Context
from runbook.model import Chart, Finding, Recovery, Status
from runbook.reporting import tones
from runbook.reporting.queries import Queries, queries
from runbook.reporting.tables import TableView, table_view
from runbook.reporting.tones import Tone


@dataclass(frozen=True)
class Figure:
    """A chart, and what it shows for who cannot see it."""

    chart: Chart
    alt: str


@dataclass(frozen=True)
class FindingView:
    """One question with its answer and the evidence for it; `gap` says why its data is not whole, "" where it is."""

    check: str
    question: str
    status: Status
    tone: Tone
    sentence: str
    gap: str
    charts: tuple[Figure, ...]
    tables: tuple[TableView, ...]
    queries: Queries

    @property
    def brief(self) -> bool:
        """Whether one line says it all: what is normal, and what is unknown without anything to see."""
        return self.status == "normal" or (self.status == "unknown" and not self.charts and not self.tables)


@dataclass(frozen=True)
class RecoveryView:
    """Whether it recovered; `mitigated` says whether there was anything to recover by."""

    state: str
    tone: Tone
    sentence: str
    mitigated: bool
    charts: tuple[Figure, ...]
    queries: Queries


def finding_view(found: Finding, context: Context) -> FindingView:
    """One check's result."""
    result = found.result
    return FindingView(
        check=found.check,
        question=found.question,
        status=result.status,
        tone=tones.STATUS[result.status],
        sentence=result.sentence,
        gap=_gap(found) if found.ran and found.completeness == "partial" else "",
        charts=_figures(result.charts, result.sentence),
        tables=tuple(map(table_view, result.tables)),
        queries=queries(found.answers, context),
    )


def recovery_view(seen: Recovery, context: Context) -> RecoveryView:
    """Whether it recovered."""
    return RecoveryView(
        state=seen.state,
        tone=tones.RECOVERY[seen.state],
        sentence=seen.sentence,
        mitigated=seen.state != "not mitigated",
        charts=_figures(seen.charts, seen.sentence),
        queries=queries(seen.answers, context),
    )


def _gap(found: Finding) -> str:
    said = dict.fromkeys(text for a in found.answers for text in (a.error, *a.warnings) if text)
    return "; ".join(said) or "some answers were not whole"


def _figures(charts: Sequence[Chart], sentence: str) -> tuple[Figure, ...]:
    return tuple(Figure(chart, f"{chart.title}: {sentence}") for chart in charts)
