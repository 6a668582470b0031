"""Each alert really fires on the live service, when it is broken in a way that the alert is for, and none before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab.__main__ import LiveLab
from tests.lab.faults import FAULTS
from tests.lab.servers.processes import eventually

pytestmark = pytest.mark.lab

QUIET_SECONDS = 60
BREAKING = (
    "brute-force",
    "pool-held",
    "auth-service-slow",
    "scrape-broken",
    "memory-load",
)  # test_live has HighErrorRate


def firing(lab: LiveLab) -> set[str]:
    """The alerts that Alertmanager has."""
    found: list[dict[str, Any]] = requests.get(f"{lab.lab.alertmanager.url}/api/v2/alerts", timeout=10).json()
    return {one["labels"]["alertname"] for one in found}


def test_every_alert_fires_when_its_service_is_broken(tmp_path: Path) -> None:
    """With the catalogue's own rules, but for a shorter `for`; the faults come one after the other and stay."""
    with LiveLab(tmp_path / "lab") as lab:
        time.sleep(QUIET_SECONDS)
        assert firing(lab) == set()
        wanted = {FAULTS[name].alert for name in BREAKING}
        for name in BREAKING:
            lab.service.fault(name, seed=3)
        assert eventually(lambda: wanted <= firing(lab), seconds=480), wanted - firing(lab)
