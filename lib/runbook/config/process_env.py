"""What the process environment says; nothing else reads it, the kind of terminal excepted."""

from __future__ import annotations

import os
from pathlib import Path


def variable(name: str) -> str:
    """A variable by its name; "" where it is not set."""
    return os.environ.get(name, "")


def settings_file() -> str:
    """The settings that this machine is to use; "" where nobody said."""
    return variable("RUNBOOK_SETTINGS")


def draft_folder() -> Path | None:
    """Where the runner wants this notebook's evidence; None for a notebook that a person runs."""
    named = variable("RUNBOOK_BUNDLE")
    return Path(named) if named else None


def evidence_folder() -> str:
    """Where bundles are kept instead of in the environment's folder; "" where nobody said."""
    return variable("RUNBOOK_EVIDENCE")


def default_environment() -> str:
    """The environment that this machine is for; "" where nobody said."""
    return variable("RUNBOOK_ENVIRONMENT")


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a process that we start: ours, and what it is told in addition."""
    return {**os.environ, **more}
