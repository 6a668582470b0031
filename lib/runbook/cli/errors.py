"""What is told of an error: its one sentence; for one that nobody foresaw, where the details are."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from runbook.errors import RunbookError, UsageError
from runbook.redaction.redactor import Redactor
from runbook.text.escape import plain


def sentence(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code."""
    if isinstance(error, RunbookError):
        return plain(str(error)), 2 if isinstance(error, UsageError) else 1
    if isinstance(error, OSError) and error.filename:
        return plain(f"{error.filename}: {error.strerror}; correct the path or its permissions."), 1
    return f"Unexpected {type(error).__name__}; the details are in {_details(error)}: please report them.", 1


def _details(error: Exception) -> Path:
    """The traceback, without secrets, in a file that only its owner can read."""
    text = Redactor().text("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile(
        "w", prefix="runbook-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return Path(file.name)
