"""The name of a bundle that is being made, held by one run: other runs take the next name, a dead run holds none.

A lock on `.<name>.lock` beside the draft says that its run lives. The kernel lets go of it whatever kills the run, on
this machine or on another one that shares the disk; process numbers would say nothing there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from itertools import count
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Reservation:
    """A name in a folder, until `release`."""

    def __init__(self, folder: Path, name: str, lock: int | None) -> None:
        self.folder, self.name = folder, name
        self._closed = lock is None
        self._close = weakref.finalize(self, os.close, lock) if lock is not None else lambda: None

    @property
    def partial(self) -> Path:
        """Where the bundle of this name is made."""
        return self.folder / f".{self.name}.partial"

    @property
    def final(self) -> Path:
        """Where it will stand when it is whole."""
        return self.folder / self.name

    def release(self) -> None:
        """Give the name back; harmless when done before."""
        if not self._closed:
            lock_file(self.folder, self.name).unlink(missing_ok=True)
            self.abandon()

    def abandon(self) -> None:
        """Let the draft stand as that of a dead run, for the next one to seal."""
        self._closed = True
        self._close()


def lock_file(folder: Path, name: str) -> Path:
    """The file whose lock holds a name."""
    return folder / f".{name}.lock"


def reserve(folder: Path, base: str) -> Reservation:
    """The first of base, base-2, base-3 … that no bundle has and no run holds, with its empty draft folder made."""
    for number in count(1):
        taken = hold(folder, base if number == 1 else f"{base}-{number}")
        if taken is None:
            continue
        if not os.path.lexists(taken.final) and _made(taken.partial):
            return taken
        taken.release()
    raise AssertionError("count() ends never")


def hold(folder: Path, name: str) -> Reservation | None:
    """The name, unless a living run holds it. A file system without locks gives it to whoever asks."""
    path = lock_file(folder, name)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            if path.exists():  # of another account, so not ours to take
                return None
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _UNSUPPORTED:
                path.unlink(missing_ok=True)
                return Reservation(folder, name, None)
            return None
        if _is(path, descriptor):
            return Reservation(folder, name, descriptor)
        os.close(descriptor)  # its former holder has just released it and taken the file away


def _is(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _made(partial: Path) -> bool:
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True
