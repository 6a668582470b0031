"""Classic histograms: their PromQL, and the share of observations above a limit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runbook.alerts.checks.toolkit.series import Floats, by_label, metric, times_of
from runbook.config.schema import Service
from runbook.model import Answer

REQUESTS, QUERIES = "http_request_duration_seconds", "database_query_duration_seconds"


def buckets(service: Service, name: str, window: str, *labels: str) -> str:
    """PromQL: observations per second in each bucket, by these labels as well."""
    return f"sum by ({', '.join(['le', *labels])}) (rate({metric(service, f'{name}_bucket')}[{window}]))"


def p95(service: Service, name: str, window: str, *labels: str) -> str:
    """PromQL: the 95th percentile, by these labels."""
    return f"histogram_quantile(0.95, {buckets(service, name, window, *labels)})"


def rates(service: Service, name: str, part: str, window: str) -> str:
    """PromQL: a histogram's seconds (`sum`) or observations (`count`) per second, for each series."""
    return f"rate({metric(service, f'{name}_{part}')}[{window}])"


def beyond(answer: Answer, limit: float) -> Floats:
    """The share above the limit, spread evenly within its bucket; NaN without observations or buckets.

    Observations above the highest finite bucket count as above: histogram_quantile never gives more than its bound.
    """
    found = _by_limit(answer)
    if len(found) < 2:
        return np.full(len(times_of(answer.query)), np.nan)
    limits, below = np.array(list(found)), np.array(list(found.values()))
    total, finite = below[-1], limits[:-1]
    place = min(int(np.searchsorted(finite, limit)), len(finite) - 1)
    lower = finite[place - 1] if place else 0.0
    part = min(max((limit - lower) / (finite[place] - lower), 0.0), 1.0)
    within = (below[place - 1] if place else 0.0 * total) * (1 - part) + below[place] * part
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, np.clip(1.0 - within / total, 0.0, 1.0), np.nan)


def _by_limit(answer: Answer) -> Mapping[float, Floats]:
    """Cumulative rates by bucket bound, lowest first; none unless the highest is infinite."""
    found = {float(limit): values for limit, values in by_label(answer, "le").items()}
    return dict(sorted(found.items())) if float("inf") in found else {}


def every(answer: Answer) -> Floats:
    """All observations per second."""
    return _by_limit(answer).get(float("inf"), np.full(len(times_of(answer.query)), np.nan))
