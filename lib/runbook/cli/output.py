"""A command did its work, and its result could not be printed."""

from __future__ import annotations


class Unheard(Exception):
    """Holds the exit code of the work, and why it could not be printed."""

    def __init__(self, code: int, reason: OSError) -> None:
        super().__init__(str(reason))
        self.code, self.reason = code, reason
