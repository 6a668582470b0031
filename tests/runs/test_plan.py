"""What a run starts from, before anything runs."""

from __future__ import annotations

from pathlib import Path

from runbook.config.schema import Environment
from runbook.config.settings import Settings
from runbook.investigation.recorded import Given
from runbook.runs import plan
from runbook.text.time import iso
from tests.fakes import SERVICE, STARTED
from tests.test_incident import recorded


def planned(folder: Path, **given: str) -> plan.RunPlan:
    """The plan for an environment that names a recording of its own, made in another environment at STARTED."""
    recorded(folder / "HighErrorRate.gz", Given("lab", "INC-2025-03-04-07", iso(STARTED), "2h"), STARTED + 600)
    ours = Environment(service="shop", recording=str(folder / "{alert}.gz"), evidence=str(folder / "evidence"))
    known = Settings(folder / "runbook.toml", {"ours": ours}, {"shop": SERVICE})
    return plan.plan("HighErrorRate", {"environment": "ours", **given}, known, evidence=None, now=STARTED + 86_400)


def test_an_environments_own_recording_gives_its_own_times(tmp_path: Path):
    """The parameters are those that the environment's recording was made with, not the demo's; who was asked stays."""
    values = planned(tmp_path).values
    assert values == {
        "environment": "ours",
        "incident_id": "INC-2025-03-04-07",
        "started_at": iso(STARTED),
        "lookback": "2h",
        "ended_at": "",
        "mitigated_at": "",
        "recording": "",
    }


def test_what_is_given_wins_over_the_recording(tmp_path: Path):
    """A person may replay an environment's recording with another window."""
    found = planned(tmp_path, lookback="30m")
    assert (found.values["lookback"], found.started_at) == ("30m", STARTED)
