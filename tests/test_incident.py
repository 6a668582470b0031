"""An incident opened from a recording is the one that was recorded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from runbook.alerts.checks.requests import reachability
from runbook.config.schema import Environment
from runbook.config.settings import Settings
from runbook.errors import RecordingError
from runbook.evidence.audit import audit
from runbook.incident import Incident
from runbook.investigation.recorded import Given
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from runbook.text.time import iso
from tests.fakes import SERVICE, STARTED


def recorded(path: Path, given: Given, now: float) -> Path:
    """A recording without answers, of a run at that time with these parameters."""
    settings = {"environment_name": given.environment, "environment": Environment(service="shop"), "service": SERVICE}
    header = Header("HighErrorRate", given.incident_id, now, now, asdict(given), msgspec.to_builtins(settings))
    Recorder({}, path, header).close()
    return path


@pytest.mark.parametrize("mitigated", ["", iso(STARTED + 90)])
def test_a_time_ahead_of_the_recorded_now_is_that_now(tmp_path: Path, mitigated: str):
    """Where Alertmanager's clock was ahead of ours, a replay takes the alert's start as the live run did: as now."""
    given = Given("test", "INC-2026-01-15-01", iso(STARTED + 60), "90m", mitigated_at=mitigated)
    context = Incident.replay(recorded(tmp_path / "r.jsonl.gz", given, STARTED)).investigation().context
    assert (context.started_at, context.end, context.now) == (STARTED, STARTED, STARTED)
    assert context.mitigated_at == (STARTED if mitigated else None)


def test_the_last_cell_run_again_leaves_the_evidence_as_it_is(tmp_path: Path):
    """In JupyterLab a person may run it twice: there is one bundle, and nobody edited it."""
    nowhere = Environment(service="shop", evidence=str(tmp_path), deadline_seconds=0.1)
    given = asdict(Given("here", "INC-2026-01-15-01", iso(STARTED), "90m", iso(STARTED + 1500)))
    live = Incident.open("HighErrorRate", Settings(tmp_path, {"here": nowhere}, {"shop": SERVICE}), **given)
    live.record()
    live.record()
    (manifest,) = tmp_path.glob("*/*/manifest.json")
    assert audit(manifest.parent).unedited


def test_a_replay_tries_the_same_places(tmp_path: Path):
    """The recording keeps where the service and its database were, not where the token is: it asks what was asked."""
    here = Environment(
        service="shop",
        base_url="http://127.0.0.1:9",
        database_address="127.0.0.1:10",
        probe_token_file=str(tmp_path / "token"),
        evidence=str(tmp_path),
        deadline_seconds=0.1,
    )
    given = asdict(Given("here", "INC-2026-01-15-01", iso(STARTED), "90m", iso(STARTED + 1500)))
    live = Incident.open("HighErrorRate", Settings(tmp_path, {"here": here}, {"shop": SERVICE}), **given)
    live.record()
    (bundle,) = tmp_path.glob("*/*/manifest.json")
    contexts = [one.investigation().context for one in (live, Incident.replay(bundle.parent))]
    asked = [reachability.CHECK.queries(context) for context in contexts]
    assert asked[0] == asked[1]
    assert len(asked[0]) == len(reachability.FACTS)
    assert contexts[1].environment.probe_token_file == ""


def test_what_is_given_beside_an_empty_start_is_kept():
    """A notebook without a start takes the recording's parameters, but for those that somebody gave."""
    given = {"incident_id": "INC-2026-02-02-05", "started_at": "", "lookback": "45m"}
    opened = Incident.open("HighErrorRate", environment="demo", **given).investigation().context
    usual = Incident.open("HighErrorRate", environment="demo", incident_id="", started_at="", lookback="")
    recorded = usual.investigation().context
    assert (opened.incident, opened.started_at) == ("INC-2026-02-02-05", recorded.started_at)
    assert opened.start > recorded.start


def test_an_incident_s_folder_names_its_bundles(tmp_path: Path):
    """Whoever names the folder above the bundle, or one without a recording, is told what to name."""
    (tmp_path / "INC-1/HighErrorRate-1").mkdir(parents=True)
    (tmp_path / "INC-1/HighErrorRate-1/recording.jsonl.gz").write_bytes(b"")
    with pytest.raises(RecordingError, match="it holds bundles: name one of HighErrorRate-1"):
        Incident.replay(tmp_path / "INC-1")
    with pytest.raises(RecordingError, match="it is not a bundle, or its recording was removed"):
        Incident.replay(tmp_path)
