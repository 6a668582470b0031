"""Executing a notebook: what is left where not even its first cell was reached."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from runbook.redaction.redactor import Redactor
from runbook.runs.execution import Limits, execute
from tests.bare import NOTEBOOKS


class Unreachable:
    """A kernel that nobody can connect to."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def manager(self) -> Any:
        raise self._error

    def kill(self) -> None:
        pass

    def how_it_ended(self) -> str:
        return "was ended by SIGKILL"


def executed(error: BaseException, folder: Path) -> Any:
    return execute(
        NOTEBOOKS / "raising.ipynb",
        {},
        Unreachable(error),  # type: ignore[arg-type]
        folder,
        limits=Limits(60, 60),
        label=lambda heading, source: heading,
        tell=lambda progress: None,
        redactor=Redactor(),
    )


def statuses(notebook: Any) -> set[str]:
    return {cell.metadata.papermill["status"] for cell in notebook.cells if cell.cell_type == "code"}


def test_a_kernel_that_cannot_be_reached_leaves_a_notebook_and_a_reason(tmp_path: Path):
    """A failure before the first cell is one sentence, and a notebook none of whose cells has run."""
    for error, reason in (
        (RuntimeError("Kernel didn't respond in 60 seconds"), "The notebook was cut short: its kernel was ended"),
        (OSError("no socket"), "The notebook could not be executed (OSError: no socket)."),
    ):
        found = executed(error, tmp_path)
        assert found.failure.startswith(reason)
        assert statuses(found.notebook) == {"pending"}
        assert found.stopped is None


def test_a_run_interrupted_before_its_first_cell_says_so(tmp_path: Path):
    """Somebody who stops the run while its kernel starts gets a notebook too."""
    found = executed(KeyboardInterrupt(signal.SIGTERM), tmp_path)
    assert found.failure == "The run was interrupted at: The notebook."
    assert statuses(found.notebook) == {"pending"}
