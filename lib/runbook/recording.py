"""A run's queries and answers on disk: `Recorder` writes them as they come, `Replay` answers from them for ever.

The file is gzip over one JSON document per line, in canonical spelling:

    {"format": "runbook-recording", "version": 1, "alert": ..., "recorded_at": ..., ...}     the header
    {"n": 1, "query": {...}, "key": ..., "answer": {...}, "sha256": ...}                     one line per answer
    {"end": 12, "sha256": ...}                                                               over all lines before

Each line is flushed, so what a killed run leaves behind is readable up to its last answer. Queries and answers are
redacted before they are written, and the run itself works on the redacted answer: a replay cannot differ from it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import IO, Any

import msgspec

from runbook import __version__
from runbook.errors import RecordingCorrupt, RecordingError, RecordingMiss, RunbookError
from runbook.model import JSON, Answer, Completeness, Query, canonical, digest, failed
from runbook.redaction import Redactor
from runbook.sources.base import Source

FORMAT, VERSION = "runbook-recording", 1
MAX_BYTES = 512 * 1024 * 1024
_GZIP = 31
_LEVEL = 3


@dataclass(frozen=True)
class Header:
    """Whose recording it is. `recorded_at` is the run's frozen now; `context` what a replay needs to be the same run."""

    alert: str
    incident: str
    started_at: float
    recorded_at: float
    parameters: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    context: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    runbook: str = __version__


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    kind: str
    text: str
    params: dict[str, Any]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    completeness: Completeness
    data: Any
    error: str
    seconds: float
    warnings: tuple[str, ...]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: int
    query: _Query
    key: str
    answer: msgspec.Raw
    sha256: str


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    end: int
    sha256: str


class _Keys:
    """Redacted queries and their keys; two different queries must not become one by redaction."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._seen: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, query: Query) -> Query:
        """The query as it is written down."""
        text, params = self._redactor.text(query.text), self._redactor.json(dict(query.params))
        clean = Query(query.source, query.kind, text, params)
        original = digest(query.as_json)
        if original == clean.key:
            return clean
        with self._lock:
            if self._seen.setdefault(clean.key, original) != original:
                raise RecordingError(
                    f"Two queries to {query.source} differ only in what is redacted, so a recording cannot tell them "
                    f"apart; ask one of them only. Query: {text[:200]}"
                )
        return clean


class _Writer:
    """The lines of one recording, compressed as they come; equal lines give equal bytes."""

    def __init__(self, file: IO[bytes], header: Mapping[str, JSON], limit: int) -> None:
        self._file, self._limit = file, limit
        self._zip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._sum = hashlib.sha256()
        self._size = self._count = 0
        self._put(canonical({"format": FORMAT, "version": VERSION, **header}))

    def answer(self, answer: Answer) -> None:
        """One line."""
        body = canonical(
            {
                "completeness": answer.completeness,
                "data": answer.data,
                "error": answer.error,
                "seconds": answer.seconds,
                "warnings": answer.warnings,
            }
        )
        line = {
            "n": self._count + 1,
            "query": answer.query.as_json,
            "key": answer.query.key,
            "answer": msgspec.Raw(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        self._put(canonical(line))
        self._count += 1

    def end(self) -> None:
        """The last line, and everything on the disk."""
        self._put(canonical({"end": self._count, "sha256": self._sum.hexdigest()}))
        self._file.write(self._zip.flush(zlib.Z_FINISH))
        self._file.flush()
        with suppress(OSError):  # a pipe has nothing to sync
            os.fsync(self._file.fileno())

    def _put(self, line: bytes) -> None:
        if self._size + len(line) + 200 > self._limit:
            raise OSError(f"it would grow beyond {_mb(self._limit)}, the most that a replay reads")
        self._size += len(line) + 1
        self._sum.update(line + b"\n")
        self._file.write(self._zip.compress(line + b"\n") + self._zip.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()


class Recorder:
    """A source that asks others, by the query's source name, and writes every answer down, redacted.

    Put it outermost (around each Deadline): what it returns is what it wrote. With `path=None` answers stay in
    memory until `save`. Equal queries are asked once. A disk that fails does not stop the run: `trouble` then
    holds the one sentence, and the caller ends with it.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        path: Path | str | None,
        header: Header,
        redactor: Redactor | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._sources, self._limit = sources, max_bytes
        self._redactor = redactor or Redactor()
        self._header: dict[str, JSON] = self._redactor.json(vars(header))
        self._keys = _Keys(self._redactor)
        self._asked: dict[str, Future[Answer]] = {}
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._closed = False
        self._path = path
        self.trouble = ""
        self._file: IO[bytes] | None = None
        self._writer: _Writer | None = None
        if path is not None:
            self._append(lambda: self._open(Path(path)))

    def ask(self, query: Query) -> Answer:
        """The redacted answer, asked for once and recorded; a source's failure is an answer too."""
        clean = self._keys.of(query)
        with self._lock:
            future, mine = self._asked.get(clean.key), False
            if future is None:
                future, mine = self._asked.setdefault(clean.key, Future()), True
        if mine:
            try:
                future.set_result(self._record(self._redacted(self._route(query), clean)))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def close(self) -> None:
        """Write the end; afterwards nothing more is recorded."""
        with self._lock:
            if not self._closed and self._writer:
                self._append(self._writer.end)
            self._closed = True
            if self._file:
                with suppress(OSError):
                    self._file.close()

    def save(self, path: Path | str) -> None:
        """The whole recording as one new file, there at once or not at all; answers ordered by query."""
        path = Path(path)
        with self._lock:
            answers = sorted(self._answers, key=lambda a: (a.query.source, a.query.kind, a.query.text, a.query.key))
        part = None
        try:
            handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with open(handle, "wb") as file:
                _write(file, self._header, answers, self._limit)
            os.chmod(part, 0o644)
            os.replace(part, path)
        except OSError as error:
            raise RecordingError(_trouble(path, error)) from error
        finally:
            if part:
                Path(part).unlink(missing_ok=True)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _route(self, query: Query) -> Answer:
        source = self._sources.get(query.source)
        if source is None:
            return failed(query, f"No {query.source} is configured in this environment; add its section to runbook.toml.")
        try:
            return source.ask(query)
        except RunbookError as error:
            return failed(query, str(error))

    def _redacted(self, answer: Answer, query: Query) -> Answer:
        text, data = self._redactor.text, self._redactor.json(answer.data)
        warnings = tuple(text(w) for w in answer.warnings)
        return replace(answer, query=query, data=data, warnings=warnings, error=text(answer.error))

    def _record(self, answer: Answer) -> Answer:
        with self._lock:
            if self._closed:
                raise RecordingError(f"The recording was closed before {answer.query.source} answered; run again.")
            self._answers.append(answer)
            writer = self._writer
            if writer:
                self._append(lambda: writer.answer(answer))
        return answer

    def _open(self, path: Path) -> None:
        self._file = path.open("xb")
        self._writer = _Writer(self._file, self._header, self._limit)

    def _append(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._writer = None
            self.trouble = _trouble(self._path, error)


class Replay:
    """A source that answers from a recording and from nothing else.

    It is read and checked whole when opened. `partial_ok` accepts what a killed run left behind (no end), never
    what is damaged. `redactor` must be the one it was recorded with, so that queries are told by the same key.
    """

    def __init__(self, path: Path | str, redactor: Redactor | None = None, partial_ok: bool = False, max_bytes: int = MAX_BYTES) -> None:
        self.path = Path(path)
        self._keys = _Keys(redactor or Redactor())
        self.header, self._lines, self.complete = _read(self.path, partial_ok, max_bytes)
        self._by_key = {line.key: line for line in self._lines}

    @property
    def now(self) -> float:
        """The frozen now of the recorded run."""
        return self.header.recorded_at

    def ask(self, query: Query) -> Answer:
        """The recorded answer; a miss says what the nearest recorded query differs in."""
        clean = self._keys.of(query)
        line = self._by_key.get(clean.key)
        if line is None:
            raise RecordingMiss(self._miss(clean))
        return _answer(line)

    @property
    def answers(self) -> Iterator[Answer]:
        """All recorded answers in the order in which they came."""
        return map(_answer, self._lines)

    def _miss(self, query: Query) -> str:
        asked = f"{self.path} holds no answer to this {query.source} {query.kind} query: {_short(query.text)}"
        like = [line for line in self._lines if (line.query.source, line.query.kind) == (query.source, query.kind)]
        if not like:
            kinds = sorted({f"{line.query.source} {line.query.kind}" for line in self._lines})
            return f"{asked}; it was recorded without such queries (it has {', '.join(kinds) or 'none'}); record again with this version."
        near = min(like, key=lambda line: _distance(query, line.query))
        return f"{asked}; nearest: answer {near.n}; differs in: {_differences(query, near.query)}; replay with the recorded parameters, or record again."


def answers(path: Path | str, partial_ok: bool = True) -> Iterator[Answer]:
    """All recorded answers of a file in the order in which they came: the query log of that run."""
    return Replay(path, partial_ok=partial_ok).answers


def _write(file: IO[bytes], header: Mapping[str, JSON], answers: Iterable[Answer], limit: int) -> None:
    writer = _Writer(file, header, limit)
    for answer in answers:
        writer.answer(answer)
    writer.end()


def _trouble(path: Path | str | None, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"The recording {path} cannot be written: {reason}; the answers of this run cannot be replayed, so free the disk or name another folder and run again."


# --- reading ---------------------------------------------------------------------------------------------------


def _read(path: Path, partial_ok: bool, limit: int) -> tuple[Header, list[_Line], bool]:
    text, whole = _unpack(path, limit)
    *lines, rest = text.split(b"\n")
    if not lines:
        raise _corrupt(path, 1, "the header is missing")
    header = _header(path, lines[0])
    end = _end(path, lines, rest) if whole else None
    if end is None and not partial_ok:
        raise RecordingCorrupt(
            f"{path} stops after line {len(lines)} without its end: the run that wrote it was killed, or the copy is cut off; "
            "take the copy in its bundle, or open it as a partial recording."
        )
    body = lines[1:-1] if end else lines[1:]
    answers = [_line(path, n, line) for n, line in enumerate(body, 1)]
    _unique(path, answers)
    return header, answers, end is not None


def _unpack(path: Path, limit: int) -> tuple[bytes, bool]:
    """The text, and whether the compressed stream came to its end."""
    unzip, out, size = zlib.decompressobj(_GZIP), list[bytes](), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 16):
                if unzip.eof:
                    raise _corrupt(path, 0, "something follows the end of its gzip stream")
                while chunk:
                    out.append(unzip.decompress(chunk, 1 << 20))
                    size += len(out[-1])
                    chunk = unzip.unconsumed_tail
                    if size > limit:
                        raise RecordingCorrupt(f"{path} holds more than {_mb(limit)}, the most that a replay reads; it is no recording of ours.")
    except OSError as error:
        raise RecordingError(f"The recording {path} cannot be read: {error.strerror}; check the path and its permissions.") from error
    except zlib.error as error:
        what = "it is no gzip file" if not out else "its gzip stream is damaged"
        raise _corrupt(path, b"".join(out).count(b"\n") + 1, f"{what} ({error})") from error
    if unzip.unused_data:
        raise _corrupt(path, 0, "something follows the end of its gzip stream")
    return b"".join(out), unzip.eof


def _header(path: Path, line: bytes) -> Header:
    try:
        raw = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _corrupt(path, 1, f"the header is not JSON ({error})") from error
    if raw.pop("format", None) != FORMAT:
        raise RecordingCorrupt(f"{path} is no recording: its first line does not say {FORMAT!r}; give the recording.jsonl.gz of a bundle.")
    version = raw.pop("version", None)
    if version != VERSION:
        raise RecordingCorrupt(f"{path} is a recording of version {version}, this program reads version {VERSION}; replay it with the runbook release that wrote it.")
    try:
        return msgspec.convert(raw, Header)
    except msgspec.ValidationError as error:
        raise _corrupt(path, 1, f"the header is incomplete ({error})") from error


def _end(path: Path, lines: list[bytes], rest: bytes) -> _End | None:
    """The end, checked against every line before it; None where there is none."""
    if len(lines) < 2 or not lines[-1].startswith(b'{"end":'):
        return None
    try:
        end = msgspec.json.decode(lines[-1], type=_End)
    except msgspec.MsgspecError as error:
        raise _corrupt(path, len(lines), f"the end is not what was written ({error})") from error
    text = b"\n".join(lines[:-1]) + b"\n"
    if rest or end.end != len(lines) - 2 or end.sha256 != hashlib.sha256(text).hexdigest():
        raise _corrupt(path, _first_damaged(lines[1:-1]) + 1, "the lines are not those that were written")
    return end


def _first_damaged(lines: list[bytes]) -> int:
    """The number of the first answer that is not as it was written; 0 where only the header can be meant."""
    for n, line in enumerate(lines, 1):
        with suppress(RecordingCorrupt):
            _line(Path(), n, line)
            continue
        return n
    return 0


def _line(path: Path, n: int, raw: bytes) -> _Line:
    try:
        line = msgspec.json.decode(raw, type=_Line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _corrupt(path, n + 1, f"it is not an answer ({error})") from error
    if line.n != n:
        raise _corrupt(path, n + 1, f"answer {n} is missing, found {line.n}")
    if hashlib.sha256(bytes(line.answer)).hexdigest() != line.sha256:
        raise _corrupt(path, n + 1, "the answer is not the one that was written")
    if _query(line).key != line.key:
        raise _corrupt(path, n + 1, "the query is not the one that was written")
    return line


def _unique(path: Path, lines: list[_Line]) -> None:
    seen: dict[str, int] = {}
    for line in lines:
        if seen.setdefault(line.key, line.n) != line.n:
            raise _corrupt(path, line.n + 1, f"it answers the query of line {seen[line.key] + 1} again")


def _query(line: _Line) -> Query:
    return msgspec.convert(msgspec.structs.asdict(line.query), Query)


def _answer(line: _Line) -> Answer:
    answer = msgspec.json.decode(line.answer, type=_Answer)
    return Answer(_query(line), answer.completeness, answer.data, answer.warnings, answer.error, answer.seconds)


def _corrupt(path: Path, line: int, what: str) -> RecordingCorrupt:
    where = f"at line {line}" if line else "at its end"
    return RecordingCorrupt(f"The recording {path} is damaged {where}: {what}; take the copy in its bundle, or record again.")


def _mb(size: int) -> str:
    return f"{size // (1024 * 1024)} MB" if size >= 1024 * 1024 else f"{size} bytes"


# --- explaining a miss -----------------------------------------------------------------------------------------


def _short(text: str, width: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _distance(asked: Query, recorded: _Query) -> tuple[int, float]:
    """How many fields differ, then how unlike the texts are."""
    likeness = SequenceMatcher(None, asked.text[:400], recorded.text[:400], autojunk=False).ratio()
    return len(_fields(asked, recorded)), 1 - likeness


def _fields(asked: Query, recorded: _Query) -> list[str]:
    names = sorted({*asked.params, *recorded.params})
    missing = object()
    differing = [n for n in names if asked.params.get(n, missing) != recorded.params.get(n, missing)]
    return [*(["text"] if asked.text != recorded.text else []), *differing]


def _differences(asked: Query, recorded: _Query) -> str:
    def one(name: str) -> str:
        if name == "text":
            return f"text {_short(asked.text)} instead of {_short(recorded.text)}"
        new, old = (_short(canonical(p[name]).decode(), 80) if name in p else "nothing" for p in (asked.params, recorded.params))
        return f"{name} {new} instead of {old}"

    return "; ".join(one(name) for name in _fields(asked, recorded)[:5])
