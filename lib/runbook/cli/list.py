"""`runbook list`"""

from __future__ import annotations

import click

from runbook.cli import options


@click.command("list")
@options.as_json
def command(json_: bool) -> None:
    """List the alerts that have a runbook: name, severity, meaning."""
    from runbook import alerts
    from runbook.config.schema import Thresholds

    found, usual = [alerts.load(name) for name in alerts.names()], Thresholds()
    if json_:
        options.print_json(
            [
                {"name": a.name, "severity": a.severity, "summary": a.summary(usual), "meaning": a.meaning(usual)}
                for a in found
            ]
        )
        return
    width = max((len(alert.name) for alert in found), default=0)
    for alert in found:
        options.line(f"{alert.name:{width}}  {alert.severity:8}  {alert.meaning(usual)}")
