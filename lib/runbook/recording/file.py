"""The file of a recording: gzip over one JSON document per line, each in canonical spelling.

    {"format": "runbook-recording", "version": 1, "alert": ..., "recorded_at": ..., "sha256": ...}    the header
    {"n": 1, "query": {...}, "key": ..., "answer": {...}, "sha256": ...}                              one per answer
    {"end": 12, "sha256": ...}                                                            digest of all lines before

Each line is flushed, so what a killed run leaves behind is readable up to its last answer. Equal lines give equal
bytes. Whatever was changed since it was written is noticed, by the line's own digest and by that of the end.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from runbook.errors import RecordingCorrupt, RecordingError
from runbook.model import JSON, Answer, Completeness, Query, canonical, digest

T = TypeVar("T")
RECORDING = "recording.jsonl.gz"  # its name in a bundle
FORMAT, VERSION = "runbook-recording", 1
MAX_BYTES = 512 * 1024 * 1024
_MAX_HEADER = 16 * 1024 * 1024
_GZIP, _LEVEL = 31, 3  # zlib's number for the gzip format, whose header has no time; a level that costs little


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    completeness: Completeness
    data: Any
    error: str
    seconds: float
    warnings: tuple[str, ...]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recorded answer, its JSON not yet decoded."""

    n: int
    query: Query
    key: str
    answer: msgspec.Raw
    sha256: str


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    end: int
    sha256: str


def file_of(target: Path) -> Path:
    """The file that a path means: of a bundle the recording in it, of a recording itself.

    Raises RecordingError for a folder without one, which may be an incident's: then its bundles are named.
    """
    if not target.is_dir():
        return target
    if not (target / RECORDING).is_file():
        bundles = ", ".join(sorted(path.parent.name for path in target.glob(f"[!.]*/{RECORDING}")))
        said = (
            f"it holds bundles: name one of {bundles}"
            if bundles
            else "it is not a bundle, or its recording was removed"
        )
        raise RecordingError(f"The folder {target} has no {RECORDING}; {said}.")
    return target / RECORDING


# --- writing ---------------------------------------------------------------------------------------------------


class Writer:
    """Writes a recording line by line; raises OSError where the disk does."""

    def __init__(self, file: IO[bytes], header: Mapping[str, JSON], limit: int) -> None:
        self._file, self._limit = file, limit
        self._zip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._sum = hashlib.sha256()
        self._size = self._count = 0
        head = {**header, "format": FORMAT, "version": VERSION}
        self._put({**head, "sha256": digest(head)})

    def answer(self, answer: Answer) -> None:
        """One line."""
        body = canonical(_Answer(answer.completeness, answer.data, answer.error, answer.seconds, answer.warnings))
        query, sha256 = answer.query, hashlib.sha256(body).hexdigest()
        line = {"n": self._count + 1, "query": query.as_json, "key": query.key, "answer": msgspec.Raw(body)}
        self._put({**line, "sha256": sha256})
        self._count += 1

    def end(self) -> None:
        """The last line, and everything on the disk."""
        self._put({"end": self._count, "sha256": self._sum.hexdigest()})
        self._file.write(self._zip.flush(zlib.Z_FINISH))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _put(self, document: JSON) -> None:
        line = canonical(document) + b"\n"
        self._size += len(line)
        if self._size > self._limit:
            raise OSError(f"it would grow beyond {_size(self._limit)}, the most that a replay reads")
        self._sum.update(line)
        self._file.write(self._zip.compress(line) + self._zip.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()


# --- reading ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """A recording as read, checked whole; `complete` unless its run was killed before the end."""

    path: Path
    header: Mapping[str, JSON]
    lines: tuple[Entry, ...]
    complete: bool

    def answer(self, line: Entry) -> Answer:
        """The recorded answer, decoded anew each time."""
        try:
            answer = msgspec.json.decode(line.answer, type=_Answer)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _corrupt(self.path, line.n + 1, f"the answer is not one of this version ({error})") from error
        return Answer(line.query, answer.completeness, answer.data, answer.warnings, answer.error, answer.seconds)


def header(recording: Recording, shape: type[T]) -> T:
    """The header in this shape."""
    try:
        return msgspec.convert(recording.header, shape)
    except msgspec.ValidationError as error:
        raise _corrupt(recording.path, 1, f"the header is incomplete ({error})") from error


def read(path: Path, *, partial_ok: bool = False, limit: int = MAX_BYTES) -> Recording:
    """Read and check a recording; raises RecordingCorrupt, which names the line."""
    documents = _unpack(path, limit)
    first = next(documents, b"")
    head = _header(path, first)
    sums = hashlib.sha256(first)
    lines: list[Entry] = []
    seen: dict[str, int] = {}
    for document in documents:
        if document.startswith(b'{"end":'):
            _end(path, document, len(lines), sums.hexdigest())
            if next(documents, None) is not None:
                raise _corrupt(path, len(lines) + 3, "something follows the end")
            return Recording(path, head, tuple(lines), complete=True)
        if not document.endswith(b"\n"):
            raise _corrupt(path, len(lines) + 2, "the line is cut off")
        line = _line(path, len(lines) + 1, document)
        if seen.setdefault(line.key, line.n) != line.n:
            raise _corrupt(path, line.n + 1, f"it answers the query of line {seen[line.key] + 1} again")
        lines.append(line)
        sums.update(document)
    if not partial_ok:
        raise RecordingCorrupt(
            f"The recording {path} stops after line {len(lines) + 1}, without its end: "
            "the run that wrote it was killed, or the copy is cut off; "
            "take the copy in its bundle, or open it as a partial recording."
        )
    return Recording(path, head, tuple(lines), complete=False)


def _unpack(path: Path, limit: int) -> Iterator[bytes]:
    """The lines of a gzip file as they unfold, never more than `limit` bytes; a last one cut off is left out."""
    unzip, size, count = zlib.decompressobj(_GZIP), 0, 0
    parts: list[bytes] = []
    try:
        with path.open("rb") as file:
            while chunk := unzip.unconsumed_tail or file.read(1 << 16):
                if unzip.eof:
                    raise _corrupt(path, count + 1, "something follows the end of the gzip stream")
                text = unzip.decompress(chunk, 1 << 20)
                size += len(text)
                if size > (limit if count else min(limit, _MAX_HEADER)):
                    raise _too_big(path, limit)
                head, *tail = text.split(b"\n")
                parts.append(head)
                for part in tail:
                    yield b"".join([*parts, b"\n"])
                    parts, count = [part], count + 1
    except OSError as error:
        raise _unreadable(path, error) from error
    except zlib.error as error:
        what = "the gzip stream is damaged" if count else "it is no gzip file, or a damaged one"
        raise _corrupt(path, count + 1, f"{what} ({error})") from error
    if unzip.unused_data:
        raise _corrupt(path, count + 1, "something follows the end")
    if unzip.eof and any(parts):
        yield b"".join(parts)


def _unreadable(path: Path, error: OSError) -> RecordingError:
    reason = error.strerror or error
    return RecordingError(f"The recording {path} cannot be read ({reason}); check the path and its permissions.")


def _too_big(path: Path, limit: int) -> RecordingCorrupt:
    most = f"{_size(limit)}, the most that a replay reads"
    return RecordingCorrupt(f"{path} unfolds to more than {most}; it is no recording of ours.")


def _header(path: Path, document: bytes) -> dict[str, JSON]:
    try:
        header = msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _corrupt(path, 1, f"there is no header ({error})") from error
    if header.get("format") != FORMAT:
        raise RecordingCorrupt(
            f"{path} is no recording: its first line does not say {FORMAT!r}; give the recording.jsonl.gz of a bundle."
        )
    if header.get("version") != VERSION:
        raise RecordingCorrupt(
            f"{path} is a recording of version {header.get('version')!r}, this program reads version {VERSION}; "
            f"replay it with the release that wrote it ({header.get('runbook')})."
        )
    expected = header.pop("sha256", None)
    if digest(header) != expected:
        raise _corrupt(path, 1, "the header is not the one that was written")
    return header


def _line(path: Path, n: int, document: bytes) -> Entry:
    try:
        line = msgspec.json.decode(document, type=Entry)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _corrupt(path, n + 1, f"it is not an answer ({error})") from error
    if line.n != n:
        raise _corrupt(path, n + 1, f"answer {n} should stand there, not {line.n}")
    if hashlib.sha256(bytes(line.answer)).hexdigest() != line.sha256:
        raise _corrupt(path, n + 1, "the answer is not the one that was written")
    if line.query.key != line.key:
        raise _corrupt(path, n + 1, "the query is not the one that was written")
    return line


def _end(path: Path, document: bytes, count: int, sha256: str) -> None:
    try:
        end = msgspec.json.decode(document, type=_End)
    except msgspec.MsgspecError as error:
        raise _corrupt(path, count + 2, f"it is not the end that was written ({error})") from error
    if end.end != count or end.sha256 != sha256:
        raise _corrupt(path, count + 2, "the lines before it are not those that were written")


def _corrupt(path: Path, line: int, what: str) -> RecordingCorrupt:
    return RecordingCorrupt(
        f"The recording {path} is damaged at line {line}: {what}; take the copy in its bundle, or record again."
    )


def _size(size: int) -> str:
    return f"{size // (1024 * 1024)} MB" if size >= 1024 * 1024 else f"{size} bytes"
