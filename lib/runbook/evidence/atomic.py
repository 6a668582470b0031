"""Files that are written whole or not at all; an error of the disk becomes one sentence that says what to do."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbook.errors import EvidenceError


def put(path: Path, content: bytes) -> None:
    """A whole file, or what was there before."""
    path.parent.mkdir(exist_ok=True)
    with _whole(path) as made:
        made.write_bytes(content)


def copy(source: Path, path: Path) -> None:
    """A whole copy, or what was there before."""
    with _whole(path) as made:
        shutil.copyfile(source, made)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write beside it, which takes its name once it is whole."""
    made = path.with_name(unfinished(path.name))
    try:
        yield made
        made.replace(path)
    except OSError:
        made.unlink(missing_ok=True)
        raise


def unfinished(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name}.new"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """An error of the disk as one sentence with what to do."""
    try:
        yield
    except OSError as error:
        raise EvidenceError(f"The evidence cannot be written to {path}: {_cause(error)}.") from error


def _cause(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space or name another folder with --evidence"
    if error.errno == errno.EFBIG:
        return "a file grew beyond the largest size allowed here (ulimit -f); raise it or name another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "it is not writable for this account; change its permissions or name another folder with --evidence"
    if error.errno == errno.ENAMETOOLONG:
        return "the path is too long; name a folder nearer to the root with --evidence"
    if error.errno == errno.ENOENT:
        return "no folder can be made there; name another one with --evidence"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "there is a file where a folder has to be; name another folder with --evidence"
    return f"{error.strerror or error}"
