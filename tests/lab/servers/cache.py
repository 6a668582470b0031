"""Where built things live, outside the checkout: one folder per build, whole or absent.

A folder is named for what it was built from, so a changed source is another folder and nothing goes stale.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROMETHEUS3_VERSION = "v0.316.0"  # the Go module's number for Prometheus 3.16.0
BACKFILL_SOURCES = sorted([*(HERE / "backfill").glob("*.go"), *(HERE / "backfill").glob("go.*")])
KUBERNETES_SOURCES = sorted([*(HERE / "kubernetes").glob("*.go"), *(HERE / "kubernetes").glob("go.*")])
ELASTICSEARCH_SOURCES = [HERE / "elasticsearch" / "pom.xml", *sorted((HERE / "elasticsearch").rglob("*.java"))]


class LabError(Exception):
    """Base of the lab's errors; its text is one sentence, and the end of a log where there is one."""


class Missing(LabError):
    """Something is not there, and a command gets it."""

    def __init__(self, what: str, command: str = "make lab-setup") -> None:
        super().__init__(f"{what} is missing; `{command}` gets it.")


def cache_directory() -> Path:
    """The lab's folder in the user's cache, by the XDG convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runbook-lab"


def kubernetes_build() -> Path:
    """The folder with `k8slab` and kwok's configuration."""
    return _built(f"kubernetes-{digest(KUBERNETES_SOURCES)}-*", "The Kubernetes binary of the lab")


def prometheus3_build() -> Path:
    """The folder with Prometheus 3."""
    return _built(f"prometheus-{PROMETHEUS3_VERSION}-*", "Prometheus 3")


def backfill_build() -> Path:
    """The folder with `backfill`."""
    return _built(f"backfill-{digest(BACKFILL_SOURCES)}-*", "The program that puts a past into Prometheus")


def elasticsearch_build() -> Path:
    """The folder with Elasticsearch's jars and our launcher."""
    return _built(f"elasticsearch-{digest(ELASTICSEARCH_SOURCES)}", "Elasticsearch")


def digest(files: Iterable[Path]) -> str:
    """A short name for the content of these files."""
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:12]


@contextmanager
def building(destination: Path) -> Generator[Path, None, None]:
    """A folder to build in, renamed to `destination` at the end, removed when the building fails."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        if not destination.exists():  # another setup at the same time may have been faster
            unfinished.rename(destination)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _built(pattern: str, what: str) -> Path:
    found = sorted(cache_directory().glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise Missing(what)
    return found[-1]
