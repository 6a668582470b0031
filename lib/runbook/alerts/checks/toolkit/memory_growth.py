"""How one pod's memory grows: its trend, the time until its container's limit, and whether it grew from its start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from runbook.alerts.checks.toolkit.series import Floats, grid, last, metric, rate_window
from runbook.alerts.checks.toolkit.signal import Signal
from runbook.alerts.thresholds import MEMORY
from runbook.analysis.breakpoint import bend
from runbook.analysis.trend import Trend, trend
from runbook.config.schema import Service
from runbook.investigation.definitions import Context
from runbook.sources.kubernetes.objects import Container

MIB = 1024 * 1024
NOISE = 2.0 * MIB  # smaller variations of memory are noise
LEAST = 0.05 / 3600  # of the threshold per second: growth below 5 % of it in an hour counts as none
FAST = 0.5 / 3600  # of the threshold per second: a revision whose pods grow this fast is affected
MOSTLY = 0.8  # of the scrapes in a rate window
FULL = 0.9  # of the limit: above it the kernel reclaims pages, which looks like a plateau
YOUNG_SECONDS = 1500  # within this time a pod shows whether it grows from its start
CALM_SECONDS = 60  # a pod that begins to grow this long after its start grows for another reason than its release
HOUR = 3600


def _where_scraped(c: Context, text: str) -> str:
    """PromQL: only where the pod was scraped for most of a rate window, since a few values give no reliable slope."""
    scrapes = max(300, c.step) / c.service.scrape_interval_seconds
    return f"{text} and count_over_time({_memory(c)}[{rate_window(c)}]) >= {MOSTLY * scrapes:.0f}"


def _memory(c: Context) -> str:
    return metric(c.service, "process_resident_memory_bytes")


def pace_text(slope: float) -> str:
    """Bytes per second, as growth in an hour."""
    return f"{slope * HOUR / MIB:,.0f} MiB/h"


SIGNAL = Signal(
    title="Growth of resident memory",
    unit="MiB / h",
    verb="grow by",
    of="",
    part=lambda c, window: _where_scraped(c, f"clamp_min(deriv({_memory(c)}[{rate_window(c)}]), 0)"),
    whole=lambda c, window: _where_scraped(c, f"({_memory(c)} > bool 0)"),
    threshold=lambda service: FAST * MEMORY.of(service.thresholds),
    text=pace_text,
    scale=HOUR / MIB,
    drawn=False,
)


def resident(service: Service) -> str:
    """PromQL: resident memory by pod."""
    return f"max by ({service.pod_label}) ({metric(service, 'process_resident_memory_bytes')})"


@dataclass(frozen=True)
class Growth:
    """One pod: its memory over the window, the trend since the onset, and its container as declared."""

    pod: str
    row: Floats
    trend: Trend
    container: Container | None

    @property
    def limit(self) -> float | None:
        """The container's memory limit in bytes."""
        return self.container.memory_limit if self.container else None

    @property
    def grows(self) -> bool:
        """Whether its memory grows until the end of the window."""
        return grows(self.trend)

    @property
    def now(self) -> float:
        """Its newest memory use in bytes."""
        return last(self.row)

    @property
    def most(self) -> float:
        """Its highest memory use in bytes."""
        return float(np.nanmax(self.row))

    def left(self, slope: float) -> float | None:
        """Seconds until the limit at this slope; None where memory does not grow or has no limit."""
        if not self.limit or not self.grows or not slope > 0:
            return None
        return max(0.0, (self.limit - self.now) / slope)

    @property
    def pace(self) -> str:
        """Growth per hour with its interval: "312 MiB/h (305 to 320)"."""
        slope = self.trend.slope
        low, high = (f"{value * HOUR / MIB:,.0f}" for value in (slope.low, slope.high))
        return pace_text(slope.value) + (f" ({low} to {high})" if low != high else "")


def grows(found: Trend | None) -> bool:
    """Whether memory grows, steadily or anew after each fall."""
    return found is not None and found.shape in ("growing", "sawtooth")


def trend_of(c: Context, values: Floats, limit: float | None = None) -> Trend | None:
    """The trend of memory, from the values below the limit's influence where there are enough of them."""
    below = values if not limit else np.where(values < FULL * limit, values, np.nan)
    return _trend(c, below) or _trend(c, values)


def _trend(c: Context, values: Floats) -> Trend | None:
    least = LEAST * MEMORY.of(c.service.thresholds)
    return trend(grid(c), values, least=least, noise_floor=NOISE)


def only_new_grow(
    c: Context, found: Collection[Growth], new: Collection[str], rows: Mapping[str, Floats]
) -> bool | None:
    """Whether the new pods grow from their start and no other pod ever grew; None without a trend on both sides."""
    own = [one for one in found if one.pod in new]
    others = [shape for pod, row in rows.items() if pod not in new and (shape := trend_of(c, row))]
    if not own or not others:
        return None
    growing = [one for one in own if one.grows and calm_seconds(c, one.row) < CALM_SECONDS]
    return 2 * len(growing) > len(own) and not any(grows(one) for one in others)


def calm_seconds(c: Context, row: Floats) -> float:
    """Seconds from a pod's first value until its memory began to grow; 0 where it grew from the start."""
    first = first_seen(c, row)
    young = (grid(c) <= first + YOUNG_SECONDS) & (row < MEMORY.of(c.service.thresholds))
    began = bend(grid(c), np.where(young, row, np.nan), noise_floor=NOISE / 2)
    return 0.0 if began is None else began - first


def first_seen(c: Context, row: Floats) -> float:
    """The time of a pod's first value; infinite where it has none."""
    known = np.flatnonzero(~np.isnan(row))
    return float(grid(c)[known[0]]) if len(known) else float("inf")
