"""From an alert to readable evidence: `runbook run` against papermill and nbconvert on the same notebook."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

from tests import ROOT
from tests.bench.timing import Row, compare

NOTEBOOK = ROOT / "notebooks" / "HighErrorRate.ipynb"
TITLE = "the bundled incident, headless, to evidence on the disk"


def measure(directory: Path) -> list[Row]:
    """Ours leaves a sealed bundle; theirs an executed notebook and its HTML, without findings, data or proof."""
    tools, number = Path(sys.executable).parent, count()

    def run(*command: str | Path) -> None:
        subprocess.run([str(word) for word in command], check=True, capture_output=True, cwd=ROOT)

    def ours() -> None:
        run(
            tools / "runbook",
            "run",
            "HighErrorRate",
            "--environment",
            "demo",
            "--evidence",
            directory / f"{next(number)}",
        )

    def usual() -> None:
        executed = directory / f"{next(number)}.ipynb"
        run(tools / "papermill", NOTEBOOK, executed)
        run(tools / "jupyter", "nbconvert", "--to", "html", executed)

    return compare({"runbook run": ours, "papermill + jupyter nbconvert --to html": usual}, rounds=5)
