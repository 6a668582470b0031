"""Whole runs on recordings and on small servers: what is damaged, full, wrong or killed is told, never half-written."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Elasticsearch, Environment, Prometheus
from runbook.config.settings import Settings, shipped
from runbook.errors import RecordingError, UsageError
from runbook.evidence import sweep
from runbook.evidence.audit import audit
from runbook.incident import Incident
from runbook.recording.file import RECORDING
from runbook.recording.replay import Replay
from runbook.reporting.findings_json import compare
from tests.canned import Canned, Reply, Request
from tests.command_line import BIN, findings, manifest, options, run, runbook, surroundings, write_settings
from tests.fakes import SERVICE

ALERT = "HighErrorRate"
RECORDED = SHIPPED.notebook(ALERT).parent / "recordings" / f"{ALERT}.jsonl.gz"
START = "2026-01-15T10:47:00Z"
GIVEN = {"incident_id": "INC-2026-01-15-01", "started_at": START, "ended_at": "2026-01-15T11:12:00Z", "lookback": "1h"}


def told(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a command that did nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def demo(*arguments: object, **how: object) -> subprocess.CompletedProcess[str]:
    """`runbook run` of the bundled incident."""
    return runbook(shipped(), "run", ALERT, "--environment", "demo", *arguments, **how)


# --- recordings that cannot be used


def cut_off(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def with_a_bit_flipped(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


def of_a_newer_version(raw: bytes) -> bytes:
    head, _, rest = zlib.decompress(raw, 31).partition(b"\n")
    return gzip.compress(json.dumps({**json.loads(head), "version": 2}).encode() + b"\n" + rest)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_off, "without its end"),
        (with_a_bit_flipped, "is damaged at line"),
        (of_a_newer_version, "is a recording of version 2, this program reads version 1"),
        (lambda raw: b"", "there is no header"),
        (None, "cannot be read (No such file or directory)"),
    ],
    ids=["cut off", "a bit flipped", "newer", "empty", "absent"],
)
def test_a_recording_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, damage: Callable[[bytes], bytes] | None, says: str
) -> None:
    """A run on it begins nothing and writes nothing; the sentence names the file and the trouble."""
    file = tmp_path / "given.jsonl.gz"
    if damage:
        file.write_bytes(damage(RECORDED.read_bytes()))
    sentence = told(demo("-p", "recording", file, "--evidence", tmp_path / "evidence"), 2)
    assert str(file) in sentence
    assert says in sentence
    assert not (tmp_path / "evidence").exists()


def test_a_replay_of_half_a_recording_says_so(tmp_path: Path) -> None:
    """What a killed run left, or a copy that was cut off, is judged as far as it goes, and is not called whole."""
    (tmp_path / "half.jsonl.gz").write_bytes(cut_off(RECORDED.read_bytes()))
    done = runbook(shipped(), "replay", tmp_path / "half.jsonl.gz")
    assert done.returncode == 0
    assert "The recording has no end" in done.stdout
    assert json.loads(runbook(shipped(), "replay", RECORDED, "--json").stdout)["complete"] is True


# --- bundles


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[subprocess.CompletedProcess[str]]:
    """Two runs of the same incident, begun at the same time."""
    root = tmp_path_factory.mktemp("two")
    done: list[subprocess.CompletedProcess[str]] = []
    together = [
        threading.Thread(target=lambda: done.append(demo("--json", "--evidence", root / "evidence"))) for _ in range(2)
    ]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    return done


@pytest.fixture
def copy(two: list[subprocess.CompletedProcess[str]], tmp_path: Path) -> Path:
    """A bundle that can be written to."""
    shutil.copytree(json.loads(two[0].stdout)["bundle"], tmp_path / "bundle", copy_function=shutil.copyfile)
    (tmp_path / "bundle").chmod(0o700)
    return tmp_path / "bundle"


def test_two_runs_at_once_leave_a_bundle_each(two: list[subprocess.CompletedProcess[str]]) -> None:
    """Both are complete, unedited and find the same; neither waits for the other's name."""
    assert [(one.returncode, one.stderr) for one in two] == [(0, "")] * 2
    printed = [json.loads(one.stdout) for one in two]
    bundles = [Path(one["bundle"]) for one in printed]
    assert len({bundle.parent for bundle in bundles}) == 1
    assert sorted(bundles[0].parent.iterdir()) == sorted(bundles)
    for one, bundle in zip(printed, bundles, strict=True):
        assert audit(bundle, expected=one["manifest_sha256"]).unedited
    assert compare(*map(findings, bundles)) == []


def test_the_audit_names_whichever_file_was_edited(copy: Path) -> None:
    """One changed byte in any file of a real run's bundle, pictures and recording included, names that file alone."""
    files = sorted(manifest(copy)["files"])
    assert len(files) > 20
    for name in files:
        raw = (copy / name).read_bytes()
        (copy / name).write_bytes(with_a_bit_flipped(raw))
        problems = audit(copy).problems
        assert f"{name} was edited: " in problems[0]
        assert all(name in problem for problem in problems)
        (copy / name).write_bytes(raw)
    assert audit(copy).unedited


def test_an_edited_recording_is_not_replayed(copy: Path) -> None:
    """Nothing is judged by answers that nobody gave."""
    (copy / RECORDING).write_bytes(with_a_bit_flipped((copy / RECORDING).read_bytes()))
    assert "is damaged at line" in told(runbook(shipped(), "replay", copy), 1)


# --- a run that is killed


def answering(request: Request) -> Reply:
    """A Prometheus without any series."""
    kind = "matrix" if "query_range" in request.path else "vector"
    return Reply({"status": "success", "data": {"resultType": kind, "result": []}})


FOUND_NOTHING = {
    "took": 1,
    "timed_out": False,
    "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    "hits": {"total": {"value": 0, "relation": "eq"}, "hits": []},
    "aggregations": {},
}


def until(ready: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def test_a_killed_run_keeps_what_it_recorded(tmp_path: Path) -> None:
    """After kill -9 nothing stands under the name; the next run takes it, and seals what was recorded until then.

    An answer that comes after the kill is in neither, or the sealed bundle would look edited.
    """
    late = threading.Event()

    def slow(request: Request) -> Reply:
        late.wait(60)
        return Reply(FOUND_NOTHING, headers={"X-Elastic-Product": "Elasticsearch"})

    with Canned(answering) as prometheus, Canned(slow) as elasticsearch:
        here = Environment(
            service="shop",
            prometheus=Prometheus(url=prometheus.url),
            elasticsearch=Elasticsearch(url=elasticsearch.url),
            evidence=str(tmp_path / "evidence"),
        )
        settings = write_settings(tmp_path / "runbook.toml", {"here": here}, SERVICE)
        arguments = ["run", ALERT, "--environment", "here", *options(GIVEN)]
        killed = subprocess.Popen([sys.executable, "-m", "runbook.cli", *arguments], env=surroundings(settings))
        folder = tmp_path / "evidence" / GIVEN["incident_id"]

        def recorded() -> int:
            with suppress(RecordingError):  # half a line is written
                return sum(
                    len(list(Replay(file, partial_ok=True).answers)) for file in folder.glob(f".*.partial/{RECORDING}")
                )
            return 0

        until(lambda: recorded() >= 20 and elasticsearch.requests)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        assert [path for path in folder.iterdir() if not path.name.startswith(".")] == []
        (notice,) = sweep.sweep(tmp_path / "evidence")
        late.set()
        next_one = runbook(settings, *arguments, "--json")
    kept = folder / f"{ALERT}-20260115T104700Z-unfinished"
    assert str(kept) in notice
    assert manifest(kept)["status"] == "incomplete"
    assert audit(kept).problems == ()
    replay = Replay(kept / RECORDING, partial_ok=True)
    assert {answer.query.source for answer in replay.answers} >= {"prometheus"}
    assert not replay.complete
    assert runbook(settings, "replay", kept).returncode == 3, "some checks had no answer yet"
    assert next_one.returncode == 3, next_one.stderr
    bundle = Path(json.loads(next_one.stdout)["bundle"])
    assert bundle == folder / f"{ALERT}-20260115T104700Z"
    assert audit(bundle).unedited
    assert sorted(folder.iterdir()) == sorted([bundle, kept])


# --- disks


def mounted(how: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The demonstration with its evidence on a small file system of its own, then the audit of what it left there."""
    folder.mkdir()
    program = f"{sys.executable} -m runbook.cli"
    script = (
        f"mount -t tmpfs -o {how} none {folder} || exit 99\n"
        f"{program} run {ALERT} --environment demo --evidence {folder} >&2; code=$?\n"
        f"find {folder} -type f; for bundle in {folder}/*/{ALERT}-*; do\n"
        f'  [ -d "$bundle" ] && {program} audit "$bundle" && {program} audit --json "$bundle"\n'
        "done; exit $code"
    )
    done = run(["unshare", "-rm", "sh", "-c", script], shipped())
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    return done


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """Exit code 1, what to do, and a bundle that is marked failed and holds whole files only: as many as fitted."""
    done = mounted("size=512k", tmp_path / "small")
    assert done.returncode == 1
    sentence = next(line for line in done.stderr.splitlines() if line.startswith("runbook: "))
    assert sentence.endswith("the disk is full; free some space or name another folder with --evidence.")
    assert sentence.count("the disk is full") == 1
    assert "of a run that was failed" in done.stdout
    assert ".partial" not in done.stdout
    assert '"unedited": true' in done.stdout


def test_a_folder_that_is_read_only_is_one_sentence(tmp_path: Path) -> None:
    """Exit code 1 and what to do; nothing is begun."""
    done = mounted("ro", tmp_path / "small")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("change its permissions or name another folder with --evidence.\n")
    assert done.stderr.count("\n") == 1


def test_a_limit_on_the_size_of_files_is_one_sentence(tmp_path: Path) -> None:
    """`ulimit -f`, here too small for the recording, is told as such; no file was cut off at it."""
    limit = (100_000, 100_000)
    done = demo(
        "--evidence", tmp_path / "evidence", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "a file grew beyond the largest size allowed here (ulimit -f)" in done.stderr
    (bundle,) = (tmp_path / "evidence").glob("*/*")
    assert audit(bundle).unedited
    assert manifest(bundle)["status"] == "failed"
    assert all(file.stat().st_size < limit[0] for file in bundle.rglob("*"))


# --- wrong parameters

WRONG = [
    ("started_at", "yesterday"),
    ("started_at", "2090-01-01T00:00:00Z"),
    ("started_at", ""),
    ("ended_at", "2026-01-15T10:46:59Z"),
    ("lookback", "007"),
    ("incident_id", "../x"),
    ("incident_id", "INC-2026-01-15-01\n"),
    ("incident_id", "A-" + "1" * 300),
    ("environment", "nowhere"),
]


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Settings]:
    """An environment that asks nobody and would keep its evidence; nothing may be written."""
    here = Environment(service="shop", evidence=str(tmp_path / "evidence"))
    file = write_settings(tmp_path / "runbook.toml", {"here": here}, SERVICE)
    yield Settings(file, {"here": here}, {"shop": SERVICE})
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".ipynb"] == ["runbook.toml"]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_notebook_refuses_wrong_parameters_itself(known: Settings, name: str, value: str) -> None:
    """Run by whatever program, the notebook's first cell says in one sentence which parameter is wrong, and stops."""
    with pytest.raises(UsageError) as refused:
        Incident.open(ALERT, known, **{"environment": "here", **GIVEN, name: value})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert name in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [WRONG[1], *WRONG[6:8]])
def test_the_command_refuses_wrong_parameters(known: Settings, name: str, value: str) -> None:
    """Exit code 2 in one sentence, however long the value or whatever it holds."""
    sentence = told(runbook(known.path, "run", ALERT, "--environment", "here", *options({**GIVEN, name: value})), 2)
    assert name in sentence
    assert len(sentence) < 400


def test_plain_papermill_with_a_wrong_parameter_stops_at_the_first_cell(known: Settings, tmp_path: Path) -> None:
    """papermill shows the library's sentence, its exit code is 1, and no evidence is begun."""
    command = [str(BIN / "papermill"), str(SHIPPED.notebook(ALERT)), str(tmp_path / "out.ipynb")]
    done = run([*command, *options({"environment": "here", **GIVEN, "incident_id": "../x"})], known.path)
    assert done.returncode == 1
    assert "ParameterError: The parameter incident_id is '../x'; it should be" in done.stderr
