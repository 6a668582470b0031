"""One source broken in every way there is, the others real: it costs its own checks, in time and in words."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runbook.config.schema import Auth, Elasticsearch, Environment, Kubernetes, Prometheus
from runbook.config.settings import Settings
from runbook.evidence.audit import audit
from runbook.incident import Incident
from runbook.investigation.result import Investigation
from runbook.model import canonical
from runbook.reporting.findings_json import findings_json
from tests.canned import Canned, Reply
from tests.command_line import findings, manifest, options, runbook, write_settings
from tests.faulty import MODES, Faulty, Mode
from tests.lab.scenarios.investigating import LOOKBACK, environment, profile
from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import scenario
from tests.lab.servers.lab import Lab

pytestmark = pytest.mark.lab

ALERT = "HighErrorRate"
SCENE = scenario("bad-release", seed=2, day=58, namespace="web-faulty")
INCIDENT = "INC-2026-03-11-01"
GIVEN = {
    "environment": "lab",
    "incident_id": INCIDENT,
    "lookback": LOOKBACK,
    **{name: value for name, value in SCENE.context_parameters().items() if name != "namespace"},
}
SECRET = "canary-77e0a1c4d2"
SECONDS, MARGIN = 7.0, 8.0
OF_A_RUN, TO_START = 15.0, 90.0  # a run also starts a kernel, imports client libraries, and writes its evidence

LOST = {
    "prometheus": {"request_error_rate", "scope", "traffic", "resource_limits", "database_health", "authentication"},
    "elasticsearch": {"error_messages"},
    "kubernetes": {"changes", "resource_limits"},
    "probe": set[str](),  # a service that does not answer is a finding, not a gap
}
UNTESTED = {
    "prometheus": {"database", "authentication", "resources", "deployment", "traffic"},
    "elasticsearch": set[str](),
    "kubernetes": {"resources", "deployment"},
    "probe": set[str](),
}
Break = Callable[[Environment, str, Path], Environment]


def _prometheus(whole: Environment, url: str, folder: Path) -> Environment:
    return msgspec.structs.replace(whole, prometheus=Prometheus(url=url, auth=Auth(bearer_file=_token(folder))))


def _elasticsearch(whole: Environment, url: str, folder: Path) -> Environment:
    return msgspec.structs.replace(whole, elasticsearch=Elasticsearch(url=url, auth=Auth(api_key_file=_token(folder))))


def _kubernetes(whole: Environment, url: str, folder: Path) -> Environment:
    parts = {
        "clusters": {"cluster": {"server": url}},
        "users": {"user": {"token": SECRET}},
        "contexts": {"context": {"cluster": "faulty", "user": "faulty"}},
    }
    config = {kind: [{"name": "faulty", **part}] for kind, part in parts.items()}
    file = folder / "kubeconfig"
    file.write_text(json.dumps({**config, "current-context": "faulty"}))
    return msgspec.structs.replace(whole, kubernetes=Kubernetes(kubeconfig=str(file)))


def _probe(whole: Environment, url: str, folder: Path) -> Environment:
    return msgspec.structs.replace(whole, base_url=url)


def _token(folder: Path) -> str:
    (folder / "token").write_text(SECRET)
    return str(folder / "token")


BREAK: Mapping[str, Break] = {
    "prometheus": _prometheus,
    "elasticsearch": _elasticsearch,
    "kubernetes": _kubernetes,
    "probe": _probe,
}


@dataclass(frozen=True)
class Timed:
    """What was found, and how long that took."""

    found: Investigation
    seconds: float


def investigated(here: Environment) -> Timed:
    """The incident, opened and concluded in this process as a notebook does it."""
    began = time.monotonic()
    known = Settings(Path(), {"lab": here}, {"micro-frontend": profile(SCENE.namespace)})
    found = Incident.open(ALERT, known, **GIVEN).investigation()
    return Timed(found, time.monotonic() - began)


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Iterator[Environment]:
    """A bad release of the simulated service in the past of the lab's servers; all of them answer well."""
    load(lab, [SCENE])
    lab.kubernetes.wait_for_metrics(SCENE.namespace)
    with Canned({"/health": Reply(b"ok\n"), "/api/username/test": Reply({"username": "test"})}) as service:
        here = environment(lab, service.url)
        assert investigated(here).found.unknown == ()  # also: clients are imported, servers are warm
        yield msgspec.structs.replace(here, deadline_seconds=SECONDS)


@pytest.fixture
def faulty(whole: Environment, tmp_path: Path) -> Iterator[Callable[..., Environment]]:
    """The lab with some sources replaced by broken servers, which hold on to the end of the test."""
    with ExitStack() as servers:

        def broken(mode: Mode, *sources: str) -> Environment:
            here = whole
            for source in sources:
                here = BREAK[source](here, servers.enter_context(Faulty(mode)).url, tmp_path)
            return here

        yield broken


def supported(found: Investigation) -> list[str]:
    return [verdict.cause for verdict in found.verdicts if verdict.state == "supported"]


def test_the_whole_lab_tells_the_cause(whole: Environment) -> None:
    """With nothing broken every check runs in time, and the release is the one supported cause."""
    timed = investigated(whole)
    assert timed.found.unknown == ()
    assert supported(timed.found) == ["deployment"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", ["prometheus", "elasticsearch", "kubernetes"])
def test_a_broken_source_costs_its_own_checks(faulty: Callable[..., Environment], source: str, mode: Mode) -> None:
    """In time, exactly its checks are unknown, each with where and what to do; no cause rests on what is missing."""
    timed = investigated(faulty(mode, source))
    found = timed.found
    assert timed.seconds < SECONDS + MARGIN
    assert {finding.check for finding in found.unknown} == LOST[source]
    assert {v.cause for v in found.verdicts if v.state == "not tested"} == UNTESTED[source]
    assert supported(found) == ([] if UNTESTED[source] else ["deployment"])
    errors = {answer.error for answer in found.answers if answer.error}
    assert errors
    for error in errors:
        assert error.startswith(f"{source.capitalize()} at http://127.0.0.1:"), error
        assert "; " in error
        assert "\n" not in error
    for finding in found.unknown:
        assert finding.result.sentence.startswith(("Not known: ", "Not sure: "))
    assert SECRET not in canonical(findings_json(found)).decode()


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_service_is_a_finding(faulty: Callable[..., Environment], mode: Mode) -> None:
    """In time, every check ran and the cause is found; the endpoints are abnormal unless they answered 200 in full."""
    timed = investigated(faulty(mode, "probe"))
    assert timed.seconds < SECONDS + MARGIN
    assert timed.found.unknown == ()
    assert supported(timed.found) == ["deployment"]
    (endpoints,) = (finding.result for finding in timed.found.findings if finding.check == "endpoint_probes")
    assert endpoints.status == ("normal" if mode == "nonsense" else "abnormal"), endpoints.sentence


@pytest.mark.parametrize("mode", ["down", "hanging", "trickling body"])
def test_everything_broken_takes_no_longer(faulty: Callable[..., Environment], mode: Mode) -> None:
    """All four at once: the sources are waited for together, and nothing but the service's own trouble is known."""
    timed = investigated(faulty(mode, *BREAK))
    assert timed.seconds < SECONDS + MARGIN
    assert {finding.check for finding in timed.found.findings if finding.ran} == {"endpoint_probes"}
    assert timed.found.headline.startswith("Not known whether")
    assert timed.found.mitigations == ()


def run(here: Environment, folder: Path) -> tuple[Path, Mapping[str, Any], int]:
    """`runbook run` with these sources: the bundle, what was printed of it, and the exit code."""
    here = msgspec.structs.replace(here, deadline_seconds=OF_A_RUN)
    settings = write_settings(folder / "runbook.toml", {"lab": here}, profile(SCENE.namespace))
    done = runbook(settings, "run", ALERT, "--json", *options(GIVEN))
    printed = json.loads(done.stdout)
    return Path(printed["bundle"]), printed, done.returncode


def everything(bundle: Path) -> str:
    """All that a bundle says, its recording unfolded."""
    files = [file for file in bundle.rglob("*") if file.is_file()]
    contents = [zlib.decompress(f.read_bytes(), 31) if f.suffix == ".gz" else f.read_bytes() for f in files]
    return b"\n".join(contents).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("source", "mode"),
    [("prometheus", "hanging"), ("elasticsearch", "half a body"), ("kubernetes", "403"), ("probe", "trickling body")],
)
def test_a_run_leaves_evidence_in_time(
    faulty: Callable[..., Environment], tmp_path: Path, source: str, mode: Mode
) -> None:
    """Exit code 3 where a check could not run; bundle, report and manifest name it and why, without a secret."""
    bundle, printed, code = run(faulty(mode, source), tmp_path)
    lost = LOST[source]
    assert (code, printed["status"]) == ((3, "incomplete") if lost else (0, "complete"))
    assert printed["seconds"] < OF_A_RUN + TO_START
    outcome = findings(bundle)
    assert set(outcome["ledger"]["unknown"]) == lost
    assert manifest(bundle)["ledger"] == outcome["ledger"]
    html, text = (bundle / "report.html").read_text(), (bundle / "report.md").read_text()
    for finding in outcome["findings"]:
        if finding["check"] in lost:
            assert finding["question"] in html
            assert finding["question"] in text
    assert audit(bundle, expected=printed["manifest_sha256"]).unedited
    assert SECRET not in everything(bundle)


def test_a_run_with_everything_down_says_that_nothing_is_known(
    faulty: Callable[..., Environment], tmp_path: Path
) -> None:
    """Exit code 3, a headline that claims nothing, a whole bundle, and no command to mitigate by."""
    bundle, printed, code = run(faulty("down", *BREAK), tmp_path)
    assert (code, printed["headline"].startswith("Not known whether")) == (3, True)
    assert printed["ledger"] == "1 of 9 checks ran"
    assert audit(bundle, expected=printed["manifest_sha256"]).unedited
    assert findings(bundle)["mitigations"] == []
    assert SECRET not in everything(bundle)
