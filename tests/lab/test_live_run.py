"""The main job, live: the service is broken, the alert fires, the runbook finds why, a roll-back mends it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from runbook import settings
from runbook.runner import run
from tests.lab.__main__ import LiveLab
from tests.lab.processes import eventually
from tests.lab.world import DEPLOYMENT

pytestmark = pytest.mark.lab
BEFORE_SECONDS = 150  # of calm, so that there is something to compare with


def iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def findings(bundle: Path) -> dict[str, Any]:
    return msgspec.json.decode((bundle / "findings.json").read_bytes())


def test_a_bad_release_is_found_rolled_back_and_verified(tmp_path: Path):
    """From a real alert to "recovered": the rule fires, revision and cause are named, the command given mends it."""
    with LiveLab(tmp_path / "lab") as live:
        known = settings.load(live.settings)
        time.sleep(BEFORE_SECONDS)
        live.service.fault("bad-release", seed=3, minutes=60)
        fired = eventually(lambda: requests.get(f"{live.lab.alertmanager.url}/api/v2/alerts", timeout=10).json(), 300)
        started = fired[0]["startsAt"]
        assert fired[0]["labels"]["alertname"] == "HighErrorRate"
        time.sleep(60)

        common = {"environment": "lab", "incident_id": "LAB-1", "started_at": started, "lookback": "10m"}
        first = run("HighErrorRate", common, known, evidence=tmp_path / "evidence")
        assert first.headline.startswith("Probably a bad deployment"), (first.headline, first.reason)
        assert first.exit_code == 0, findings(first.bundle)["ledger"]

        (mitigation,) = findings(first.bundle)["mitigations"]
        words = mitigation["steps"][0]["command"].split()
        assert words[:2] == ["kubectl", "-n"] and f"deployment/{DEPLOYMENT}" in words
        live.lab.kubernetes.kubectl(*words[1:])
        mitigated = {**common, "mitigated_at": iso(time.time())}
        second = run("HighErrorRate", mitigated, known, evidence=tmp_path / "evidence")
        assert findings(second.bundle)["recovery"]["state"] == "recovered", findings(second.bundle)["recovery"]
