"""The façade that a notebook imports: open an incident, show its findings, verify, leave the evidence."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runbook.alerts import registry, thresholds
from runbook.clock import Frozen, Wall
from runbook.config import process_env, secrets, settings
from runbook.config.schema import Environment, Service
from runbook.errors import ParameterError, RecordingError
from runbook.evidence.draft import Draft
from runbook.evidence.manifest import RunStatus
from runbook.investigation import window
from runbook.investigation.definitions import Alert, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.recorded import Given, Recorded, given_of, header_of, shown_cluster
from runbook.investigation.result import Investigation
from runbook.investigation.thresholds import effective
from runbook.recording.file import file_of
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor
from runbook.reporting import frames, notebook
from runbook.reporting.findings import finding_view, recovery_view
from runbook.reporting.presentation import header, present
from runbook.sources.connect import connect
from runbook.sources.deadline import Deadline
from runbook.text.time import iso

if TYPE_CHECKING:  # half a second to import: on first use only
    from pandas import DataFrame

logger = logging.getLogger(__name__)
POINTS = 360  # a chart has a few hundred points
REPLAY_SECONDS = 60.0  # no recorded answer takes that long to find


@dataclass(frozen=True)
class Trail:
    """What the run leaves: the recorder of live answers, or the recording that is replayed; and the draft, if any."""

    recorder: Recorder | None = None
    replayed: Path | None = None
    draft: Draft | None = None


class Incident:
    """One alert of one incident. Each method shows one thing, with the sentence that says what it means."""

    def __init__(self, investigator: Investigator, given: Given, trail: Trail) -> None:
        self._investigator, self._given, self._trail = investigator, given, trail
        self._left: Path | None = None

    @classmethod
    def open(cls, alert: str, known: settings.Settings | None = None, **given: str) -> Incident:
        """Check the parameters (see Given), then send all queries of the alert's checks at once.

        `known`: settings other than those of runbook.toml. Replays instead of asking where `recording` or the
        environment names a recording or a bundle, and takes the incident from that where none is given.
        Raises UsageError for wrong parameters or settings, RecordingError for a recording that cannot be read.
        """
        known = known or settings.load()
        catalogue = registry.of(known)
        wanted = Given(**given)
        environment = known.environment(wanted.environment)
        catalogued = catalogue.ready(alert, known, environment)
        recorded = Path(wanted.recording) if wanted.recording else catalogue.replayed(alert, environment)
        if recorded and not wanted.started_at:
            told = {name: value for name, value in given.items() if value}
            wanted = replace(given_of(Replay(file_of(recorded)).header), **told)
        window.incident_id(wanted.incident_id)
        if recorded:
            return cls._replay(catalogued, wanted, recorded)
        return cls._ask(catalogued, wanted, environment, known.service(environment.service))

    @classmethod
    def replay(cls, path: Path, known: settings.Settings | None = None, *, partial_ok: bool = False) -> Incident:
        """The run that a recording or a bundle holds, with the parameters that it was run with.

        `known`: settings other than those of runbook.toml, which say where alerts of one's own are; a shipped alert
        needs none. `partial_ok` accepts the recording of a run that was killed.
        """
        header = Replay(file_of(path), partial_ok=partial_ok).header
        catalogued = registry.recorded(header.alert, known)
        return cls._replay(catalogued, given_of(header), path, partial_ok=partial_ok)

    @classmethod
    def _replay(cls, alert: Alert, given: Given, path: Path, *, partial_ok: bool = False) -> Incident:
        replay = Replay(file_of(path), partial_ok=partial_ok)
        if replay.header.alert != alert.name:
            raise ParameterError(f"{path} is a recording of {replay.header.alert}, not of {alert.name}; give another.")
        recorded = Recorded.of(replay, path)
        given, service = replace(given, environment=recorded.environment_name), recorded.service
        context = _context(alert, given, recorded.environment, service, now=replay.now, latest=inf)
        draft = _logged(_runners_draft(context), context, Redactor(service.redact_emails, service.redact_patterns))
        investigator = Investigator(alert, context, Deadline(replay, REPLAY_SECONDS), Frozen(replay.now))
        return cls(investigator, given, Trail(replayed=file_of(path), draft=draft))

    @classmethod
    def _ask(cls, alert: Alert, given: Given, environment: Environment, service: Service) -> Incident:
        clock = Wall()
        now = clock.now()
        declared = (*thresholds.SHIPPED, *alert.thresholds)
        service = msgspec.structs.replace(service, thresholds=effective(declared, service.thresholds))
        redactor = Redactor(service.redact_emails, service.redact_patterns, secrets.secrets(environment))
        told = msgspec.structs.replace(environment, kubernetes=shown_cluster(environment.kubernetes, redactor))
        context = _context(alert, given, told, service, now=now, latest=now)
        draft = _logged(_runners_draft(context) or _own_draft(context), context, redactor)
        recorder = Recorder(
            connect(given.environment, environment),
            draft.recording if draft else None,
            header_of(context, given),
            redactor,
        )
        return cls(Investigator(alert, context, recorder, clock), given, Trail(recorder, draft=draft))

    def context(self) -> None:
        """What is asked, where, and for which window."""
        notebook.show_context(header(self._investigator.alert, self._investigator.context))

    def show(self, *checks: str) -> None:
        """The findings of these checks: question, status, sentence, charts, tables, queries."""
        for name in checks:
            notebook.show_finding(finding_view(self._investigator.finding(name), self._investigator.context))

    def causes(self) -> None:
        """The verdict, and the probable causes, ranked, each with its reasons."""
        notebook.show_causes(present(self.investigation()))

    def mitigation(self) -> None:
        """Ready commands for the supported causes, never executed; and when to call for help."""
        notebook.show_mitigations(present(self.investigation()))

    def verification(self) -> None:
        """Whether it recovered since `mitigated_at`; waits for it, telling how far it is."""
        seen = self._investigator.recovery(notebook.progress)
        notebook.show_recovery(recovery_view(seen, self._investigator.context))

    def record(self) -> None:
        """Leave the evidence, once, and say where it is."""
        if self._left is None:
            self._left = self._leave()
        notebook.show_record(self._left, present(self.investigation()))

    def investigation(self, *, verified: bool = False) -> Investigation:
        """All of it as data; `verified` includes the recovery even where no cell asked for it."""
        if verified:
            self._investigator.recovery(lambda progress: None)
        return self._investigator.investigation()

    def frame(self, check: str, table: str = "") -> DataFrame:
        """What a check's charts show, or one of its tables by name, as a DataFrame; see `reporting.frames`."""
        found = self._investigator.finding(check)
        return frames.table(found, table) if table else frames.series(found)

    def _leave(self) -> Path | None:
        """Write what was found into the draft, and seal it unless the runner will; None where nothing is kept."""
        recorder, draft = self._trail.recorder, self._trail.draft
        found = self.investigation()  # waits for every answer: only then the recording may end
        if recorder:
            recorder.close()
        if draft is None:
            return None
        if self._trail.replayed:
            draft.adopt(self._trail.replayed)
        draft.write(found)
        trouble = recorder.trouble if recorder else ""
        if process_env.draft_folder() is None:
            status: RunStatus = "failed" if trouble else "incomplete" if found.unknown else "complete"
            return draft.seal(
                status, reason=trouble, parameters=asdict(self._given), environment=found.context.environment_name
            )
        if trouble:
            raise RecordingError(trouble)
        return draft.path


def _context(
    alert: Alert, given: Given, environment: Environment, service: Service, *, now: float, latest: float
) -> Context:
    """The window: `lookback` before the alert, to its end or now, at a step that gives a chart a few hundred points."""
    told = window.span(given.started_at, given.lookback, given.ended_at, given.mitigated_at, now=latest)
    mitigated = told.mitigated_at and min(told.mitigated_at, now)
    span = replace(told, started_at=min(told.started_at, now), mitigated_at=mitigated)  # others' clocks may be ahead
    end = max(span.started_at, min(span.ended_at if span.ended_at is not None else now, now))
    length = span.lookback + end - span.started_at
    step = service.scrape_interval_seconds * max(1, ceil(length / POINTS / service.scrape_interval_seconds))
    last = end // 1
    first = last - ceil((last - span.started_at + span.lookback) / step) * step
    return Context(
        alert.name,
        given.incident_id,
        given.environment,
        environment,
        service,
        span.started_at,
        first,
        last,
        step,
        now,
        alert.for_seconds,
        alert.recovery.goal(service),
        span.mitigated_at,
    )


def _runners_draft(context: Context) -> Draft | None:
    """The draft that `runbook run` opened for this kernel, and will seal."""
    folder = process_env.draft_folder()
    return Draft.at(folder, context.alert, context.started_at) if folder else None


def _logged(draft: Draft | None, context: Context, redactor: Redactor) -> Draft | None:
    """The draft, its log begun; a replay of which nothing is kept has none."""
    if draft:
        draft.log(redactor).open()
    where = f"{context.service.name} in {context.environment_name}"
    window = f"{iso(context.start)} to {iso(context.end)}, every {context.step} s"
    logger.info("%s of %s: %s, data from %s", context.alert, context.incident, where, window)
    return draft


def _own_draft(context: Context) -> Draft | None:
    """Where a notebook that `runbook run` did not start leaves its evidence: the environment's folder, or another."""
    folder = process_env.evidence_folder() or context.environment.evidence
    if not folder:
        return None
    return Draft(
        Path(folder), context.incident, context.alert, context.started_at, key=secrets.seal_key(context.environment)
    )
