"""What a person sees while the notebook runs; nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runbook.cli import verbose

if TYPE_CHECKING:
    from runbook.runs.execution import Progress


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """A callback for the runner: a line per finished cell on a terminal, with what goes on now below it.

    The log, where it is printed, tells the same.
    """
    if verbose.on() or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    with console.status("Starting") as status:

        def tell(progress: Progress) -> None:
            what = Text(f"{progress.number:2}/{progress.total} {progress.what}")
            if progress.seconds is None:
                status.update(what)
            else:
                console.print(Text.assemble(what, (f"  {progress.seconds:.1f} s", "dim")))

        yield tell
