"""A draft folder becomes a bundle: listed, on the disk, read-only, and under its name in one step.

Errors of the disk become one sentence each that says what to do.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from runbook.errors import EvidenceError
from runbook.evidence import manifest
from runbook.evidence.audit import signature
from runbook.evidence.manifest import Manifest


def seal(partial: Path, final: Path, about: Manifest, key: bytes) -> tuple[Path, str]:
    """List the files, bring all of it to the disk, give it its name. Returns the bundle and its manifest's SHA-256."""
    for unwanted in (*(partial / name for name in manifest.OWN), *partial.rglob(_unfinished("*"))):
        unwanted.unlink(missing_ok=True)
    raw = manifest.encoded(msgspec.structs.replace(about, files=manifest.entries(partial)))
    digest = hashlib.sha256(raw).hexdigest()
    put(partial / manifest.NAME, raw)
    put(partial / manifest.DIGEST, f"{digest}  {manifest.NAME}\n".encode())
    if key:
        put(partial / manifest.SIGNATURE, f"{signature(raw, key)}\n".encode())
    _settle(partial, partial.parent.stat().st_mode & 0o777)
    return _named(partial, final), digest


def _settle(folder: Path, mode: int) -> None:
    """Everything on the disk; who may read the folder around may read this, nobody writes to a file by mistake."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _synced(Path(parent) / name, mode & 0o444 | 0o400)
        _synced(Path(parent), mode | 0o700)


def _synced(path: Path, mode: int | None = None) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(partial: Path, final: Path) -> Path:
    """Rename to the first free name: a folder is never put over one that holds something, nor over a file."""
    for number in count(1):
        wanted = final if number == 1 else final.with_name(f"{final.name}-{number}")
        try:
            partial.rename(wanted)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            continue
        _synced(wanted.parent)
        return wanted
    raise AssertionError("count() ends never")


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
    made = path.with_name(_unfinished(path.name))
    try:
        yield made
        made.replace(path)
    except OSError:
        made.unlink(missing_ok=True)
        raise


def _unfinished(name: str) -> str:
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
