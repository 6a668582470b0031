"""`runbook run`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook.cli import options

if TYPE_CHECKING:
    from runbook.runs.runner import Outcome


@click.command("run")
@click.argument("alert")
@options.incident
@options.environment
@options.evidence
@options.settings_file
@options.as_json
@click.option("--brief", is_flag=True, help="Print the verdict, the ledger and the bundle on one line.")
def command(
    *,
    alert: str,
    environment: str | None,
    evidence: Path | None,
    settings_path: Path | None,
    json_: bool,
    brief: bool,
    more: tuple[tuple[str, str], ...],
    **named: str | None,
) -> int:
    """Investigate ALERT: run its notebook headless and leave a sealed evidence bundle.

    Prints the verdict, how many checks ran, the bundle's folder and the SHA-256 of its manifest, which proves it.
    """
    from runbook.cli.output import Unheard
    from runbook.cli.progress import shown
    from runbook.config import settings as reader
    from runbook.runs.runner import run

    settings = reader.load(settings_path)
    parameters = options.given(environment, more, **named)
    parameters["environment"] = options.chosen_environment(settings, parameters.get("environment"))
    with shown() as progress:
        outcome = run(alert, parameters, settings, evidence=evidence, progress=progress)
    try:
        _print(outcome, alert if brief else "", json_)
    except OSError as error:  # the evidence is there all the same
        raise Unheard(outcome.exit_code, error) from error
    return outcome.exit_code


def _print(outcome: Outcome, alert: str, json_: bool) -> None:
    """For a machine, on one line about `alert`, or else on four, and more where nothing is known."""
    from runbook.text.escape import plain

    for notice in (*outcome.notices, *([outcome.reason] if outcome.reason else [])):
        click.echo(f"runbook: {plain(notice, 2000)}", err=True)
    headline = outcome.headline or "Nothing was found: the run failed first; see the reason."
    if json_:
        options.print_json(_json(outcome))
    elif alert:
        recovery = f" {outcome.recovery}" if outcome.recovery else ""
        options.line(f"{alert}: {headline}{recovery} {outcome.ledger}. {outcome.bundle}")
    else:
        options.line(headline, bold=True)
        for line in _below(outcome):
            options.line(line)


def _json(outcome: Outcome) -> dict[str, object]:
    """For a machine; the words are those of findings.json."""
    return {
        "status": outcome.status,
        "headline": outcome.headline,
        "recovery": outcome.recovery,
        "ledger": outcome.ledger,
        "trouble": outcome.trouble,
        "reason": outcome.reason,
        "bundle": str(outcome.bundle),
        "manifest_sha256": outcome.digest,
        "parameters": dict(outcome.parameters),
        "seconds": round(outcome.seconds, 3),
    }


def _below(outcome: Outcome) -> Iterator[str]:
    """What stands below the headline."""
    yield from outcome.trouble
    if outcome.trouble and outcome.replayed:
        yield "These are recorded answers: leave out --started-at, --ended-at and --lookback to see what was recorded."
    elif outcome.trouble:
        where = outcome.parameters.get("environment", "")
        yield f"Run `runbook doctor --environment {where}` to see what each source lacks."
    if outcome.recovery:
        yield f"Recovery: {outcome.recovery}"
    yield f"{outcome.ledger}."
    yield f"Evidence: {outcome.bundle}"
    if outcome.digest:
        yield f"Manifest: sha256 {outcome.digest}"
