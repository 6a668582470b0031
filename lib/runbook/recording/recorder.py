"""`Recorder` asks the sources and writes every answer down.

Queries and answers are redacted before they are written, and the run itself works on the redacted answer: a
replay cannot differ from it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Self

from runbook.errors import RecordingError, RunbookError
from runbook.model import JSON, Answer, Query, Source, failed
from runbook.recording import asked
from runbook.recording.file import MAX_BYTES, Writer
from runbook.recording.keys import Header, Keys
from runbook.redaction.redactor import Redactor

logger = logging.getLogger(__name__)


class Recorder:
    """A source that asks others, by the query's source name, and records every answer, redacted.

    Put it outermost (around each Deadline): what it returns is what it wrote. With `path=None` nothing is written.
    Equal queries are asked once. A disk that fails does not stop the run: `trouble` then holds the one sentence, and
    the caller ends with it.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        path: Path | str | None,
        header: Header,
        redactor: Redactor | None = None,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        redactor = redactor or Redactor()
        self.trouble = ""
        self._sources, self._redactor, self._limit = sources, redactor, max_bytes
        self._header: dict[str, JSON] = {**redactor.json(vars(header)), "redaction": redactor.settings}
        self._keys = Keys(redactor)
        self._asked: dict[str, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._path = None if path is None else Path(path)
        self._file: IO[bytes] | None = None
        self._writer: Writer | None = None
        self._attempt(self._open)

    def ask(self, query: Query) -> Answer:
        """The redacted answer, asked for once and recorded; a source's failure is an answer too."""
        clean = self._keys.redacted(query)
        with self._lock:
            mine = clean.key not in self._asked
            future = self._asked.setdefault(clean.key, Future())
        if mine:
            try:
                future.set_result(self._record(self._redacted(self._answer(query), clean)))
            except BaseException as error:  # those who wait for the same answer must learn of it
                logger.exception("%s %s %s got no answer", clean.source, clean.kind, clean.key[: asked.KEY_DIGITS])
                future.set_exception(error)
        return future.result()

    def close(self) -> None:
        """Write the end; what is asked or answered afterwards is refused, since it would be missing."""
        with self._lock:
            if not self._closed:
                self._attempt(self._end)
            self._closed = True
            if self._file:
                with suppress(OSError):  # said in `trouble` already
                    self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, query: Query) -> Answer:
        source = self._sources.get(query.source)
        if source is None:
            return failed(query, f"This environment has no {query.source}; add its section to runbook.toml.")
        try:
            return source.ask(query)
        except RunbookError as error:
            return failed(query, str(error))

    def _redacted(self, answer: Answer, query: Query) -> Answer:
        text, data = self._redactor.text, self._redactor.json(answer.data)
        warnings = tuple(text(warning) for warning in answer.warnings)
        return replace(answer, query=query, data=data, warnings=warnings, error=text(answer.error))

    def _record(self, answer: Answer) -> Answer:
        with self._lock:
            if self._closed:
                raise RecordingError(f"The recording was closed before {answer.query.source} answered; run again.")
            if writer := self._writer:
                self._attempt(lambda: writer.answer(answer))
        asked.log(logger, answer)
        return answer

    def _open(self) -> None:
        if self._path:
            self._file = self._path.open("xb")
            self._writer = Writer(self._file, self._header, self._limit)

    def _end(self) -> None:
        if self._path and self._file and self._writer:
            self._writer.end()
            if not self._path.exists() or not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                raise OSError("it was removed while the run went on")

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            self._writer = None
            logger.error("The recording cannot be written", exc_info=True)
            self.trouble = self.trouble or _trouble(self._path, error)


def _trouble(path: Path | None, error: OSError) -> str:
    return (
        f"The recording {path} cannot be written ({error.strerror or error}), so this run cannot be replayed; "
        "free the disk or name another folder, then run again."
    )
