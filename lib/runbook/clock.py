"""The time of a run: the wall clock, or the frozen one of a recording, which waits for nobody."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, UTC."""

    def now(self) -> float:
        """The present, as this run sees it."""
        ...

    def wait_until(self, moment: float) -> None:
        """Return when `now` has reached the moment."""
        ...


class Wall:
    """The real time."""

    def now(self) -> float:
        """The system's time."""
        return time.time()

    def wait_until(self, moment: float) -> None:
        """Sleep until then."""
        time.sleep(max(0.0, moment - time.time()))


class Frozen:
    """The time at which a recording was taken; waiting moves it on at once."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        """The recorded moment, plus what was waited since."""
        return self._now

    def wait_until(self, moment: float) -> None:
        """Be there."""
        self._now = max(self._now, moment)
