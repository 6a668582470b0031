"""The page about alerts of one's own, followed to the letter: an installed wheel, an empty folder, one small server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import ROOT
from tests.canned import Canned, Reply, Request

PAGE = (ROOT / "docs/adding-an-alert.md").read_text(encoding="utf-8")
ROSE = 1_768_473_600  # 2026-01-15 10:40 UTC
NEXT = "9.9.9"
BUNDLE = "evidence/INC-2026-01-15-01/QueueTooLong-20260115T104700Z"


def blocks(language: str) -> list[str]:
    """The page's blocks of code."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def queue(request: Request) -> Reply:
    """A Prometheus that knows one gauge, which rose at 10:40."""
    found: list[object] = []
    if urlsplit(request.path).path == "/api/v1/query_range" and "queue_length" in request.params["query"]:
        start, end, step = (int(float(request.params[name])) for name in ("start", "end", "step"))
        values = [[time, "14" if time >= ROSE else "3"] for time in range(start, end + 1, step)]
        found = [{"metric": {}, "values": values}]
    return Reply({"status": "success", "data": {"resultType": "matrix", "result": found}})


@dataclass(frozen=True)
class Machine:
    """An environment into which the wheel is installed, and a team's folder; dependencies are those of the tests."""

    programs: Path
    folder: Path

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """A block of the page."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNBOOK_", "PYTEST"))}
        return subprocess.run(
            ["bash", "-ec", script],
            cwd=self.folder,
            env={**kept, "PATH": f"{self.programs}:/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def well(self, script: str, *codes: int) -> str:
        """What a block prints that ends well."""
        ran = self.sh(script)
        assert ran.returncode in (codes or (0,)), f"{script}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
        return ran.stdout

    def kept(self) -> dict[str, str]:
        """The digests of all files of the team, without what Python and Jupyter write beside them."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wheel(source: Path, folder: Path) -> Path:
    """The wheel of a source tree, built without asking anybody."""
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "-w", str(folder), str(source)], check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def install(machine: Machine, built: Path) -> None:
    """Over what is there, as an upgrade is."""
    python = str(machine.programs / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(built)], check=True, timeout=120)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A fresh virtual environment that sees the dependencies, but not this checkout; an empty folder."""
    pytest.importorskip("hatchling", reason="the wheel is built with it: make setup")
    root = tmp_path_factory.mktemp("machine")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / "venv")], check=True, timeout=60)
    (site,) = (root / "venv/lib").glob("*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    programs = root / "venv/bin"
    for name, module in (("jupyter", "jupyter"), ("jupyter-nbconvert", "nbconvert"), ("pytest", "pytest")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{programs}/python" -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    (root / "team").mkdir()
    made = Machine(programs, root / "team")
    install(made, wheel(ROOT, root / "wheel"))
    return made


@pytest.fixture(scope="module")
def followed(machine: Machine) -> Iterator[Machine]:
    """The page followed from its first block to its last."""
    with Canned(queue) as prometheus:
        settings = blocks("toml")[0].replace("http://prometheus:9090", prometheus.url)
        (machine.folder / "runbook.toml").write_text(settings, encoding="utf-8")
        new, words, run, *after = blocks("sh")
        machine.well(new)
        machine.well(words)
        edit(machine.folder / "alerts/queue_too_long.py")
        machine.well(run, 0, 3)
    for script in after:
        machine.well(script if shutil.which("promtool") else re.sub(r"promtool.*\n", "", script))
    yield machine


def edit(path: Path) -> None:
    """The page's cause, its imports, and the line that names it."""
    text = path.read_text(encoding="utf-8")
    cause, imports = blocks("python")
    text = text.replace("\nALERT = Alert(", f"\n{cause}\nALERT = Alert(")
    text = text.replace("from runbook.config.schema import", f"{imports}from runbook.config.schema import", 1)
    for block in blocks("diff"):
        old, new = ("".join(line[1:] for line in block.splitlines(True) if line[0] == sign) for sign in "-+")
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def findings(machine: Machine) -> dict[str, Any]:
    """What the run on the page found."""
    (found,) = machine.folder.glob(f"{BUNDLE}/findings.json")
    document: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return document


def test_the_page_ends_green(followed: Machine):
    """Module, notebook, recording, rule test: all are there, agree, and pass; the program is the installed one."""
    assert str(followed.programs.parent) in followed.well("python -c 'import runbook; print(runbook.__file__)'")
    assert followed.well("runbook list --check").count("QueueTooLong ") == 1
    found = findings(followed)
    assert "Queue length is 14 jobs (threshold 10 jobs" in found["findings"][0]["sentence"]
    assert {verdict["cause"] for verdict in found["verdicts"]} == {"workers", "deployment", "traffic"}


def test_the_recording_replays_from_the_bundle_and_as_the_demonstration(followed: Machine):
    """Nobody is asked any more: the server is gone, and the same is found."""
    assert "Equal to what was found then." in followed.well(f"runbook replay {BUNDLE}")
    again = json.loads(followed.well("runbook run QueueTooLong --environment demo --evidence again --json", 3))
    assert again["headline"] == findings(followed)["headline"]


def test_a_shipped_alert_runs_beside_it(followed: Machine):
    """The demonstration of the package's own alerts is there too, from the package's recordings."""
    ran = json.loads(followed.well("runbook run HighErrorRate --environment demo --evidence again --json", 0, 3))
    assert ran["headline"].startswith("Probably")


def test_a_replay_elsewhere_says_what_is_missing(followed: Machine):
    """Without the settings that name the folder, a sentence says which are needed; with them it works anywhere."""
    bundle = next(followed.folder.glob(BUNDLE))
    ran = followed.sh(f"cd / && runbook replay {bundle}")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "RUNBOOK_SETTINGS" in ran.stderr
    assert ran.stderr.count("\n") == 1
    followed.well(f"cd / && runbook replay --settings {followed.folder}/runbook.toml {bundle}")
    followed.well(f"cd / && RUNBOOK_SETTINGS={followed.folder}/runbook.toml runbook replay {bundle}")


def test_a_new_version_of_the_package_leaves_it_alone(followed: Machine, tmp_path: Path):
    """After an upgrade every file of the team is as it was, and everything still works."""
    before = followed.kept()
    source = tmp_path / "source"
    for name in ("lib", "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("README.md", "runbook.toml", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    for name in ("pyproject.toml", "lib/runbook/__init__.py"):
        text = (source / name).read_text(encoding="utf-8")
        (source / name).write_text(re.sub(r'(version__|version) = "[^"]*"', rf'\1 = "{NEXT}"', text), encoding="utf-8")
    install(followed, wheel(source, tmp_path / "wheel"))
    assert NEXT in followed.well("runbook --version")
    assert followed.kept() == before
    followed.well(blocks("sh")[-1] if shutil.which("promtool") else "runbook list --check")
    assert "Equal to what was found then." in followed.well(f"runbook replay {BUNDLE}")
    assert followed.kept() == before
