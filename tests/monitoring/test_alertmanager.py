"""The routes for Alertmanager: the table of severities, and nothing that is a secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from runbook.alerts.registry import SHIPPED
from runbook.cli import main
from runbook.errors import UsageError
from runbook.investigation.definitions import Severity
from runbook.investigation.severity import RESPONSES
from runbook.model import JSON
from runbook.monitoring import alertmanager, yaml_text

MEANS = {
    "PagerDuty": "pagerduty_configs",
    "SMS": "https://sms.example.invalid/alerts",
    "e-mail": "email_configs",
    "ticket": "https://tickets.example.invalid/alerts",
}
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def receiver(severity: Severity) -> dict[str, Any]:
    """Who is told at a severity."""
    (found,) = (one for one in alertmanager.routes()["receivers"] if one["name"] == severity)
    return dict(found)


def keys(value: JSON) -> Iterator[str]:
    """The names of all texts of a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from [name] if isinstance(item, str) else keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("critical", "PagerDuty, SMS, e-mail"),
        ("high", "PagerDuty, e-mail"),
        ("medium", "e-mail"),
        ("low", "ticket"),
    ],
)
def test_who_is_told_is_what_the_procedure_says(severity: Severity, told: str):
    """The words of the report and the receiver of the configuration are those of the procedure, no more and no less."""
    assert RESPONSES[severity].told == told
    found = receiver(severity)
    webhooks = [one["url"] for one in found.get("webhook_configs", [])]
    configs = [name for name in found if name not in ("name", "webhook_configs")]
    assert sorted(webhooks + configs) == sorted(MEANS[means] for means in told.split(", "))


def test_no_secret_stands_in_the_file():
    """Whatever proves who we are is named by a file; whoever forgets to fill in an address reaches nobody."""
    document = alertmanager.routes()
    assert not [
        name
        for name in keys(document)
        if any(word in name for word in ("key", "password", "credential", "token")) and not name.endswith("_file")
    ]
    addresses = [one["url"] for each in document["receivers"] for one in each.get("webhook_configs", [])]
    addresses += [one["to"] for each in document["receivers"] for one in each.get("email_configs", [])]
    addresses += [document["global"]["smtp_smarthost"], document["global"]["smtp_from"]]
    assert all(".invalid" in address for address in addresses)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_alert_is_told_again_when_the_time_to_respond_is_over(severity: Severity):
    """Nobody is reminded before they had to act, save hourly where that is at once; and nobody later than that."""
    (route,) = (one for one in alertmanager.routes()["route"]["routes"] if one["receiver"] == severity)
    hours = int(route["repeat_interval"].removesuffix("h"))
    seconds = RESPONSES[severity].seconds
    assert hours == (24 if seconds is None else max(1, seconds // 3600))


def test_every_alert_has_a_route():
    """The severity of each rule is one that the routes know by that label."""
    matched = [one["matchers"] for one in alertmanager.routes()["route"]["routes"]]
    for name in SHIPPED.names:
        assert [f'severity="{SHIPPED.load(name).severity}"'] in matched


def test_the_routes_are_printed_for_alertmanager():
    """No environment and no settings are needed; the file begins with what to fill in."""
    text = CliRunner().invoke(main.cli, ["rules", "--alertmanager"]).stdout
    said, _, rest = text.partition("global:\n")
    assert all(line.startswith("# ") for line in said.splitlines())
    assert "global:\n" + rest == yaml_text.as_yaml(alertmanager.routes())


def test_routes_of_one_alert_are_a_wrong_use():
    """The routes go by severity, so that an alert's name beside them is a misunderstanding."""
    outcome = CliRunner().invoke(main.cli, ["rules", "--alertmanager", "HighErrorRate"])
    assert isinstance(outcome.exception, UsageError)
    assert "same for all alerts" in str(outcome.exception)
