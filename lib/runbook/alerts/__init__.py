"""The catalogue: one module per alert, named like it (`high_error_rate` for HighErrorRate), holding its `ALERT`."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from runbook.errors import UsageError
from runbook.investigation.definitions import Alert
from runbook.text.suggest import hint

_HOLDS_ALERT = re.compile(r"^ALERT\b", re.MULTILINE)


def names() -> tuple[str, ...]:
    """All alerts, in alphabetical order; found by the modules' text, so that nothing of them is imported."""
    return tuple(sorted(_modules()))


def load(name: str) -> Alert:
    """The alert of that name."""
    modules = _modules()
    if name not in modules:
        raise UsageError(f"There is no alert {name[:80]!r}; {hint(name, modules)}")
    found: Alert = importlib.import_module(f"runbook.alerts.{modules[name]}").ALERT
    return found


def _modules() -> dict[str, str]:
    files = Path(__file__).parent.glob("*.py")
    stems = (file.stem for file in files if _HOLDS_ALERT.search(file.read_text(encoding="utf-8")))
    return {"".join(word.capitalize() for word in stem.split("_")): stem for stem in stems}
