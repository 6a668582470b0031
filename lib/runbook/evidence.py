"""The evidence of a run: a bundle is made in a hidden draft folder, then sealed under its name, whole or not at all.

    evidence/<incident>/.<alert>-<started_at>.partial/    the draft, readable by its owner only
    evidence/<incident>/<alert>-<started_at>/             sealed: listed in manifest.json, on the disk, read-only

A second run takes -2, -3 and so on. What a killed run recorded is sealed by the next one as <name>-unfinished,
marked incomplete: evidence is never deleted.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from runbook import __version__, bundle, manifest, view
from runbook.audit import RECORDING, signature
from runbook.errors import EvidenceError, ParameterError
from runbook.escaping import json_text, plain
from runbook.investigation import Investigation
from runbook.manifest import Manifest, Status
from runbook.report import Proof
from runbook.reservation import Reservation, hold, lock_file, reserve

__all__ = ["RECORDING", "Draft", "login", "sweep"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_UNFINISHED = "the run ended without sealing its evidence: it was killed, or the machine failed"


class Draft:
    """The evidence of one run while it is made. Safe beside other runs of the same alert and incident.

    `notices` says, a sentence each, what became of runs that were killed.
    """

    def __init__(self, root: Path, incident: str, alert: str, started_at: float) -> None:
        self.incident, self.alert, self.started_at = _part(incident), _part(alert), started_at
        folder = root / self.incident
        with _explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.notices = tuple(_sweep(folder))
            self._reservation: Reservation | None = reserve(folder, f"{self.alert}-{_stamp(started_at)}")
        self.path, self.name = self._reservation.partial, self._reservation.name
        self.manifest_sha256 = ""

    @classmethod
    def at(cls, path: Path) -> Draft:
        """The draft that another process opened, to write into; only its opener can seal it."""
        name = path.name.removeprefix(".").removesuffix(".partial")
        alert, started_at = _parsed(name)
        if alert == "" or not path.is_dir():
            raise EvidenceError(f"{path} is not the draft of a bundle; let `runbook run` make it.")
        draft = cls.__new__(cls)
        draft.incident, draft.alert, draft.started_at = path.parent.name, alert, started_at
        draft.path, draft.name, draft.notices, draft.manifest_sha256 = path, name, (), ""
        draft._reservation = None
        return draft

    @property
    def recording(self) -> Path:
        """Where the run's recording belongs."""
        return self.path / RECORDING

    def adopt(self, recording: Path) -> None:
        """Take a copy of the recording that was replayed: the bundle then replays by itself."""
        with _explained(self.path):
            shutil.copyfile(recording, self.recording)

    def write(self, investigation: Investigation, *, made: float | None = None) -> None:
        """Everything that comes from the investigation; the recording has to be closed before."""
        proof = Proof(
            self.name,
            time.time() if made is None else made,
            __version__,
            len(investigation.answers),
            manifest.entry(self.recording).sha256 if self.recording.is_file() else "",
        )
        with _explained(self.path):
            for name, content in bundle.files(investigation, proof):
                _put(self.path / name, content)

    def seal(
        self,
        status: Status,
        *,
        reason: str = "",
        parameters: Mapping[str, Any] | None = None,
        environment: str = "",
        by: str | None = None,
        made: float | None = None,
        key: bytes = b"",
    ) -> Path:
        """Make it a bundle, on the disk and under its name. `by` is who ran it: the login unless told otherwise.

        Afterwards `manifest_sha256` is what proves the bundle: print it, or note it where the bundle is not. With a
        `key` the manifest is signed too.
        """
        if self._reservation is None:
            raise EvidenceError(f"{self.path} is sealed already, or is the draft of another process; open a new one.")
        about = Manifest(
            alert=self.alert,
            incident=self.incident,
            started_at=view.iso(self.started_at),
            status=status,
            reason=plain(reason, 2000),
            parameters={k: json_text(v) if isinstance(v, str) else v for k, v in (parameters or {}).items()},
            environment=json_text(environment),
            made_at=view.iso(time.time() if made is None else made),
            made_by=login() if by is None else json_text(by),
            versions=manifest.versions(),
            ledger=manifest.ledger(self.path),
            files={},
        )
        with _explained(self.path):
            sealed, self.manifest_sha256 = _sealed(self.path, self._reservation.final, about, key)
            self._reservation.release()
        self._reservation, self.path, self.name = None, sealed, sealed.name
        return sealed

    def discard(self) -> None:
        """Leave nothing where nothing was recorded; a recording stays, and the next run seals it."""
        if self._reservation is None:
            return
        if self.recording.exists():
            self._reservation.abandon()
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            self._reservation.release()
        self._reservation = None


def sweep(root: Path) -> tuple[str, ...]:
    """Seal what killed runs left anywhere below the evidence folder; a sentence for each."""
    with suppress(OSError):
        return tuple(notice for folder in sorted(root.iterdir()) if folder.is_dir() for notice in _sweep(folder))
    return ()


def login() -> str:
    """Who runs this: the account's name, nothing more of the person or the machine."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _sweep(folder: Path) -> Iterator[str]:
    """The drafts in one folder whose runs are dead; another's trouble must not hinder this run."""
    for partial in sorted(folder.glob(".*.partial")):
        name = partial.name.removeprefix(".").removesuffix(".partial")
        alert, started_at = _parsed(name)
        if not alert or partial.is_symlink() or _never_locked(partial):
            continue
        with suppress(OSError):
            if dead := hold(folder, name):
                try:
                    yield from _recovered(dead, alert, started_at)
                finally:
                    dead.release()


def _never_locked(partial: Path) -> bool:
    """Whether its run could not lock it (a file system without locks): then nobody knows whether it lives."""
    name = partial.name.removeprefix(".").removesuffix(".partial")
    return not lock_file(partial.parent, name).exists()


def _recovered(dead: Reservation, alert: str, started_at: float) -> Iterator[str]:
    if not dead.partial.is_dir():
        return
    if not any(manifest.names(dead.partial)):
        shutil.rmtree(dead.partial)
        return
    about = Manifest(
        alert=alert,
        incident=dead.folder.name,
        started_at=view.iso(started_at),
        status="incomplete",
        reason=_UNFINISHED,
        parameters={},
        environment="",
        made_at=view.iso(time.time()),
        made_by=login(),
        versions=manifest.versions(),
        ledger=manifest.ledger(dead.partial),
        files={},
    )
    sealed, _ = _sealed(dead.partial, dead.folder / f"{dead.name}-unfinished", about, b"")
    yield f"An earlier run of {alert} ended without sealing its evidence; what it recorded is kept in {sealed}, marked incomplete."


def _sealed(partial: Path, final: Path, about: Manifest, key: bytes) -> tuple[Path, str]:
    """List the files, bring all of it to the disk, give it its name. Returns the bundle and its manifest's SHA-256."""
    for name in manifest.OWN:
        (partial / name).unlink(missing_ok=True)
    raw = manifest.encoded(msgspec.structs.replace(about, files=manifest.entries(partial)))
    digest = hashlib.sha256(raw).hexdigest()
    _put(partial / manifest.NAME, raw)
    _put(partial / manifest.DIGEST, f"{digest}  {manifest.NAME}\n".encode())
    if key:
        _put(partial / manifest.SIGNATURE, f"{signature(raw, key)}\n".encode())
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


def _put(path: Path, content: bytes) -> None:
    """A whole file or none."""
    path.parent.mkdir(exist_ok=True)
    try:
        path.write_bytes(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _part(name: str) -> str:
    """A name that is one harmless folder."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise ParameterError(
            f"“{plain(name, 80)}” cannot name evidence; an incident or alert has up to 64 letters, digits, . _ or -, "
            "as in INC-2026-01-15-01."
        )
    return name


def _stamp(started_at: float) -> str:
    try:
        return view.stamp(started_at)
    except (ValueError, OverflowError, OSError):
        raise ParameterError(f"{started_at!r} is no time that an alert could have started at.") from None


def _parsed(name: str) -> tuple[str, float]:
    """Alert and start of a bundle's name; an empty alert for any other name."""
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)-(\d{8}T\d{6}Z)(-\d+)?", name, re.ASCII)
    return (found[1], view.unstamped(found[2])) if found else ("", 0.0)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
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
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "there is a file where a folder has to be; name another folder with --evidence"
    return f"{error.strerror or error}"
