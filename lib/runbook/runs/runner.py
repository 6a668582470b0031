"""One headless run: parameters checked, notebook executed, evidence sealed, whatever happens in between."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runbook.config.secrets import secrets
from runbook.config.settings import Settings
from runbook.errors import EvidenceError, RunbookError
from runbook.investigation.window import Value
from runbook.redaction.redactor import Redactor
from runbook.runs import signals
from runbook.runs.execution import Executed, Limits, Progress, Tell, execute
from runbook.runs.kernel import Kernel
from runbook.runs.plan import RunPlan, plan
from runbook.runs.signals import Interruptible
from runbook.text.format import plural, source_text

if TYPE_CHECKING:  # half a second to import: the kernel is started first
    from runbook.evidence.draft import Draft
    from runbook.evidence.manifest import RunStatus
    from runbook.investigation.definitions import Alert

logger = logging.getLogger(__name__)
PRELOAD: Final = ("runbook.incident", "matplotlib.figure", "matplotlib.backends.backend_agg")
CELL_SECONDS: Final = 120.0
EXIT_CODES: Final[Mapping[RunStatus, int]] = {"complete": 0, "incomplete": 3, "failed": 1}


@dataclass(frozen=True)
class Outcome:
    """What a run left. `reason` says why it failed; `digest` is the manifest's SHA-256; `notices` tell of earlier runs.

    `trouble`, where not even the alert itself could be judged, says why, then a sentence for each source that failed.
    `recovery` says whether it recovered, "" where nothing was mitigated; `replayed` that nobody was asked anew.
    `exit_code` is 0 for complete, 3 where a check could not run, 1 for failed, 128 + n where signal n stopped it.
    """

    status: RunStatus
    exit_code: int
    bundle: Path
    digest: str
    headline: str
    ledger: str
    trouble: tuple[str, ...]
    reason: str
    notices: tuple[str, ...]
    seconds: float
    parameters: Mapping[str, Value]
    recovery: str = ""
    replayed: bool = False


def silent(progress: Progress) -> None:
    """Tells nobody."""


def run(
    alert: str,
    parameters: Mapping[str, Value],
    settings: Settings,
    *,
    evidence: Path | None = None,
    progress: Tell = silent,
    notebook: Path | None = None,
    limits: Limits | None = None,
    by: str | None = None,
) -> Outcome:
    """Execute the alert's notebook and leave a sealed bundle: in `evidence`, else where the environment says.

    `notebook` is another notebook for the same alert, `by` who wants the run: the login unless told otherwise. Raises
    UsageError before anything ran and EvidenceError where no bundle can be begun; any other end is an Outcome, with an
    empty digest where the disk had no room to seal it.
    """
    began = time.monotonic()
    prepared = plan(alert, parameters, settings, evidence=evidence, now=time.time(), notebook=notebook)
    redactor = _redactor(prepared, settings)
    surroundings = {"MPLBACKEND": "agg", "RUNBOOK_SETTINGS": str(settings.path)}
    with Interruptible() as interruptible, Kernel(surroundings, PRELOAD) as kernel:
        from runbook.evidence.draft import Draft  # the kernel imports at the same time

        loaded = prepared.catalogue.ready(alert, settings, prepared.environment)
        interruptible.hold()  # else an interruption here would leave half a draft, which nobody seals
        draft = Draft(prepared.evidence, prepared.incident, alert, prepared.started_at, key=prepared.seal_key)
        with draft.log(redactor):
            try:
                interruptible.release()
                _log_begin(prepared, kernel)
                executed = _execute(
                    prepared, kernel, draft.path, alert=loaded, redactor=redactor, tell=progress, limits=limits
                )
            except KeyboardInterrupt as stop:
                executed = Executed(None, "The run was interrupted before its notebook began.", signals.number(stop))
            interruptible.deaf = True
            kernel.kill()
            return _conclude(draft, prepared, executed, settings, by=by, began=began)


def _redactor(prepared: RunPlan, settings: Settings) -> Redactor:
    """Knows the environment's secrets."""
    service = settings.service(prepared.environment.service)
    return Redactor(service.redact_emails, service.redact_patterns, secrets(prepared.environment))


def _log_begin(prepared: RunPlan, kernel: Kernel) -> None:
    from runbook.evidence.manifest import versions

    given = ", ".join(f"{name}={value!r}" for name, value in prepared.values.items())
    logger.info("Run of %s for %s begins: %s", prepared.alert, prepared.incident, given)
    logger.info("Versions: %s", ", ".join(f"{name} {version}" for name, version in versions().items()))
    logger.info("The kernel is process %d", kernel.process.pid)


def _execute(
    prepared: RunPlan,
    kernel: Kernel,
    draft: Path,
    *,
    alert: Alert,
    redactor: Redactor,
    tell: Tell,
    limits: Limits | None,
) -> Executed:
    from runbook.investigation.verification import PATIENCE
    from runbook.runs.cell_labels import label

    _hush()
    wait = 0.0 if prepared.mitigated_at is None else PATIENCE * alert.recovery.seconds
    cell = CELL_SECONDS + prepared.environment.deadline_seconds + wait
    limits = limits or Limits(cell, 2 * CELL_SECONDS + cell)
    return execute(
        prepared.notebook,
        prepared.values,
        kernel,
        draft,
        limits=limits,
        label=lambda heading, source: label(alert, heading, source),
        tell=tell,
        redactor=redactor,
    )


def _conclude(
    draft: Draft, prepared: RunPlan, executed: Executed, settings: Settings, *, by: str | None, began: float
) -> Outcome:
    """Whatever was found, under its name, with its true status."""
    reason = executed.failure
    if reason:
        logger.error("%s", reason)
    found = _findings(draft.path)
    if not found:
        reason = reason or "The notebook left no findings; let its last cell be incident.record()."
        salvaged, found = _salvage(draft, prepared, settings)
        logger.warning("The notebook left no findings: %s", salvaged)
        reason = reason if salvaged in reason else f"{reason} {salvaged}"
    unkept = _keep(executed.notebook, draft)
    reason = reason or unkept
    ledger: Mapping[str, Any] = found.get("ledger", {})
    status: RunStatus = "failed" if reason else "incomplete" if ledger.get("unknown") else "complete"
    try:
        named = str(prepared.values.get("environment", ""))
        bundle = draft.seal(status, reason=reason, parameters=prepared.values, environment=named, by=by)
    except EvidenceError as error:
        logger.exception("The draft cannot be sealed")
        status, bundle, reason = "failed", draft.path, _unsealed(draft, reason, str(error))
    return Outcome(
        status,
        EXIT_CODES[status] if executed.stopped is None else 128 + executed.stopped,
        bundle,
        draft.manifest_sha256,
        found.get("headline", ""),
        ledger.get("sentence", "No check ran"),
        _trouble(found),
        reason,
        draft.notices,
        time.monotonic() - began,
        prepared.values,
        _recovery(found),
        prepared.replayed is not None,
    )


def _unsealed(draft: Draft, reason: str, error: str) -> str:
    """What is to be said of a draft that could not become a bundle."""
    kept = ", ".join(sorted(path.name for path in draft.path.iterdir())) or "nothing"
    said = reason if error in reason else f"{reason} {error}".strip()
    return f"{said} Not sealed: {draft.path} holds {kept}; the next run of this incident seals it."


def _salvage(draft: Draft, prepared: RunPlan, settings: Settings) -> tuple[str, Mapping[str, Any]]:
    """Judge again by what was recorded until the notebook failed; how far that went in one sentence, and the findings.

    They are there even where the disk takes no more.
    """
    found: Mapping[str, Any] = {}
    try:
        from runbook.incident import Incident
        from runbook.reporting.findings_json import findings_json

        if prepared.replayed and not draft.recording.exists():
            draft.adopt(prepared.replayed)
        if not draft.recording.is_file():
            return "Nothing had been recorded yet.", found
        investigation = Incident.replay(draft.recording, settings, partial_ok=True).investigation(verified=True)
        found = findings_json(investigation)
        draft.write(investigation)
    except EvidenceError as error:
        return str(error), found
    except RunbookError as error:
        return f"What was recorded until then is kept, but cannot be judged: {error}", found
    except Exception:  # it must be sealed in any case
        logger.exception("What was recorded cannot be judged")
        why = "What was recorded until then is kept, but cannot be judged; `runbook replay` of the bundle says why."
        return why, found
    return "The findings are judged by what was recorded until then.", found


def _keep(notebook: Any, draft: Draft) -> str:
    """The executed notebook into the evidence; in one sentence why it is not there, "" where it is."""
    import nbformat

    try:
        if notebook is not None:
            draft.put("notebook.ipynb", f"{nbformat.writes(notebook)}\n".encode())
    except EvidenceError as error:
        return str(error)
    return ""


def _findings(folder: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _recovery(found: Mapping[str, Any]) -> str:
    recovery: Mapping[str, str] = found.get("recovery", {})
    return recovery.get("sentence", "") if recovery.get("state") != "not mitigated" else ""


def _trouble(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the alert's first check could not run, and the commonest failure of each source; nothing where it ran."""
    findings = found.get("findings", ())
    if not findings or findings[0]["status"] != "unknown":
        return ()
    failures: dict[str, Counter[str]] = {}
    for query in {query["key"]: query for finding in findings for query in finding["queries"]}.values():
        if query["error"]:
            failures.setdefault(query["source"], Counter())[query["error"]] += 1
    lines = (
        f"{plural(errors.total(), 'question')} to {source_text(source)} failed: {errors.most_common(1)[0][0]}"
        for source, errors in failures.items()
    )
    return (str(found.get("why", "")), *lines)


def _hush() -> None:
    """What the libraries log is in our sentences already."""
    for name in ("papermill", "traitlets", "nbformat"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
