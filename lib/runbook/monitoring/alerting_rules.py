"""The alerting rules for Prometheus, from the catalogue of alerts and the profiles of services."""

from __future__ import annotations

from collections.abc import Iterable

from runbook.config.schema import Environment, Service
from runbook.investigation.definitions import Alert
from runbook.model import JSON

GROUP = "runbook"


def rules(alerts: Iterable[Alert], service: Service, environment: Environment) -> dict[str, JSON]:
    """A rule file as data: one rule per alert, with a link to its runbook where the environment says where that is."""
    return {"groups": [{"name": GROUP, "rules": [_rule(alert, service, environment) for alert in alerts]}]}


def _rule(alert: Alert, service: Service, environment: Environment) -> dict[str, JSON]:
    where = environment.runbook_base_url.rstrip("/")
    link = {"runbook_url": f"{where}/{alert.name}.ipynb"} if where else {}  # one that leads nowhere is worse than none
    return {
        "alert": alert.name,
        "expr": alert.expression(service),
        "for": _duration(alert.for_seconds),
        "labels": {"severity": alert.severity, "service": service.name},
        "annotations": {
            "summary": f"{alert.summary(service.thresholds)} ({service.name})",
            "description": f"{alert.meaning(service.thresholds)} {alert.impact}",
            **link,
        },
    }


def _duration(seconds: int) -> str:
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
