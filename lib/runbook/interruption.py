"""Ctrl-C and SIGTERM: both end a run by KeyboardInterrupt, and neither disturbs the sealing of its evidence."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, which would otherwise end the program without evidence."""


def number(stop: KeyboardInterrupt) -> signal.Signals:
    """The signal behind it."""
    return signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise Terminated; does nothing outside a program's main thread, where Python allows no handlers."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    with _handling((signal.SIGTERM,), stop):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore both for a moment: an impatient second Ctrl-C would cost the evidence."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    with _handling((signal.SIGINT, signal.SIGTERM), ignore):
        yield


@contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for one, former in before.items():
            signal.signal(one, former)
