"""run.log: what the library logged while a run went on; redacted before it touches the disk, bounded, whole lines.

The runner and its kernel append to the one file, a record at a time. It is opened anew for each: once the draft has
become a bundle there is no file of that path, so that what comes too late goes nowhere.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runbook.evidence import atomic
from runbook.evidence.listening import listen, unlisten
from runbook.redaction.log_lines import Lines
from runbook.redaction.redactor import Redactor

NAME: Final = "run.log"
LIMIT: Final = 1_000_000
CUT: Final = "The log was cut here: it had grown to the most that a bundle takes."
_END: Final = f"{CUT}\n".encode()


class RunLog(logging.Handler):
    """Writes the log of one run into its draft folder; a log that cannot be written costs no run.

    Entered as a context, it takes what is logged in that context: other runs of this process have logs of their own.
    Opened, it takes what is logged in no such context, as in a kernel, until it is closed or the next one is opened.
    """

    def __init__(self, draft: Path, redactor: Redactor, *, limit: int = LIMIT) -> None:
        super().__init__()
        self.path, self._limit = draft / NAME, limit
        self._over = self._entered = False
        self.setFormatter(Lines(redactor, draft.parent.parent))

    def open(self) -> None:
        """Take what belongs to no run that entered its log; there is one such log at a time."""
        with _lock:
            for before in _opened:
                before.close()
            _opened[:] = [self]
        listen(self)

    def __enter__(self) -> Self:
        self._entered = True
        _current.set(self)
        listen(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def end(self) -> None:
        """Write nothing any more. Takes no lock: it may be called wherever an object is finalized."""
        self._over = True

    def close(self) -> None:
        """Write nothing any more, and let the logger forget it; harmless when done before."""
        self.end()
        unlisten(self)
        if _current.get() is self:
            _current.set(None)
        super().close()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is of this run."""
        return not self._over and _current.get() is (self if self._entered else None)

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record, whole."""
        try:
            self._append(f"{self.format(record)}\n".encode())
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without the line: no run fails for its log."""

    def _append(self, lines: bytes) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(file).st_size
            tail = os.pread(file, len(_END), max(0, size - len(_END)))
            if tail == _END:
                return
            if size + len(lines) > self._limit:
                lines = f"{self.format(_cut())}\n".encode()
            torn = tail and not tail.endswith(b"\n")  # its writer was killed, the disk was full, or it is not done yet
            os.write(file, b"\n" + lines if torn else lines)
        finally:
            os.close(file)


_lock = threading.Lock()
_opened: list[RunLog] = []
_current: ContextVar[RunLog | None] = ContextVar("runbook_run_log", default=None)


def current() -> RunLog | None:
    """The log of the run that goes on in this context, if any."""
    return _current.get()


def settle(draft: Path) -> None:
    """Before the draft is sealed: a torn end goes, and so do empty lines and what came after the log was cut."""
    with suppress(OSError):  # there is no log
        file = os.open(draft / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(file, "rb") as log:
            raw = log.read(2 * LIMIT)
        before, end, _ = raw.partition(_END)
        *whole, _ = (before + end).split(b"\n")
        kept = b"".join(line + b"\n" for line in whole if line)
        if kept != raw:
            atomic.put(draft / NAME, kept)


def _cut() -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, CUT, None, None)
