"""The shipped notebooks, one for each alert."""

from __future__ import annotations

from pathlib import Path

from runbook.config.settings import PACKAGE
from runbook.errors import UsageError
from runbook.text.suggest import hint


def notebooks() -> dict[str, Path]:
    """The shipped notebooks by their alerts: inside the package when installed, beside lib/ in a checkout."""
    folder = next(
        folder
        for folder in (PACKAGE / "notebooks", PACKAGE.parent.parent / "notebooks")
        if folder.is_dir() or folder.parent != PACKAGE
    )
    return {file.stem: file for file in sorted(folder.glob("*.ipynb"))}


def notebook_of(alert: str) -> Path:
    """The notebook of an alert."""
    known = notebooks()
    if alert not in known:
        raise UsageError(f"There is no notebook for an alert {alert[:80]!r}; {hint(alert, known)}")
    return known[alert]
