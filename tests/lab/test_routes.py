"""The routes as Alertmanager itself takes them: each severity reaches its receiver, and what is down says all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
import requests
from click.testing import CliRunner

from runbook.cli import main
from runbook.investigation.definitions import Severity
from runbook.monitoring import alertmanager
from tests.lab.servers.processes import eventually
from tests.lab.servers.prometheus import Alertmanager, ToolFailed, amtool

pytestmark = pytest.mark.lab


@pytest.fixture(params=["as YAML", "as JSON"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What `runbook rules --alertmanager` prints, unchanged."""
    more = ["--json"] if request.param == "as JSON" else []
    path = tmp_path / "alertmanager.yml"
    path.write_text(CliRunner().invoke(main.cli, ["rules", "--alertmanager", *more]).stdout, encoding="utf-8")
    return path


def test_amtool_accepts_the_file(file: Path) -> None:
    """The file is valid as it stands, with all of its receivers, and amtool would say if it were not."""
    said = amtool("check-config", str(file))
    assert "SUCCESS" in said
    assert f"{len(get_args(Severity))} receivers" in said
    assert "1 inhibit rules" in said
    file.write_text(file.read_text(encoding="utf-8").replace("receivers", "recievers"), encoding="utf-8")
    with pytest.raises(ToolFailed):
        amtool("check-config", str(file))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "InstanceDown", "severity": "critical"}, "critical"),
        ({"alertname": "HighErrorRate", "severity": "high"}, "high"),
        ({"alertname": "HighMemoryUsage", "severity": "medium"}, "medium"),
        ({"alertname": "Anything", "severity": "low"}, "low"),
        ({"alertname": "Foreign", "severity": "page"}, alertmanager.OTHERWISE),
        ({"alertname": "Foreign"}, alertmanager.OTHERWISE),
    ],
)
def test_each_severity_reaches_its_receiver(file: Path, labels: Mapping[str, str], receiver: str) -> None:
    """An alert goes to the receiver of its severity alone; one without a known severity is told all the same."""
    given = [f"{name}={value}" for name, value in labels.items()]
    said = amtool(
        "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *given, "service=shop"
    )
    assert said.split() == [receiver]


def test_a_service_that_is_down_says_all(tmp_path: Path) -> None:
    """While InstanceDown fires, the same service's medium alerts are held back: no graver ones, no other service's."""
    firing = [
        {"alertname": "InstanceDown", "severity": "critical", "service": "shop"},
        {"alertname": "HighMemoryUsage", "severity": "medium", "service": "shop"},
        {"alertname": "HighErrorRate", "severity": "high", "service": "shop"},
        {"alertname": "HighMemoryUsage", "severity": "medium", "service": "other"},
    ]
    with Alertmanager(tmp_path, alertmanager.routes()) as server:
        address = f"{server.url}/api/v2/alerts"
        requests.post(
            address,
            data=json.dumps([{"labels": labels} for labels in firing]),
            headers={"Content-Type": "application/json"},
            timeout=10,
        ).raise_for_status()

        def held_back() -> list[dict[str, str]]:
            found = requests.get(address, timeout=10).json()
            return [one["labels"] for one in found if one["status"]["inhibitedBy"]] if len(found) == len(firing) else []

        assert eventually(held_back) == [firing[1]]
