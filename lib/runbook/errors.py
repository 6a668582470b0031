"""Every error of the library, each one sentence: what failed, where, and what to do now.

RunbookError
├── UsageError             wrong use, nothing was run or written (exit code 2)
│   ├── ParameterError     a notebook parameter is unknown, ill-typed or out of range
│   ├── SettingsError      runbook.toml, or a secret it names, is missing or wrong
│   └── DefinitionError    an alert's own code names something that is not there
├── SourceError            a source did not give an answer; costs its own checks only
├── RecordingError         a recording cannot be read or written
│   ├── RecordingMiss      it holds no answer to this query
│   └── RecordingCorrupt   damaged, not a recording, or of another version
└── EvidenceError          a bundle cannot be written, or was edited
"""

from __future__ import annotations

from typing import Literal

Reason = Literal["unreachable", "timeout", "forbidden", "refused", "server error", "garbage"]


class RunbookError(Exception):
    """Base of all errors here; its text is the one sentence shown to the person."""


class UsageError(RunbookError):
    """Wrong use: nothing was run or written."""


class ParameterError(UsageError):
    """A notebook parameter is unknown, ill-typed or out of range."""


class SettingsError(UsageError):
    """The settings, or a secret they name, are missing or wrong."""


class DefinitionError(UsageError):
    """An alert's own code names a check, fact, cause or threshold that is not there; its author mends it."""


class SourceError(RunbookError):
    """A source did not give an answer; `reason` says in which way."""

    def __init__(self, sentence: str, reason: Reason) -> None:
        super().__init__(sentence)
        self.reason = reason


class RecordingError(RunbookError):
    """A recording cannot be read or written."""


class RecordingMiss(RecordingError):
    """The recording holds no answer to this query; the text names the nearest one."""


class RecordingCorrupt(RecordingError):
    """The recording is damaged, is none, or is of another version."""


class EvidenceError(RunbookError):
    """A bundle cannot be written, or does not prove what it claims."""


def fault(error: Exception) -> str:
    """An unforeseen error, for a developer, as it stands in findings.json: its type and the head of its text."""
    return f"{type(error).__name__}: {str(error)[:200]}"
