"""The evidence of a run: a bundle is made in a hidden draft folder, then sealed under its name, whole or not at all.

    evidence/<incident>/.<alert>-<started_at>.partial/    the draft, readable by its owner only
    evidence/<incident>/<alert>-<started_at>/             sealed: listed in manifest.json, on the disk, read-only

A second run takes -2, -3 and so on. What a killed run recorded is sealed by the next one as <name>-unfinished,
marked incomplete: evidence is never deleted.
"""

from __future__ import annotations

import logging
import re
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runbook import __version__
from runbook.errors import EvidenceError, ParameterError
from runbook.evidence import atomic, contents, manifest, seal
from runbook.evidence.lock import Holder, Reservation, name_of, reserve
from runbook.evidence.manifest import Manifest, RunStatus
from runbook.evidence.run_log import RunLog
from runbook.evidence.sweep import sweep_folder
from runbook.investigation.result import Investigation
from runbook.recording.file import RECORDING
from runbook.redaction.redactor import Redactor
from runbook.reporting.report import Proof
from runbook.text.escape import json_text, plain
from runbook.text.time import iso, stamp

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class Draft:
    """The evidence of one run while it is made. Safe beside other runs of the same alert and incident.

    `notices` says, a sentence each, what became of runs that were killed. With a `key` the manifest will be signed.
    """

    def __init__(self, root: Path, incident: str, alert: str, started_at: float, *, key: bytes = b"") -> None:
        self._key, self._replayed = key, False
        self.incident, self.alert, self.started_at = _part(incident), _part(alert), started_at
        folder = root / self.incident
        with atomic.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.notices = tuple(sweep_folder(folder))
            name = f"{self.alert}-{_stamp(started_at)}"
            self._reservation: Reservation | None = reserve(folder, name, Holder(self.alert, started_at))
        self.path, self.name = self._reservation.partial, self._reservation.name
        logger.info("Drafting %s/%s", self.incident, self.name)
        self.manifest_sha256 = ""
        self._log: RunLog | None = None

    @classmethod
    def at(cls, path: Path, alert: str, started_at: float) -> Draft:
        """The draft that another process opened for this alert, to write into; only its opener can seal it."""
        name = name_of(path)
        if not name or not path.is_dir():
            raise EvidenceError(f"{path} is not the draft of a bundle; let `runbook run` make it.")
        draft = cls.__new__(cls)
        draft.incident, draft.alert, draft.started_at = path.parent.name, alert, started_at
        draft.path, draft.name, draft.notices, draft.manifest_sha256 = path, name, (), ""
        draft._reservation, draft._key, draft._replayed, draft._log = None, b"", False, None
        return draft

    @property
    def recording(self) -> Path:
        """Where the run's recording belongs."""
        return self.path / RECORDING

    def log(self, redactor: Redactor) -> RunLog:
        """The run's log, to be opened or entered; it ends when the draft is sealed, or given up."""
        self._log = RunLog(self.path, redactor)
        weakref.finalize(self, self._log.end)
        return self._log

    def adopt(self, recording: Path) -> None:
        """Take a copy of the recording that was replayed: the bundle then replays by itself."""
        with self._opened():
            atomic.copy(recording, self.recording)
        self._replayed = True

    def put(self, name: str, content: bytes) -> None:
        """One more file, whole or not at all."""
        with self._opened():
            atomic.put(self.path / name, content)

    def write(self, investigation: Investigation, *, made: float | None = None) -> None:
        """Everything that comes from the investigation; the recording has to be closed before."""
        proof = Proof(
            self.name,
            time.time() if made is None else made,
            __version__,
            len(investigation.answers),
            manifest.entry(self.recording).sha256 if self.recording.is_file() else "",
            self._replayed,
        )
        with self._opened():
            for name, content in contents.files(investigation, proof):
                atomic.put(self.path / name, content)

    def seal(
        self,
        status: RunStatus,
        *,
        reason: str = "",
        parameters: Mapping[str, Any] | None = None,
        environment: str = "",
        by: str | None = None,
        made: float | None = None,
    ) -> Path:
        """Make it a bundle, on the disk and under its name. `by` is who ran it: the login unless told otherwise.

        Afterwards `manifest_sha256` is what proves the bundle: print it, or note it where the bundle is not.
        """
        about = Manifest(
            alert=self.alert,
            incident=self.incident,
            started_at=iso(self.started_at),
            status=status,
            reason=plain(reason, 2000),
            parameters={k: json_text(v) if isinstance(v, str) else v for k, v in (parameters or {}).items()},
            environment=json_text(environment),
            made_at=iso(time.time() if made is None else made),
            made_by=manifest.login() if by is None else json_text(by),
            versions=manifest.versions(),
            ledger=manifest.ledger(self.path),
            files={},
        )
        with self._opened():
            if self._reservation is None:
                raise EvidenceError(f"{self.path} is the draft of another process, which will seal it.")
            logger.info("Sealing %s/%s: %s", self.incident, self.name, f"{status}. {about.reason}".rstrip())
            self._end_log()
            if about.reason:
                seal.mark(self.path, about)
            sealed, self.manifest_sha256 = seal.seal(self.path, self._reservation.final, about, self._key)
            self._reservation.release()
        self._reservation, self.path, self.name = None, sealed, sealed.name
        logger.info("Sealed %s/%s: its manifest's SHA-256 is %s", self.incident, self.name, self.manifest_sha256)
        return sealed

    def _end_log(self) -> None:
        if self._log is not None:
            self._log.close()

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """What is sealed is not touched again; an error of the disk becomes one sentence."""
        if self.manifest_sha256:
            raise EvidenceError(f"{self.path} is sealed already and stays as it is; run the notebook anew for another.")
        with atomic.explained(self.path):
            yield


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
        return stamp(started_at)
    except (ValueError, OverflowError, OSError):
        raise ParameterError(f"{started_at!r} is no time that an alert could have started at.") from None
