"""The whole chain while it happens: the alert fires, the runbook finds the cause, its command mends it."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from runbook.alerts.mitigations.commands import NO_RISK
from runbook.reporting.findings_json import compare
from tests.command_line import findings
from tests.lab.__main__ import LiveLab
from tests.lab.scenarios.ways import Ways, comparable
from tests.lab.servers.processes import eventually

pytestmark = pytest.mark.lab

ALERT = "HighErrorRate"
QUIET_SECONDS = 510  # before the release: a rate over five minutes is young for as long, the rest is what was usual
AFTERWARDS = 20  # seconds from the alert until somebody looks


def alerted(lab: LiveLab) -> list[dict[str, Any]]:
    """The alert as Alertmanager has it."""
    found = requests.get(f"{lab.lab.alertmanager.url}/api/v2/alerts", timeout=10).json()
    return [one for one in found if one["labels"]["alertname"] == ALERT]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_bad_release_is_found_in_every_way_then_rolled_back_and_verified(tmp_path: Path) -> None:
    """From the real alert to “recovered” by the runbook's own first change; each way to run it finds the same."""
    with LiveLab(tmp_path / "lab") as lab:
        time.sleep(QUIET_SECONDS)
        assert not alerted(lab)
        lab.service.fault("bad-release", seed=3)
        assert eventually(lambda: alerted(lab), seconds=300)
        time.sleep(AFTERWARDS)
        started = datetime.fromisoformat(alerted(lab)[0]["startsAt"]).timestamp()
        given = {"environment": "lab", "incident_id": "INC-2026-01-15-01", "started_at": iso(started)}
        given |= {"ended_at": iso(time.time()), "lookback": "15m"}
        ways = Ways(ALERT, given, lab.settings, lab.settings.parent / "evidence")

        done, bundle = ways.run()
        found = findings(bundle)
        unknown = [finding["sentence"] for finding in found["findings"] if finding["status"] == "unknown"]
        assert (done.returncode, unknown) == (0, []), done.stderr
        assert [v["cause"] for v in found["verdicts"] if v["state"] == "supported"] == ["deployment"]
        assert compare(found, ways.replay(bundle)) == []
        for other in (ways.papermill(tmp_path), ways.jupyterlab(tmp_path)):
            asked_anew = "endpoint_probes"  # which now and then fail for one run and not for the next
            assert compare(*(comparable(one, without=asked_anew) for one in (bundle, other))) == []

        acting = (step for step in found["mitigations"][0]["steps"] if step["risk"] != NO_RISK)
        _, *words = shlex.split(next(acting)["command"])
        lab.lab.kubernetes.kubectl(*words)
        after = replace(ways, given={**given, "ended_at": "", "mitigated_at": iso(time.time())}, patience=1000.0)
        recovery = findings(after.run()[1])["recovery"]
        assert recovery["state"] == "recovered", recovery["sentence"]
