"""The project's own files agree with each other."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests import ROOT


def test_conda_installs_what_pyproject_says():
    """environment.yml holds a Python that pyproject allows, and leaves all else to it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, by_pip = environment["dependencies"]
    assert environment["name"] == project["name"]
    assert python == f"python={project['requires-python'].removeprefix('>=')}"
    assert (pip, by_pip) == ("pip", {"pip": ["-e ."]})


def test_the_lock_holds_every_dependency_with_hashes_and_no_host():
    """Each dependency and extra of pyproject is pinned in requirements.lock, hashed, wherever it comes from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    lock = (ROOT / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+).*\\\n    --hash=sha256:", lock, re.MULTILINE))
    names = {re.split(r"[<>=\[ ]", d)[0].lower().replace("_", "-") for d in wanted}
    assert names - set(pinned) == set()
    assert "://" not in lock


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7"},
        {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4242"},
    ],
    ids=lambda env: env["TZ"],
)
def test_notebooks_give_their_committed_outputs_anywhere(elsewhere: dict[str, str]):
    """nbval finds equal outputs under another time zone, locale and hash seed."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "notebooks"],
        cwd=ROOT,
        env={**os.environ, **elsewhere},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_the_library_stays_in_readable_pieces():
    """No module has more than 300 lines, no function more than 40 or more than four positional parameters."""
    found: list[str] = []
    for path in sorted((ROOT / "lib").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name} has {len(text.splitlines())} lines"] if len(text.splitlines()) > 300 else []
        for one in ast.walk(ast.parse(text)):
            if isinstance(one, ast.FunctionDef):
                lines = (one.end_lineno or one.lineno) - one.lineno + 1
                given = [a for a in (*one.args.posonlyargs, *one.args.args) if a.arg not in ("self", "cls")]
                found += [f"{path.name}: {one.name} has {lines} lines"] if lines > 40 else []
                found += [f"{path.name}: {one.name} takes {len(given)} by position"] if len(given) > 4 else []
    assert found == []
