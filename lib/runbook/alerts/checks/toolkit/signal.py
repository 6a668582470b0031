"""What an alert watches, as a ratio of two sums that can be taken by pod: failed / all requests, seconds / requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runbook.alerts.checks.toolkit import histogram
from runbook.alerts.checks.toolkit.series import FAILED, Floats, metric
from runbook.alerts.thresholds import AUTH_FAILURE_RATIO, ERROR_RATIO, LATENCY_P95
from runbook.config.schema import Service
from runbook.investigation.definitions import Context
from runbook.text.format import share_text
from runbook.text.time import duration_text

FAILURE = 'status="failure"'


def of_the_rest(own: float, others: float) -> float:
    """For a share: the additional failures, as a share of what does not fail in the other pods."""
    return (own - others) / (1 - others) if others < 1 else 0.0


def beyond_twice(own: float, others: float) -> float:
    """For a size: what exceeds twice the other pods' value, which cold caches alone may reach."""
    return own - 2 * others


@dataclass(frozen=True)
class Signal:
    """One signal of the service's pods, so that the pods of one revision can be compared with the others.

    `part` and `whole` make PromQL for the two sums, given a rate window in PromQL ("60s"), without the `sum by` around
    them. Above `threshold(service)` a revision counts as affected; the chart shows the threshold where it is `drawn`.
    `title` and `unit` are the chart's, which shows values times `scale`; `verb` and `of` make a clause around
    `text(value)`: "fail 11.8 % of requests". `beyond(own, others)` is by how much some pods are worse than the others.
    With `below`, less is worse; `badness` turns values so that more is.
    """

    title: str
    unit: str
    verb: str
    of: str
    part: Callable[[Context, str], str]
    whole: Callable[[Context, str], str]
    threshold: Callable[[Service], float]
    text: Callable[[float], str] = share_text
    scale: float = 1.0
    drawn: bool = True
    beyond: Callable[[float, float], float] = beyond_twice
    below: bool = False

    def badness(self, values: Floats) -> Floats:
        """The more, the worse, and twice as much is twice as bad: the reciprocal where less is worse."""
        with np.errstate(divide="ignore"):
            return np.reciprocal(values) if self.below else values

    def clause(self, value: float) -> str:
        """E.g. "fail 11.8 % of requests"."""
        return f"{self.verb} {self.text(value)} {self.of}".rstrip()


FAILED_REQUESTS = Signal(
    title="Failed requests",
    unit="% of requests",
    verb="fail",
    of="of requests",
    part=lambda c, window: f"rate({metric(c.service, 'http_requests_total', FAILED)}[{window}])",
    whole=lambda c, window: f"rate({metric(c.service, 'http_requests_total')}[{window}])",
    threshold=lambda service: ERROR_RATIO.of(service.thresholds),
    scale=100,
    beyond=of_the_rest,
)

SLOW_MEAN = 1 / 8  # of the p95 threshold: pods with a higher mean are slow, as p95 is several times the mean

REQUEST_SECONDS = Signal(
    title="Mean request duration",
    unit="s",
    verb="take",
    of="a request",
    part=lambda c, window: histogram.rates(c.service, histogram.REQUESTS, "sum", window),
    whole=lambda c, window: histogram.rates(c.service, histogram.REQUESTS, "count", window),
    threshold=lambda service: LATENCY_P95.of(service.thresholds) * SLOW_MEAN,
    text=duration_text,
    drawn=False,
)

FAILED_LOGINS = Signal(
    title="Failed logins",
    unit="% of attempts",
    verb="refuse",
    of="of logins",
    part=lambda c, window: f"rate({metric(c.service, 'auth_attempts_total', FAILURE)}[{window}])",
    whole=lambda c, window: f"rate({metric(c.service, 'auth_attempts_total')}[{window}])",
    threshold=lambda service: AUTH_FAILURE_RATIO.of(service.thresholds),
    scale=100,
    beyond=of_the_rest,
)

FAILED_SCRAPES = Signal(
    title="Failed scrapes",
    unit="% of scrapes",
    verb="miss",
    of="of scrapes",
    part=lambda c, window: (
        f"(count_over_time({metric(c.service, 'up')}[{window}]) - sum_over_time({metric(c.service, 'up')}[{window}]))"
    ),
    whole=lambda c, window: f"count_over_time({metric(c.service, 'up')}[{window}])",
    threshold=lambda service: 0.2,
    scale=100,
    beyond=of_the_rest,
)
