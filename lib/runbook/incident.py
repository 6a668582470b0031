"""The façade that a notebook imports: open an incident, show its findings, verify, leave the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from pathlib import Path

import msgspec

from runbook import alerts, display, evidence, parameters, settings
from runbook.alerts.base import Alert, Context
from runbook.clock import Frozen, Wall
from runbook.display import Shown
from runbook.errors import RecordingCorrupt
from runbook.inquiry import Inquiry
from runbook.investigation import Investigation
from runbook.recording import Header, Recorder, Replay
from runbook.redaction import Redactor
from runbook.settings import Auth, Environment, Kubernetes, Service
from runbook.sources.base import Deadline
from runbook.sources.connect import connect

POINTS = 360  # a chart has a few hundred points
REPLAY_SECONDS = 60.0  # no recorded answer takes that long to find


@dataclass(frozen=True)
class Given:
    """What a person, a webhook or a recording says about an incident: the notebook's parameters, as text."""

    environment: str
    incident_id: str
    started_at: str
    lookback: str
    ended_at: str = ""
    mitigated_at: str = ""
    recording: str = ""


class Incident:
    """One alert of one incident. Each method shows one thing, with the sentence that says what it means."""

    def __init__(self, inquiry: Inquiry, recording: Recorder | Replay, draft: evidence.Draft | None) -> None:
        self._inquiry, self._recording, self._draft = inquiry, recording, draft

    @classmethod
    def open(cls, alert: str, **given: str) -> Incident:
        """Check the parameters (see Given), then send all queries of the alert's checks at once.

        Replays instead of asking where `recording` or the environment names a recording or a bundle.
        Raises UsageError for wrong parameters or settings, RecordingError for a recording that cannot be read.
        """
        catalogued, wanted = alerts.load(alert), Given(**given)
        parameters.incident_id(wanted.incident_id)
        known = settings.load()
        environment = known.environment(wanted.environment)
        recorded = wanted.recording or environment.recording.format(alert=alert)
        if recorded:
            return cls._replay(catalogued, wanted, _open_replay(Path(recorded), partial_ok=False))
        return cls._ask(catalogued, wanted, environment, known.service(environment.service))

    @classmethod
    def replay(cls, path: Path, *, partial_ok: bool = False) -> Incident:
        """The run that a recording or a bundle holds, with the parameters that it was run with."""
        replay = _open_replay(path, partial_ok)
        given = Given(**{name: str(value) for name, value in replay.header.parameters.items()})
        return cls._replay(alerts.load(replay.header.alert), given, replay)

    @classmethod
    def _replay(cls, alert: Alert, given: Given, replay: Replay) -> Incident:
        recorded = _Recorded.of(replay)
        given = replace(given, environment=recorded.environment_name)
        context = _context(alert, given, recorded.environment, recorded.service, replay.now, inf)
        source = Deadline(replay, REPLAY_SECONDS)
        return cls(Inquiry(alert, context, source, Frozen(replay.now)), replay, evidence.runners_draft())

    @classmethod
    def _ask(cls, alert: Alert, given: Given, environment: Environment, service: Service) -> Incident:
        clock = Wall()
        now = clock.now()
        context = _context(alert, given, environment, service, now, now)
        draft = evidence.runners_draft() or _own_draft(context)
        recorder = Recorder(
            connect(given.environment, environment),
            draft.recording if draft else None,
            _header(context, given),
            Redactor(service.redact_emails, service.redact_patterns, settings.secrets(environment)),
        )
        return cls(Inquiry(alert, context, recorder, clock), recorder, draft)

    def context(self) -> Shown:
        """What is asked, where, and for which window."""
        return display.context(self._inquiry.alert, self._inquiry.context)

    def show(self, *checks: str) -> Shown:
        """The findings of these checks: status, sentence, charts, tables, queries."""
        found = [display.finding(self._inquiry.finding(name), self._inquiry.context) for name in checks]
        return Shown(tuple(part for shown in found for part in shown.parts))

    def causes(self) -> Shown:
        """The verdict, and the probable causes, ranked, each with its reasons."""
        found = self.investigation()
        return Shown((*display.verdict(found).parts, *display.causes(found.verdicts).parts))

    def mitigation(self) -> Shown:
        """Ready commands for the supported causes, never executed."""
        return display.mitigations(self._inquiry.mitigations())

    def verification(self) -> Shown:
        """Whether it recovered since `mitigated_at`; waits for it, telling how far it is."""
        return display.recovery(self._inquiry.recovery(_tell), self._inquiry.context)

    def escalation(self) -> Shown:
        """When to call somebody else."""
        return display.escalation(self._inquiry.alert)

    def record(self) -> Shown:
        """Leave the evidence and say where it is."""
        return display.record(self.investigation(), self._leave())

    def investigation(self) -> Investigation:
        """All of it as data."""
        return self._inquiry.investigation()

    def _leave(self) -> Path | None:
        """Write what was found into the draft; seal it unless the runner will. None where nothing is kept."""
        if isinstance(self._recording, Recorder):
            self._recording.close()
        if self._draft is None:
            return None
        self._draft.write(self.investigation())
        return self._draft.path


class _Recorded(msgspec.Struct, frozen=True):
    """What a recording's header keeps of the settings, so that a replay does not depend on today's."""

    environment_name: str
    environment: Environment
    service: Service

    @classmethod
    def of(cls, replay: Replay) -> _Recorded:
        """Raises RecordingCorrupt where the header lacks it."""
        try:
            return msgspec.convert(replay.header.context, cls)
        except msgspec.ValidationError as error:
            raise RecordingCorrupt(
                f"{replay.path} says nothing usable about its service ({error}); it was not taken by `runbook run`."
            ) from error


def _open_replay(path: Path, partial_ok: bool) -> Replay:
    """A recording, or the one in a bundle; read with the redaction that it was written with."""
    file = path / evidence.RECORDING if path.is_dir() else path
    replay = Replay(file, partial_ok=partial_ok)
    service = _Recorded.of(replay).service
    return Replay(file, Redactor(service.redact_emails, service.redact_patterns), partial_ok=partial_ok)


def _header(context: Context, given: Given) -> Header:
    """Settings go in without what proves who we are."""
    environment = context.environment
    kept = Environment(
        service=environment.service,
        base_url=environment.base_url,
        prometheus=environment.prometheus and msgspec.structs.replace(environment.prometheus, auth=Auth()),
        elasticsearch=environment.elasticsearch and msgspec.structs.replace(environment.elasticsearch, auth=Auth()),
        kubernetes=environment.kubernetes and Kubernetes(context=environment.kubernetes.context),
    )
    recorded = _Recorded(context.environment_name, kept, context.service)
    return Header(
        context.alert, context.incident, context.started_at, context.now, asdict(given), msgspec.to_builtins(recorded)
    )


def _context(
    alert: Alert, given: Given, environment: Environment, service: Service, now: float, latest: float
) -> Context:
    """The window: `lookback` before the alert, to its end or now, at a step that gives a chart a few hundred points."""
    span = parameters.span(given.started_at, given.lookback, given.ended_at, given.mitigated_at, latest)
    end = min(span.ended_at if span.ended_at is not None else now, now)
    length = span.lookback + end - span.started_at
    step = service.scrape_interval_seconds * max(1, ceil(length / POINTS / service.scrape_interval_seconds))
    start = (span.started_at - span.lookback) // step * step
    return Context(
        alert.name,
        given.incident_id,
        given.environment,
        environment,
        service,
        span.started_at,
        start,
        start + (end - start) // step * step,
        step,
        now,
        span.mitigated_at,
    )


def _own_draft(context: Context) -> evidence.Draft | None:
    """Where a notebook run by plain papermill or in JupyterLab leaves its evidence: the environment's folder."""
    folder = context.environment.evidence
    return evidence.Draft(Path(folder), context.incident, context.alert, context.started_at) if folder else None
