"""One notebook executed by papermill in a given kernel: every way in which it can end becomes a sentence.

papermill writes nothing here: it would rewrite the whole file after every step, and again after we have sealed it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runbook import errors
from runbook.investigation.window import Value
from runbook.redaction.redactor import Redactor
from runbook.runs import signals
from runbook.runs.kernel import Kernel

logger = logging.getLogger(__name__)
ENGINE: Final = "runbook"
START_SECONDS: Final = 60
_MARKER: Final = "papermill-error-cell-tag"


@dataclass(frozen=True)
class Limits:
    """How long one cell, and the whole notebook, may take, in seconds."""

    cell: float
    whole: float


@dataclass(frozen=True)
class Progress:
    """One code cell, `number` of `total`, begins (`seconds` is None) or has ended."""

    number: int
    total: int
    what: str
    seconds: float | None = None


@dataclass(frozen=True)
class Executed:
    """The notebook as far as it came, and in one sentence why no farther; "" where it came to its end.

    `stopped` is the signal that somebody stopped it by.
    """

    notebook: Any
    failure: str = ""
    stopped: int | None = None


Tell = Callable[[Progress], None]
Label = Callable[[str, str], str]


def execute(
    path: Path,
    parameters: Mapping[str, Value],
    kernel: Kernel,
    draft: Path,
    *,
    limits: Limits,
    label: Label,
    tell: Tell,
    redactor: Redactor,
) -> Executed:
    """The notebook executed with these parameters, its evidence in the draft. `label(heading, source)` names a cell."""
    _import_quickly()
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    run = _Run(kernel, draft, limits=limits, label=label, tell=tell)
    try:
        failure, stopped = run.execute(notebook, dict(parameters)), None
    except KeyboardInterrupt as stop:
        failure, stopped = run.interrupted(), signals.number(stop)
    return Executed(_cleaned(run, redactor, bool(failure)), redactor.text(failure), stopped)


def _import_quickly() -> None:
    """Import papermill without 1.2 of its 2 seconds, which go into a grammar for one format of JSON Schema (IRI).

    nbformat's schema does not use that format, and jsonschema does without it where the module is missing.
    """
    if "jsonschema" not in sys.modules:
        # None is how Python spells: not importable
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type] # its type forgets that
    import papermill  # noqa: F401


class _Run:
    """One execution: what papermill's engine reports while it goes on."""

    def __init__(self, kernel: Kernel, draft: Path, *, limits: Limits, label: Label, tell: Tell) -> None:
        self.kernel, self.draft, self.limits, self._label, self._tell = kernel, draft, limits, label, tell
        self.notebook: Any = None
        self.begun: dict[int, float] = {}
        self._here = "The notebook"
        self._overdue = threading.Event()

    def execute(self, notebook: Any, parameters: dict[str, Value]) -> str:
        """The sentence why it failed, "" where it did not."""
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        _register()
        timer = threading.Timer(self.limits.whole, copy_context().run, (self._stop,))
        timer.daemon = True
        timer.start()
        try:
            papermill.execute_notebook(notebook, None, parameters, engine_name=ENGINE, progress_bar=False, run=self)
        except papermill.PapermillExecutionError as error:
            return self._raised(error.ename, error.evalue)
        except CellTimeoutError:
            return f"{self._here} took longer than {self.limits.cell:g} s and was stopped."
        except (DeadKernelError, RuntimeError) as error:
            return self._died(error)
        except Exception as error:  # papermill's or the notebook's own fault must still leave a bundle
            logger.exception("%s could not be executed", self._here)
            return f"{self._here} could not be executed ({type(error).__name__}: {_first_line(str(error))})."
        finally:
            timer.cancel()
        return f"{self._here} ended the notebook early." if self.unfinished() else ""

    def cell_begins(self, cell: Any, cell_index: int) -> None:
        """Called by nbclient before a code cell."""
        self._here = f"Cell {cell_index + 1} of the notebook ({self._named(cell_index)})"
        self.begun[cell_index] = time.monotonic()
        logger.info("%s begins", self._here)
        self._report(cell_index)

    def cell_ended(self, cell: Any, cell_index: int, execute_reply: object) -> None:
        """Called by nbclient when a code cell was executed or failed."""
        seconds = time.monotonic() - self.begun[cell_index]
        logger.info("%s ended after %.2f s", self._here, seconds)
        self._report(cell_index, seconds)

    def interrupted(self) -> str:
        """The sentence for a run that somebody stopped."""
        return f"The run was interrupted at: {self._here}."

    def unfinished(self) -> bool:
        """Whether code was left out; nbclient passes over cells without any."""
        return any(
            cell.cell_type == "code" and cell.source.strip() and index not in self.begun
            for index, cell in enumerate(self.notebook.cells)
        )

    def _report(self, index: int, seconds: float | None = None) -> None:
        cells = [i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == "code" and not _parameters(cell)]
        if index in cells:
            self._tell(Progress(cells.index(index) + 1, len(cells), self._named(index), seconds))

    def _named(self, index: int) -> str:
        heading = ""
        for cell in self.notebook.cells[:index]:
            if cell.cell_type == "markdown":
                heading = next(
                    (line.lstrip("# ") for line in reversed(cell.source.splitlines()) if line.startswith("#")), heading
                )
        return self._label(heading, self.notebook.cells[index].source)

    def _stop(self) -> None:
        logger.warning("The notebook is stopped: it has taken %g s", self.limits.whole)
        self._overdue.set()
        self.kernel.kill()

    def _raised(self, name: str, text: str) -> str:
        ours = getattr(errors, name, None)
        if isinstance(ours, type) and issubclass(ours, errors.RunbookError):
            return " ".join(text.split())
        return f"{self._here} failed: {name}: {_first_line(text)}".rstrip(".") + "."

    def _died(self, error: Exception) -> str:
        if self._overdue.is_set():
            return f"The notebook took longer than {self.limits.whole:g} s in all and was stopped at: {self._here}."
        how = self.kernel.how_it_ended()
        if how:
            logger.warning("The kernel %s", how)
            return f"{self._here} was cut short: its kernel {how}."
        return f"{self._here} could not be executed ({_first_line(str(error))})."


def _register() -> None:
    """Make our engine known to papermill: the usual one, in a kernel that runs already."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine, papermill_engines

    class InOurKernel(Engine):  # type: ignore[misc] # papermill ships no types
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, run: _Run, **_: object) -> None:
            run.notebook = nb_man.nb

            def prepare(notebook: object) -> None:
                client.kc.execute(
                    f'__import__("os").environ["RUNBOOK_BUNDLE"] = {str(run.draft)!r}', silent=True, store_history=False
                )

            client = PapermillNotebookClient(
                nb_man,
                km=run.kernel.manager(),
                kernel_name=kernel_name,
                timeout=run.limits.cell,
                startup_timeout=START_SECONDS,
                on_notebook_start=prepare,
                on_cell_execute=run.cell_begins,
                on_cell_executed=run.cell_ended,
            )
            client.execute()

    papermill_engines.register(ENGINE, InOurKernel)


def _cleaned(run: _Run, redactor: Redactor, failed: bool) -> Any:
    """The executed notebook without papermill's marks of this machine, and with every cell's true status."""
    notebook = run.notebook
    if notebook is None:
        return None
    notebook.cells = [cell for cell in notebook.cells if _MARKER not in cell.metadata.get("tags", ())]
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and index not in run.begun:
            cell.metadata.papermill["status"] = "pending"
        elif failed and index == max(run.begun, default=-1):
            cell.metadata.papermill["status"] = "failed"
        for output in cell.get("outputs", ()):
            _redact(output, redactor)
    for name in ("input_path", "output_path", "environment_variables", "default_parameters"):
        notebook.metadata.papermill.pop(name, None)
    return notebook


def _parameters(cell: Any) -> bool:
    return bool({"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())))


def _redact(output: Any, redactor: Redactor) -> None:
    """Answers were redacted before the notebook saw them; what it says by itself was not."""
    if output.output_type == "stream":
        output["text"] = redactor.text(output["text"])
    if output.output_type == "error":
        output["evalue"] = redactor.text(output["evalue"])
        output["traceback"] = [redactor.text(line) for line in output["traceback"]]


def _first_line(text: str) -> str:
    return next((line for line in text.strip().splitlines() if line.strip()), "no reason given")[:2000]
