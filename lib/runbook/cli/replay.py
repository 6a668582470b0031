"""`runbook replay`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.cli import options


@click.command("replay")
@click.argument("target", metavar="BUNDLE|RECORDING", type=click.Path(path_type=Path, exists=True))
@options.settings_file
@options.as_json
def command(target: Path, settings_path: Path | None, json_: bool) -> int:
    """Judge a recording again, offline, and compare with the findings beside it.

    The settings only say where the alert is, if it is one of your own.

    Exit code 0 if they are equal, or if there is nothing to compare with; 1 if they differ; 3 if some check could not
    run since the recording was cut off.
    """
    from runbook.config import settings as reader
    from runbook.runs.replay import replay

    replayed = replay(target, reader.load(settings_path) if settings_path else None)
    differences = replayed.differences
    code = 1 if differences else 0 if replayed.complete or not replayed.findings["ledger"]["unknown"] else 3
    if json_:
        options.print_json(
            {
                "equal": None if differences is None else not differences,
                "differences": differences,
                "complete": replayed.complete,
                "findings": replayed.findings,
            }
        )
        return code
    options.line(replayed.findings["headline"], bold=True)
    options.line(f"{replayed.findings['ledger']['sentence']}.")
    if not replayed.complete:
        options.line("The recording has no end: its run was killed, or it was cut off; answers may be missing.")
    if differences is None:
        options.line("No findings lie beside this recording, so there is nothing to compare.")
        return code
    for difference in differences:
        options.line(difference)
    differ = f"{len(differences)} difference{'s' if len(differences) > 1 else ''}."
    options.line(differ if differences else "Equal to what was found then.")
    return code
