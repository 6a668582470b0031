"""Whether a bundle is as it was sealed: every file there, none more, none edited, the recording whole."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runbook.errors import EvidenceError, RecordingError
from runbook.evidence import manifest
from runbook.evidence.manifest import Manifest
from runbook.evidence.signature import signature
from runbook.recording.file import RECORDING
from runbook.recording.replay import Replay
from runbook.text.escape import plain

_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Audit:
    """What was found. `problems` has one sentence for each problem; without any the bundle is unedited.

    Whoever edits a bundle with care can make its manifest fit. So compare `manifest_sha256` with the one printed when
    the bundle was sealed, or seal with a key: `signed` says that the signature was checked and is right.
    """

    bundle: Path
    manifest: Manifest | None
    manifest_sha256: str
    problems: tuple[str, ...]
    signed: bool = False

    @property
    def unedited(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def audit(bundle: Path, *, expected: str = "", key: bytes = b"") -> Audit:
    """Compare a bundle with its manifest, and that with the digest known from elsewhere and with the key if given.

    Raises EvidenceError for what is no bundle at all.
    """
    raw = _read(bundle)
    sealed, digest = _decoded(raw), hashlib.sha256(raw).hexdigest()
    problems = [*_seal(bundle, raw, digest, expected), *_signature(bundle, raw, key)]
    if sealed is None:
        problems.append(f"{manifest.NAME} cannot be read as a manifest of this version, so no file can be checked.")
    else:
        problems += [*_files(bundle, sealed), *_recording(bundle, sealed)]
    signed = bool(key) and not any(manifest.SIGNATURE in problem for problem in problems)
    return Audit(bundle, sealed, digest, tuple(problems), signed)


def _read(bundle: Path) -> bytes:
    path = bundle / manifest.NAME
    try:
        if path.stat().st_size > _LARGEST:
            raise EvidenceError(f"{path} is too large to be a manifest; this is no bundle of the runbook.")
        return path.read_bytes()
    except FileNotFoundError:
        raise EvidenceError(
            f"{bundle} has no {manifest.NAME}: it is not a bundle, or manifest.json was removed."
        ) from None
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _decoded(raw: bytes) -> Manifest | None:
    try:
        read = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError:
        return None
    return read if read.format == manifest.FORMAT else None


def _seal(bundle: Path, raw: bytes, digest: str, expected: str) -> Iterator[str]:
    """The manifest against its own digest, and against the one that somebody noted when it was sealed."""
    try:
        noted = (bundle / manifest.DIGEST).read_text(encoding="ascii").split(" ")[0].strip()
    except (OSError, UnicodeDecodeError):
        yield f"{manifest.DIGEST} is missing or cannot be read."
    else:
        if noted != digest:
            yield f"{manifest.NAME} was edited: its SHA-256 is {digest}, {manifest.DIGEST} says {plain(noted, 64)}."
    if expected and expected.strip().lower() != digest:
        yield f"{manifest.NAME} is not the one that was sealed: its SHA-256 is {digest}, not {plain(expected, 64)}."


def _signature(bundle: Path, raw: bytes, key: bytes) -> Iterator[str]:
    if not key:
        return
    try:
        noted = (bundle / manifest.SIGNATURE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        yield f"{manifest.SIGNATURE} is missing: the bundle was sealed without a key, or the file was taken away."
        return
    if not hmac.compare_digest(noted, signature(raw, key)):
        yield f"{manifest.SIGNATURE} does not fit {manifest.NAME}: it was edited, or sealed with another key."


def _files(bundle: Path, sealed: Manifest) -> Iterator[str]:
    there = set(manifest.names(bundle)) - manifest.OWN
    for name in sorted(there | set(sealed.files)):
        if name not in sealed.files:
            yield f"{plain(name)} was added: the manifest does not name it."
        elif name not in there:
            yield f"{plain(name)} is missing."
        else:
            yield from _file(bundle, name, sealed.files[name])


def _file(bundle: Path, name: str, sealed: manifest.Entry) -> Iterator[str]:
    try:
        found = manifest.entry(bundle / name)
    except OSError as error:
        yield f"{plain(name)} is not the file that was sealed, or cannot be read ({os.strerror(error.errno or 0)})."
        return
    if found != sealed:
        size = "" if found.bytes == sealed.bytes else f", {found.bytes:,} bytes instead of {sealed.bytes:,}"
        yield f"{plain(name)} was edited: its SHA-256 is {found.sha256}, the manifest says {sealed.sha256}{size}."


def _recording(bundle: Path, sealed: Manifest) -> Iterator[str]:
    """The answers themselves; a run that did not end may have left a recording without an end."""
    if RECORDING not in sealed.files or not (bundle / RECORDING).is_file():
        if sealed.status == "complete":
            yield f"{RECORDING} is not in the bundle, so that the run cannot be replayed."
        return
    try:
        Replay(bundle / RECORDING, partial_ok=sealed.status != "complete")
    except RecordingError as error:
        yield str(error)
