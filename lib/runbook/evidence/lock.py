"""The name of a bundle that is being made, held by one run: other runs take the next name, a dead run holds none.

A lock on `.<name>.lock` beside the draft says that its run lives. The kernel lets go of it whatever kills the run, on
this machine or on another one that shares the disk; process numbers would say nothing there. The file itself says what
the run is of, for the one that finds a draft left behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Holder(msgspec.Struct, frozen=True):
    """What the run that holds a name is of."""

    alert: str
    started_at: float


class Reservation:
    """A name in a folder, until `release`."""

    def __init__(self, folder: Path, name: str, lock: int | None) -> None:
        self.folder, self.name = folder, name
        self._lock = lock
        self._close = weakref.finalize(self, os.close, lock) if lock is not None else lambda: None

    @property
    def partial(self) -> Path:
        """Where the bundle of this name is made."""
        return self.folder / f".{self.name}.partial"

    @property
    def final(self) -> Path:
        """Where it will stand when it is whole."""
        return self.folder / self.name

    def holder(self) -> Holder | None:
        """Who held the name, as the lock's file says; None where it says nothing."""
        try:
            return None if self._lock is None else msgspec.json.decode(os.pread(self._lock, 4096, 0), type=Holder)
        except msgspec.DecodeError:
            return None

    def note(self, holder: Holder) -> None:
        """Say in the lock's file who holds the name; on a full disk the run goes on without."""
        if self._lock is not None:
            with suppress(OSError):
                os.ftruncate(self._lock, 0)
                os.pwrite(self._lock, msgspec.json.encode(holder), 0)

    def release(self) -> None:
        """Give the name back; harmless when done before."""
        if self._lock is not None:
            lock_file(self.folder, self.name).unlink(missing_ok=True)
            self.abandon()

    def abandon(self) -> None:
        """Let the draft stand as that of a dead run, for the next one to seal."""
        self._lock = None
        self._close()


def lock_file(folder: Path, name: str) -> Path:
    """The file whose lock holds a name."""
    return folder / f".{name}.lock"


def name_of(partial: Path) -> str:
    """The name of the bundle that is made in a draft folder; "" for any other folder."""
    hidden = partial.name.startswith(".") and partial.name.endswith(".partial")
    return partial.name.removeprefix(".").removesuffix(".partial") if hidden else ""


def reserve(folder: Path, base: str, holder: Holder) -> Reservation:
    """The first of base, base-2, base-3 … that no bundle has and no run holds, with its empty draft folder made."""
    for number in count(1):
        taken = hold(folder, base if number == 1 else f"{base}-{number}")
        if taken is None:
            continue
        if not any(map(os.path.lexists, (taken.final, taken.partial))):
            taken.note(holder)  # before the draft is there: none stands without it
            if _made(taken.partial):
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
