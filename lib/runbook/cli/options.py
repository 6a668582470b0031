"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runbook.cli import verbose

if TYPE_CHECKING:
    from runbook.config.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


def as_json(function: F) -> F:
    """--json, for machines."""
    return click.option("--json", "json_", is_flag=True, help="Print JSON.")(function)


def settings_file(function: F) -> F:
    """--settings, where the usual search will not do."""
    return click.option(
        "--settings",
        "settings_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The settings; otherwise RUNBOOK_SETTINGS, the nearest runbook.toml upward, or the one shipped.",
    )(function)


def environment(function: F) -> F:
    """--environment, or RUNBOOK_ENVIRONMENT."""
    return click.option("--environment", metavar="NAME", help="Where to ask; otherwise RUNBOOK_ENVIRONMENT.")(function)


class _Folder(click.Path):
    """A folder's path; an empty one, as of a variable that is not set, would be the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a folder.", parameter, context)
        return super().convert(value, parameter, context)


def evidence(function: F) -> F:
    """--evidence, the folder."""
    return click.option(
        "--evidence",
        type=_Folder(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where evidence is kept; otherwise what the settings say, else `evidence` beside them.",
    )(function)


def incident(function: F) -> F:
    """What is known of the incident, as the notebooks' parameters."""
    for name, text in reversed(
        (
            ("--incident", "The incident, e.g. INC-2026-01-15-01; otherwise the next free one of the day."),
            ("--started-at", "When the alert started (its startsAt), e.g. 2026-01-15T10:47:00Z; otherwise now."),
            ("--lookback", "How far to look back before that, e.g. 90m."),
            ("--ended-at", "When it ended; otherwise it goes on."),
            ("--mitigated-at", "When a mitigation was applied; otherwise not yet."),
        )
    ):
        function = click.option(name, metavar="ID" if name == "--incident" else "TEXT", help=text)(function)
    return click.option(
        "-p", "more", type=(str, str), multiple=True, metavar="NAME VALUE", help="Another parameter of the notebook."
    )(function)


def given(environment: str | None, more: tuple[tuple[str, str], ...], **named: str | None) -> dict[str, str]:
    """The parameters from the options that were used; each may be given once."""
    from runbook.errors import ParameterError

    chosen = {**named, "environment": environment, "incident_id": named.get("incident")}
    del chosen["incident"]
    values = {name: value for name, value in chosen.items() if value is not None}
    for name, value in more:
        if name in values:
            raise ParameterError(f"The parameter {name[:80]} is given twice; keep one of them.")
        values[name] = value
    return values


def chosen_environment(settings: Settings, name: str | None) -> str:
    """The environment that was named; a run that asks the wrong servers is worse than none, so there is no default."""
    from runbook.config import process_env
    from runbook.errors import UsageError
    from runbook.text.suggest import hint

    found = name or process_env.default_environment()
    if not found:
        raise UsageError(
            f"Say where to ask with --environment or RUNBOOK_ENVIRONMENT; {hint('', settings.environments)}"
        )
    _redact_as(settings, found)
    return found


def _redact_as(settings: Settings, environment: str) -> None:
    """Let what `--verbose` prints keep the secrets of that environment."""
    from runbook.config.secrets import secrets
    from runbook.redaction.redactor import Redactor

    asked = settings.environment(environment)
    if verbose.on():
        service = settings.service(asked.service)
        verbose.know(Redactor(service.redact_emails, service.redact_patterns, secrets(asked)))


def told(problems: Sequence[str]) -> int:
    """What is wrong with other alerts, on stderr; exit code 1 if anything is."""
    from runbook.text.escape import plain

    for problem in problems:
        click.echo(f"runbook: {plain(problem, 2000)}", err=True)
    return 1 if problems else 0


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))


def line(text: str, **style: Any) -> None:
    """One line of text from wherever on stdout: nothing in it controls the terminal."""
    from runbook.text.escape import plain

    click.secho(plain(text), **style)
