"""Headless runs: whatever a notebook does, a sealed bundle is left that says how far it came and why no farther."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runbook.config.settings import Settings, load, shipped
from runbook.errors import EvidenceError, ParameterError, SettingsError, UsageError
from runbook.evidence.audit import audit
from runbook.runs import runner, signals
from runbook.runs.execution import Limits, Progress
from runbook.runs.kernel import sweep
from runbook.runs.runner import Outcome
from runbook.runs.signals import Interruptible
from tests.bare import NOTEBOOKS, bare

START, END = "2026-01-15T10:47:00Z", "2026-01-15T12:00:00Z"
CANARY = "hunter2-canary-hunter2-canary"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return bare(tmp_path)


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a fixture notebook for HighErrorRate, with its evidence in the test's folder."""

    def run(name: str = "", /, *, cell: float = 60, whole: float = 120, **given: str) -> Outcome:
        return runner.run(
            "HighErrorRate",
            {"environment": "bare", "started_at": START, "ended_at": END, **given},
            settings,
            evidence=tmp_path / "evidence",
            notebook=NOTEBOOKS / f"{name}.ipynb" if name else None,
            limits=Limits(cell, whole),
        )

    return run


def cells(bundle: Path) -> list[dict[str, Any]]:
    notebook: dict[str, Any] = json.loads((bundle / "notebook.ipynb").read_text())
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def statuses(bundle: Path) -> list[str]:
    return [cell["metadata"]["papermill"]["status"] for cell in cells(bundle)]


def failed(outcome: Outcome) -> str:
    """The reason of a failed run, whose bundle is sealed and whole all the same."""
    assert (outcome.status, outcome.exit_code) == ("failed", 1)
    found = audit(outcome.bundle, expected=outcome.digest)
    assert found.problems == ()
    assert found.manifest
    assert found.manifest.status == "failed"
    assert found.manifest.reason == outcome.reason
    assert not [path for path in outcome.bundle.parent.iterdir() if path != outcome.bundle]
    return outcome.reason


class TestFailures:
    def test_a_cell_that_raises(self, run: Callable[..., Outcome]):
        """The reason names the cell, what was raised, and no secret; cells after it are marked as not run."""
        outcome = run("raising")
        assert failed(outcome).startswith("Cell 6 of the notebook (Trouble) failed: ValueError: no such thing")
        assert statuses(outcome.bundle) == ["completed", "completed", "completed", "failed", "pending"]
        everything = "".join(path.read_text() for path in outcome.bundle.iterdir())
        assert CANARY not in everything
        assert "[redacted" in everything

    def test_a_cell_that_raises_our_own_error(self, run: Callable[..., Outcome]):
        """An error of the library is its one sentence already."""
        assert failed(run("refusing")).startswith(
            "The environment variable PASSWORD is not set or empty; put the secret there."
        )

    def test_a_cell_that_hangs(self, run: Callable[..., Outcome]):
        """A cell is stopped after its time limit, and marked as failed, not completed."""
        outcome = run("hanging", cell=2)
        assert failed(outcome).startswith("Cell 4 of the notebook (Waiting) took longer than 2 s and was stopped.")
        assert statuses(outcome.bundle) == ["completed", "completed", "failed"]

    def test_a_notebook_that_takes_too_long_in_all(self, run: Callable[..., Outcome]):
        """The whole run has a limit of its own."""
        assert failed(run("hanging", whole=15)).startswith(
            "The notebook took longer than 15 s in all and was stopped at: Cell 4"
        )

    def test_a_kernel_that_dies(self, run: Callable[..., Outcome]):
        """The reason says by which signal, and what that usually means."""
        assert "its kernel was ended by SIGKILL, perhaps for lack of memory." in failed(run("dying"))

    def test_a_notebook_that_leaves_early(self, run: Callable[..., Outcome]):
        """papermill takes sys.exit() for a success; without its last cells a run is none."""
        assert "ended the notebook early." in failed(run("leaving"))

    def test_a_notebook_without_findings(self, run: Callable[..., Outcome]):
        """A notebook that records nothing proves nothing."""
        assert failed(run("silent")).startswith(
            "The notebook left no findings; let its last cell be incident.record()."
        )

    def test_an_output_of_no_known_kind(self, run: Callable[..., Outcome]):
        """An output that notebooks cannot hold fails its cell, not the runner."""
        assert "could not be executed (NotebookValidationError" in failed(run("odd_output"))

    def test_findings_are_judged_by_what_was_recorded(self, run: Callable[..., Outcome]):
        """A notebook that fails midway leaves report and findings of all that was answered until then."""
        outcome = run("raising_midway")
        assert failed(outcome).endswith(
            "ValueError: no such thing. The findings are judged by what was recorded until then."
        )
        assert outcome.headline
        assert {"report.html", "report.md", "findings.json", "recording.jsonl.gz"} <= {
            path.name for path in outcome.bundle.iterdir()
        }

    def test_the_reports_say_so_at_their_top(self, run: Callable[..., Outcome]):
        """Whoever opens only a report learns that the run failed, why, and how far it came."""
        bundle = run("raising_midway").bundle
        said = "Run failed; 0 of 9 checks ran before it ended. Cell "
        assert said in (bundle / "report.html").read_text().split("<header>")[0]
        assert (bundle / "report.md").read_text().startswith(f"> **{said}")

    def test_a_failure_after_the_evidence_keeps_it(self, run: Callable[..., Outcome]):
        """What incident.record() left stays, and the run is marked failed nevertheless."""
        outcome = run("raising_afterwards")
        assert failed(outcome).endswith("failed: ValueError: no such thing.")
        assert outcome.ledger.endswith("of 9 checks ran")


class TestRefusals:
    """Wrong use: nothing is run and nothing is written."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, tmp_path: Path) -> Iterator[None]:
        yield
        assert not (tmp_path / "evidence").exists()

    def test_parameters_are_checked_before_anything_runs(self, run: Callable[..., Outcome]):
        """Unknown names and impossible values are refused by the notebook's own declarations."""
        with pytest.raises(ParameterError, match=r"did you mean lookback\?"):
            run(lookbak="90m")
        with pytest.raises(ParameterError, match="a duration like"):
            run(lookback="90")
        with pytest.raises(ParameterError, match="incident"):
            run(incident_id="../../etc")
        with pytest.raises(ParameterError, match="that has passed"):
            run(started_at="2090-01-01T00:00:00Z")

    def test_a_secret_as_a_parameter_is_refused(self, run: Callable[..., Outcome]):
        """Parameters stay readable in the notebook, so a secret among them is refused and not repeated."""
        with pytest.raises(ParameterError, match="seems to hold a secret") as caught:
            run(recording="Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWNhbmFyeQ")
        assert "eyJ" not in str(caught.value)

    def test_an_unknown_environment_lists_the_known(self, run: Callable[..., Outcome]):
        """A run asks where it was told to, or nowhere."""
        with pytest.raises(SettingsError, match="known: bare"):
            run(environment="x")

    def test_an_unknown_alert_lists_the_known(self, settings: Settings):
        """A mistyped alert names the nearest one."""
        with pytest.raises(UsageError, match=r"did you mean HighErrorRate\?"):
            runner.run("HighErorRate", {}, settings)

    def test_a_notebook_without_a_parameters_cell(self, run: Callable[..., Outcome]):
        """Such a notebook cannot be told what to investigate."""
        with pytest.raises(ParameterError, match="no cells tagged"):
            run("no_parameters_cell")

    def test_a_notebook_that_is_none(self, settings: Settings, tmp_path: Path):
        """A file that is no JSON is told as such."""
        (tmp_path / "x.ipynb").write_text("{")
        with pytest.raises(UsageError, match="cannot be read"):
            runner.run("HighErrorRate", {}, settings, notebook=tmp_path / "x.ipynb")


def test_evidence_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path):
    """A file where the evidence folder should be ends the run with a sentence, before the notebook."""
    (tmp_path / "evidence").write_text("")
    with pytest.raises(EvidenceError, match="evidence"):
        runner.run("HighErrorRate", {"environment": "bare"}, settings)


class TestWholeRun:
    def test_checks_that_could_not_run_give_exit_code_3(self, run: Callable[..., Outcome]):
        """The alert's own notebook without any source: evidence is complete in form, and says what is unknown."""
        outcome = run()
        assert (outcome.status, outcome.exit_code, outcome.reason) == ("incomplete", 3, "")
        assert outcome.ledger == "0 of 9 checks ran"
        assert audit(outcome.bundle, expected=outcome.digest).problems == ()
        assert set(statuses(outcome.bundle)) == {"completed"}

    def test_the_demonstration_is_complete(self, tmp_path: Path):
        """The shipped notebook on its recording: exit code 0, every check ran, and all parts of a bundle are there."""
        known = load(shipped())
        outcome = runner.run("HighErrorRate", {"environment": "demo"}, known, evidence=tmp_path)
        assert (outcome.status, outcome.exit_code, outcome.reason) == ("complete", 0, "")
        assert outcome.headline.startswith("Probably ")
        assert outcome.ledger == "9 of 9 checks ran"
        names = {path.name for path in outcome.bundle.iterdir()}
        parts = {"notebook.ipynb", "report.html", "report.md", "findings.json", "recording.jsonl.gz", "manifest.json"}
        assert names >= parts | {"charts", "data"}
        assert audit(outcome.bundle, expected=outcome.digest).problems == ()

    def test_the_notebook_tells_nothing_of_this_machine(self, run: Callable[..., Outcome], tmp_path: Path):
        """No path of the draft, the kernel or papermill stands in the executed notebook or beside it."""
        bundle = run().bundle
        for file in bundle.rglob("*"):
            if file.suffix in (".ipynb", ".json", ".html", ".md", ".csv"):
                text = file.read_text()
                assert str(tmp_path) not in text, file
                assert "/tmp/" not in text, file
        about = json.loads((bundle / "notebook.ipynb").read_text())["metadata"]["papermill"]
        assert not {"input_path", "output_path", "environment_variables"} & set(about)

    def test_every_parameter_stands_in_the_notebook(self, run: Callable[..., Outcome]):
        """What was not given was resolved before, so that the notebook alone tells what was investigated."""
        outcome = run()
        injected = next(c for c in cells(outcome.bundle) if "injected-parameters" in c["metadata"]["tags"])
        values: dict[str, str] = {}
        exec("".join(injected["source"]), values)  # noqa: S102 - assignments that papermill wrote
        assert {name: values[name] for name in outcome.parameters} == dict(outcome.parameters)
        assert outcome.parameters["incident_id"] == "INC-2026-01-15-01"

    def test_each_cell_is_told_before_and_after(self, settings: Settings, tmp_path: Path):
        """Whoever waits sees the question being asked, and afterwards how long it took."""
        told: list[Progress] = []
        runner.run("HighErrorRate", {"environment": "bare"}, settings, evidence=tmp_path, progress=told.append)
        begun, ended = told[::2], told[1::2]
        assert [p.number for p in begun] == list(range(1, begun[0].total + 1)) == [p.number for p in ended]
        assert all(p.seconds is None for p in begun)
        assert all(p.seconds is not None and p.seconds >= 0 for p in ended)
        assert "What changed?" in [p.what for p in begun]

    def test_a_bundle_can_be_run_again(self, run: Callable[..., Outcome]):
        """A run on a bundle as its recording takes over that run's parameters, asks nobody, and finds the same."""
        first = run()
        again = runner.run(
            "HighErrorRate",
            {"environment": "bare", "recording": str(first.bundle)},
            bare(first.bundle.parent.parent),
            evidence=first.bundle.parent.parent / "again",
        )
        assert {**again.parameters, "recording": ""} == dict(first.parameters)
        assert (again.headline, again.ledger) == (first.headline, first.ledger)
        assert json.loads((again.bundle / "findings.json").read_text()) == json.loads(
            (first.bundle / "findings.json").read_text()
        )

    def test_the_users_ipython_and_folder_play_no_part(self, settings: Settings, tmp_path: Path):
        """A start-up file of the profile, or a module of the same name in the current folder, changes nothing."""
        startup = tmp_path / "home/.ipython/profile_default/startup"
        startup.mkdir(parents=True)
        (startup / "00.py").write_text("raise SystemExit('from the profile')")
        (tmp_path / "numpy.py").write_text("raise SystemExit('from the folder')")
        process = start(settings, tmp_path, "run", "HighErrorRate", HOME=str(tmp_path / "home"))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 3, out + err


class TestIncidents:
    def test_runs_of_one_alert_collect_in_one_incident(self, run: Callable[..., Outcome]):
        """The same alert from the same start belongs to the same incident; another start gets the next number."""
        first, again = run("silent"), run("silent")
        other = run("silent", started_at="2026-01-15T11:30:00Z")
        assert [o.parameters["incident_id"] for o in (first, again, other)] == ["INC-2026-01-15-01"] * 2 + [
            "INC-2026-01-15-02"
        ]
        assert [o.bundle.name for o in (first, again)] == [
            "HighErrorRate-20260115T104700Z",
            "HighErrorRate-20260115T104700Z-2",
        ]

    def test_runs_at_the_same_time_do_not_disturb_each_other(self, run: Callable[..., Outcome]):
        """Two runs side by side, started from threads, each leave a bundle."""
        with ThreadPoolExecutor(2) as pool:
            bundles = {outcome.bundle for outcome in pool.map(lambda _: run("silent"), range(2))}
        assert len(bundles) == 2


def start(settings: Settings, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The command line on the bare environment, as a process of its own."""
    return subprocess.Popen(
        [
            str(Path(sys.executable).parent / "runbook"),
            *arguments,
            "--settings",
            str(settings.path),
            "--environment",
            "bare",
            "--evidence",
            "evidence",
        ],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


HANG = """
import sys
from pathlib import Path
from runbook.config import settings
from runbook.runs import runner
known = settings.load(Path(sys.argv[1]))
outcome = runner.run("HighErrorRate", {"environment": "bare"}, known, notebook=Path(sys.argv[2]),
                     progress=lambda p: print(p.what, flush=True))
print(outcome.bundle, outcome.reason, sep="\\n")
sys.exit(outcome.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_whoever_stops_a_run_still_gets_its_evidence(settings: Settings, number: signal.Signals, code: int):
    """Ctrl-C and SIGTERM seal what there is as failed, and leave neither draft nor kernel behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANG, str(settings.path), str(NOTEBOOKS / "hanging.ipynb")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "Waiting\n"
    children = kernels_of(process.pid)
    assert len(children) == 1
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    bundle, reason = out.splitlines()
    assert process.returncode == code
    assert reason.startswith("The run was interrupted at: Cell 4 of the notebook (Waiting).")
    assert audit(Path(bundle)).problems == ()
    assert not Path(f"/proc/{children[0]}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_impatient_second_signal_is_ignored(number: signal.Signals):
    """The first signal ends the run, a second one does not end its sealing; afterwards all is as before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruptible():
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert signals.number(caught.value) == number
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Dying:
    """Gets a signal while it is finalized, where Python swallows what the handler raises."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        signal.raise_signal(self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_swallows_is_not_lost(number: signal.Signals, capfd: pytest.CaptureFixture[str]):
    """A Ctrl-C that comes while some object is finalized ends the run all the same, a moment later."""
    with Interruptible(), pytest.raises(KeyboardInterrupt) as caught:
        Dying(number)
        time.sleep(30)
    assert signals.number(caught.value) == number
    assert capfd.readouterr().err == ""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_killed_runner_leaves_no_kernel(settings: Settings, short: Path):
    """After kill -9 of the runner its kernel ends by itself, and the next run takes its folder away."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANG, str(settings.path), str(NOTEBOOKS / "hanging.ipynb")],
        env={**os.environ, "TMPDIR": str(short)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    (kernel,) = kernels_of(process.pid)
    (folder,) = short.glob("runbook-*/")
    sweep(short)
    assert folder.exists(), "its run lives"
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()
    sweep(short)
    assert not folder.exists()


def kernels_of(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_run_outside_the_main_thread_leaves_signals_alone(run: Callable[..., Outcome]):
    """A server that runs from a thread keeps its own handlers."""
    before = signal.getsignal(signal.SIGTERM)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run("silent")))
    thread.start()
    thread.join()
    assert outcomes[0].status == "failed"
    assert signal.getsignal(signal.SIGTERM) is before
