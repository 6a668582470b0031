"""The notebooks' form: short, prose and one-line questions, committed with outputs that repeat."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runbook.alerts.registry import SHIPPED
from tests import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HEADINGS = ("Parameters", "Context", "Is it real?", "Diagnosis")


def cells(notebook: Path, kind: str | None = None) -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text())["cells"]
    return [cell for cell in found if kind in (None, cell["cell_type"])]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_each_alert_has_a_notebook_a_recording_and_rule_tests():
    """Alerts, notebooks, recordings and rule tests have the same set of names."""
    names = set(SHIPPED.names)
    assert names
    assert {path.stem for path in NOTEBOOKS} == names
    assert {path.name.split(".")[0] for path in (ROOT / "notebooks/recordings").glob("*.jsonl.gz")} == names
    assert {path.name.split(".")[0] for path in (ROOT / "tests/rules").glob("*.test.yml")} == names


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_short(self, notebook: Path):
        """12 to 18 cells, at most 10 lines of code in one, fewer than 400 words of prose."""
        assert 12 <= len(cells(notebook)) <= 18
        assert max(len(source(cell).splitlines()) for cell in cells(notebook, "code")) <= 10
        assert sum(len(source(cell).split()) for cell in cells(notebook, "markdown")) < 400

    def test_holds_no_logic(self, notebook: Path):
        """Logic lives in the library: no function, class, loop, shell escape or magic in a cell."""
        code = "\n".join(source(cell) for cell in cells(notebook, "code"))
        assert not re.search(r"^\s*(def|class|for|while|if|try|!|%)", code, re.MULTILINE)

    def test_has_the_headings_of_every_runbook(self, notebook: Path):
        """A person finds each part at the same place in every runbook."""
        prose = "\n".join(source(cell) for cell in cells(notebook, "markdown"))
        assert [h for h in HEADINGS if f"## {h}" not in prose] == []

    def test_says_what_its_alert_means(self, notebook: Path):
        """Meaning and impact are the catalogue's own words."""
        alert = SHIPPED.load(notebook.stem)
        prose = source(cells(notebook, "markdown")[0])
        assert alert.meaning({}) in prose
        assert alert.impact in prose

    def test_is_committed_with_clean_outputs(self, notebook: Path):
        """Every code cell but the parameters has its output, none an error or a warning."""
        for cell in cells(notebook, "code")[1:]:
            assert cell["outputs"], source(cell)
            assert {o["output_type"] for o in cell["outputs"]} <= {"display_data", "execute_result"}, source(cell)
