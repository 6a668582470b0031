"""`runbook rules`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.cli import options


@click.command("rules")
@click.argument("alert", nargs=-1)
@options.environment
@options.settings_file
@click.option("--alertmanager", is_flag=True, help="Print the routes of the severities for Alertmanager instead.")
@options.as_json
def command(
    *, alert: tuple[str, ...], environment: str | None, settings_path: Path | None, alertmanager: bool, json_: bool
) -> int:
    """Print the alerting rules of ALERT (or of all) for an environment's service, as a rule file for Prometheus.

    With --alertmanager: who is told at which severity, as a configuration with receivers to fill in; it is the same
    for all alerts and environments. Exit code 1 if the rule of some alert is missing, since it cannot be loaded.
    """
    if not alertmanager:
        return _rules(alert, environment, settings_path, json_)
    _routes(alert, json_)
    return 0


def _routes(alert: tuple[str, ...], json_: bool) -> None:
    from runbook.errors import UsageError
    from runbook.monitoring import alertmanager, yaml_text

    if alert:
        raise UsageError("The routes are the same for all alerts; leave the alert's name out.")
    document = alertmanager.routes()
    if json_:
        options.print_json(document)
    else:
        click.echo("".join(f"# {line}\n" for line in alertmanager.TO_FILL_IN) + yaml_text.as_yaml(document), nl=False)


def _rules(alert: tuple[str, ...], environment: str | None, settings_path: Path | None, json_: bool) -> int:
    from runbook.alerts import registry
    from runbook.config import settings as reader
    from runbook.monitoring import alerting_rules, yaml_text

    settings = reader.load(settings_path)
    where = options.chosen_environment(settings, environment)
    chosen = settings.environment(where)
    service, catalogue = settings.service(chosen.service), registry.of(settings)
    loaded, problems = catalogue.choose(alert)
    catalogue.check(service, settings.path, loaded)
    document = alerting_rules.rules(loaded, service, chosen)
    if not chosen.runbook_base_url:
        click.echo(f"No runbook_base_url in [environment.{where}]: the rules have no link to their runbook.", err=True)
    if json_:
        options.print_json(document)
    else:
        click.echo(yaml_text.as_yaml(document), nl=False)
    return options.told(problems)
