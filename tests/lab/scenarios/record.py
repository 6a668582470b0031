"""`make record`: take the bundled recordings anew, by `runbook run` against the lab, and set the notebooks' defaults.

python -m tests.lab.scenarios.record [ALERT ...]
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import nbformat

from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Environment, Kubernetes
from runbook.config.settings import Settings
from runbook.recording.file import RECORDING
from runbook.runs.runner import Outcome, run
from tests.lab.scenarios.investigating import brought_about, environment, lookback, profile, settings_file
from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import Scenario, scenario
from tests.lab.servers.lab import Lab
from tests.lab.servers.mariadb import MariaDB
from tests.lab.service.front import Front
from tests.refresh_notebooks import NOTEBOOKS, refresh

SCENES = {
    "HighErrorRate": scenario("bad-release", seed=9, day=3),
    "InstanceDown": scenario("node-lost", seed=2, day=3),
    "SlowResponses": scenario("query-slow", seed=3, day=3),
    "HighAuthFailureRate": scenario("brute-force-success", seed=6, day=3),
    "DatabaseConnectionErrors": scenario("database-locked", seed=9, day=3),
    "HighMemoryUsage": scenario("leak-in-some-pods", seed=11, day=3),
}
DATABASE_PORT = 3306  # what reports show, as a reader's own database would have it
INCIDENT = "INC-2026-01-15-01"


def record(alert: str, one: Scenario) -> None:
    """Investigate the scene on real servers, keep what was recorded, and let the notebook replay it."""
    with tempfile.TemporaryDirectory(prefix="lab-record-") as folder:
        outcome = investigate(alert, one, Path(folder))
        print(outcome.headline, outcome.ledger, outcome.reason, sep="\n")
        if outcome.exit_code:
            found = json.loads((outcome.bundle / "findings.json").read_text())
            print(*(f["sentence"] for f in found["findings"] if f["status"] == "unknown"), sep="\n")
            raise SystemExit(f"The run ended with {outcome.exit_code}; no recording was kept.")
        shutil.copyfile(outcome.bundle / RECORDING, NOTEBOOKS / "recordings" / f"{alert}.jsonl.gz")
    set_defaults(SHIPPED.notebook(alert), given(one))
    refresh(SHIPPED.notebook(alert))


def investigate(alert: str, one: Scenario, folder: Path) -> Outcome:
    """`runbook run` with the lab as its only environment."""
    mariadb = MariaDB(folder / "lab" / "mariadb", port=DATABASE_PORT)
    with Lab(folder / "lab", mariadb=mariadb) as lab, Front(one) as front, ExitStack() as trouble:
        load(lab, [one])
        lab.kubernetes.wait_for_metrics(one.namespace)
        trouble.enter_context(brought_about(mariadb, one.database_state))
        os.environ["KUBECONFIG"] = str(lab.kubernetes.kubeconfig())
        file = folder / "runbook.toml"
        file.write_bytes(settings_file(shown(environment(lab, front.url)), profile(one.namespace)))
        known = Settings(file, {"lab": shown(environment(lab, front.url))}, {"micro-frontend": profile(one.namespace)})
        return run(alert, {"environment": "lab", **given(one)}, known, evidence=folder / "evidence")


def shown(lab: Environment) -> Environment:
    """Links in the report lead to where a reader's own servers would be, not to a port that is gone."""
    assert lab.prometheus and lab.elasticsearch and lab.kubernetes
    replace = msgspec.structs.replace
    return replace(
        lab,
        prometheus=replace(lab.prometheus, external_url="http://prometheus:9090"),
        elasticsearch=replace(lab.elasticsearch, kibana_url="http://kibana:5601"),
        kubernetes=Kubernetes(context="lab"),  # its kubeconfig comes from the environment: the path is soon gone
    )


def given(one: Scenario) -> dict[str, str]:
    """The incident's parameters."""
    times = {name: value for name, value in one.context_parameters().items() if name != "namespace"}
    return {**times, "incident_id": INCIDENT, "lookback": lookback(one.fault.alert)}


def set_defaults(notebook: Path, values: Mapping[str, str]) -> None:
    """Write these into the notebook's parameters cell."""
    read: Any = nbformat.read(notebook, as_version=4)
    (cell,) = (c for c in read.cells if "parameters" in c.metadata.get("tags", ()))
    for name, value in values.items():
        cell.source, found = re.subn(rf'^({name}: str = )"[^"]*"', rf'\1"{value}"', cell.source, flags=re.MULTILINE)
        if not found:
            raise SystemExit(f"The notebook {notebook.name} has no parameter {name}.")
    nbformat.write(read, notebook)


if __name__ == "__main__":
    for name in sys.argv[1:] or SCENES:
        record(name, SCENES[name])
