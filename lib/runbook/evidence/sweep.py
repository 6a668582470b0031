"""What killed runs left behind: each draft whose run is dead is sealed as <name>-unfinished, marked incomplete."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runbook.errors import RecordingError
from runbook.evidence import manifest, seal
from runbook.evidence.lock import Holder, Reservation, hold, lock_file, name_of
from runbook.evidence.manifest import Manifest
from runbook.recording.file import RECORDING
from runbook.recording.keys import Header
from runbook.recording.replay import Replay
from runbook.text.time import iso

logger = logging.getLogger(__name__)
_UNFINISHED = "the run ended without sealing its evidence: it was killed, or the machine failed"


def sweep(root: Path) -> tuple[str, ...]:
    """Seal what killed runs left anywhere below the evidence folder; a sentence for each."""
    with suppress(OSError):
        return tuple(notice for folder in sorted(root.iterdir()) if folder.is_dir() for notice in sweep_folder(folder))
    return ()


def sweep_folder(folder: Path) -> Iterator[str]:
    """The drafts in one folder whose runs are dead; another's trouble must not hinder this run."""
    for partial in sorted(folder.glob(".*.partial")):
        if partial.is_symlink() or _never_locked(partial):
            continue
        try:
            if dead := hold(folder, name_of(partial)):
                try:
                    yield from _recovered(dead)
                finally:
                    if dead.partial.exists():  # a later run may be able to
                        dead.abandon()
                    else:
                        dead.release()
        except OSError:
            logger.warning("What a killed run left cannot be sealed: %s", partial.name, exc_info=True)


def _never_locked(partial: Path) -> bool:
    """Whether its run could not lock it (a file system without locks): then nobody knows whether it lives."""
    return not lock_file(partial.parent, name_of(partial)).exists()


def _recovered(dead: Reservation) -> Iterator[str]:
    if not dead.partial.is_dir():
        return
    if not any(manifest.names(dead.partial)):
        shutil.rmtree(dead.partial)
        return
    begun = _begun(dead.partial / RECORDING)
    run = dead.holder() or (begun and Holder(begun.alert, begun.started_at))
    if run is None:  # nobody knows what it is of, so nobody touches it
        return
    given = dict(begun.parameters) if begun else {}
    about = Manifest(
        alert=run.alert,
        incident=dead.folder.name,
        started_at=iso(run.started_at),
        status="incomplete",
        reason=_UNFINISHED,
        parameters=given,
        environment=str(given.get("environment", "")),
        made_at=iso(time.time()),
        made_by=manifest.login(),
        versions=manifest.versions(),
        ledger=manifest.ledger(dead.partial),
        files={},
    )
    seal.mark(dead.partial, about)
    sealed, _ = seal.seal(dead.partial, dead.folder / f"{dead.name}-unfinished", about, b"")
    logger.warning("Sealed what a killed run left: %s/%s", dead.folder.name, sealed.name)
    yield (
        f"An earlier run of {run.alert} ended without sealing its evidence; "
        f"what it recorded is kept in {sealed}, marked incomplete."
    )


def _begun(recording: Path) -> Header | None:
    """What the run's recording was begun with; None where it cannot be read."""
    try:
        return Replay(recording, partial_ok=True).header
    except RecordingError:
        return None
