"""`make notebooks`: run every notebook on its bundled recording and keep the outputs, which nbval then compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests import ROOT

NOTEBOOKS = ROOT / "notebooks"


def refresh(path: Path) -> None:
    """Execute as it stands, without times or anything else of this machine."""
    notebook: Any = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, record_timing=False, resources={"metadata": {"path": path.parent}}).execute()
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for found in sorted(NOTEBOOKS.glob("*.ipynb")):
        refresh(found)
        print(f"{found.name} ran and holds its outputs.")
