"""Who hears the library's log: nobody, until a run keeps it or a person asks for it."""

from __future__ import annotations

import logging
import threading
from typing import Final

LIBRARY: Final = logging.getLogger("runbook")
_lock = threading.Lock()
_listening: list[logging.Handler] = []
_before: list[tuple[int, bool, logging.Handler]] = []


class _Others(logging.Handler):
    """What the program around us set up hears what it would hear if nobody wanted the details."""

    def emit(self, record: logging.LogRecord) -> None:
        root = logging.getLogger()
        if root.handlers:
            root.callHandlers(record)


def listen(handler: logging.Handler) -> None:
    """Let a handler hear all that the library logs."""
    with _lock:
        if not _listening:
            others: logging.Handler = (
                _Others(LIBRARY.getEffectiveLevel()) if LIBRARY.propagate else logging.NullHandler()
            )
            _before.append((LIBRARY.level, LIBRARY.propagate, others))
            LIBRARY.addHandler(others)
            LIBRARY.propagate = False
            LIBRARY.setLevel(logging.DEBUG)
        _listening.append(handler)
        LIBRARY.addHandler(handler)


def unlisten(handler: logging.Handler) -> None:
    """Let it hear no more; the last one leaves the logger as the first one found it."""
    with _lock:
        if handler not in _listening:
            return
        _listening.remove(handler)
        LIBRARY.removeHandler(handler)
        if not _listening:
            level, propagate, others = _before.pop()
            LIBRARY.removeHandler(others)
            LIBRARY.propagate = propagate
            LIBRARY.setLevel(level)
