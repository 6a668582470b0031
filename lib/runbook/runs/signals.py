"""Ctrl-C and SIGTERM: the first ends a run by KeyboardInterrupt, and none disturbs the sealing of its evidence."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

AGAIN_SECONDS = 0.05


class Terminated(KeyboardInterrupt):
    """SIGTERM, which would otherwise end the program without evidence."""


def number(stop: KeyboardInterrupt) -> signal.Signals:
    """The signal behind it."""
    return signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT


class Interruptible:
    """While this is entered, the first signal raises and later ones are ignored; once `deaf`, all are.

    An impatient second Ctrl-C would cost the evidence. Between `hold` and `release` a signal waits: a draft is made
    whole before the run that owns it can end. Where Python swallows what the first one raised, since it came while some
    object was being finalized, it is sent again. Outside a program's main thread, where Python allows no handlers, it
    does nothing.
    """

    def __init__(self) -> None:
        self.deaf = False
        self._holds = False
        self._waiting: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
            self._unraisable = sys.unraisablehook
            sys.unraisablehook = self._swallowed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before:
            sys.unraisablehook = self._unraisable
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def hold(self) -> None:
        """From here on a signal waits."""
        self._holds = True

    def release(self) -> None:
        """The signal that came meanwhile is raised here."""
        self._holds = False
        if self._waiting is not None:
            self._stop(self._waiting, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._holds:
            self._waiting = number
        elif not self.deaf:
            self.deaf = True
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def _swallowed(self, what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            self.deaf = False
            again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number(what.exc_value)))
            again.daemon = True
            again.start()
        else:
            self._unraisable(what)
