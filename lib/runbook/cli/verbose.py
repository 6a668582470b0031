"""`-v` and `-vv`: the library's log on stderr, as it stands in run.log; never on stdout."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runbook.redaction.redactor import Redactor

EVERY_SECONDS = 0.2
_LEVELS = {name: number for number in (10, 20, 30, 40, 50) if (name := logging.getLevelName(number))}
_on: list[Verbose] = []


class Verbose(logging.Handler):
    """Prints what is logged; of a run that keeps a log, what stands in it: its kernel writes there too."""

    def __init__(self, level: int, redactor: Redactor) -> None:
        from runbook.redaction.log_lines import Lines

        super().__init__()
        self.shown = level
        self.setFormatter(Lines(redactor))
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._rest, self._showing = b"", False
        self._done = threading.Event()
        threading.Thread(target=self._follow, daemon=True, name="verbose").start()

    def know(self, redactor: Redactor) -> None:
        """From now on redact as this one does."""
        from runbook.redaction.log_lines import Lines

        self.setFormatter(Lines(redactor))

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, or note where its run keeps its log."""
        from runbook.evidence.run_log import current

        try:
            log = current()
            if log is not None and log.path != self._path:
                self._copy()
                self._path, self._file, self._rest = log.path, None, b""
            self._copy()
            if log is None and record.levelno >= self.shown:
                _print(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without the line: no command fails for its log."""

    def flush(self) -> None:
        """Print what the run's log got meanwhile."""
        with suppress(OSError):
            self._copy()

    def close(self) -> None:
        """Print the rest, and nothing more."""
        from runbook.evidence.listening import unlisten

        unlisten(self)
        self._done.set()
        self.acquire()
        try:
            self.flush()
            if self._file:
                self._file.close()
                self._file = None
            self._path = None
        finally:
            self.release()
        super().close()

    def _follow(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            self.acquire()
            try:
                self.flush()
            finally:
                self.release()

    def _copy(self) -> None:
        if self._file is None and self._path is not None:
            with suppress(FileNotFoundError):  # nothing was written yet
                self._file = self._path.open("rb")
        if self._file is not None:
            whole, end, self._rest = (self._rest + self._file.read()).rpartition(b"\n")
            _print(
                "".join(line for line in (whole + end).decode(errors="replace").splitlines(True) if self._shows(line))
            )

    def _shows(self, line: str) -> bool:
        """Whether a line is of the wanted level; one that belongs to the line before goes with it."""
        if line == "\n":
            return False
        if not line.startswith(" "):
            self._showing = _LEVELS.get(" ".join(line.split(" ", 2)[1:2]), 0) >= self.shown
        return self._showing


def _print(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        click.echo(text, err=True, nl=False)


def option(function: Callable[..., Any]) -> Callable[..., Any]:
    """-v, --verbose."""
    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_turned_on,
        help="Log to stderr what is done (-v), and every detail (-vv). A bundle keeps all of it in run.log.",
    )(function)


def on() -> bool:
    """Whether the log is printed."""
    return bool(_on)


def off() -> None:
    """Print no more: the command has ended."""
    while _on:
        _on.pop().close()


def know(redactor: Redactor) -> None:
    """Redact what is printed as this one does, as soon as the environment and its secrets are known."""
    for handler in _on:
        handler.know(redactor)


def _turned_on(context: click.Context, parameter: click.Parameter, times: int) -> None:
    if not times or context.resilient_parsing:
        return
    if _on:  # before and after the command's name
        _on[0].shown = logging.DEBUG
        return
    from runbook.evidence.listening import listen
    from runbook.redaction.redactor import Redactor

    handler = Verbose(logging.INFO if times == 1 else logging.DEBUG, Redactor())
    _on.append(handler)
    listen(handler)
