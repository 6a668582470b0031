"""run.log: whole lines of its own run and no other, bounded, and never in the way."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pytest

from runbook.evidence import run_log
from runbook.evidence.audit import audit
from runbook.evidence.draft import Draft
from runbook.evidence.listening import LIBRARY
from runbook.evidence.run_log import CUT, NAME, RunLog
from runbook.redaction.redactor import Redactor
from tests.redaction.test_log_lines import HEAD

logger = logging.getLogger("runbook.test")
STARTED = 1768474020.0


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    """Each test leaves the library's logger as it was."""
    before = (LIBRARY.level, LIBRARY.propagate, list(LIBRARY.handlers))
    yield
    assert (LIBRARY.level, LIBRARY.propagate, LIBRARY.handlers) == before


def drafted(root: Path) -> Draft:
    return Draft(root, "INC-2026-01-15-01", "HighErrorRate", STARTED)


def messages(folder: Path) -> list[str]:
    """What the log's lines say, after the check that each is whole."""
    text = (folder / NAME).read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = text.splitlines()
    assert all(HEAD.fullmatch(line) or line.startswith("    ") for line in lines)
    return [line.split(" ", 3)[3] for line in lines if not line.startswith(" ")]


def test_the_log_is_sealed_with_the_bundle(tmp_path: Path) -> None:
    """The manifest names it, an audit finds it unedited, and what is logged after the sealing is not in it."""
    draft = drafted(tmp_path)
    with draft.log(Redactor()):
        logger.debug("before")
        bundle = draft.seal("complete")
        logger.error("after")
    assert messages(bundle) == ["before", "Sealing INC-2026-01-15-01/HighErrorRate-20260115T104700Z: complete."]
    found = audit(bundle)
    assert found.manifest
    assert NAME in found.manifest.files
    assert (bundle / NAME).stat().st_mode & 0o222 == 0
    assert [problem for problem in found.problems if NAME in problem] == []


def test_only_its_owner_reads_a_log_that_grows(tmp_path: Path) -> None:
    """Until it is sealed the log is as private as its draft."""
    with RunLog(tmp_path, Redactor()):
        logger.info("x")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """At its limit one line says that it was cut; nothing follows, however short, and whoever writes."""
    with RunLog(tmp_path, Redactor(), limit=10_000):
        for number in range(500):
            logger.info("line %d %s", number, "x" * 60)
        logger.info("short")
    with RunLog(tmp_path, Redactor(), limit=10_000):
        logger.info("short")
    said = messages(tmp_path)
    assert (tmp_path / NAME).stat().st_size < 10_300
    assert said[-1] == CUT
    assert said.count(CUT) == 1
    assert "short" not in said


def test_what_came_after_the_cut_goes_when_it_is_sealed(tmp_path: Path) -> None:
    """Two processes that reach the limit at once leave one line about it."""
    line = f"2026-01-15T10:47:00.123Z WARNING runbook.x {CUT}\n"
    (tmp_path / NAME).write_text(f"{line}{line}half a li")
    run_log.settle(tmp_path)
    assert (tmp_path / NAME).read_text() == line


@pytest.mark.parametrize("torn", ["2026-01-15T10:47:00.1", "x"])
def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path, torn: str) -> None:
    """What a killed writer left ends where it ends; the next line stands on its own."""
    (tmp_path / NAME).write_text(torn)
    with RunLog(tmp_path, Redactor()):
        logger.info("whole")
    assert re.search(rf"\A{torn}\n\S+ INFO runbook.test whole\n\Z", (tmp_path / NAME).read_text())


@pytest.mark.parametrize(("text", "left"), [("", ""), ("a\nb", "a\n"), ("torn", ""), ("a\n\nb\n", "a\nb\n")])
def test_a_torn_end_is_taken_off_when_it_is_sealed(tmp_path: Path, text: str, left: str) -> None:
    """A bundle's log ends with a whole line, and has no empty ones."""
    (tmp_path / NAME).write_text(text)
    run_log.settle(tmp_path)
    assert (tmp_path / NAME).read_text() == left


WRITER = """
import logging, sys
from pathlib import Path
from runbook.evidence.run_log import RunLog
from runbook.redaction.redactor import Redactor
RunLog(Path(sys.argv[1]), Redactor()).open()
print("begun", flush=True)
for number in range(10**9):
    logging.getLogger("runbook.writer").info("line %d %s", number, "abc " * (number % 3000))
"""


def test_writers_that_are_killed_leave_whole_lines(tmp_path: Path) -> None:
    """Two processes write into one log, long lines too; after kill -9 of both every line is whole."""
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        command = [sys.executable, "-c", WRITER, str(folder)]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            assert writer.stdout
            writer.stdout.readline()
        time.sleep(0.05 * (attempt + 1))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        run_log.settle(folder)
        assert len(messages(folder)) > 2


def test_a_killed_run_s_log_is_kept(tmp_path: Path) -> None:
    """The next run seals it with what else the dead one left."""
    code = f"""
import logging, os, signal, sys
from pathlib import Path
from runbook.evidence.draft import Draft
from runbook.redaction.redactor import Redactor
draft = Draft(Path(sys.argv[1]), "INC-2026-01-15-01", "HighErrorRate", {STARTED})
draft.log(Redactor()).open()
logging.getLogger("runbook.test").info("password=hunter2-canary")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    draft = drafted(tmp_path)
    assert len(draft.notices) == 1
    kept = tmp_path / "INC-2026-01-15-01/HighErrorRate-20260115T104700Z-unfinished"
    assert messages(kept) == ["password=[redacted password]"]
    assert audit(kept).problems == ()


@pytest.mark.parametrize("there", ["nothing", "a folder", "a link"])
def test_a_log_that_cannot_be_written_costs_no_run(
    tmp_path: Path, there: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run goes on without a word, and nothing outside of its draft is written."""
    folder = tmp_path / "draft"
    if there != "nothing":
        folder.mkdir()
    if there == "a folder":
        (folder / NAME).mkdir()
    if there == "a link":
        (folder / NAME).symlink_to(tmp_path / "elsewhere")
    with RunLog(folder, Redactor()):
        logger.error("x")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "elsewhere").exists()


def test_runs_side_by_side_have_logs_of_their_own(tmp_path: Path) -> None:
    """Each thread's run logs into its own bundle, what it starts in its context included; no line goes astray."""
    together = threading.Barrier(2)

    def one(name: str) -> None:
        (tmp_path / name).mkdir()
        with RunLog(tmp_path / name, Redactor()):
            together.wait()
            for number in range(50):
                logger.info("%s %d", name, number)
            asking = threading.Thread(target=copy_context().run, args=(logger.info, "%s asks", name))
            asking.start()
            asking.join()
            together.wait()

    threads = [threading.Thread(target=one, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("first", "second"):
        assert messages(tmp_path / name) == [*(f"{name} {number}" for number in range(50)), f"{name} asks"]


def test_a_notebook_opened_anew_begins_a_new_log(tmp_path: Path) -> None:
    """Where a kernel opens a second incident, the first one's log gets no more."""
    first, second = drafted(tmp_path), drafted(tmp_path)
    first.log(Redactor()).open()
    logger.info("one")
    log = second.log(Redactor())
    log.open()
    logger.info("two")
    log.close()
    assert (messages(first.path), messages(second.path)) == (["one"], ["two"])


def test_a_draft_that_is_given_up_is_not_written_to(tmp_path: Path) -> None:
    """Once nobody holds the draft any more, the next run may seal it: its log has ended."""
    draft = drafted(tmp_path)
    path, log = draft.path, draft.log(Redactor())
    log.open()
    logger.info("one")
    del draft
    logger.info("two")
    assert messages(path) == ["one"]
    log.close()


class Heard(logging.Handler):
    """Keeps what a program's own handler gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_a_program_s_own_logging_hears_what_it_asked_for(tmp_path: Path) -> None:
    """A run that keeps every detail does not tell them to the root logger's handlers, only what is of its level."""
    heard, root = Heard(), logging.getLogger()
    root.addHandler(heard)
    try:
        with RunLog(tmp_path, Redactor()):
            logger.debug("detail")
            logger.log(root.level, "asked for")
        logger.log(root.level, "afterwards")
    finally:
        root.removeHandler(heard)
    assert heard.messages == ["asked for", "afterwards"]
    assert messages(tmp_path) == ["detail", "asked for"]


def test_the_log_of_another_account_s_file_is_not_followed(tmp_path: Path) -> None:
    """Sealing settles the draft's own file only: a link in its place is left alone."""
    (tmp_path / "elsewhere").write_text("torn")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    run_log.settle(tmp_path)
    assert (tmp_path / "elsewhere").read_text() == "torn"
