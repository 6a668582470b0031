"""What a recording keeps of the run's parameters and settings, so that a replay does not depend on today's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from runbook.config.schema import Auth, Environment, Kubernetes, Service
from runbook.errors import RecordingCorrupt
from runbook.investigation.definitions import Context
from runbook.recording.keys import Header
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor


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


class Recorded(msgspec.Struct, frozen=True):
    """What a recording's header keeps of the settings, so that a replay does not depend on today's."""

    environment_name: str
    environment: Environment
    service: Service

    @classmethod
    def of(cls, replay: Replay, path: Path) -> Recorded:
        """Raises RecordingCorrupt where the header lacks it."""
        try:
            return msgspec.convert(replay.header.context, cls)
        except msgspec.ValidationError as error:
            raise RecordingCorrupt(
                f"{path} says nothing usable about its service ({error}); replay the recording of a bundle."
            ) from error


def given_of(header: Header) -> Given:
    """What the recorded run was given."""
    return Given(**{name: str(value) for name, value in header.parameters.items()})


def header_of(context: Context, given: Given) -> Header:
    """Settings go in without what proves who we are, and Kubernetes' as the ready commands need them."""
    environment = context.environment
    kept = Environment(
        service=environment.service,
        base_url=environment.base_url,
        database_address=environment.database_address,
        prometheus=environment.prometheus and msgspec.structs.replace(environment.prometheus, auth=Auth()),
        elasticsearch=environment.elasticsearch and msgspec.structs.replace(environment.elasticsearch, auth=Auth()),
        kubernetes=environment.kubernetes,
    )
    recorded = Recorded(context.environment_name, kept, context.service)
    return Header(
        context.alert, context.incident, context.started_at, context.now, asdict(given), msgspec.to_builtins(recorded)
    )


def shown_cluster(cluster: Kubernetes | None, redactor: Redactor) -> Kubernetes | None:
    """What ready commands need to reach the same cluster, live and replayed alike; the home folder stays private."""
    if cluster is None:
        return None
    named = {"kubeconfig": _from_home(cluster.kubeconfig), "context": cluster.context, "exec": cluster.exec}
    return msgspec.convert(redactor.json(named), Kubernetes)


def _from_home(path: str) -> str:
    """A path in the home folder from `~` on, as a shell writes it; any other as it is."""
    with suppress(RuntimeError, ValueError):  # there is no home folder, or the path is elsewhere
        inside, home = Path(path).relative_to(Path.home()), Path.home()
        return f"~/{inside}" if home != Path(home.anchor) and inside.parts else path
    return path
