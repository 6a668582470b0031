"""`runbook new`"""

from __future__ import annotations

import click

from runbook.cli import options


@click.command("new")
@click.argument("name")
@click.option("--metric", required=True, help="The gauge that it watches, without the service's prefix.")
@click.option("--above", type=float, required=True, help="The alert fires above this.")
@click.option("--unit", required=True, help="The metric's unit, as connections.")
def command(name: str, metric: str, above: float, unit: str) -> None:
    """Write the frame of a new alert NAME: its module and its notebook, which work and want your words and causes."""
    from pathlib import Path

    from runbook import alerts
    from runbook.cli import scaffold
    from runbook.runs.notebooks import notebooks

    folder = Path(alerts.__file__).parent
    beside = next(iter(notebooks().values())).parent
    for path in scaffold.write(scaffold.Frame(name, metric, above, unit), folder, beside):
        options.line(str(path))
    options.line("Next: edit both, run the alert, keep its recording (docs/adding-an-alert.md).")
