"""`runbook doctor`"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click

from runbook.cli import options

COLOURS = {"ok": "green", "optional": "cyan", "missing": "yellow", "failed": "red"}


@click.command("doctor")
@click.argument("alert", nargs=-1)
@options.environment
@options.settings_file
@options.as_json
def command(alert: tuple[str, ...], environment: str | None, settings_path: Path | None, json_: bool) -> int:
    """Check each source of an environment: reachable, allowed, and with what the checks of ALERT (or of all) need.

    A source that none of these alerts asks is left out; one that is asked and not set up has failed.

    Exit code 0 if every check can run, 3 if some check could not.
    """
    from runbook.alerts import registry
    from runbook.config import settings as reader
    from runbook.doctor.examine import examine, fit
    from runbook.doctor.line import Diagnosis

    settings = reader.load(settings_path)
    name = options.chosen_environment(settings, environment)
    loaded, problems = registry.of(settings).choose(alert)
    lines = [*(Diagnosis("runbook", "alerts", "failed", one) for one in problems)]
    lines += examine(name, settings, loaded, time.time())
    if json_:
        options.print_json([asdict(line) for line in lines])
    else:
        for line in lines:
            mark = click.style(f"{line.state:8}", fg=COLOURS[line.state])
            click.echo(f"{mark} ", nl=False)
            options.line(f"{line.source:13} {line.about}: {line.says}")
    return 0 if fit(lines) else 3
