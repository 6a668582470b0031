"""One notebook, run in every way there is, on real servers: each way finds the same and leaves its evidence."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from runbook.evidence.audit import audit
from runbook.recording.file import RECORDING
from runbook.recording.replay import Replay
from runbook.reporting.findings_json import compare
from tests.canned import Canned, Reply
from tests.command_line import findings, options, runbook, write_settings
from tests.lab.scenarios.investigating import LOOKBACK, environment, profile
from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import scenario
from tests.lab.scenarios.ways import Ways, comparable
from tests.lab.servers.lab import Lab
from tests.lab.servers.prometheus import Prometheus

pytestmark = pytest.mark.lab

ALERT = "HighErrorRate"
SCENE = scenario("bad-release", seed=1, day=56, namespace="web-runs")
GIVEN = {
    "environment": "lab",
    "incident_id": "INC-2026-03-09-01",
    "lookback": LOOKBACK,
    **{name: value for name, value in SCENE.context_parameters().items() if name != "namespace"},
}


@dataclass(frozen=True)
class Scene:
    """The lab with one incident in it, and the ways to investigate it."""

    lab: Lab
    ways: Ways


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A bad release of the simulated service in the past of the lab's servers; its address answers."""
    folder = tmp_path_factory.mktemp("runs")
    load(lab, [SCENE])
    lab.kubernetes.wait_for_metrics(SCENE.namespace)
    with Canned({"/health": Reply(b"ok\n"), "/api/username/test": Reply({"username": "test"})}) as service:
        here = msgspec.structs.replace(environment(lab, service.url), evidence=str(folder / "evidence"))
        settings = write_settings(folder / "runbook.toml", {"lab": here}, profile(SCENE.namespace))
        yield Scene(lab, Ways(ALERT, GIVEN, settings, folder / "evidence"))


@pytest.fixture(scope="module")
def ran(scene: Scene) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What `runbook run` printed, and the bundle that it left."""
    return scene.ways.run()


def test_run_finds_what_was_wrong(ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """`runbook run` ends with 0, every check ran, and the release is the one supported cause."""
    done, bundle = ran
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    outcome = findings(bundle)
    assert (printed["status"], printed["bundle"]) == ("complete", str(bundle))
    assert outcome["ledger"]["unknown"] == []
    assert [v["cause"] for v in outcome["verdicts"] if v["state"] == "supported"] == ["deployment"]
    assert printed["headline"] == outcome["headline"]


def test_jupyterlab_finds_the_same(scene: Scene, ran: tuple[object, Path], tmp_path: Path) -> None:
    """A filled copy of the notebook, run cell by cell in JupyterLab, leaves the same findings."""
    bundle = scene.ways.jupyterlab(tmp_path)
    assert compare(comparable(ran[1]), comparable(bundle)) == []
    assert audit(bundle).unedited


def test_plain_papermill_finds_the_same(scene: Scene, ran: tuple[object, Path], tmp_path: Path) -> None:
    """papermill's own command leaves the same findings in the settings' evidence folder."""
    bundle = scene.ways.papermill(tmp_path)
    assert compare(comparable(ran[1]), comparable(bundle)) == []
    assert audit(bundle).unedited


def test_replay_finds_the_same(scene: Scene, ran: tuple[object, Path]) -> None:
    """`runbook replay` of the bundle finds exactly what the bundle says."""
    assert compare(findings(ran[1]), scene.ways.replay(ran[1])) == []


def test_the_bundle_proves_itself(scene: Scene, ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """`runbook audit` accepts it with the digest that the run printed, and with no other."""
    done, bundle = ran
    digest = json.loads(done.stdout)["manifest_sha256"]
    assert runbook(scene.ways.settings, "audit", bundle, "--expect", digest).returncode == 0
    assert runbook(scene.ways.settings, "audit", bundle, "--expect", "0" * 64).returncode == 1


def test_the_report_begins_with_the_verdict(ran: tuple[object, Path]) -> None:
    """report.html opens offline and tells the verdict before anything else."""
    text, outcome = (ran[1] / "report.html").read_text(), findings(ran[1])
    assert outcome["headline"] in text
    assert text.index(outcome["headline"]) < text.index(outcome["findings"][0]["question"])
    assert "<script" not in text
    assert not [word for word in ('src="http', "src='http", "@import", 'rel="stylesheet"') if word in text]


def test_the_recording_holds_every_answer(ran: tuple[object, Path]) -> None:
    """Each query of the findings is in the recording, answered, and the recording came to its end."""
    replay, outcome = Replay(ran[1] / RECORDING), findings(ran[1])
    asked = {query["key"] for one in outcome["findings"] for query in one["queries"]}
    assert replay.complete
    assert {answer.query.key for answer in replay.answers} == asked
    assert len(asked) == outcome["answers"]


def test_prometheus_3_gives_the_same_verdict(scene: Scene, ran: tuple[object, Path], tmp_path: Path) -> None:
    """The same data in another major version of Prometheus: the causes rank the same, the sentence is the same."""
    data = scene.lab.prometheus.directory / "data"
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("wal", "chunks_head", "lock", "*.active"))
    with (
        Prometheus(tmp_path, version="3") as prometheus,
        Canned({"/health": Reply(b""), "/api/username/test": Reply(b"")}) as service,
    ):
        elsewhere = environment(scene.lab, service.url)
        assert elsewhere.prometheus
        other = msgspec.structs.replace(
            elsewhere, prometheus=msgspec.structs.replace(elsewhere.prometheus, url=prometheus.url)
        )
        settings = write_settings(tmp_path / "runbook.toml", {"lab": other}, profile(SCENE.namespace))
        done = runbook(settings, "run", ALERT, "--json", *options(GIVEN))
    assert done.returncode == 0, done.stderr
    here, there = findings(ran[1]), findings(Path(json.loads(done.stdout)["bundle"]))
    assert here["headline"] == there["headline"]
    assert [(v["cause"], v["state"]) for v in here["verdicts"]] == [(v["cause"], v["state"]) for v in there["verdicts"]]
