"""One alert with the same parameters, investigated in every way that there is; each way leaves a bundle of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook.alerts.registry import SHIPPED
from tests.command_line import BIN, PATIENCE, findings, options, run, runbook, surroundings
from tests.lab.servers.jupyter import JupyterLab

MEASURED = {"endpoints": ("Latency (ms)",), "usage": ("CPU (cores)", "Memory (MiB)")}


@dataclass(frozen=True)
class Ways:
    """`given` are the notebook's parameters, `evidence` the folder that the settings name; `patience` for one run."""

    alert: str
    given: Mapping[str, str]
    settings: Path
    evidence: Path
    patience: float = PATIENCE

    def run(self) -> tuple[subprocess.CompletedProcess[str], Path]:
        """`runbook run`: what it printed, and its bundle."""
        done: list[subprocess.CompletedProcess[str]] = []
        arguments = ("run", self.alert, "--json", *options(self.given))
        bundle = self._left(lambda: done.append(runbook(self.settings, *arguments, patience=self.patience)))
        return done[0], bundle

    def jupyterlab(self, folder: Path) -> Path:
        """`runbook open` starts JupyterLab on a filled copy, whose cells are run one by one over its websocket."""
        command = [sys.executable, "-m", "runbook.cli", "open", self.alert, *options(self.given), "--no-browser", "--"]
        outputs: list[list[dict[str, Any]]] = []

        def act() -> None:
            with JupyterLab(command, surroundings(self.settings), folder) as jupyterlab:
                (copy,) = (self.evidence / self.given["incident_id"]).glob("*.ipynb")
                outputs.extend(jupyterlab.execute(copy.name))

        bundle = self._left(act)
        kinds = [{one["output_type"] for one in cell} for cell in outputs]
        assert kinds == [set(), *[{"display_data"}] * (len(outputs) - 1)]
        return bundle

    def papermill(self, folder: Path) -> Path:
        """papermill's own command on the notebook as it is."""
        out = folder / "out.ipynb"
        command = [str(BIN / "papermill"), str(SHIPPED.notebook(self.alert)), str(out), *options(self.given)]

        def act() -> None:
            done = run(command, self.settings, cwd=folder)
            assert done.returncode == 0, done.stderr

        return self._left(act)

    def replay(self, bundle: Path) -> dict[str, Any]:
        """`runbook replay` of a bundle, which asks nobody: the findings, which it has to call equal."""
        done = runbook(self.settings, "replay", bundle, "--json")
        assert done.returncode == 0, done.stderr
        printed = json.loads(done.stdout)
        assert printed["equal"] is True
        found: dict[str, Any] = printed["findings"]
        return found

    def _left(self, act: Callable[[], object]) -> Path:
        """The one bundle that comes from doing this."""
        before = self._bundles()
        act()
        (left,) = self._bundles() - before
        return left

    def _bundles(self) -> set[Path]:
        return {found.parent for found in self.evidence.glob("*/*/manifest.json")}


def comparable(bundle: Path, *, without: str = "") -> dict[str, Any]:
    """The findings without what each run measures anew: latencies, what `kubectl top` says now, one check if named."""
    outcome = findings(bundle)
    outcome["findings"] = [finding for finding in outcome["findings"] if finding["check"] != without]
    tables = {table["name"]: table for finding in outcome["findings"] for table in finding["tables"]}
    for name, columns in ((name, columns) for name, columns in MEASURED.items() if name in tables):
        places = [tables[name]["columns"].index(column) for column in columns]
        for row in tables[name]["rows"]:
            for place in places:
                assert float(row[place]) >= 0
                row[place] = None
    return outcome
