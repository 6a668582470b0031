"""A draft folder becomes a bundle: listed, on the disk, read-only, and under its name in one step."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec

from runbook.evidence import contents, manifest, run_log
from runbook.evidence.atomic import put, unfinished
from runbook.evidence.manifest import Manifest
from runbook.evidence.signature import signature


def seal(partial: Path, final: Path, about: Manifest, key: bytes) -> tuple[Path, str]:
    """List the files, bring all of it to the disk, give it its name. Returns the bundle and its manifest's SHA-256."""
    for unwanted in (*(partial / name for name in manifest.OWN), *partial.rglob(unfinished("*"))):
        unwanted.unlink(missing_ok=True)
    run_log.settle(partial)
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


def mark(folder: Path, about: Manifest) -> None:
    """Say at the top of the reports, where there are any, that the run did not come to its end."""
    before = f"; {about.ledger['ran']} of {about.ledger['checks']} checks ran before it ended" if about.ledger else ""
    for name in ("report.html", "report.md"):
        with suppress(OSError):  # a full disk: the manifest says it
            report = (folder / name).read_bytes()
            put(folder / name, contents.marked(name, report, f"Run {about.status}{before}. {about.reason}"))
