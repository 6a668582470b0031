"""What a recording is known by: its header, and the redacted spelling of each query that its answers are found by."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from runbook import __version__
from runbook.errors import RecordingError
from runbook.model import JSON, Query
from runbook.recording.miss import short
from runbook.redaction.redactor import Redactor


@dataclass(frozen=True)
class Header:
    """Whose recording it is. `recorded_at` is the run's frozen now, `context` what a replay needs to be the same."""

    alert: str
    incident: str
    started_at: float
    recorded_at: float
    parameters: Mapping[str, JSON]
    context: Mapping[str, JSON]
    runbook: str = __version__


class Keys:
    """Queries as they are written down, told apart by their key; no two may become one by redaction."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._originals: dict[str, str] = {}
        self._lock = threading.Lock()

    def redacted(self, query: Query) -> Query:
        """The query as it is written down; RecordingError where another one is written just so."""
        text, params = self._redactor.text(query.text), self._redactor.json(dict(query.params))
        clean = Query(query.source, query.kind, text, params)
        original = _fingerprint(query)
        if original == clean.key:
            return clean
        with self._lock:
            if self._originals.setdefault(clean.key, original) != original:
                raise RecordingError(
                    f"Two queries to {query.source} differ only in what is redacted, so a recording cannot tell them "
                    f"apart; ask one of them. Query: {short(text)}"
                )
        return clean


def _fingerprint(query: Query) -> str:
    try:
        return query.key
    except (TypeError, ValueError):  # what JSON cannot spell: lone surrogates, keys that are no text
        return hashlib.sha256(repr(query).encode("utf-8", "backslashreplace")).hexdigest()
