"""The command line: finds the command, and turns every end into one sentence and an exit code.

0 complete, 1 failed, 2 wrong use (nothing was run), 3 evidence left but some check could not run, 130 interrupted; 141
where the reader of the output went away (a run keeps its own code).
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from typing import Any, Final

import click

from runbook import __version__
from runbook.cli import verbose
from runbook.cli.output import Unheard

logger = logging.getLogger(__name__)
COMMANDS: Final = {
    "list": "List the alerts that have a runbook.",
    "run": "Investigate an alert and leave the evidence.",
    "open": "Open an alert's notebook, filled in, in JupyterLab.",
    "replay": "Judge a recording again and compare the findings.",
    "audit": "Prove that a bundle was not edited.",
    "doctor": "Check what an environment's sources can answer.",
    "rules": "Print the alerting rules for Prometheus, or the routes for Alertmanager.",
    "new": "Write the frame of a new alert.",
}
UNWRITABLE: Final = (errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT, errno.EFBIG)
SIGPIPE: Final = 128 + 13  # the exit code that a shell gives to what ends by this signal


class Commands(click.Group):
    """Loads a command when it is called; `--help` needs only the lines above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order of an incident."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command from its module, which has the command's name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"runbook.cli.{cmd_name}").command
        if all(parameter.name != "verbose" for parameter in command.params):
            verbose.option(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name, or what was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from runbook.text.suggest import hint

            raise click.UsageError(f"There is no command {args[0][:80]!r}; {hint(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="runbook")
@verbose.option
def cli() -> None:
    """Executable runbooks: run the notebook of an alert, keep the evidence, replay it.

    Exit codes: 0 complete; 1 failed; 2 wrong use, nothing was run; 3 evidence is left, but some check could not run;
    130 interrupted.
    """


def main() -> None:
    """The program `runbook`."""
    if sys.stdout is None:  # closed by whoever started us: a write has to fail, and no file may get its number
        os.dup2(os.open(os.devnull, os.O_RDONLY), 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it lives as long as we do
    sys.exit(guarded(cli, sys.argv[1:]))


def guarded(group: click.Group, arguments: list[str]) -> int:
    """The exit code of a command line; whatever goes wrong is told in one sentence on stderr."""
    try:
        code: Any = group.main(arguments, prog_name="runbook", standalone_mode=False, color=_styled())
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "runbook"
        return _told(f"{error.format_message().rstrip('.')} (see `{path} --help`).", 2)
    except (KeyboardInterrupt, click.Abort):
        return _told("Interrupted.", 130)
    except SystemExit:  # click's end where the reader of our output has seen enough
        return _unheard(BrokenPipeError(errno.EPIPE, ""), SIGPIPE)
    except Unheard as error:
        return _unheard(error.reason, error.code)
    except Exception as error:
        logger.info("The command failed", exc_info=True)
        if isinstance(error, OSError) and error.errno in UNWRITABLE and not error.filename:
            return _unheard(error, SIGPIPE if error.errno == errno.EPIPE else 1)
        from runbook.cli.errors import sentence

        return _told(*sentence(error))
    finally:
        verbose.off()
    return code if isinstance(code, int) else 0


def _styled() -> bool | None:
    """Never on a terminal that knows no escape sequences; otherwise click finds out."""
    return False if os.environ.get("TERM") == "dumb" else None


def _unheard(error: OSError, code: int) -> int:
    """The end of a command whose output nobody can get: silent, as tools are, where the reader went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return code
    why = "it is closed" if error.errno == errno.EBADF else error.strerror
    return _told(f"Standard output cannot be written to ({why}); send it elsewhere.", code)


def _told(sentence: str, code: int) -> int:
    click.echo(f"runbook: {sentence}", err=True)
    return code
