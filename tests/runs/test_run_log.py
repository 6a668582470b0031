"""What a run logs is in its bundle, whoever ran it: how it went, and where a check raised; on screen if asked for."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.alerts.high_error_rate import ALERT
from runbook.alerts.registry import SHIPPED
from runbook.clock import Frozen
from runbook.config.schema import Environment
from runbook.config.settings import shipped
from runbook.evidence.audit import audit
from runbook.evidence.run_log import RunLog
from runbook.investigation.definitions import Answers, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.results import Results
from runbook.model import Answer, Result
from runbook.recording import file
from runbook.recording.file import MAX_BYTES, Writer
from runbook.redaction.redactor import Redactor
from tests import ROOT
from tests.command_line import BIN, options, run, runbook, write_settings
from tests.evidence.test_run_log import messages
from tests.fakes import SERVICE, Scripted, context, line
from tests.redaction.test_log_lines import HEAD

CANARY = "hunter2-canary"
RECORDED = SHIPPED.notebook(ALERT.name).parent / "recordings" / f"{ALERT.name}.jsonl.gz"
RUN = ("run", ALERT.name, "--environment", "demo")


def bundle_of(done: subprocess.CompletedProcess[str]) -> Path:
    return Path(json.loads(done.stdout)["bundle"])


@pytest.fixture(scope="module")
def verbose(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The demonstration with every detail on stderr and JSON on stdout."""
    root = tmp_path_factory.mktemp("verbose")
    return runbook(shipped(), "-v", *RUN, "-v", "--json", "--evidence", root / "evidence")


def test_the_bundle_holds_what_runner_and_kernel_did(verbose: subprocess.CompletedProcess[str]) -> None:
    """The beginning and its versions, each question, check and cause, each cell and how long it took, the end."""
    bundle = bundle_of(verbose)
    said = "\n".join(messages(bundle))
    for expected in (
        r"^Run of HighErrorRate for INC-2026-01-15-01 begins: environment='demo', .*started_at='2026-01-15T13:25:38Z'",
        r"^Versions: runbook \S+, python 3",
        r"^HighErrorRate of INC-2026-01-15-01: micro-frontend in \w+, data from 2026-01-15T\S+ to ",
        r"^prometheus range [0-9a-f]{12}: complete after \d+\.\d\d s$",
        r"^Check changes: abnormal\. Revision ",
        r"^Cause deployment: supported \(0\.\d\d\), ",
        r"^Cell \d+ of the notebook \(What changed\?\) ended after \d+\.\d\d s$",
        r"^Sealing INC-2026-01-15-01/HighErrorRate-\d+T\d+Z: complete\.$",
    ):
        assert re.search(expected, said, re.MULTILINE), expected
    assert audit(bundle).unedited


def test_the_log_names_nothing_of_this_machine(verbose: subprocess.CompletedProcess[str]) -> None:
    """No folder of the package, of evidence or of temporary files stands in it."""
    text = (bundle_of(verbose) / "run.log").read_text()
    for folder in (ROOT, bundle_of(verbose).parent.parent, "/tmp/"):
        assert str(folder) not in text


def test_verbose_prints_the_same_lines_on_stderr(verbose: subprocess.CompletedProcess[str]) -> None:
    """All of run.log, the kernel's lines included, and what went before and after it; stdout stays JSON."""
    printed = verbose.stderr.splitlines()
    kept = (bundle_of(verbose) / "run.log").read_text().splitlines()
    assert [one for one in printed if one in kept] == kept
    assert all(HEAD.fullmatch(one) for one in printed)
    digest = json.loads(verbose.stdout)["manifest_sha256"]
    assert [one for one in printed if one.endswith(f"its manifest's SHA-256 is {digest}")]
    assert json.loads(verbose.stdout)["status"] == "complete"


def test_once_verbose_prints_no_detail(tmp_path: Path) -> None:
    """-v prints INFO and above, after the command's name as well as before; the bundle's log has the rest."""
    done = runbook(shipped(), *RUN, "-v", "--json", "--evidence", tmp_path)
    assert " DEBUG " not in done.stderr
    assert " INFO runbook.recording.replay " in done.stderr
    assert " DEBUG " in (bundle_of(done) / "run.log").read_text()


def test_a_replay_is_equal_whatever_its_run_logged(verbose: subprocess.CompletedProcess[str], tmp_path: Path) -> None:
    """A replay that keeps evidence keeps a log of its own; it and the bundle it replays are judged alike."""
    first = bundle_of(verbose)
    done = runbook(shipped(), *RUN, "-p", "recording", first, "--json", "--evidence", tmp_path)
    again = bundle_of(done)
    assert done.stderr == ""
    assert (again / "run.log").read_bytes() != (first / "run.log").read_bytes()
    assert messages(again)[-1].endswith(": complete.")
    for bundle in (first, again):
        assert json.loads(runbook(shipped(), "replay", bundle, "--json").stdout)["equal"] is True


def test_a_notebook_run_by_plain_papermill_leaves_its_log(tmp_path: Path) -> None:
    """Nobody but the notebook itself writes and seals it then."""
    here = Environment(service="shop", evidence=str(tmp_path / "evidence"))
    settings = write_settings(tmp_path / "runbook.toml", {"here": here}, SERVICE)
    given = {"environment": "here", "incident_id": "INC-2026-01-15-01", "started_at": "2026-01-15T10:47:00Z"}
    given["ended_at"] = "2026-01-15T11:12:00Z"
    done = run(
        [str(BIN / "papermill"), str(SHIPPED.notebook(ALERT.name)), str(tmp_path / "x"), *options(given)], settings
    )
    assert done.returncode == 0, done.stderr
    (bundle,) = (tmp_path / "evidence").glob("*/*")
    said = messages(bundle)
    assert said[-1] == f"Sealing INC-2026-01-15-01/{bundle.name}: incomplete."
    assert [one for one in said if one.startswith("Check changes: unknown. ")]
    assert audit(bundle).unedited


# --- a judge that raises


def raising(of: Context, answers: Answers, earlier: Results) -> Result:
    """A judge whose error tells a secret."""
    raise ValueError(f"cannot read password={CANARY} nor {CANARY}-of-the-settings")


def test_a_judge_s_exception_is_located_by_the_log(tmp_path: Path) -> None:
    """File, line, and the error itself, without the secrets in its text."""
    first, second, *rest = ALERT.checks
    broken = replace(ALERT, checks=(first, replace(second, judge=raising, requires=()), *rest))
    source = Scripted({("http_requests_total",): line(lambda t: 50.0)})
    with RunLog(tmp_path, Redactor(secrets=[f"{CANARY}-of-the-settings"])):
        found = Investigator(broken, context(), source, Frozen(context().now)).investigation()
    assert found.findings[1].result.fault.startswith("ValueError")
    text = (tmp_path / "run.log").read_text()
    where = inspect.getsourcelines(raising)[1] + 2
    assert f"ERROR runbook.investigation.investigator Check {second.name} cannot judge its answers\n" in text
    assert f'File "tests/runs/test_run_log.py", line {where}, in raising\n' in text
    assert "ValueError: cannot read password=[redacted password] nor [redacted secret]\n" in text
    assert CANARY not in text


def odd(answer: Answer) -> Answer:
    """The same without what the check of the traffic reads."""
    return replace(answer, data={"resultType": "matrix", "result": [{"surprise": f"password={CANARY}"}]})


def recorded_oddly(path: Path) -> Path:
    """The bundled recording, every answer of Prometheus in a form that no check knows."""
    recording = file.read(RECORDED)
    with path.open("wb") as out:
        writer = Writer(out, recording.header, MAX_BYTES)
        for one in map(recording.answer, recording.lines):
            writer.answer(odd(one) if one.query.source == "prometheus" else one)
        writer.end()
    return path


def test_a_bundle_tells_where_its_check_raised(tmp_path: Path) -> None:
    """What a whole run leaves names module and line of the catalogue's own code."""
    recording = recorded_oddly(tmp_path / "odd.jsonl.gz")
    done = runbook(shipped(), *RUN, "-p", "recording", recording, "--json", "--evidence", tmp_path / "evidence")
    text = (bundle_of(done) / "run.log").read_text()
    assert done.stderr == ""
    assert re.search(r'^ +File "runbook/alerts/checks/\S+\.py", line \d+, in ', text, re.MULTILINE)
    assert re.search(r"^ +KeyError: '", text, re.MULTILINE)
    assert CANARY not in text


# --- silent, and complete

SILENT = """
import logging, sys
from pathlib import Path
from runbook.incident import Incident
logging.getLogger("runbook.anything").error("not a word")
Incident.replay(Path(sys.argv[1])).investigation(verified=True)
"""


def test_the_library_is_silent_by_default(tmp_path: Path) -> None:
    """Nobody asked, so nothing is said: neither by errors nor by a judge that raises."""
    recording = recorded_oddly(tmp_path / "odd.jsonl.gz")
    done = run([sys.executable, "-c", SILENT, str(recording)], shipped())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def broad(handler: ast.ExceptHandler) -> bool:
    kinds = ast.walk(handler.type) if handler.type else ()
    return any(isinstance(kind, ast.Name) and kind.id == "Exception" for kind in kinds)


def told(handler: ast.ExceptHandler) -> bool:
    """Whether a handler logs where the error came from, passes it on, or is that of a log itself."""
    calls = [node for node in ast.walk(handler) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    detailed = any(keyword.arg == "exc_info" for call in calls for keyword in call.keywords)
    passed = any(isinstance(node, ast.Raise) and node.cause for node in ast.walk(handler))
    return detailed or passed or bool(names & {"logger.exception", "self.handleError"})


def test_every_broad_except_logs_its_traceback() -> None:
    """Whatever is caught without being foreseen can be located; only what spells the log's own lines has no log."""
    untold = {
        path.relative_to(ROOT / "lib/runbook").as_posix()
        for path in (ROOT / "lib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and broad(node) and not told(node)
    }
    assert untold == {"redaction/log_lines.py"}
