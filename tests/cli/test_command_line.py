"""The command line: one sentence for whatever goes wrong, the right exit code, JSON for machines."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from runbook.alerts.registry import SHIPPED
from runbook.cli import main
from runbook.config.settings import Settings
from tests import ROOT
from tests.bare import TEXT, bare

RUNBOOK = str(Path(sys.executable).parent / "runbook")
START, END = "2026-01-15T10:47:00Z", "2026-01-15T11:12:00Z"
TIMES = ("--started-at", START, "--ended-at", END)
CONTEXT = click.Context(main.cli)
COMMANDS = {name: command for name in main.COMMANDS if (command := main.cli.get_command(CONTEXT, name))}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return bare(tmp_path)


def runbook(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program, started in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK_")}
    return subprocess.run(
        [RUNBOOK, *arguments],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def told(ran: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on stderr of a command that did nothing else."""
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert re.fullmatch(r"runbook: .*\.\n|runbook: .*\)\.\n", ran.stderr)
    return ran.stderr


RUN = ("run", "HighErrorRate", "--environment", "bare")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rnu",), "did you mean run?"),
        (("run",), "Missing argument 'ALERT' (see `runbook run --help`)"),
        (("list", "--jsno"), "No such option"),
        (("run", "HighErrorRate"), "--environment or RUNBOOK_ENVIRONMENT; known: bare, demo"),
        (("run", "HighErrorRate", "--environment", "bear"), "did you mean bare?"),
        (("run", "HighErorRate", "--environment", "bare"), "did you mean HighErrorRate?"),
        ((*RUN, "-p", "lookbak", "1h"), "did you mean lookback?"),
        ((*RUN, "-p", "lookback", "1h", "--lookback", "2h"), "lookback is given twice"),
        ((*RUN, "-p", "lookback"), "'-p' requires 2 arguments"),
        ((*RUN, "--lookback", "007"), "a duration like 90m"),
        ((*RUN, "--started-at", "now"), "a time like 2026-01-15T10:47:00Z"),
        ((*RUN, "--started-at", START, "--ended-at", "2026-01-15T10:46:00Z"), "is before started_at"),
        ((*RUN, "--started-at", START), "say where the window ends by ended_at (--ended-at)"),
        ((*RUN, "--evidence", ""), "it is empty; name a folder"),
        (("rules", "Nope", "--environment", "bare"), "There is no alert 'Nope'"),
        ((*RUN, "--incident", "../x"), "an incident's ID like"),
        ((*RUN, "--settings", "nowhere.toml"), "does not exist"),
        (("doctor", "NoAlert", "--environment", "bare"), "There is no alert 'NoAlert'"),
        (("rules", "--environment", "x"), "There is no environment 'x'"),
        (("audit", "nowhere"), "does not exist"),
        (("replay", "nowhere"), "does not exist"),
        (("open", "x", "--environment", "bare"), "There is no alert 'x'"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    settings: Settings, tmp_path: Path, arguments: tuple[str, ...], expected: str
):
    """Nothing was run, nothing was written, and the sentence says what to do instead."""
    assert expected in told(runbook(tmp_path, *arguments), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runbook.toml"]


def test_broken_settings_are_one_sentence(tmp_path: Path):
    """A slip in runbook.toml is found by every command that reads it."""
    (tmp_path / "runbook.toml").write_text(
        TEXT + "[environment.x]\nservice = 'shop'\nbase_url = 'http://me:canary@x'\n"
    )
    for arguments in (RUN, ("doctor", "--environment", "x"), ("rules", "--environment", "x")):
        sentence = told(runbook(tmp_path, *arguments), 2)
        assert "`environment.x.base_url`" in sentence
        assert "canary" not in sentence


def test_a_folder_that_is_no_bundle_fails(tmp_path: Path):
    """What cannot be audited or replayed is told, with exit code 1."""
    assert "manifest.json" in told(runbook(tmp_path, "audit", "."), 1)
    told(runbook(tmp_path, "replay", "."), 1)
    (tmp_path / "recording.jsonl.gz").write_text("no recording")
    assert "recording.jsonl.gz" in told(runbook(tmp_path, "replay", "recording.jsonl.gz"), 1)


BROKEN = """
import sys
import click
from runbook.cli import main
@click.group
def group(): pass
@group.command("break")
def command(): raise KeyError("password=hunter2-canary")
sys.exit(main.guarded(group, sys.argv[1:]))
"""


def test_an_unforeseen_error_is_one_sentence_with_its_details_in_a_file(tmp_path: Path):
    """Nobody on call reads a traceback: it goes, without secrets, into a file that only its owner can read."""
    process = [sys.executable, "-c", BROKEN, "break"]
    ran = subprocess.run(
        process, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    sentence = told(ran, 1)
    assert "Unexpected KeyError" in sentence
    (details,) = tmp_path.glob("runbook-error-*.log")
    assert str(details) in sentence
    assert details.stat().st_mode & 0o077 == 0
    assert "Traceback" in details.read_text()
    assert "hunter2-canary" not in sentence
    assert "password=[redacted" in details.read_text()


@pytest.mark.parametrize("command", [("rules", "--alertmanager"), ("list",), ("--help",)])
def test_a_reader_who_has_seen_enough_gets_no_complaint(command: tuple[str, ...]):
    """`runbook list | head -0` ends quietly, with the exit code of any program whose reader left."""
    process = subprocess.Popen(
        [RUNBOOK, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize(
    "command", ["list", "list --json", "--help", "rules --alertmanager", "doctor --environment bare"]
)
def test_output_that_nobody_can_get_is_one_sentence(settings: Settings, tmp_path: Path, command: str):
    """A full disk or a closed output gives exit code 1, not an unexpected error."""
    shell = lambda line: subprocess.run(  # noqa: E731 - two lines of a shell
        ["bash", "-c", f"{RUNBOOK} {command} {line}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No space left on device" in told(shell("> /dev/full"), 1)
    assert "it is closed" in told(shell(">&-"), 1)


def test_a_run_whose_output_is_lost_keeps_its_evidence_and_code(settings: Settings, tmp_path: Path):
    """What was found is in the bundle, whose exit code stays."""
    command = f"{RUNBOOK} {' '.join((*RUN, *TIMES))} > /dev/full"
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Standard output cannot be written to" in told(ran, 3)
    assert list(tmp_path.glob("evidence/*/*/manifest.json"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of the alert's own notebook on an environment without sources, and where it was started."""
    folder = tmp_path_factory.mktemp("ran")
    bare(folder)
    return folder, runbook(folder, *RUN, *TIMES, "--lookback", "1h")


Ran = tuple[Path, subprocess.CompletedProcess[str]]


def bundle_of(ran: Ran) -> Path:
    return ran[0] / "evidence/INC-2026-01-15-01/HighErrorRate-20260115T104700Z"


def test_a_run_prints_verdict_ledger_bundle_and_digest(ran: Ran):
    """Four lines for an on-call person or a script, and between them why nothing is known; exit code 3 for that."""
    process = ran[1]
    assert (process.returncode, process.stderr) == (3, "")
    verdict, why, *sources, doctor, ledger, evidence, manifest = process.stdout.splitlines()
    assert verdict == "Not known whether HighErrorRate is real."
    assert why == "Not known: Prometheus is not set up; add [environment.bare.prometheus] in runbook.toml."
    asked = [re.match(r"\d+ questions? to (\w+) failed: \1 is not set up; ", line) for line in sources]
    assert sorted(one[1] for one in asked if one) == ["Elasticsearch", "Kubernetes", "Probe", "Prometheus"]
    assert doctor == "Run `runbook doctor --environment bare` to see what each source lacks."
    assert ledger == "0 of 9 checks ran."
    assert evidence == f"Evidence: {bundle_of(ran)}"
    assert re.fullmatch(r"Manifest: sha256 [0-9a-f]{64}", manifest)


@pytest.mark.parametrize("alert", SHIPPED.names)
def test_each_runbook_without_sources_leaves_evidence_and_exit_code_3(alert: str, tmp_path: Path):
    """Headless, with nobody to ask: the run ends, its bundle is whole, and nothing is claimed."""
    bare(tmp_path)
    process = runbook(tmp_path, "run", alert, "--environment", "bare", *TIMES, "--json")
    assert process.returncode == 3, process.stderr
    printed = json.loads(process.stdout)
    assert printed["status"] == "incomplete"
    assert printed["headline"].endswith(f"Not known whether {alert} is real.")
    assert runbook(tmp_path, "audit", printed["bundle"]).returncode == 0


def test_a_brief_run_is_one_line(settings: Settings, tmp_path: Path):
    """--brief prints alert, verdict, ledger and bundle on one line, for a list of several runs."""
    (line,) = runbook(tmp_path, *RUN, *TIMES, "--lookback", "1h", "--brief").stdout.splitlines()
    bundle = tmp_path / "evidence/INC-2026-01-15-01/HighErrorRate-20260115T104700Z"
    assert line == f"HighErrorRate: Not known whether HighErrorRate is real. 0 of 9 checks ran. {bundle}"


def test_a_bundle_is_audited_and_replayed(ran: Ran, tmp_path: Path):
    """What a run left proves itself, by the digest that the run printed, and replays to the same findings."""
    digest = ran[1].stdout.split()[-1]
    audited = runbook(tmp_path, "audit", str(bundle_of(ran)), "--expect", digest)
    assert (audited.returncode, audited.stderr) == (0, "")
    assert "Unedited" in audited.stdout
    replayed = runbook(tmp_path, "replay", str(bundle_of(ran)))
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert replayed.stdout.splitlines() == [
        "Not known whether HighErrorRate is real.",
        "0 of 9 checks ran.",
        "Equal to what was found then.",
    ]


def copy_of(bundle: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-r", str(bundle), str(folder / "copy")], check=True)
    subprocess.run(["chmod", "-R", "u+w", str(folder / "copy")], check=True)
    return folder / "copy"


def test_an_edited_bundle_is_found_out(ran: Ran, tmp_path: Path):
    """One changed word gives exit code 1 and names the file; replay lists what differs."""
    copy = copy_of(bundle_of(ran), tmp_path)
    findings = copy / "findings.json"
    findings.write_text(findings.read_text().replace("Not known whether HighErrorRate is real.", "All is well."))
    audited = runbook(tmp_path, "audit", str(copy))
    assert audited.returncode == 1
    assert "findings.json" in audited.stdout
    replayed = runbook(tmp_path, "replay", "--json", str(copy))
    assert replayed.returncode == 1
    document = json.loads(replayed.stdout)
    assert document["equal"] is False
    assert document["differences"] == ["headline was “All is well.”, is “Not known whether HighErrorRate is real.”."]
    assert "1 difference." in runbook(tmp_path, "replay", str(copy)).stdout
    audit: dict[str, Any] = json.loads(runbook(tmp_path, "audit", "--json", str(copy)).stdout)
    assert audit["unedited"] is False


def test_without_a_digest_or_a_key_an_audit_claims_no_more_than_it_can(ran: Ran, tmp_path: Path):
    """Who rewrites a file and the manifest is not found by these alone, and that is said; a digest has 64 digits."""
    audited = runbook(tmp_path, "audit", str(bundle_of(ran)))
    assert audited.returncode == 0
    assert audited.stdout.startswith("Agrees with its manifest: ")
    assert "someone who changed both files and manifest" in audited.stdout
    assert "64 hexadecimal digits" in told(runbook(tmp_path, "audit", str(bundle_of(ran)), "--expect", "abc"), 2)


def test_a_recording_alone_replays(ran: Ran, tmp_path: Path):
    """Without findings beside it there is nothing to compare, and that is said."""
    copy = copy_of(bundle_of(ran), tmp_path) / "recording.jsonl.gz"
    alone = copy.rename(tmp_path / "alone.jsonl.gz")
    replayed = runbook(tmp_path, "replay", str(alone))
    assert replayed.returncode == 0
    assert "nothing to compare" in replayed.stdout


def test_a_recording_that_was_cut_off_cannot_prove_much(ran: Ran, tmp_path: Path):
    """Replayed, it has exit code 3 where checks lack their answers; a run is not even begun on it."""
    whole = (bundle_of(ran) / "recording.jsonl.gz").read_bytes()
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[: len(whole) - 200])
    assert runbook(tmp_path, "replay", str(cut)).returncode == 3
    assert runbook(tmp_path, "replay", str(cut), "--json").returncode == 3
    bare(tmp_path)
    for recording in (str(cut), "/etc/passwd"):
        told(runbook(tmp_path, *RUN, "-p", "recording", recording), 2)
    assert not (tmp_path / "evidence").exists()


def test_a_run_for_machines_is_one_json_document(settings: Settings, tmp_path: Path):
    """--json says all of it on stdout, and the environment may come from the process environment."""
    process = runbook(
        tmp_path,
        "run",
        "HighErrorRate",
        "--json",
        "--incident",
        "PD-4711",
        "--evidence",
        "kept",
        RUNBOOK_ENVIRONMENT="bare",
    )
    document = json.loads(process.stdout)
    assert process.returncode == 3
    assert document["status"] == "incomplete"
    assert document["parameters"]["incident_id"] == "PD-4711"
    assert (tmp_path / "kept/PD-4711" / Path(document["bundle"]).name / "manifest.json").is_file()
    assert set(document) == {
        "status",
        "headline",
        "recovery",
        "ledger",
        "trouble",
        "reason",
        "bundle",
        "manifest_sha256",
        "parameters",
        "seconds",
    }


def test_an_interrupted_run_has_exit_code_130(settings: Settings, tmp_path: Path):
    """Ctrl-C while the notebook runs: the reason on stderr, the evidence sealed, and no traceback."""
    process = subprocess.Popen([RUNBOOK, *RUN], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("evidence/*/.*.partial")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert len(list(tmp_path.glob("evidence/*/HighErrorRate-*/manifest.json"))) == 1


def test_a_terminal_sees_the_questions_while_they_are_asked(settings: Settings, tmp_path: Path):
    """On a terminal each question appears with its time; in a pipe (above) stderr stays empty."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([RUNBOOK, *RUN], cwd=tmp_path, stdout=subprocess.PIPE, stderr=follower, text=True)
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 4096):
            seen += chunk
    except OSError:  # how Linux says that the other side was closed
        pass
    process.communicate(timeout=60)
    assert b"What changed?" in seen
    assert re.search(rb"\d\.\d s", seen)


@pytest.mark.parametrize(("terminal", "styled"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_no_escape_sequences(settings: Settings, tmp_path: Path, terminal: str, styled: bool):
    """Only a terminal that understands them is told of bold and colours."""
    leader, follower = pty.openpty()
    command, environment = [RUNBOOK, "doctor", "--environment", "bare"], {**os.environ, "TERM": terminal}
    subprocess.run(command, cwd=tmp_path, env=environment, stdout=follower, stderr=subprocess.DEVNULL, check=False)
    os.close(follower)
    assert (b"\x1b[" in os.read(leader, 4096)) == styled
    os.close(leader)


def test_open_fills_in_a_copy_and_never_overwrites_one(settings: Settings, tmp_path: Path):
    """The copy has this incident's parameters and none of the demonstration's outputs; the next gets another name."""
    arguments = ("open", "HighErrorRate", "--environment", "bare", *TIMES, "--print")
    first, second = (Path(runbook(tmp_path, *arguments).stdout.strip()) for _ in range(2))
    assert first == tmp_path / "evidence/INC-2026-01-15-01/HighErrorRate-20260115T104700Z.ipynb"
    assert second.name == "HighErrorRate-20260115T104700Z-2.ipynb"
    notebook = json.loads(first.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    values: dict[str, str] = {}
    exec("".join(code[0]["source"]), values)  # noqa: S102 - the parameters cell that we wrote
    assert (values["environment"], values["started_at"], values["ended_at"]) == ("bare", START, END)
    assert "# " in "".join(code[0]["source"])


def test_a_run_is_signed_and_audited_with_the_environments_key(tmp_path: Path):
    """Where an environment names a seal key, its bundles are signed, and `audit --environment` checks that."""
    (tmp_path / "key").write_text("canary-key")
    (tmp_path / "runbook.toml").write_text(f'{TEXT}seal_key_file = "key"\n\n[environment.keyless]\nservice = "shop"\n')
    assert runbook(tmp_path, *RUN, *TIMES).returncode == 3
    bundle = str(next(tmp_path.glob("evidence/*/*/manifest.json")).parent)
    assert "signed with the environment's key" in runbook(tmp_path, "audit", bundle, "--environment", "bare").stdout
    assert "names no seal key" in told(runbook(tmp_path, "audit", bundle, "--environment", "keyless"), 2)
    (tmp_path / "key").write_text("another-key")
    assert runbook(tmp_path, "audit", bundle, "--environment", "bare").returncode == 1


def test_open_keeps_its_evidence_where_it_was_told(tmp_path: Path):
    """With --evidence the notebook's own run leaves its bundle there too, not in the environment's folder."""
    bare(tmp_path)
    code = "import os; print(os.environ['RUNBOOK_EVIDENCE'])"
    (tmp_path / "jupyterlab.py").write_text(code)
    asked = ("open", "HighErrorRate", "--environment", "bare", *TIMES, "--evidence", "elsewhere")
    opened = runbook(tmp_path, *asked, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert opened.stdout.splitlines()[-1] == str(tmp_path / "elsewhere")


def test_list_names_each_alert():
    """Name, severity and meaning, for a person and for a machine."""
    listed = CliRunner().invoke(main.cli, ["list"])
    assert re.search(r"^HighErrorRate +high +More than 5 %", listed.stdout, re.MULTILINE)
    document = json.loads(CliRunner().invoke(main.cli, ["list", "--json"]).stdout)
    assert {"name", "severity", "summary", "meaning"} == set(document[0])


def test_doctor_tells_line_by_line(settings: Settings, tmp_path: Path):
    """Exit code 3 where some check could not run; JSON has the same lines."""
    plain, machine = (
        runbook(tmp_path, *("doctor", "--environment", "bare")),
        runbook(tmp_path, "doctor", "--environment", "bare", "--json"),
    )
    assert plain.returncode == machine.returncode == 3
    lines = json.loads(machine.stdout)
    assert len(plain.stdout.splitlines()) == len(lines)
    assert plain.stdout.startswith("failed   prometheus    connection: ")


def test_rules_are_printed_for_prometheus_and_for_machines():
    """The same rules as YAML and as JSON; that they lack a link to the runbook is said beside them."""
    where = ["--settings", str(ROOT / "runbook.toml"), "--environment", "production"]
    printed = CliRunner().invoke(main.cli, ["rules", *where])
    text = printed.stdout
    assert (
        printed.stderr == "No runbook_base_url in [environment.production]: the rules have no link to their runbook.\n"
    )
    document = json.loads(CliRunner().invoke(main.cli, ["rules", "--json", *where, "HighErrorRate"]).stdout)
    assert "- alert: HighErrorRate\n" in text
    assert "runbook_url" not in text
    assert document["groups"][0]["rules"][0]["alert"] == "HighErrorRate"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented(name: str):
    """README.md shows every command in use, and `--help` explains each of its options."""
    assert re.search(rf"\brunbook {name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_the_list_of_commands_is_true():
    """Each line of `runbook --help` has its command, under its own name."""
    assert {name: command.name for name, command in COMMANDS.items()} == {name: name for name in main.COMMANDS}
    modules = {path.stem for path in (ROOT / "lib/runbook/cli").glob("*.py") if "@click.command" in path.read_text()}
    assert modules == set(main.COMMANDS)


def test_help_loads_nothing_heavy():
    """`runbook --help` and a wrong command answer at once: nothing but click is imported for them."""
    code = (
        "import sys; from runbook.cli import main; main.guarded(main.cli, sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    for argument in ("--help", "--version"):
        process = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
        loaded = {name.split(".")[0] for name in process.stderr.split()}
        assert not loaded & {
            "numpy",
            "pandas",
            "matplotlib",
            "msgspec",
            "papermill",
            "rich",
            "jupyter_client",
            "requests",
            "jinja2",
        }


@pytest.mark.parametrize("size", ["32k", "144k"])
def test_a_run_on_a_full_disk_keeps_its_verdict(settings: Settings, tmp_path: Path, size: str):
    """What was found is printed though it could not be kept; the disk is named, and what lies where."""
    (tmp_path / "small").mkdir()
    run = f"{RUNBOOK} {' '.join((*RUN, *TIMES))} --evidence small"
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs -o size={size} none small && exec {run}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in ran.stderr or "unshare" in ran.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert ran.returncode == 1
    assert ran.stdout.startswith("Not known whether HighErrorRate is real.\n")
    assert "of 9 checks ran.\n" in ran.stdout
    assert ran.stderr.startswith("runbook: ")
    assert "the disk is full; free some space" in ran.stderr
    draft = "small/INC-2026-01-15-01/.HighErrorRate-20260115T104700Z.partial"
    assert size == "32k" or f"Not sealed: {draft} holds findings.json, notebook.ipynb, " in ran.stderr
