"""`runbook open`"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from runbook.cli import options


@click.command("open", context_settings={"ignore_unknown_options": False})
@click.argument("alert")
@click.argument("jupyter_arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- JUPYTER ARGUMENTS]")
@options.incident
@options.environment
@options.evidence
@options.settings_file
@click.option("--no-browser", is_flag=True, help="Start JupyterLab, but no browser.")
@click.option("--print", "print_", is_flag=True, help="Only make the notebook, and print its path.")
def command(
    *,
    alert: str,
    jupyter_arguments: tuple[str, ...],
    environment: str | None,
    evidence: Path | None,
    settings_path: Path | None,
    no_browser: bool,
    print_: bool,
    more: tuple[tuple[str, str], ...],
    **named: str | None,
) -> None:
    """Make a copy of ALERT's notebook for this incident, its parameters filled in, and open it in JupyterLab.

    The copy lies in the incident's folder of the evidence; an earlier one is never overwritten.
    """
    from runbook.config import process_env
    from runbook.config import settings as reader
    from runbook.runs.notebook_copy import make

    settings = reader.load(settings_path)
    parameters = options.given(environment, more, **named)
    parameters["environment"] = options.chosen_environment(settings, parameters.get("environment"))
    path = make(alert, parameters, settings, evidence=evidence)
    options.line(str(path))
    if print_:
        return
    arguments = ["--ip", "127.0.0.1", *(["--no-browser"] if no_browser else []), *jupyter_arguments]
    elsewhere = {"RUNBOOK_EVIDENCE": str(evidence.absolute())} if evidence else {}
    sys.stdout.flush()
    os.execve(  # noqa: S606 - JupyterLab takes our place, so that Ctrl-C and the exit code are its own
        sys.executable,
        [sys.executable, "-m", "jupyterlab", str(path), *arguments],
        process_env.child_environment(RUNBOOK_SETTINGS=str(settings.path), **elsewhere),
    )
