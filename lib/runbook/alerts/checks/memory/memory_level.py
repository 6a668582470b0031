"""Resident memory of the fullest pod, the first check of HighMemoryUsage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.memory.growth import MIB, NOISE, calm_seconds, first_seen, grows, of, resident
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import grid, highest, number, over_window, pods
from runbook.investigation.definitions import Answers, Context
from runbook.model import JSON, Query
from runbook.text.format import bytes_text, duration_text, plural

RISE = 0.05  # of the threshold: the least that begins anything
HIDDEN_SECONDS = 900  # so long the growth of new pods may lie below what older ones use


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    pods: TODO
    pods_above: TODO


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    return {"by pod": over_window(c, resident(c.service), ago)}


def _began(c: Context, answers: Answers, found: float | None) -> float | None:
    """Where the fullest pod is a young one that grows: when the first of those began to."""
    rows = {pod: row for pod, row in pods(c, answers["by pod"]).items() if not np.isnan(row).all()}
    if found is None or not rows:
        return found
    starts = {pod: first_seen(c, row) for pod, row in rows.items()}
    young = [pod for pod, start in starts.items() if start > c.start and 0 <= found - start <= HIDDEN_SECONDS]
    growing = [pod for pod in young if grows(of(c, rows[pod]))]
    fullest = max(sorted(rows), key=lambda pod: float(np.nanmax(rows[pod])))
    if fullest not in growing:
        return found
    oldest = min(growing, key=lambda pod: (starts[pod], pod))
    return starts[oldest] + calm_seconds(c, rows[oldest])


def _impact(c: Context, answers: Answers, began: float | None) -> Mapping[str, JSON]:
    """How many pods were above the threshold since the alert began to hold, how long, and how far."""
    firing, limit = grid(c) >= c.started_at - c.for_seconds, c.service.thresholds.memory_bytes
    there = {pod: row[firing] for pod, row in pods(c, answers["by pod"]).items() if not np.isnan(row[firing]).all()}
    above = {pod: row for pod, row in there.items() if np.nanmax(row) > limit}
    facts: dict[str, JSON] = {"pods": len(there), "pods_above": len(above)}
    if not above:
        return facts
    seconds = float(np.sum(highest(answers["by pod"])[firing] > limit)) * c.step
    most = max(float(np.nanmax(row)) for row in above.values())
    has = "has" if len(above) == 1 else "have"
    said = f"{len(above)} of {plural(len(there), 'pod')} {has} used more than {bytes_text(limit)}, for {duration_text(seconds)}"
    return {**facts, "seconds_above": number(seconds, 0), "impact": f"{said}, {bytes_text(most)} at most."}


def _count(facts: Facts) -> str:
    above = facts.pods_above
    return f"{above} of {plural(facts.pods, 'pod')} {'is' if above == 1 else 'are'} affected"


CHECK = threshold_check.check(
    threshold_check.Level(
        name="memory_level",
        facts=Facts,
        title="Resident memory of the fullest pod",
        unit="MiB",
        now="the fullest pod uses {}",
        past="the fullest pod used {}",
        nothing="no pod has told its resident memory since the alert",
        queries=_queries,
        value=lambda answers: highest(answers["by pod"]),
        parts=("by pod",),
        requires=("by pod",),
        threshold=lambda service: service.thresholds.memory_bytes,
        least=lambda service: RISE * service.thresholds.memory_bytes,
        noise=NOISE,
        text=bytes_text,
        scale=1 / MIB,
        gauge=True,
        began=_began,
        impact=_impact,
        count=_count,
    )
)
