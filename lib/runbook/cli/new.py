"""`runbook new`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook.cli import options

if TYPE_CHECKING:
    from runbook.config.settings import Settings

KINDS = ("gauge", "counter", "ratio", "quantile", "pod-maximum")


@click.command("new")
@click.argument("name")
@click.option("--metric", required=True, help="What it watches, without the service's prefix.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="gauge",
    show_default=True,
    help="A gauge's sum, a counter's rate, a ratio of two counters, a histogram's 95th percentile, the highest pod.",
)
@click.option("--of", default="", metavar="METRIC", help="For a ratio: the counter of the whole.")
@click.option("--above", type=float, help="The alert fires above this; a ratio is in 0..1.")
@click.option("--below", type=float, help="The alert fires below this.")
@click.option("--unit", required=True, help="The value's unit, as connections, jobs/s, seconds.")
@click.option("--environment", metavar="NAME", help="For whose service the rule test is; otherwise your first one.")
@options.settings_file
def command(
    *,
    name: str,
    environment: str | None,
    settings_path: Path | None,
    above: float | None,
    below: float | None,
    **of: str,
) -> None:
    """Write the frame of a new alert NAME: module, notebook and rule test, which work and want your words and causes.

    They go into the folder that runbook.toml names in [alerts]; where it names none, into `alerts` beside it, and two
    lines at the file's end say so.
    """
    from runbook.cli import scaffold
    from runbook.cli.frame import Frame
    from runbook.config import settings as reader

    if (above is None) == (below is None):
        raise click.UsageError("give one of --above and --below.", click.get_current_context())
    settings = reader.load(settings_path)
    limit = above if above is not None else below
    frame = Frame(name=name, limit=limit, below=above is None, **of)  # type: ignore[arg-type] # click checked them
    for path in scaffold.write(frame, settings, _environment(settings, environment)):
        options.line(str(path))
    if settings.alerts_folder is None:
        options.line(f"{settings.path} now ends with the two lines that name the folder.")
    options.line("Next: edit them, run the alert, keep its recording; docs/adding-an-alert.md shows how.")


def _environment(settings: Settings, named: str | None) -> str:
    from runbook.config import process_env

    return named or process_env.default_environment() or next(iter(settings.environments))
