"""A bundle is whole or absent, whatever happens to the run, its neighbours or the disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.errors import EvidenceError, ParameterError
from runbook.evidence import sweep
from runbook.evidence.audit import audit
from runbook.evidence.draft import Draft
from runbook.evidence.manifest import login
from runbook.model import Answer, Query, Result, Table
from runbook.recording.file import RECORDING
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor
from tests import samples
from tests.hostile import HOSTILE, with_text

INCIDENT, ALERT, NAME = "INC-2026-01-15-01", "HighErrorRate", "HighErrorRate-20260115T104700Z"
RUN = f"""
import os, signal, sys
from pathlib import Path
from runbook.evidence.draft import Draft
draft = Draft(Path(sys.argv[1]), {INCIDENT!r}, {ALERT!r}, {samples.ALERTED})
draft.recording.write_bytes(b"what was recorded so far")
"""


class Canned:
    """A source that answers everything."""

    def ask(self, query: Query) -> Answer:
        return Answer(query, "complete", {"resultType": "matrix", "result": []})


def opened(root: Path) -> Draft:
    return Draft(root, INCIDENT, ALERT, samples.ALERTED)


def record(path: Path) -> None:
    """A small recording."""
    with Recorder(
        {"prometheus": Canned()}, path, Header(ALERT, INCIDENT, samples.ALERTED, samples.END, {}, {}), Redactor()
    ) as it:
        it.ask(samples.SHARE)


def sealed(root: Path) -> Path:
    """A complete bundle."""
    draft = opened(root)
    record(draft.recording)
    draft.write(samples.RESTORED, made=samples.END)
    return draft.seal("complete", parameters={"lookback": "60m"}, environment="production", made=samples.END)


def run(code: str, *arguments: object, **how: object) -> subprocess.CompletedProcess[str]:
    """The code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, capture_output=True, text=True, check=False, timeout=120, **how
    )


def test_a_bundle_holds_what_the_procedure_needs(tmp_path: Path) -> None:
    """Report, incident report, findings, charts, data, recording and manifest, under incident, alert and time."""
    bundle = sealed(tmp_path)
    assert bundle == tmp_path / INCIDENT / NAME
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files >= {"report.html", "report.md", "findings.json", "recording.jsonl.gz", "manifest.json"}
    assert files >= {"charts/failed-requests.png", "data/failed-requests.csv", "data/message-patterns.csv"}
    assert not [path for path in (tmp_path / INCIDENT).iterdir() if path.name.startswith(".")]


def test_the_manifest_says_what_the_bundle_is(tmp_path: Path) -> None:
    """Status, parameters, versions, who, when and the ledger, and every file with size and digest."""
    bundle = sealed(tmp_path)
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["alert"], manifest["incident"], manifest["status"]) == (ALERT, INCIDENT, "complete")
    assert manifest["started_at"] == "2026-01-15T10:47:00Z"
    assert manifest["made_at"] == "2026-01-15T11:12:00Z"
    assert manifest["made_by"] == login()
    assert manifest["parameters"] == {"lookback": "60m"}
    assert manifest["ledger"]["sentence"] == "4 of 5 checks ran"
    assert {"runbook", "python", "elasticsearch"} <= set(manifest["versions"])
    assert manifest["files"]["report.html"]["bytes"] == (bundle / "report.html").stat().st_size


def test_the_report_names_its_own_bundle_and_recording(tmp_path: Path) -> None:
    """Also the second run's report tells the name that the bundle got, and the digest of the recording in it."""
    sealed(tmp_path)
    bundle = sealed(tmp_path)
    text = (bundle / "report.html").read_text()
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert bundle.name == f"{NAME}-2"
    assert f"Evidence <b>{NAME}-2</b>" in text
    assert manifest["files"]["recording.jsonl.gz"]["sha256"] in text


def test_the_manifests_digest_is_known_when_sealed(tmp_path: Path) -> None:
    """What proves the bundle is told to the caller, and lies beside the manifest in the format of sha256sum."""
    draft = opened(tmp_path)
    bundle = draft.seal("failed", reason="the notebook failed in cell 3")
    assert audit(bundle).manifest_sha256 == draft.manifest_sha256
    checked = subprocess.run(["sha256sum", "-c", "manifest.json.sha256"], cwd=bundle, capture_output=True, check=False)
    assert checked.returncode == 0


def test_a_failed_run_leaves_a_bundle_with_the_reason(tmp_path: Path) -> None:
    """Without any finding there still is a bundle, marked failed."""
    draft = opened(tmp_path)
    record(draft.recording)
    manifest = json.loads((draft.seal("failed", reason="the kernel died") / "manifest.json").read_text())
    assert (manifest["status"], manifest["reason"], manifest["ledger"]) == ("failed", "the kernel died", None)


def test_the_reports_of_a_failed_run_say_so_first(tmp_path: Path) -> None:
    """Status, how far it came and why no farther stand above everything else, and nothing in the reason is markup."""
    draft = opened(tmp_path)
    record(draft.recording)
    draft.write(samples.NOTHING)
    bundle = draft.seal("failed", reason="The run was interrupted at: <b>Cell 4</b>.")
    said = "Run failed; 0 of 0 checks ran before it ended. The run was interrupted at: "
    page, text = (bundle / "report.html").read_text(), (bundle / "report.md").read_text()
    assert f"{said}&lt;b&gt;Cell 4&lt;/b&gt;." in page.split("<header>")[0]
    assert text.startswith(f"> **{said}")
    assert "<b>" not in text
    assert audit(bundle).unedited
    assert "Run complete" not in (sealed(tmp_path) / "report.html").read_text()


def test_a_killed_run_tells_what_it_was_to_do(tmp_path: Path) -> None:
    """Parameters and environment of an unfinished bundle are those that its recording began with."""
    given = {"environment": "production", "lookback": "60m"}
    code = RUN.replace(
        'write_bytes(b"what was recorded so far")',
        f"""exists()
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from tests import samples
Recorder({{}}, draft.recording, Header({ALERT!r}, {INCIDENT!r}, 1.0, 1.0, {given!r}, {{}})).ask(samples.SHARE)
draft.write(samples.NOTHING)
""",
    )
    killed = run(code + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    opened(tmp_path)
    kept = tmp_path / INCIDENT / f"{NAME}-unfinished"
    manifest = json.loads((kept / "manifest.json").read_text())
    assert (manifest["parameters"], manifest["environment"]) == (given, "production")
    assert (kept / "report.md").read_text().startswith("> **Run incomplete; 0 of 0 checks ran before it ended. ")


def test_text_that_cannot_be_spelled_does_not_cost_the_evidence(tmp_path: Path) -> None:
    """A hostile investigation, reason and parameter are kept: visible, and in files that can be read."""
    draft = opened(tmp_path)
    record(draft.recording)
    text = "".join(HOSTILE)
    draft.write(with_text(text))
    bundle = draft.seal("failed", reason=text, parameters={"lookback": text}, environment=text, by=text)
    assert audit(bundle).unedited
    for path in bundle.rglob("*"):
        assert path.is_dir() or path.suffix in (".png", ".gz") or path.read_text(encoding="utf-8")
    assert "\x1b" not in (bundle / "manifest.json").read_text() + (bundle / "report.html").read_text()


def test_a_bundle_cut_to_a_name_has_no_two_files_of_one(tmp_path: Path) -> None:
    """Charts and tables whose names become equal, but for case, are kept apart."""
    draft = opened(tmp_path)
    tables = tuple(Table(name, ("a",), ((name,),)) for name in ("x/y", "x:y", "X-Y"))
    draft.write(
        replace(samples.NOTHING, findings=(replace(samples.LIMITS, result=Result("unknown", "", tables=tables)),))
    )
    assert sorted(path.name for path in (draft.path / "data").iterdir()) == ["X-Y-3.csv", "x-y-2.csv", "x-y.csv"]


def test_nothing_stands_under_the_name_before_it_is_sealed(tmp_path: Path) -> None:
    """The draft is hidden beside it, and its owner's alone."""
    draft = opened(tmp_path)
    draft.write(samples.NOTHING)
    assert not (tmp_path / INCIDENT / NAME).exists()
    assert draft.path.parent == tmp_path / INCIDENT
    assert stat.S_IMODE(draft.path.stat().st_mode) == 0o700


def test_a_sealed_bundle_is_read_only_and_as_readable_as_its_folder(tmp_path: Path) -> None:
    """No program edits a file by mistake; who may read the evidence folder may read the bundle."""
    (tmp_path / INCIDENT).mkdir(mode=0o750)
    bundle = sealed(tmp_path)
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in bundle.rglob("*") if path.is_file()} == {0o440}


def test_many_runs_at_once_all_survive(tmp_path: Path) -> None:
    """Runs of the same alert and incident at the same moment each leave their own whole bundle."""
    together = threading.Barrier(12)

    def one(number: int) -> Path:
        together.wait()
        draft = opened(tmp_path)
        (draft.path / "number.txt").write_text(str(number))
        return draft.seal("complete", parameters={"number": number})

    with ThreadPoolExecutor(12) as pool:
        bundles = list(pool.map(one, range(12)))
    assert {bundle.name for bundle in bundles} == {NAME, *(f"{NAME}-{n}" for n in range(2, 13))}
    assert [(bundle / "number.txt").read_text() for bundle in bundles] == [str(n) for n in range(12)]
    assert len(list((tmp_path / INCIDENT).iterdir())) == 12


def test_runs_in_other_processes_are_seen(tmp_path: Path) -> None:
    """While another process holds the name, a run takes the next one and leaves the other's draft alone."""
    code = RUN + "print(draft.name, flush=True); sys.stdin.read(); print(draft.seal('complete').name)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == f"{NAME}\n"
        mine = opened(tmp_path)
        assert (mine.notices, mine.seal("complete").name) == ((), f"{NAME}-2")
        assert other.communicate("")[0] == f"{NAME}\n"


@pytest.mark.parametrize("also_named", [f"{NAME}", f"{NAME}/file", f"{NAME}-link"])
def test_what_already_has_the_name_is_never_replaced(tmp_path: Path, also_named: str) -> None:
    """A file, a folder or a dangling link of that name stays as it is."""
    there = tmp_path / INCIDENT / also_named
    there.parent.mkdir(parents=True)
    if also_named.endswith("link"):
        (tmp_path / INCIDENT / NAME).symlink_to("nowhere")
    else:
        there.write_text("kept")
    assert opened(tmp_path).seal("complete").name == f"{NAME}-2"
    assert there.is_symlink() or not there.exists() or there.read_text() == "kept"


def test_what_got_the_name_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """A folder copied there while the run went on stays, and the bundle takes the next name."""
    draft = opened(tmp_path)
    (tmp_path / INCIDENT / NAME).mkdir()
    (tmp_path / INCIDENT / NAME / "copied").write_text("kept")
    assert draft.seal("complete").name == f"{NAME}-2"
    assert (tmp_path / INCIDENT / NAME / "copied").read_text() == "kept"


def test_a_killed_run_hinders_nobody_and_keeps_its_recording(tmp_path: Path) -> None:
    """After kill -9 the next run gets the name; what was recorded is sealed beside it, marked incomplete."""
    assert run(RUN + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path).returncode == -signal.SIGKILL
    draft = opened(tmp_path)
    kept = tmp_path / INCIDENT / f"{NAME}-unfinished"
    assert draft.name == NAME
    assert draft.notices == (
        "An earlier run of HighErrorRate ended without sealing its evidence; "
        f"what it recorded is kept in {kept}, marked incomplete.",
    )
    assert (kept / "recording.jsonl.gz").read_bytes() == b"what was recorded so far"
    assert json.loads((kept / "manifest.json").read_text())["status"] == "incomplete"


def test_what_a_killed_run_was_of_stands_in_its_lock(tmp_path: Path) -> None:
    """Names are for people: alert and start are noted where the next run finds them."""
    run(RUN + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    (lock,) = (tmp_path / INCIDENT).glob(".*.lock")
    assert json.loads(lock.read_text()) == {"alert": ALERT, "started_at": samples.ALERTED}
    assert len(sweep.sweep(tmp_path)) == 1
    assert list((tmp_path / INCIDENT).iterdir()) == [tmp_path / INCIDENT / f"{NAME}-unfinished"]


@pytest.mark.parametrize("note", ["", "half a no"])
def test_what_a_killed_run_was_of_is_else_known_by_its_recording(tmp_path: Path, note: str) -> None:
    """Where the disk took no note, the recording tells; where there is none either, the draft is left as it is."""
    code = RUN.replace('recording.write_bytes(b"what was recorded so far")', 'put("a", b"b")')
    run(code + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    (lock,) = (tmp_path / INCIDENT).glob(".*.lock")
    lock.write_text(note)
    assert sweep.sweep(tmp_path) == ()
    record(lock.with_suffix(".partial") / RECORDING)
    assert len(sweep.sweep(tmp_path)) == 1
    manifest = json.loads((tmp_path / INCIDENT / f"{NAME}-unfinished/manifest.json").read_text())
    assert (manifest["alert"], manifest["started_at"]) == (ALERT, "2026-01-15T10:47:00Z")


def test_a_killed_run_that_recorded_nothing_leaves_nothing(tmp_path: Path) -> None:
    """An empty draft is taken away without a word."""
    code = RUN.replace("draft.recording.write", "0 and draft.recording.write") + "os.kill(os.getpid(), signal.SIGKILL)"
    run(code, tmp_path)
    draft = opened(tmp_path)
    assert (draft.notices, draft.name) == ((), NAME)
    assert [path for path in (tmp_path / INCIDENT).iterdir() if path.is_dir()] == [draft.path]


def test_killed_while_sealing_leaves_no_half_bundle(tmp_path: Path) -> None:
    """Killed before any one of the steps that touch the disk, the name holds a whole bundle or none."""
    code = """
import os, signal, sys
from pathlib import Path
from runbook.evidence.draft import Draft

def dies(root, step):
    steps = iter(range(1000))
    def watch(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and root in str(arguments[0]):
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
    draft = Draft(Path(root), "INC-2026-01-15-01", "HighErrorRate", 1768474020.0)
    draft.recording.write_bytes(b"what was recorded so far")
    sys.addaudithook(watch)
    draft.seal("complete")
    os._exit(0)

for step in range(30):
    child = os.fork() or dies(f"{sys.argv[1]}/{step}", step)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    codes = [int(line) for line in run(code, tmp_path).stdout.split()]
    assert len(codes) == 30
    assert set(codes) == {0, -signal.SIGKILL}
    for step in range(30):
        folder = tmp_path / str(step) / INCIDENT
        assert not (folder / NAME).exists() or (folder / NAME / "manifest.json").exists()
        assert opened(tmp_path / str(step)).seal("failed").is_dir()
        assert len(list(folder.iterdir())) == 2, "the first run's recording and the second run's bundle"
        for bundle in folder.iterdir():
            assert not [p for p in audit(bundle).problems if not p.startswith("The recording")], step


def test_sweeping_the_evidence_folder_seals_all_that_was_left(tmp_path: Path) -> None:
    """A worker that starts can seal the drafts of every incident, those of living runs excepted."""
    for incident in ("INC-2026-01-15-01", "INC-2026-01-15-02"):
        run(RUN.replace(repr(INCIDENT), repr(incident)) + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    living = Draft(tmp_path, "INC-2026-01-15-03", ALERT, samples.ALERTED)
    assert len(sweep.sweep(tmp_path)) == 2
    assert living.path.is_dir()
    assert sweep.sweep(tmp_path) == ()
    assert sweep.sweep(tmp_path / "absent") == ()


def test_another_process_may_write_into_a_draft(tmp_path: Path) -> None:
    """The kernel writes what it found, only the runner seals."""
    draft = opened(tmp_path)
    guest = Draft.at(draft.path, ALERT, samples.ALERTED)
    assert (guest.alert, guest.incident, guest.started_at) == (ALERT, INCIDENT, samples.ALERTED)
    guest.write(samples.NOTHING)
    with pytest.raises(EvidenceError, match="is the draft of another process"):
        guest.seal("complete")
    assert (draft.seal("complete") / "findings.json").exists()


def test_only_a_draft_is_taken_for_one(tmp_path: Path) -> None:
    """Any other folder is refused."""
    with pytest.raises(EvidenceError, match="not the draft of a bundle"):
        Draft.at(tmp_path, ALERT, samples.ALERTED)


def test_a_replayed_recording_is_taken_along(tmp_path: Path) -> None:
    """The bundle of a replay replays by itself."""
    record(tmp_path / "bundled.jsonl.gz")
    draft = opened(tmp_path)
    draft.adopt(tmp_path / "bundled.jsonl.gz")
    draft.write(samples.NOTHING)
    assert "replayed from answers recorded" in (draft.path / "report.md").read_text()
    assert len(list(Replay(draft.seal("complete") / RECORDING).answers)) == 1


def test_what_is_sealed_stays_as_it_is(tmp_path: Path) -> None:
    """Neither a second seal nor anything written later gets into it."""
    record(tmp_path / "another.jsonl.gz")
    draft = opened(tmp_path)
    record(draft.recording)
    bundle = draft.seal("complete")
    later: tuple[Callable[[], object], ...] = (
        lambda: draft.seal("failed"),
        lambda: draft.put("report.md", b"better"),
        lambda: draft.write(samples.RESTORED),
        lambda: draft.adopt(tmp_path / "another.jsonl.gz"),
    )
    for act in later:
        with pytest.raises(EvidenceError, match="sealed already"):
            act()
    assert audit(bundle).unedited


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a..b", "INC\n", "é", "x" * 65, "-rf", "a b", "a\x00"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    """Neither incident nor alert can lead out of the evidence folder, hide or break a line."""
    for incident, alert in ((name, ALERT), (INCIDENT, name)):
        with pytest.raises(ParameterError, match="cannot name evidence") as refused:
            Draft(tmp_path, incident, alert, samples.ALERTED)
        assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("started_at", [float("nan"), float("inf"), 1e18])
def test_a_time_that_is_none_is_refused(tmp_path: Path, started_at: float) -> None:
    """An impossible start is the person's error, said in one sentence."""
    with pytest.raises(ParameterError, match="no time that an alert could have started at"):
        Draft(tmp_path, INCIDENT, ALERT, started_at)


def test_a_folder_that_is_not_writable_is_one_sentence(tmp_path: Path) -> None:
    """Another account's folder gives an EvidenceError that says what to do."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    code = (
        "from runbook.errors import EvidenceError\nimport os, sys\n"
        "from runbook.evidence import draft\n"
        "os.getuid() or os.setuid(65534)\n"
        f"try:\n    draft.Draft(draft.Path(sys.argv[1]), {INCIDENT!r}, {ALERT!r}, 0)\n"
        "except EvidenceError as error: print(error)"
    )
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    said = run(code, folder).stdout
    assert said.count("\n") == 1
    assert "not writable for this account" in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act for two accounts")
def test_another_accounts_run_is_left_alone(tmp_path: Path) -> None:
    """In a folder shared by several accounts, a name that another one holds is taken, not in the way."""
    mine = opened(tmp_path)
    (tmp_path / INCIDENT).chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o711)
    done = run(
        "import os, signal\nfrom runbook.evidence import draft, manifest\nmanifest.versions()\nos.setuid(65534)\n"
        + RUN
        + "print(draft.seal('failed').name)",
        tmp_path,
    )
    assert (done.stdout, mine.seal("failed").name) == (f"{NAME}-2\n", NAME), done.stderr


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    """An evidence folder that is a file is named."""
    (tmp_path / "evidence").write_text("")
    with pytest.raises(EvidenceError, match="a file where a folder has to be"):
        opened(tmp_path / "evidence")


def test_a_place_that_takes_no_folder_is_one_sentence(tmp_path: Path) -> None:
    """Where no folder can be made the person is told to name another."""
    with pytest.raises(EvidenceError, match="no folder can be made there; name another one with --evidence"):
        opened(Path("/proc/nope"))


def test_a_path_too_long_is_one_sentence(tmp_path: Path) -> None:
    """The person is told to use a folder nearer to the root."""
    with pytest.raises(EvidenceError, match="the path is too long"):
        opened(tmp_path.joinpath(*["x" * 200] * 25))


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    """On a real file system of 64 KB: one sentence, no truncated file, nothing under the final name."""
    code = RUN + (
        "from tests import samples\nfrom runbook.errors import EvidenceError\n"
        "from dataclasses import replace\n"
        "try: draft.write(replace(samples.NOTHING, findings=(samples.LIMITS,) * 40))\n"
        "except EvidenceError as error: print(error)\n"
        "print(sorted(p.name for p in draft.path.iterdir()))\n"
        "print(draft.seal('failed', reason='the disk is full').name)"
    )
    shell = f'mount -t tmpfs -o size=64k none {tmp_path} && exec {sys.executable} -c "$1" {tmp_path}'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell, "sh", code], capture_output=True, text=True, check=False
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    said, files, name = done.stdout.splitlines()
    assert said.endswith("the disk is full; free some space or name another folder with --evidence.")
    assert files == "['findings.json', 'recording.jsonl.gz']"
    assert name == NAME


def test_a_file_beyond_the_limit_is_one_sentence(tmp_path: Path) -> None:
    """A limit on the size of files (ulimit -f) is told as such, and leaves no truncated file."""
    code = RUN + (
        "from tests import samples\nfrom runbook.errors import EvidenceError\n"
        "try: draft.write(samples.NOTHING)\nexcept EvidenceError as error: print(error)\n"
        "print((draft.path / 'report.html').exists())"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))  # noqa: E731 - a preexec_fn
    said, truncated = run(code, tmp_path, preexec_fn=limit).stdout.splitlines()
    assert "grew beyond the largest size allowed here" in said
    assert truncated == "False"
