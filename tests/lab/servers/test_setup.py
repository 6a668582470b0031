"""The lab's setup builds whole folders or none, and says in one sentence what it cannot do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.lab.servers.cache import HERE, PROMETHEUS3_VERSION, building, digest
from tests.lab.servers.debian import no_services

OLD_GO = "#!/bin/sh\necho go1.25.3\n"
BROKEN_GO = '#!/bin/sh\n[ "$1" = env ] && echo go1.26.4 && exit\necho cannot compile >&2\nexit 1\n'


def test_a_build_is_there_when_it_is_done(tmp_path: Path) -> None:
    """The folder gets its name only at the end."""
    destination = tmp_path / "cache" / "thing"
    with building(destination) as folder:
        (folder / "file").write_text("content")
        assert not destination.exists()
    assert (destination / "file").read_text() == "content"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """Neither the folder nor its unfinished part is there after a failure."""
    with pytest.raises(ValueError, match="halfway"), building(tmp_path / "thing") as folder:
        (folder / "file").write_text("half")
        raise ValueError("halfway")
    assert list(tmp_path.iterdir()) == []


def test_the_faster_of_two_builds_stays(tmp_path: Path) -> None:
    """A build that another setup has finished meanwhile is left as it is."""
    with building(tmp_path / "thing"):
        (tmp_path / "thing").mkdir()
        (tmp_path / "thing" / "theirs").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["thing", "theirs"]


def test_a_changed_source_has_another_name(tmp_path: Path) -> None:
    """The digest follows the content."""
    source = tmp_path / "main.go"
    source.write_text("one")
    before = digest([source])
    source.write_text("two")
    assert digest([source]) != before


def test_without_go_the_setup_says_so(tmp_path: Path) -> None:
    """A missing Go is one sentence that names the version needed."""
    done = _setup(tmp_path, "--kubernetes")
    assert done.returncode == 1
    assert done.stdout.startswith("kubernetes: failed: Go >= 1.26 is needed")
    assert done.stdout.count("\n") == 1


def test_an_old_go_is_refused(tmp_path: Path) -> None:
    """A Go below the version needed is refused, with what it says of itself."""
    done = _setup(tmp_path, "--prometheus3", go=OLD_GO)
    assert done.returncode == 1
    assert done.stdout == (
        "prometheus3: failed: Go >= 1.26 is needed to build Kubernetes and Prometheus 3; "
        "the `go` on the PATH says: go1.25.3\n"
    )


def test_a_failed_part_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each part that fails is told, the compiler's own words are shown, and no folder is left."""
    done = _setup(tmp_path, "--kubernetes", "--prometheus3", "--backfill", go=BROKEN_GO)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines() if ": failed: " in line] == [
        "kubernetes",
        "prometheus3",
        "backfill",
    ]
    assert "cannot compile" in done.stderr
    assert list((tmp_path / "cache" / "runbook-lab").iterdir()) == []


def test_prometheus_3_is_compiled_once() -> None:
    """The writer of blocks is made of the Prometheus that the lab runs, and so of the same compiled packages."""
    required = (HERE / "backfill" / "go.mod").read_text()
    assert f"github.com/prometheus/prometheus {PROMETHEUS3_VERSION}\n" in required


def test_services_stay_off_during_an_installation(tmp_path: Path) -> None:
    """Debian is told to start nothing while packages are installed, and no longer."""
    policy = tmp_path / "policy-rc.d"
    with no_services(policy):
        assert subprocess.run([str(policy), "nginx", "start"], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_is_left_alone(tmp_path: Path) -> None:
    """A policy that is there already stays as it is, during and after."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    with no_services(policy):
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"


def test_nothing_of_the_lab_names_this_machine() -> None:
    """No file of the lab holds a path of the machine it was written on."""
    checkout = str(ROOT)
    sources = [
        path for path in (ROOT / "tests/lab").rglob("*") if path.is_file() and path.suffix not in {".pyc", ".sum"}
    ]
    assert [path.name for path in sources if checkout in path.read_text()] == []


def _setup(directory: Path, *arguments: str, go: str = "") -> subprocess.CompletedProcess[str]:
    programs = directory / "bin"
    programs.mkdir()
    if go:
        (programs / "go").write_text(go)
        (programs / "go").chmod(0o755)
    environment = {**os.environ, "PATH": str(programs), "XDG_CACHE_HOME": str(directory / "cache")}
    command = [sys.executable, "-m", "tests.lab.setup", *arguments]
    root = ROOT
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
