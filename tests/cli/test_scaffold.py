"""`runbook new`: the frame of an alert works as it stands, and the page about it is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.cli.scaffold import Frame
from runbook.errors import UsageError
from tests import ROOT
from tests.fakes import context

PAGE = (ROOT / "docs/adding-an-alert.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the frame that the page writes, edited as the page says."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in ("lib", "notebooks", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "runbook.toml", folder)
    written = runbook(folder, *blocks("sh")[0].split()[1:])
    assert written.returncode == 0, written.stderr
    module = folder / "lib/runbook/alerts/queue_too_long.py"
    module.write_text(edited(module.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def runbook(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The copy's own command line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK_")}
    command = [sys.executable, "-m", "runbook.cli", *arguments]
    where = {**kept, "PYTHONPATH": str(checkout / "lib")}
    return subprocess.run(command, cwd=checkout, env=where, capture_output=True, text=True, check=False, timeout=120)


def blocks(language: str) -> list[str]:
    """The page's blocks of code."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def edited(module: str) -> str:
    """The frame after the page's edits: replaced lines, the cause, its imports."""
    for block in blocks("diff"):
        old, new = ("".join(line[1:] for line in block.splitlines(True) if line[0] == sign) for sign in "-+")
        assert module.count(old) == 1, old
        module = module.replace(old, new)
    cause, imports = blocks("python")
    module = module.replace("\nALERT = Alert(", f"\n{cause}\nALERT = Alert(")
    return module.replace(
        "from runbook.investigation.definitions import", f"{imports}from runbook.investigation.definitions import", 1
    )


def test_the_frame_is_an_alert_of_the_catalogue(checkout: Path) -> None:
    """It is listed, has its rule with the page's edit, and is under 120 lines with all of the page's edits."""
    listed = json.loads(runbook(checkout, "list", "--json").stdout)
    assert "QueueTooLong" in [one["name"] for one in listed]
    printed = runbook(checkout, "rules", "QueueTooLong", "--environment", "production", "--json").stdout
    (rule,) = json.loads(printed)["groups"][0]["rules"]
    assert rule["expr"] == 'sum(micro_frontend_database_connections{app="micro-frontend",state="waiting"}) > 10'
    assert rule["for"] == "5m"
    assert len((checkout / "lib/runbook/alerts/queue_too_long.py").read_text().splitlines()) < 120


def test_the_frame_s_notebook_has_the_form_of_every_notebook(checkout: Path) -> None:
    """12 to 18 cells, the catalogue's words, and a cell for each check."""
    cells = json.loads((checkout / "notebooks/QueueTooLong.ipynb").read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert 12 <= len(cells) <= 18
    assert "**Meaning** Database connections above 10 connections for at least five minutes." in text
    assert all(f'incident.show("{check}")' in text for check in ("level", "changes", "logs"))


def test_a_run_without_servers_says_what_is_missing(checkout: Path) -> None:
    """The new alert runs headless at once and replays: evidence is left, no cause is supported, the exit code is 3."""
    (checkout / "none.toml").write_text(
        (checkout / "runbook.toml").read_text() + '\n[environment.none]\nservice = "micro-frontend"\n'
    )
    arguments = ("run", "QueueTooLong", "--environment", "none", "--settings", "none.toml", "--json")
    times = ("--started-at", "2026-01-15T10:47:00Z", "--ended-at", "2026-01-15T11:12:00Z")
    ran = runbook(checkout, *arguments, *times, "--evidence", "evidence")
    assert ran.returncode == 3, ran.stderr
    findings = json.loads((checkout / json.loads(ran.stdout)["bundle"] / "findings.json").read_text())
    assert {verdict["cause"] for verdict in findings["verdicts"]} == {"pool", "deployment", "traffic"}
    assert {verdict["state"] for verdict in findings["verdicts"]} == {"not tested"}
    replayed = runbook(checkout, "replay", json.loads(ran.stdout)["bundle"], "--json")
    assert json.loads(replayed.stdout)["equal"] is True, replayed.stderr


def test_nothing_is_written_over(checkout: Path) -> None:
    """An alert that is there already is refused in one sentence, and stays as it is."""
    before = (checkout / "lib/runbook/alerts/queue_too_long.py").read_text()
    again = runbook(checkout, *blocks("sh")[0].split()[1:])
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "There is an alert QueueTooLong already" in again.stderr
    assert (checkout / "lib/runbook/alerts/queue_too_long.py").read_text() == before


def test_a_module_without_its_notebook_is_not_left(checkout: Path) -> None:
    """Where the notebook cannot be written, the module is taken back: the command can be given again."""
    (checkout / "notebooks/StackTooDeep.ipynb").symlink_to("nowhere")
    asked = runbook(checkout, "new", "StackTooDeep", "--metric", "stack_frames", "--above", "9", "--unit", "frames")
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert "StackTooDeep.ipynb is there already" in asked.stderr
    assert not (checkout / "lib/runbook/alerts/stack_too_deep.py").exists()


def test_the_frame_watches_a_gauge() -> None:
    """A gauge is asked for its value: not twice, as a rate over a long and a short window is."""
    framed = Frame("QueueTooLong", "queue_length", 10.0, "jobs")
    module: dict[str, Any] = {}
    exec(framed.source(), module)  # noqa: S102 - the frame is Python, and to be run as it stands
    assert set(module["ALERT"].checks[0].queries(context())) == {"total", "total, yesterday", "total, last week"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "queue"},
        {"name": "HighErrorRate"},
        {"name": "../../Etc"},
        {"metric": "up{}) or vector(1"},
        {"unit": 'x"\nimport os'},
        {"unit": "  "},
        {"above": float("nan")},
        {"above": -1.0},
    ],
    ids=str,
)
def test_what_would_break_the_module_is_refused(wrong: dict[str, object]) -> None:
    """A name, metric, unit or threshold that is none is one sentence, before anything is written."""
    right: dict[str, object] = {"name": "QueueTooLong", "metric": "queue_length", "above": 10.0, "unit": "jobs"}
    with pytest.raises(UsageError):
        Frame(**{**right, **wrong})  # type: ignore[arg-type]
