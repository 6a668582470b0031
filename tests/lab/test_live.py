"""The whole chain while it happens: the alert fires, the runbook finds the cause, its command mends it, it has recovered."""

from __future__ import annotations

import json
import shlex
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from runbook.recovery import PATIENCE
from tests.lab.__main__ import LiveLab
from tests.lab.processes import eventually
from tests.runs import findings, runbook

pytestmark = pytest.mark.lab

ALERT = "HighErrorRate"
QUIET_SECONDS = 390  # before the release: a rate over five minutes is young for as long
RECOVERY_SECONDS = 300 * PATIENCE + 60


def alerted(lab: LiveLab) -> list[dict[str, Any]]:
    """The alert as Alertmanager has it."""
    found = requests.get(f"{lab.lab.alertmanager.url}/api/v2/alerts", timeout=10).json()
    return [one for one in found if one["labels"]["alertname"] == ALERT]


def investigate(lab: LiveLab, folder: Path, started_at: str, **given: str) -> dict[str, Any]:
    """`runbook run` as the person on call starts it; its findings, with the exit code."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    done = runbook(
        lab.settings,
        *("run", ALERT, "--environment", "lab", "--started-at", started_at, "--lookback", "10m", "--json"),
        *("--evidence", folder, *options),
        patience=RECOVERY_SECONDS,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return findings(Path(json.loads(done.stdout)["bundle"]))


def test_a_bad_release_is_found_rolled_back_and_verified(tmp_path: Path) -> None:
    """From the real alert to “recovered”, by nothing but the runbook's own first command."""
    with LiveLab(tmp_path / "lab") as lab:
        time.sleep(QUIET_SECONDS)
        assert not alerted(lab)
        lab.service.fault("bad-release", seed=3)
        assert eventually(lambda: alerted(lab), seconds=300)
        started_at = datetime.fromisoformat(alerted(lab)[0]["startsAt"]).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = investigate(lab, tmp_path / "evidence", started_at)
        assert [v["cause"] for v in found["verdicts"] if v["state"] == "supported"] == ["deployment"]
        _, *words = shlex.split(found["mitigations"][0]["steps"][0]["command"])
        lab.lab.kubernetes.kubectl(*words)
        mitigated_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        after = investigate(lab, tmp_path / "evidence", started_at, mitigated_at=mitigated_at)
        assert after["recovery"]["state"] == "recovered", after["recovery"]["sentence"]
