"""Recordings on a disk that fails, and of a run that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runbook.errors import RecordingCorrupt
from runbook.model import Query
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from tests.recording.recorded import HEADER, UP, environment, giving, record, run


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A recording that cannot be opened does not stop the run: it answers, and says the trouble in one sentence."""
    recorder = record(tmp_path / "absent" / "r")
    assert recorder.ask(UP).data == ["1"]
    recorder.close()
    assert "cannot be written (No such file or directory)" in recorder.trouble


def test_file_that_exists(taken: Path) -> None:
    """The recording of another run is never written over."""
    before = taken.read_bytes()
    recorder = record(taken)
    recorder.ask(UP)
    recorder.close()
    assert "(File exists)" in recorder.trouble
    assert taken.read_bytes() == before


def test_file_that_disappears(tmp_path: Path) -> None:
    """A recording that was deleted while the run went on is noticed at its end."""
    with record(tmp_path / "r") as recorder:
        recorder.ask(UP)
        (tmp_path / "r").unlink()
    assert "it was removed while the run went on" in recorder.trouble


FULL_DISK = """
    import resource, signal, sys
    from tests.recording.recorded import UP, PODS, giving, record
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    import os, pathlib
    much = giving(os.urandom(9000).hex())
    with record(pathlib.Path(sys.argv[1]), prometheus=much, kubernetes=giving({})) as recorder:
        assert recorder.ask(UP).usable and recorder.ask(PODS).usable
    print(recorder.trouble)
"""


def test_disk_that_is_full(tmp_path: Path) -> None:
    """A disk that fills up does not stop the run: it answers on, and what was written before is readable."""
    said = run(FULL_DISK, tmp_path / "r")
    assert "cannot be written (File too large), so this run cannot be replayed; free the disk" in said
    assert list(Replay(tmp_path / "r", partial_ok=True).answers) == []


def test_recording_that_grows_too_big(tmp_path: Path) -> None:
    """No recording is written that a replay would refuse to read."""
    sources = {"prometheus": giving("x" * 5000), "kubernetes": giving({})}
    with Recorder(sources, tmp_path / "r", HEADER, max_bytes=5000) as recorder:
        assert recorder.ask(UP).usable
    assert "beyond 5000 bytes" in recorder.trouble


KILLED = """
    import pathlib, sys, time
    from runbook.model import Query
    from tests.recording.recorded import giving, record
    recorder = record(pathlib.Path(sys.argv[1]), prometheus=giving(["7"] * 1000))
    for n in range(25):
        recorder.ask(Query("prometheus", "range", f"up {n}", {}))
    print("ready", flush=True)
    time.sleep(60)
"""


def test_killed_run(tmp_path: Path) -> None:
    """What a killed run recorded is readable to its last answer, on demand only."""
    path = tmp_path / "r"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)], stdout=subprocess.PIPE, env=environment()
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(RecordingCorrupt, match="stops after line 26, without its end"):
        Replay(path)
    replay = Replay(path, partial_ok=True)
    assert not replay.complete
    assert [a.query.text for a in replay.answers] == [f"up {n}" for n in range(25)]
    assert replay.ask(Query("prometheus", "range", "up 24", {})).data == ["7"] * 1000
