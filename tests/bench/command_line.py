"""How long a person waits for the command line to say anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.timing import Row, compare

TITLE = "runbook --help"


def measure(directory: Path) -> list[Row]:
    """Against a Python that does nothing."""
    runbook = Path(sys.executable).parent / "runbook"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    return compare(
        {
            "python -c pass": lambda: run(sys.executable, "-c", "pass"),
            "runbook --help": lambda: run(str(runbook), "--help"),
        }
    )
