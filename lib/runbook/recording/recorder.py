"""`Recorder` asks the sources and writes every answer down; `Replay` answers from what was written, for ever.

Queries and answers are redacted before they are written, and the run itself works on the redacted answer: a
replay cannot differ from it. recording_file.py has the format.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import IO, Self

from runbook import __version__
from runbook.errors import RecordingError, RecordingMiss, RunbookError
from runbook.model import JSON, Answer, Query, canonical, failed
from runbook.recording import file
from runbook.recording.file import MAX_BYTES, Line, Writer
from runbook.redaction.redactor import Redactor
from runbook.sources.base import Source


@dataclass(frozen=True)
class Header:
    """Whose recording it is. `recorded_at` is the run's frozen now; `context` what a replay needs to be the same run."""

    alert: str
    incident: str
    started_at: float
    recorded_at: float
    parameters: Mapping[str, JSON]
    context: Mapping[str, JSON]
    runbook: str = __version__


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
        max_bytes: int = MAX_BYTES,
    ) -> None:
        redactor = redactor or Redactor()
        self.trouble = ""
        self._sources, self._redactor, self._limit = sources, redactor, max_bytes
        self._header: dict[str, JSON] = {**redactor.json(vars(header)), "redaction": redactor.settings}
        self._keys = _Keys(redactor)
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
            self.trouble = self.trouble or _trouble(self._path, error)


class Replay:
    """A source that answers from a recording and from nothing else.

    The file is read and checked whole when opened. `partial_ok` accepts what a killed run left behind (no end),
    never what is damaged. Queries are redacted as when recording, which the header tells, before they are looked up.
    """

    def __init__(
        self,
        path: Path | str,
        redactor: Redactor | None = None,
        partial_ok: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._recording = file.read(Path(path), partial_ok=partial_ok, limit=max_bytes)
        self._header = file.header(self._recording, Header)
        self._keys = _Keys(redactor or Redactor.of(self._recording.header.get("redaction")))
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
            raise RecordingMiss(_miss(clean, self._recording))
        return self._recording.answer(line)


def answers(path: Path | str, partial_ok: bool = True) -> Iterator[Answer]:
    """All recorded answers of a file in the order in which they came: the query log of that run."""
    return Replay(path, partial_ok=partial_ok).answers


class _Keys:
    """Queries as they are written down, told apart by their key; no two may become one by redaction."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._originals: dict[str, str] = {}
        self._lock = threading.Lock()

    def redacted(self, query: Query) -> Query:
        text, params = self._redactor.text(query.text), self._redactor.json(dict(query.params))
        clean = Query(query.source, query.kind, text, params)
        original = _fingerprint(query)
        if original == clean.key:
            return clean
        with self._lock:
            if self._originals.setdefault(clean.key, original) != original:
                raise RecordingError(
                    f"Two queries to {query.source} differ only in what is redacted, so a recording cannot tell them "
                    f"apart; ask one of them. Query: {_short(text)}"
                )
        return clean


def _fingerprint(query: Query) -> str:
    try:
        return query.key
    except (TypeError, ValueError):  # what JSON cannot spell: lone surrogates, keys that are no text
        return hashlib.sha256(repr(query).encode("utf-8", "backslashreplace")).hexdigest()


def _trouble(path: Path | None, error: OSError) -> str:
    return f"The recording {path} cannot be written ({error.strerror or error}), so this run cannot be replayed; free the disk or name another folder, then run again."


# --- explaining a miss -----------------------------------------------------------------------------------------


def _miss(query: Query, recording: file.Recording) -> str:
    asked = f"{recording.path} holds no answer to this {query.source} {query.kind} query: {_short(query.text)}"
    like = [line for line in recording.lines if (line.query.source, line.query.kind) == (query.source, query.kind)]
    if not like:
        kinds = sorted({f"{line.query.source} {line.query.kind}" for line in recording.lines})
        return f"{asked}; it holds only {', '.join(kinds) or 'nothing'}; record again with this version."
    near = min(like, key=lambda line: _distance(query, line))
    differences = "; ".join(_difference(name, query, near.query) for name in _differing(query, near.query)[:5])
    return f"{asked}; nearest: answer {near.n}; differs in: {differences}; replay with the recorded parameters, or record again."


def _distance(asked: Query, line: Line) -> tuple[int, float, int]:
    """How many fields differ, then how unlike the texts are."""
    texts = SequenceMatcher(None, asked.text[:400], line.query.text[:400], autojunk=False)
    return len(_differing(asked, line.query)), 1 - texts.ratio(), line.n


def _differing(asked: Query, recorded: Query) -> list[str]:
    names = sorted({*asked.params, *recorded.params})
    return [
        *(["text"] if asked.text != recorded.text else []),
        *(name for name in names if _spelled(asked, name) != _spelled(recorded, name)),
    ]


def _difference(name: str, asked: Query, recorded: Query) -> str:
    if name == "text":
        return f"text {_short(asked.text)} instead of {_short(recorded.text)}"
    return f"{name} {_spelled(asked, name)} instead of {_spelled(recorded, name)}"


def _spelled(query: Query, name: str) -> str:
    return _short(canonical(query.params[name]).decode()) if name in query.params else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"
