"""Failed connections to the database per second, the first check of DatabaseConnectionErrors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runbook.alerts.checks.requests.request_error_rate import count, failed_rate, since_onset, total_rate
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import Floats, grid, line, metric, over_window, short_window, split_time
from runbook.alerts.checks.toolkit.signal import Signal
from runbook.alerts.thresholds import DATABASE_ERRORS
from runbook.investigation.definitions import Answers, Context
from runbook.model import Query
from runbook.text.format import count_text, plural, share_text

COUNTER = "database_connection_errors_total"
NOISE = 0.01  # errors/s by which the rate of a calm database varies


@dataclass(frozen=True, kw_only=True)
class Facts(threshold_check.Facts):
    """Failed connections per second, and counts since the onset: failed connections, failed requests, all requests.

    The counts of requests are None where Prometheus did not answer.
    """

    errors: int
    failed_requests: int | None
    requests: int | None


def per_second(value: float) -> str:
    """A rate of errors: "107/s", "2.4/s", "0.05/s"."""
    return f"{value:,.0f}/s" if value >= 100 else f"{value:.2g}/s" if value < 10 else f"{value:.1f}/s"


def pooled(context: Context) -> str:
    """PromQL: the connections in use, one series per running pod with a pool; a pod that is gone leaves none behind."""
    gauge = metric(context.service, "database_connections", 'state="in_use"')
    return f"last_over_time({gauge}[{short_window(context)}s])"


def _queries(c: Context, window: str, ago: int) -> Mapping[str, Query]:
    asked = {
        "errors": over_window(c, f"sum(rate({metric(c.service, COUNTER)}[{window}]))", ago),
        "pods": over_window(c, f"count({pooled(c)})", ago),
    }
    if ago:
        return asked
    requests = {"failed": failed_rate(c, window), "total": total_rate(c, window)}
    return asked | {name: over_window(c, text) for name, text in requests.items()}


def failing(answers: Answers) -> Floats:
    """Errors per second. A counter that was never incremented may not exist: 0 while pods report their pools."""
    errors = line(answers["errors"])
    if answers["errors"].completeness == "failed":
        return errors
    return np.where(np.isnan(errors) & ~np.isnan(line(answers["pods"])), 0.0, errors)


def _counted(answers: Answers) -> Floats:
    """The same for the alert, which fires on the counter itself: without any counter nothing is known."""
    return failing(answers) if answers["errors"].completeness != "empty" else line(answers["errors"])


def _find(c: Context, answers: Answers, measured: threshold_check.Facts) -> Facts:
    """Counts failed connections and failed requests since the onset; the impact says both."""
    began = measured.onset
    short = {name.removesuffix(", short"): answer for name, answer in answers.items() if name.endswith(", short")}
    since = failing(short)[grid(c) >= split_time(c, began)]
    errors = round(float(np.nansum(since)) * c.step)
    failed, requests = (count(c, short[part], began) for part in ("failed", "total"))
    minutes = (c.end - split_time(c, began)) / 60
    said = f"{plural(errors, 'connection')} to the database failed in {minutes:,.0f} minutes{since_onset(began)}"
    if failed is not None and requests:
        said += f"; {count_text(failed)} of {count_text(requests)} requests failed ({share_text(failed / requests)})"
    found = Facts(**vars(measured), errors=errors, failed_requests=failed, requests=requests)
    return replace(found, impact=f"{said}.")


CHECK = threshold_check.check(
    threshold_check.Level(
        name="connection_errors",
        facts=Facts,
        title="Failed connections to the database",
        unit="errors / s",
        now="connections to the database fail at {}",
        past="connections to the database failed at {}",
        nothing="Prometheus has no count of failed connections since the alert",
        queries=_queries,
        value=_counted,
        parts=("errors", "pods"),
        requires=("errors",),
        threshold=lambda service: DATABASE_ERRORS.of(service.thresholds),
        least=lambda service: DATABASE_ERRORS.of(service.thresholds) / 2,
        noise=NOISE,
        text=per_second,
        find=_find,
        count=lambda facts: f"{plural(facts.errors, 'failed connection')} since then",
    )
)

FAILED_CONNECTIONS = Signal(
    title="Failed connections to the database",
    unit="per 100 requests",
    verb="have",
    of="failed connections per 100 requests",
    part=lambda c, window: f"rate({metric(c.service, COUNTER)}[{window}])",
    whole=lambda c, window: f"rate({metric(c.service, 'http_requests_total')}[{window}])",
    threshold=lambda service: 0.01,
    text=lambda value: f"{100 * value:.2g}",
    scale=100,
)
