"""Resident memory of the fullest pod, the first check of HighMemoryUsage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.memory_growth import MIB, NOISE, calm_seconds, first_seen, grows, resident, trend_of
from runbook.alerts.checks.toolkit.series import grid, highest, number, over_window, pods
from runbook.alerts.thresholds import MEMORY
from runbook.investigation.definitions import Answers, Context
from runbook.model import Query
from runbook.text.format import bytes_text, plural
from runbook.text.time import duration_text

RISE = 0.05  # of the threshold: a smaller rise is no onset
HIDDEN_SECONDS = 900  # for this long older pods that use more memory may hide the growth of new ones


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """Resident memory of the fullest pod in bytes. Since the threshold was passed: how many pods reported their memory,
    how many of these were above the threshold, and for how many seconds any was (None: none was).
    """

    pods: int
    pods_above: int
    seconds_above: float | None = None


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    return {"by pod": over_window(c, resident(c.service), ago)}


def _began(c: Context, answers: Answers, found: float | None) -> float | None:
    """When the first new pod began to grow, where the fullest pod is a new one that grows; else the onset as found."""
    rows = {pod: row for pod, row in pods(c, answers["by pod"]).items() if not np.isnan(row).all()}
    if found is None or not rows:
        return found
    starts = {pod: first_seen(c, row) for pod, row in rows.items()}
    young = [pod for pod, start in starts.items() if start > c.start and 0 <= found - start <= HIDDEN_SECONDS]
    growing = [pod for pod in young if grows(trend_of(c, rows[pod]))]
    fullest = max(sorted(rows), key=lambda pod: float(np.nanmax(rows[pod])))
    if fullest not in growing:
        return found
    oldest = min(growing, key=lambda pod: (starts[pod], pod))
    return starts[oldest] + calm_seconds(c, rows[oldest])


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    """How many pods were above the threshold since it was passed, for how long, and how far."""
    firing, limit = grid(c) >= c.started_at - c.for_seconds, MEMORY.of(c.service.thresholds)
    seen = {pod: row[firing] for pod, row in pods(c, answers["by pod"]).items() if not np.isnan(row[firing]).all()}
    peaks = [peak for row in seen.values() if (peak := float(np.nanmax(row))) > limit]
    facts = Facts(**vars(measured), pods=len(seen), pods_above=len(peaks))
    if not peaks:
        return facts
    seconds = float(np.sum(highest(answers["by pod"])[firing] > limit)) * c.step
    above = f"{len(peaks)} of {plural(len(seen), 'pod')} used more than {bytes_text(limit)}"
    impact = f"{above} for {duration_text(seconds)}, {bytes_text(max(peaks))} at the peak."
    return replace(facts, seconds_above=number(seconds, 0), impact=impact)


def _count(facts: Facts) -> str:
    verb = "is" if facts.pods_above == 1 else "are"
    return f"{facts.pods_above} of {plural(facts.pods, 'pod')} {verb} affected"


CHECK = threshold_check.check(
    threshold_check.Level(
        name="memory_level",
        facts=Facts,
        title="Resident memory of the fullest pod",
        unit="MiB",
        now="the fullest pod uses {}",
        past="the fullest pod used {}",
        nothing="no pod reported its resident memory since the alert",
        queries=_queries,
        value=lambda answers: highest(answers["by pod"]),
        parts=("by pod",),
        requires=("by pod",),
        threshold=lambda service: MEMORY.of(service.thresholds),
        least=lambda service: RISE * MEMORY.of(service.thresholds),
        noise=NOISE,
        text=bytes_text,
        scale=1 / MIB,
        gauge=True,
        began=_began,
        find=_find,
        count=_count,
    )
)
