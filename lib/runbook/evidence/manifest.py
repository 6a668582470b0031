"""manifest.json: what is in a bundle, by size and SHA-256, and which run left it under which circumstances."""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import stat
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from runbook import __version__

NAME = "manifest.json"
DIGEST = "manifest.json.sha256"
SIGNATURE = "manifest.json.hmac"
OWN = frozenset({NAME, DIGEST, SIGNATURE})
FORMAT = "runbook.manifest/1"
RunStatus = Literal["complete", "incomplete", "failed"]
_LIBRARIES = (
    "elasticsearch",
    "jupyterlab",
    "matplotlib",
    "msgspec",
    "numpy",
    "pandas",
    "papermill",
    "prometheus-api-client",
    "requests",
    "ruptures",
)


class Entry(msgspec.Struct, frozen=True):
    """One file of the bundle."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content. `ledger` is that of findings.json, None where the run found nothing."""

    format: str = FORMAT
    alert: str
    incident: str
    started_at: str
    status: RunStatus
    reason: str
    parameters: dict[str, Any]
    environment: str
    made_at: str
    made_by: str
    versions: dict[str, str]
    ledger: dict[str, Any] | None
    files: dict[str, Entry]


def encoded(manifest: Manifest) -> bytes:
    """The file's bytes: readable, and the same for equal manifests."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def entries(folder: Path) -> dict[str, Entry]:
    """Every file below the folder except the manifest's own, by its path with slashes, in order."""
    return {name: entry(folder / name) for name in sorted(names(folder)) if name not in OWN}


def names(folder: Path) -> Iterator[str]:
    """The paths of everything below a folder that is not itself a folder; links are not followed."""
    for parent, folders, files in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *linked):
            yield (Path(parent) / name).relative_to(folder).as_posix()


def entry(path: Path) -> Entry:
    """A file's digest and size, read once; raises OSError for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(digest, file.tell())


def ledger(folder: Path) -> dict[str, Any] | None:
    """How much could be answered, from the folder's findings.json."""
    try:
        findings: Mapping[str, Any] = msgspec.json.decode((folder / "findings.json").read_bytes())
        return dict(findings["ledger"])
    except (FileNotFoundError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


def versions() -> dict[str, str]:
    """Of this package, Python, and the libraries that answers pass through."""
    found = {name: _version(name) for name in _LIBRARIES}
    return {"runbook": __version__, "python": platform.python_version(), **{k: v for k, v in found.items() if v}}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def login() -> str:
    """Who runs this: the account's name, nothing more of the person or the machine."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
