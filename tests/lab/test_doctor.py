"""The doctor on real servers: with all that the checks need, without rights, and with a profile that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Service
from runbook.config.settings import Settings
from runbook.doctor.examine import examine
from runbook.doctor.line import Diagnosis
from tests.canned import Canned, Reply
from tests.lab.scenarios.investigating import environment, profile
from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import scenario
from tests.lab.servers.lab import Lab

pytestmark = pytest.mark.lab

SCENE = scenario("bad-release", seed=2, day=57, namespace="web-doctor")
ALERTS = [SHIPPED.load(name) for name in SHIPPED.names]


@pytest.fixture(scope="module")
def address(lab: Lab) -> Iterator[str]:
    """The simulated service, with its past in the lab's servers."""
    load(lab, [SCENE])
    lab.kubernetes.wait_for_metrics(SCENE.namespace)
    with Canned({"/health": Reply(b"ok\n"), "/api/username/test": Reply({"username": "test"})}) as service:
        yield service.url


def looked_at(lab: Lab, address: str, service: Service, user: str = "admin") -> tuple[Diagnosis, ...]:
    known = Settings(Path(), {"lab": environment(lab, address, user)}, {service.name: service})
    return examine("lab", known, ALERTS, SCENE.ended_at)


def test_without_rights_each_one_missing_is_named(lab: Lab, address: str) -> None:
    """A user whom Kubernetes allows nothing gets a line for each right, and all other sources are well."""
    wrong = [line for line in looked_at(lab, address, profile(SCENE.namespace), "oncall") if line.state != "ok"]
    assert {line.source for line in wrong} == {"kubernetes"}
    assert {line.about for line in wrong} >= {"get deployments.apps", "list pods", "list events"}


def test_a_profile_that_does_not_fit_is_corrected(lab: Lab, address: str) -> None:
    """Another label, field and index than the servers have are told with what they have."""
    odd = msgspec.structs.replace(
        profile(SCENE.namespace), metric_labels={"app": "other"}, pod_label="kubernetes_pod", client_ip_field="ip"
    )
    told = {line.about: line.says for line in looked_at(lab, address, odd) if line.state == "missing"}
    assert 'with app micro-frontend instead of "other"' in told["micro_frontend_http_requests_total"]
    assert "correct client_ip_field" in told["field ip"]
    fitting = msgspec.structs.replace(profile(SCENE.namespace), pod_label="kubernetes_pod")
    told = {line.about: line.says for line in looked_at(lab, address, fitting) if line.state == "missing"}
    assert "has no label kubernetes_pod" in told["micro_frontend_http_requests_total"]


def test_a_fit_environment_is_well(lab: Lab, address: str) -> None:
    """With the lab's own profile every line is ok."""
    lines = looked_at(lab, address, profile(SCENE.namespace))
    assert [line for line in lines if line.state != "ok"] == []
    assert len(lines) > 20
