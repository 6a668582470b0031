"""A recording as a source: answers from what was written, and from nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from runbook.errors import RecordingMiss
from runbook.model import Answer, Query
from runbook.recording import asked, file
from runbook.recording.file import MAX_BYTES
from runbook.recording.keys import Header, Keys
from runbook.recording.miss import miss
from runbook.redaction.redactor import Redactor

logger = logging.getLogger(__name__)


class Replay:
    """A source that answers from a recording and from nothing else.

    The file is read and checked whole when opened. `partial_ok` accepts what a killed run left behind (no end),
    never what is damaged. Queries are redacted as when recording, which the header tells, before they are looked up.
    """

    def __init__(
        self,
        path: Path | str,
        redactor: Redactor | None = None,
        *,
        partial_ok: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._recording = file.read(Path(path), partial_ok=partial_ok, limit=max_bytes)
        self._header = file.header(self._recording, Header)
        self._keys = Keys(redactor or Redactor.of(self._recording.header.get("redaction")))
        self._lines = {line.key: line for line in self._recording.lines}

    @property
    def header(self) -> Header:
        """Whose recording it is."""
        return self._header

    @property
    def now(self) -> float:
        """The frozen now of the recorded run."""
        return self._header.recorded_at

    @property
    def complete(self) -> bool:
        """Whether its run came to its end."""
        return self._recording.complete

    @property
    def answers(self) -> Iterator[Answer]:
        """All recorded answers in the order in which they came."""
        return map(self._recording.answer, self._recording.lines)

    def ask(self, query: Query) -> Answer:
        """The recorded answer; RecordingMiss says what the nearest recorded query differs in."""
        clean = self._keys.redacted(query)
        line = self._lines.get(clean.key)
        if line is None:
            raise RecordingMiss(miss(clean, self._recording))
        answer = self._recording.answer(line)
        asked.log(logger, answer)
        return answer
