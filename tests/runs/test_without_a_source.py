"""Every runbook while sources are away: it ends in time, says what is not known, and blames nobody on absent data."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from runbook.alerts.registry import SHIPPED
from runbook.clock import Frozen
from runbook.config.schema import Elasticsearch, Environment, Kubernetes, MySQL, Prometheus
from runbook.config.settings import Settings
from runbook.incident import Incident
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.model import Answer, Query, Source, failed
from runbook.recording.replay import Replay
from tests import ROOT, fakes
from tests.faulty import Faulty, Mode

RECORDINGS = ROOT / "notebooks/recordings"
SOURCES = ("prometheus", "elasticsearch", "kubernetes", "mysql", "probe")
DEADLINE, MARGIN = 2.0, 6.0


class Without:
    """A recording in which one source does not answer."""

    def __init__(self, source: Source, lost: str) -> None:
        self._source, self._lost = source, lost

    def ask(self, query: Query) -> Answer:
        return failed(query, f"{self._lost} is away.") if query.source == self._lost else self._source.ask(query)


def investigated(alert: str, lost: str) -> Investigation:
    """The bundled incident of an alert, without one source."""
    file = RECORDINGS / f"{alert}.jsonl.gz"
    whole = Incident.replay(file).investigation()
    replay = Replay(file)
    return Investigator(SHIPPED.load(alert), whole.context, Without(replay, lost), Frozen(replay.now)).investigation()


@pytest.mark.parametrize("lost", SOURCES)
@pytest.mark.parametrize("alert", SHIPPED.names)
def test_a_lost_source_costs_its_own_checks(alert: str, lost: str):
    """Checks that need it are unknown with its words; no normal rests on its silence, no cause on what is unknown."""
    found = investigated(alert, lost)
    results = {finding.check: finding for finding in found.findings}
    for finding in found.findings:
        sources = {answer.query.source for answer in finding.answers}
        if sources == {lost}:
            assert finding.result.status == "unknown", finding.check
    unknown = {finding.check for finding in found.unknown}
    for verdict in found.verdicts:
        if verdict.state == "supported":
            assert not unknown & set(verdict.checks), verdict
    if results[found.alert.checks[0].name].result.status == "unknown":
        assert {verdict.state for verdict in found.verdicts} == {"not tested"}
        assert found.mitigations == ()


def surrounded(server: Faulty, folder: Path) -> Settings:
    """Settings in which every source is the same faulty server."""
    cluster = {"name": "x", "cluster": {"server": server.url}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    config = {
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "x", "user": {}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    (folder / "password").write_text("canary")
    port = int(server.url.rpartition(":")[2])
    here = Environment(
        service="shop",
        base_url=server.url,
        prometheus=Prometheus(url=server.url),
        elasticsearch=Elasticsearch(url=server.url),
        kubernetes=Kubernetes(kubeconfig=str(folder / "kubeconfig")),
        mysql=MySQL(host="127.0.0.1", port=port, user="oncall", password_file=str(folder / "password")),
        database_address=f"127.0.0.1:{port}",
        deadline_seconds=DEADLINE,
    )
    return Settings(folder, {"here": here}, {"shop": fakes.SERVICE})


@pytest.mark.parametrize("mode", ["down", "hanging", "403"])
@pytest.mark.parametrize("alert", SHIPPED.names)
def test_with_every_source_broken_it_ends_in_time_and_blames_nobody(alert: str, mode: Mode, tmp_path: Path):
    """Whether nobody listens, nobody answers or all is forbidden: not known whether it is real, no cause tested."""
    with Faulty(mode) as server:
        known = surrounded(server, tmp_path)
        times = {"started_at": "2026-01-15T10:40:00Z", "ended_at": "2026-01-15T11:12:00Z", "lookback": "90m"}
        given = {"incident_id": "INC-2026-01-15-01", **times}
        Incident.open(alert, known, environment="here", **given).investigation()  # loads the clients' libraries
        began = time.monotonic()
        found = Incident.open(alert, known, environment="here", **given).investigation()
        spent = time.monotonic() - began
    assert spent < DEADLINE + MARGIN
    assert found.headline.endswith(f"Not known whether {alert} is real.")
    assert {verdict.state for verdict in found.verdicts} == {"not tested"}
    assert found.mitigations == ()
    assert {f.result.status for f in found.findings if f.check not in ("endpoint_probes", "reachability")} == {
        "unknown"
    }
