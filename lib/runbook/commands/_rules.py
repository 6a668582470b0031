"""`runbook rules`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.commands import options


@click.command("rules")
@click.argument("alert", nargs=-1)
@options.environment
@options.settings_file
@options.as_json
def command(alert: tuple[str, ...], environment: str | None, settings_path: Path | None, json_: bool) -> None:
    """Print the alerting rules of ALERT (or of all) for an environment's service, as a rule file for Prometheus."""
    from runbook import alerts, rules
    from runbook import settings as reader

    settings = reader.load(settings_path)
    chosen = settings.environment(options.chosen_environment(settings, environment))
    document = rules.rules(
        [alerts.load(name) for name in alert or alerts.names()], settings.service(chosen.service), chosen
    )
    if json_:
        options.print_json(document)
    else:
        click.echo(rules.as_yaml(document), nl=False)
