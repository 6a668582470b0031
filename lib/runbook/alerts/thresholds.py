"""The thresholds of the shipped alerts; a check that an alert of your own reuses reads them as well."""

from __future__ import annotations

from typing import Final

from runbook.investigation.thresholds import Threshold

ERROR_RATIO: Final = Threshold(
    "error_ratio", 0.05, "share of all requests", "HighErrorRate: more requests fail", less_than=1
)
AUTH_FAILURE_RATIO: Final = Threshold(
    "auth_failure_ratio", 0.20, "share of all logins", "HighAuthFailureRate: more logins fail", less_than=1
)
DATABASE_ERRORS: Final = Threshold(
    "database_errors_per_second", 0.1, "connections/s", "DatabaseConnectionErrors: more connections fail"
)
LATENCY_P95: Final = Threshold("latency_p95_seconds", 2.0, "seconds", "SlowResponses: 5 % of the requests take longer")
MEMORY: Final = Threshold("memory_bytes", 500 * 1024 * 1024, "bytes", "HighMemoryUsage: a pod uses more", whole=True)
SHIPPED: Final = (ERROR_RATIO, AUTH_FAILURE_RATIO, DATABASE_ERRORS, LATENCY_P95, MEMORY)
