"""Durations by kind, such as requests by path or queries by table: how slow each is, and its additional time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.series import (
    Change,
    Floats,
    change,
    grid,
    over_window,
    rate_window,
    short_window,
    split_time,
    upper_quartile,
)
from runbook.investigation.definitions import Answers, Context
from runbook.model import Answer, Query
from runbook.sources.prometheus.client import matrix
from runbook.text.escape import plain_text

NAME_LENGTH = 120


@dataclass(frozen=True)
class Kind:
    """One kind: p95 and mean before the onset and since, how many per second since, and p95 over time.

    `extra` is its additional time: seconds per second more than as many took on average before the onset.
    """

    name: str
    p95: Change
    mean: Change
    per_second: float
    over_time: Floats

    @property
    def extra(self) -> float:
        """Not negative; 0 where it is not known."""
        found = (self.mean.since - np.nan_to_num(self.mean.before)) * self.per_second
        return max(0.0, float(np.nan_to_num(found)))


def queries(c: Context, name: str, *labels: str) -> Mapping[str, Query]:
    """p95 for the chart; seconds and number over a short window, for the means."""
    short, by = f"{short_window(c)}s", ", ".join(labels)
    return {
        "p95": over_window(c, histogram.p95(c.service, name, rate_window(c), *labels)),
        **{
            part: over_window(c, f"sum by ({by}) ({histogram.rates(c.service, name, part, short)})")
            for part in ("sum", "count")
        },
    }


def kinds(c: Context, answers: Answers, onset: float | None, *labels: str) -> list[Kind]:
    """All kinds with a p95 since the onset, most additional time first."""
    p95, seconds, count = (_by(answers[part], labels) for part in ("p95", "sum", "count"))
    since = grid(c) >= split_time(c, onset)
    every = [
        Kind(
            name,
            change(c, values, onset, upper_quartile),
            Change(*(_mean(seconds.get(name), count.get(name), side) for side in (~since, since))),
            _typical(count.get(name), since),
            values,
        )
        for name, values in p95.items()
    ]
    return sorted((k for k in every if not np.isnan(k.p95.since)), key=lambda k: (-k.extra, k.name))


def _by(answer: Answer, labels: Sequence[str]) -> dict[str, Floats]:
    """One series per combination of labels, named by their values."""
    if not answer.usable:
        return {}
    found = matrix(answer)
    values = ([one[label] for label in labels if one.get(label)] for one in found.labels)
    named = (plain_text(" ".join(each), NAME_LENGTH) or "?" for each in values)
    return dict(sorted(zip(named, found.values, strict=True), key=lambda pair: pair[0]))


def _mean(seconds: Floats | None, count: Floats | None, side: np.ndarray) -> float:
    """Mean seconds; NaN without any."""
    if seconds is None or count is None:
        return float("nan")
    number = float(np.nansum(count[side]))
    return float(np.nansum(seconds[side])) / number if number else float("nan")


def _typical(count: Floats | None, since: np.ndarray) -> float:
    return 0.0 if count is None or np.isnan(count[since]).all() else float(np.nanmean(count[since]))


def of_all(one: Kind, found: Sequence[Kind]) -> str:
    """Its share of all additional time, for a table: "93.5 %"; "" where there is none."""
    extra = sum(kind.extra for kind in found)
    return f"{100 * one.extra / extra:.1f} %" if extra else ""
