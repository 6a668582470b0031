"""Who is told of an alert: Alertmanager's configuration, by the procedure's severities, with receivers to fill in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from runbook.investigation.definitions import Severity
from runbook.investigation.severity import RESPONSES, Means
from runbook.model import JSON

TO_FILL_IN = (
    "To be filled in: each address that ends in .invalid, and the files named here, which hold the secrets.",
    "The gateways for SMS and tickets get Alertmanager's own JSON by POST, with a bearer token from their file.",
)
SECRETS = "/etc/alertmanager/secrets"
OTHERWISE: Severity = "medium"  # an alert of no such severity, of another team's rules, is told all the same
_HOUR = 3600


def routes() -> dict[str, JSON]:
    """Alertmanager's configuration as data: a route and a receiver per severity."""
    severities: tuple[Severity, ...] = get_args(Severity)
    return {
        "global": {
            "smtp_smarthost": "smtp.example.invalid:587",
            "smtp_from": "alertmanager@example.invalid",
            "smtp_auth_username": "alertmanager",
            "smtp_auth_password_file": f"{SECRETS}/smtp-password",
        },
        "route": {
            "receiver": OTHERWISE,
            "group_by": ["alertname", "service"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": _repeat(OTHERWISE),
            "routes": [_route(severity) for severity in severities],
        },
        "inhibit_rules": [_down_says_all()],
        "receivers": [_receiver(severity) for severity in severities],
    }


def _route(severity: Severity) -> dict[str, JSON]:
    """Who is to act at once is told at once; the others wait for what belongs to it."""
    at_once = {"group_wait": "10s"} if RESPONSES[severity].seconds == 0 else {}
    named = {"receiver": severity, "matchers": [f'severity="{severity}"']}
    return {**named, **at_once, "repeat_interval": _repeat(severity)}


def _repeat(severity: Severity) -> str:
    """Again when the time to respond is over; every hour where that is shorter, every day where it is longer."""
    seconds = RESPONSES[severity].seconds
    return f"{24 if seconds is None else max(1, seconds // _HOUR)}h"


def _down_says_all() -> dict[str, JSON]:
    """A service that is down is no news to whom its lesser alerts would be sent."""
    return {
        "source_matchers": ['alertname="InstanceDown"', 'severity="critical"'],
        "target_matchers": ['severity="medium"'],
        "equal": ["service"],
    }


def _receiver(severity: Severity) -> dict[str, JSON]:
    """All means of a severity; two of one kind stand in one list."""
    found: dict[str, JSON] = {"name": severity}
    for means in RESPONSES[severity].means:
        kind, config = _CONFIGS[means](severity)
        found.setdefault(kind, []).append({**config, "send_resolved": True})
    return found


def _pagerduty(severity: Severity) -> tuple[str, dict[str, JSON]]:
    urgency = "critical" if severity == "critical" else "error"  # in PagerDuty's own words
    return "pagerduty_configs", {"routing_key_file": f"{SECRETS}/pagerduty-routing-key", "severity": urgency}


def _email(severity: Severity) -> tuple[str, dict[str, JSON]]:
    return "email_configs", {"to": "on-call@example.invalid"}


def _gateway(name: str) -> tuple[str, dict[str, JSON]]:
    """A webhook, whose address is no secret: its token is."""
    token = {"authorization": {"credentials_file": f"{SECRETS}/{name}-token"}}
    return "webhook_configs", {"url": f"https://{name}.example.invalid/alerts", "http_config": token}


_CONFIGS: Mapping[Means, Callable[[Severity], tuple[str, dict[str, JSON]]]] = {
    "PagerDuty": _pagerduty,
    "SMS": lambda severity: _gateway("sms"),
    "e-mail": _email,
    "ticket": lambda severity: _gateway("tickets"),
}
