"""`runbook list`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.cli import options


@click.command("list")
@options.settings_file
@click.option("--check", is_flag=True, help="Say what is missing of your own alerts; exit code 1 if anything is.")
@options.as_json
def command(*, settings_path: Path | None, check: bool, json_: bool) -> int:
    """List the alerts that have a runbook: name, severity, meaning.

    An alert that cannot be loaded is told on stderr, and costs no other one.
    """
    from runbook.alerts import registry
    from runbook.config import settings as reader

    catalogue = registry.of(reader.load(settings_path))
    found, problems = catalogue.load_all()
    if check:
        from runbook.doctor import completeness

        problems += tuple(one for alert in found for one in completeness.missing(catalogue.pack(alert.name), alert))
    if json_:
        options.print_json(
            [
                {"name": a.name, "severity": a.severity, "summary": a.summary({}), "meaning": a.meaning({})}
                for a in found
            ]
        )
    else:
        width = max((len(alert.name) for alert in found), default=0)
        for alert in found:
            options.line(f"{alert.name:{width}}  {alert.severity:8}  {alert.meaning({})}")
    code = options.told(problems)
    return code if check else 0
