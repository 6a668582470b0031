"""`runbook new`: every frame works as it stands, and nothing is written anywhere but into one's own folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from runbook.alerts import registry
from runbook.cli.frame import Frame
from runbook.config import settings
from runbook.errors import UsageError
from runbook.monitoring import alerting_rules, yaml_text
from tests import ROOT
from tests.bare import TEXT
from tests.fakes import context

RUNBOOK = str(Path(sys.executable).parent / "runbook")
PROMTOOL = shutil.which("promtool")
NEW = ("new", "QueueTooLong", "--metric", "queue_length", "--above", "10", "--unit", "jobs")
KINDS = {
    "gauge": ("queue_length", "10", "jobs"),
    "counter": ("jobs_failed_total", "0.3", "jobs/s"),
    "ratio": ("jobs_failed_total", "0.05", "jobs"),
    "quantile": ("job_duration_seconds_bucket", "2.5", "seconds"),
    "pod-maximum": ("process_open_fds", "1000", "files"),
}


def runbook(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, started in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK_")}
    return subprocess.run(
        [RUNBOOK, *arguments], cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=120
    )


def refused(folder: Path, *arguments: str) -> str:
    """The one sentence of a command that did nothing."""
    ran = runbook(folder, *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stdout + ran.stderr
    return ran.stderr


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A folder with settings that name no folder of alerts."""
    (tmp_path / "runbook.toml").write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of frame, above and below."""
    folder = tmp_path_factory.mktemp("frames")
    (folder / "runbook.toml").write_text(TEXT, encoding="utf-8")
    for kind, (metric, limit, unit) in KINDS.items():
        of = ("--of", "jobs_total") if kind == "ratio" else ()
        for side in ("above", "below"):
            named = (alert(kind, side), "--kind", kind, "--metric", metric, f"--{side}", limit, "--unit", unit, *of)
            ran = runbook(folder, "new", *named)
            assert ran.returncode == 0, ran.stderr
    return folder


def alert(kind: str, side: str) -> str:
    """The name of one of the frames."""
    return f"Watch{kind.replace('-', '').capitalize()}{side.capitalize()}"


every_frame = pytest.mark.parametrize(("kind", "side"), [(kind, side) for kind in KINDS for side in ("above", "below")])


@every_frame
def test_the_frame_s_rule_does_what_its_unit_test_says(frames: Path, tmp_path: Path, kind: str, side: str) -> None:
    """promtool's own engine finds that it fires on its side of the limit, and nowhere else."""
    if PROMTOOL is None:
        pytest.skip("promtool is missing: install Debian's package `prometheus`")
    name, known = alert(kind, side), settings.load(frames / "runbook.toml")
    loaded = registry.of(known).load(name)
    for opposite, code in ((False, 0), (True, 1)):
        document = alerting_rules.rules([loaded], known.service("shop"), known.environment("bare"))
        (rule,) = document["groups"][0]["rules"]
        turned = rule["expr"].translate(str.maketrans("<>", "><")) if opposite else rule["expr"]
        document["groups"][0]["rules"] = [rule | {"expr": turned}]
        (tmp_path / "rules.yml").write_text(yaml_text.as_yaml(document), encoding="utf-8")
        shutil.copy(frames / f"alerts/rules/{name}.test.yml", tmp_path)
        ran = subprocess.run(
            [PROMTOOL, "test", "rules", f"{name}.test.yml"], cwd=tmp_path, capture_output=True, text=True
        )
        assert ran.returncode == code, ran.stdout + ran.stderr


@every_frame
def test_the_frame_declares_its_threshold_and_asks_its_metric(frames: Path, kind: str, side: str) -> None:
    """Rule, first check and signal ask the same metric of the same service; the limit is the alert's own threshold."""
    known = settings.load(frames / "runbook.toml")
    service, loaded = known.service("shop"), registry.of(known).load(alert(kind, side))
    metric, limit, _ = KINDS[kind]
    wanted = f'{"" if metric.startswith("process_") else "micro_frontend_"}{metric}{{app="micro-frontend"}}'
    c = context(service=service)
    assert wanted in loaded.expression(service)
    assert any(wanted in query.text for query in loaded.checks[0].queries(c).values())
    assert "for at least five minutes" in loaded.meaning(service.thresholds)
    (threshold,) = loaded.thresholds
    assert threshold.of({}) == float(limit)
    other = msgspec.structs.replace(service, thresholds={threshold.name: 0.123})
    assert loaded.expression(other).endswith(f" {'<' if side == 'below' else '>'} 0.123")


def test_a_gauge_is_not_asked_twice(frames: Path) -> None:
    """It is asked for its value, not over a long and a short window as a rate is."""
    catalogue = registry.of(settings.load(frames / "runbook.toml"))
    asked = {kind: set(catalogue.load(alert(kind, "above")).checks[0].queries(context())) for kind in KINDS}
    assert asked["gauge"] == asked["pod-maximum"] == {"value", "value, yesterday", "value, last week"}
    assert asked["counter"] == asked["ratio"] == asked["quantile"] == {*asked["gauge"], "value, short"}


def test_the_frames_are_as_a_linter_and_a_formatter_want_them(frames: Path) -> None:
    """A team's own checks find nothing in what was written for it."""
    paths = [str(path) for path in (frames / "alerts").glob("*.py")]
    configured = ("--config", str(ROOT / "pyproject.toml"))
    for tool in (
        ("ruff", "check", "--no-cache", *configured),
        ("ruff", "format", "--no-cache", "--check", *configured),
    ):
        ran = subprocess.run([sys.executable, "-m", *tool, *paths], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout
    assert max(len(Path(path).read_text().splitlines()) for path in paths) < 100


def test_the_notebook_has_the_form_of_every_notebook(frames: Path) -> None:
    """12 to 18 cells, the module's words, and a cell for each check."""
    known = settings.load(frames / "runbook.toml")
    loaded = registry.of(known).load("WatchGaugeAbove")
    cells = json.loads((frames / "alerts/WatchGaugeAbove.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert 12 <= len(cells) <= 18
    assert "**Meaning** Queue length is above 10 jobs for at least five minutes." in text
    assert all(f'incident.show("{check.name}")' in text for check in loaded.checks)


def test_a_run_without_servers_says_what_is_missing(team: Path) -> None:
    """The new alert runs headless at once and replays: evidence is left, no cause is supported, the exit code is 3."""
    assert runbook(team, *NEW).returncode == 0
    times = ("--started-at", "2026-01-15T10:47:00Z", "--ended-at", "2026-01-15T11:12:00Z")
    ran = runbook(team, "run", "QueueTooLong", "--environment", "bare", *times, "--json")
    assert ran.returncode == 3, ran.stderr
    bundle = json.loads(ran.stdout)["bundle"]
    findings = json.loads((Path(bundle) / "findings.json").read_text(encoding="utf-8"))
    assert {verdict["state"] for verdict in findings["verdicts"]} == {"not tested"}
    assert json.loads(runbook(team, "replay", bundle, "--json").stdout)["equal"] is True


def test_the_settings_get_two_lines_at_their_end(team: Path) -> None:
    """What a person wrote there stays to the letter, a missing line end at the end included; it happens once."""
    (team / "runbook.toml").write_bytes(b"# caf\xc3\xa9\r\n" + TEXT.encode().rstrip())
    before = (team / "runbook.toml").read_bytes()
    assert "now ends with the two lines" in runbook(team, *NEW).stdout
    after = (team / "runbook.toml").read_bytes()
    assert after == before + b'\n\n[alerts]\nfolder = "alerts"\n'
    assert runbook(team, "new", "QueueTooShort", *NEW[2:]).returncode == 0
    assert (team / "runbook.toml").read_bytes() == after


def test_a_folder_that_the_settings_name_is_made(team: Path) -> None:
    """The alert goes where the settings say, and the settings stay as they are."""
    text = f'{TEXT}\n[alerts]\nfolder = "ops/our alerts"\n'
    (team / "runbook.toml").write_text(text)
    assert runbook(team, *NEW).returncode == 0
    found = {path.relative_to(team / "ops/our alerts").as_posix() for path in (team / "ops").rglob("*.*")}
    assert {"queue_too_long.py", "QueueTooLong.ipynb", "rules/QueueTooLong.test.yml"} <= found
    assert (team / "ops/our alerts/recordings").is_dir()
    assert (team / "runbook.toml").read_text() == text
    assert "QueueTooLong" in runbook(team, "list").stdout


def test_an_installed_package_is_never_written_into(tmp_path: Path) -> None:
    """With the package's own settings in use, the sentence says which two lines a runbook.toml of one's own needs."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "lib/runbook", site / "runbook", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", site / "runbook/notebooks")
    shutil.copy(ROOT / "runbook.toml", site / "runbook")
    before = sorted(path for path in site.rglob("*") if "__pycache__" not in path.parts)
    ran = subprocess.run(
        [sys.executable, "-m", "runbook.cli", *NEW],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert '`[alerts]` and `folder = "alerts"`' in ran.stderr
    assert sorted(path for path in site.rglob("*") if "__pycache__" not in path.parts) == before


def test_nothing_is_written_over(team: Path) -> None:
    """An alert that is there already, here or in the package, is refused in one sentence, and stays as it is."""
    assert runbook(team, *NEW).returncode == 0
    before = {path: path.read_bytes() for path in (team / "alerts").rglob("*.*") if path.suffix != ".pyc"}
    for name in ("QueueTooLong", "HighErrorRate"):
        assert f"There is an alert {name} already" in refused(team, "new", name, *NEW[2:])
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("there", ["QueueTooLong.ipynb", "rules/QueueTooLong.test.yml"])
def test_a_module_without_the_rest_is_not_left(team: Path, there: str) -> None:
    """Where one file cannot be written, the others are taken back and the settings stay: it can be repeated."""
    (team / "alerts/rules").mkdir(parents=True)
    (team / "alerts" / there).symlink_to("nowhere")
    assert f"{there} is there already" in refused(team, *NEW)
    assert [path.name for path in (team / "alerts").rglob("*.*") if path.suffix != ".pyc"] == [Path(there).name]
    assert (team / "runbook.toml").read_text() == TEXT
    (team / "alerts" / there).unlink()
    assert runbook(team, *NEW).returncode == 0


def test_what_is_missing_of_an_alert_is_listed(team: Path) -> None:
    """`runbook list --check` asks of each own alert what the shipped ones' tests ask, a sentence each; exit code 1."""
    assert runbook(team, "list", "--check").returncode == 0
    assert runbook(team, *NEW).returncode == 0
    module = team / "alerts/queue_too_long.py"
    module.write_text(module.read_text().replace("Say here what users notice of it.", "Users wait."))
    (team / "alerts/rules/QueueTooLong.test.yml").unlink()
    ran = runbook(team, "list", "--check")
    assert ran.returncode == 1
    assert "QueueTooLong has no recording; run it" in ran.stderr
    assert "does not say the impact of QueueTooLong" in ran.stderr
    assert "QueueTooLong has no test of its rule" in ran.stderr
    assert ran.stderr.count("\n") == 3


def test_a_broken_alert_costs_itself_alone(team: Path) -> None:
    """list goes on, doctor has a line for it, rules print the others and fail; nothing is begun for it."""
    assert runbook(team, *NEW).returncode == 0
    module = team / "alerts/queue_too_long.py"
    module.write_text(f"{module.read_text()}\nimport nowhere_at_all\n")
    sentence = f"The alert QueueTooLong cannot be loaded: {module}:"
    listed = runbook(team, "list")
    assert (listed.returncode, listed.stderr.count("\n")) == (0, 1)
    assert sentence in listed.stderr
    assert "HighErrorRate" in listed.stdout
    assert sentence in refused(team, "run", "QueueTooLong", "--environment", "bare")
    assert not list(team.glob("evidence/*/.*"))
    printed = runbook(team, "rules", "--environment", "bare")
    assert printed.returncode == 1
    assert printed.stdout.count("- alert:") == len(registry.SHIPPED.names)
    examined = runbook(team, "doctor", "--environment", "demo")
    assert examined.returncode == 3
    assert sentence in examined.stdout
    assert examined.stdout.count("\nok ") == len(registry.SHIPPED.names)


def test_a_slip_in_a_threshold_s_name_stops_before_anything_runs(team: Path) -> None:
    """run, open, doctor and rules refuse it with the nearest name; no evidence is begun."""
    assert runbook(team, *NEW).returncode == 0
    with (team / "runbook.toml").open("a") as file:
        file.write("[service.shop.thresholds]\nqueue_to_long = 5\n")
    for command in (("run", "HighErrorRate"), ("open", "QueueTooLong", "--print"), ("doctor",), ("rules",)):
        assert "did you mean queue_too_long?" in refused(team, *command, "--environment", "bare")
    assert not list(team.glob("evidence/*/*"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "queue"},
        {"name": "../../Etc"},
        {"metric": "up{}) or vector(1"},
        {"unit": 'x"\nimport os'},
        {"unit": "  "},
        {"limit": float("nan")},
        {"limit": float("inf")},
        {"limit": -1.0},
        {"of": "jobs_total"},
        {"kind": "ratio"},
        {"kind": "ratio", "of": "jobs_total"},
        {"kind": "ratio", "of": "x) or (y", "limit": 0.5},
    ],
    ids=str,
)
def test_what_would_break_the_module_is_refused(wrong: dict[str, object]) -> None:
    """A name, metric, unit or limit that is none is one sentence, before anything is written."""
    right: dict[str, object] = {"name": "QueueTooLong", "metric": "queue_length", "limit": 10.0, "unit": "jobs"}
    with pytest.raises(UsageError):
        Frame(**{**right, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("sides", [(), ("--above", "1", "--below", "2")])
def test_one_side_is_given(team: Path, sides: tuple[str, ...]) -> None:
    """An alert fires above or below, not both and not neither."""
    told = refused(team, "new", "QueueTooLong", "--metric", "queue_length", "--unit", "jobs", *sides)
    assert "give one of --above and --below" in told


def test_the_prefix_is_not_written_twice(team: Path) -> None:
    """A metric given with the prefix would be asked for with two of them: it is refused, and nothing is written."""
    told = refused(team, "new", "QueueTooLong", "--metric", "micro_frontend_x", "--above", "1", "--unit", "jobs")
    assert "Give the metric without micro_frontend_" in told
    assert not list(team.glob("alerts/*"))
