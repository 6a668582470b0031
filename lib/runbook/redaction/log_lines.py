"""Lines of the log, without secrets, the same on disk and on screen.

2026-01-15T10:47:00.123Z LEVEL logger message
    and below it, indented, what else belongs to it: a traceback
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

from runbook.redaction.machine_paths import shortener
from runbook.redaction.redactor import Redactor
from runbook.text import escape
from runbook.text.time import iso

INDENT: Final = "    "
MOST: Final = 200_000  # characters that are looked through for secrets: a tenth of a second
SHOWN: Final = 16_000  # of these
_BOX: Final = re.compile(r"^ +\| ?", re.MULTILINE)  # around errors of a group: it would hide what continues on a line


class Lines(logging.Formatter):
    """Spells a record as whole lines: nothing in it is a secret, controls a terminal or reads as another record.

    The folders in `private`, the home folder and others of this machine are left out of paths.
    """

    def __init__(self, redactor: Redactor, *private: Path) -> None:
        super().__init__()
        self.redactor, self._private = redactor, private

    @cached_property
    def _shortened(self) -> Callable[[str], str]:
        return shortener(*self._private)

    def format(self, record: logging.LogRecord) -> str:
        """The lines, without the end of the last one. What other formatters keep in the record is left alone."""
        first, *more = self._clean(_said(record)).split("\n")
        when = f"{iso(record.created)[:-1]}.{int(record.created % 1 * 1000):03}Z"
        head = f"{when} {record.levelname} {record.name}"
        return "\n".join([f"{head} {first}", *(f"{INDENT}{line}" for line in more)])

    def _clean(self, text: str) -> str:
        """Redacted before anything is cut or changed, and once more when invisible characters cannot hide a word."""
        text = self._shortened(self.redactor.text(text))
        return self.redactor.text(escape.block(_middle_cut(text), limit=2 * SHOWN))


def _said(record: logging.LogRecord) -> str:
    message = _limited(_message(record))
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return message
    told = _BOX.sub("", "".join(traceback.format_exception(error)).removesuffix("\n"))
    if len(told) > MOST:
        told = f"{''.join(traceback.format_tb(error.__traceback__, -20))}{type(error).__name__}: {_limited(told)}"
    return f"{message}\n{told}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # an argument that cannot be spelled must not cost the line
        return f"{record.msg} (its arguments cannot be spelled: {type(error).__name__})"


def _limited(text: str) -> str:
    """The text, unless looking through it would hold up the run: half of it could show half of a secret."""
    return text if len(text) <= MOST else f"(a text of {len(text):,} characters is left out)"


def _middle_cut(text: str) -> str:
    """A traceback tells most at its ends."""
    half = SHOWN // 2
    if len(text) <= SHOWN:
        return text
    return f"{text[:half]}\n({len(text) - SHOWN:,} characters are left out)\n{text[-half:]}"
