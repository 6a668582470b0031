"""InstanceDown: when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.alerts.instance_down import ALERT
from runbook.clock import Frozen
from runbook.investigation.verification import verify
from runbook.model import Answer, Query, Recovery
from tests.alerts.instance_down.answers import DEPLOYMENT, DOWN, PODS, Answering, Told, cluster, context, given, pod
from tests.fakes import STARTED, Scripted, line


def recovered(told: Told, mitigated: float = STARTED) -> Recovery:
    about = context(mitigated_at=mitigated)
    return verify(
        about, ALERT.recovery, ask=lambda asked: _asked(told, asked), clock=Frozen(about.now), tell=lambda said: None
    )


def _asked(told: Told, queries: Mapping[str, Query]) -> dict[str, Answer]:
    source = Scripted(told)
    return {name: source.ask(query) for name, query in queries.items()}


HEALTHY = given({"status": 200, "error": None})


def deployed(available: int, wanted: int = 1) -> Answering:
    one = {"metadata": {"name": "web"}, "spec": {"replicas": wanted}, "status": {"availableReplicas": available}}
    return given({"deployment": one, "replicasets": []})


UP_AGAIN: Told = {
    DOWN: line(lambda t: 0.0),
    PODS: cluster(pod("a")),
    DEPLOYMENT: deployed(1),
    ("/health",): HEALTHY,
}


def test_recovered_when_none_is_down_pods_run_and_health_answers() -> None:
    """All three of the procedure's verifications hold."""
    found = recovered(UP_AGAIN)
    assert found.state == "recovered"
    assert found.sentence.endswith("/health answers.")


def test_a_pod_that_is_not_ready_is_no_recovery() -> None:
    """Though Prometheus reaches every instance it knows, a pod that cannot start holds it up."""
    found = recovered({**UP_AGAIN, PODS: cluster(pod("a"), pod("b", ready=False))})
    assert found.state == "not recovered"
    assert "1 pod not ready: b" in found.sentence


def test_a_pod_that_may_not_be_made_is_no_recovery() -> None:
    """Refused by a quota, a pod is neither listed nor a target: only the deployment misses it."""
    found = recovered({**UP_AGAIN, DEPLOYMENT: deployed(1, 6)})
    assert found.state == "not recovered"
    assert "1 of 6 pods available" in found.sentence


def test_pods_that_are_over_hold_up_no_recovery() -> None:
    """What was evicted stays listed, perhaps for ever; only where no other pod is left is there none."""
    left = pod("b", ready=False, over="Evicted")
    assert recovered({**UP_AGAIN, PODS: cluster(pod("a"), left)}).state == "recovered"
    found = recovered({**UP_AGAIN, PODS: cluster(left)})
    assert (found.state, "Kubernetes has no pod" in found.sentence) == ("not recovered", True)


def test_still_down_and_unknown_are_no_recovery() -> None:
    """An instance that is still down, or an answer that is missing, is told as such."""
    assert recovered({**UP_AGAIN, DOWN: line(lambda t: 1.0)}).state == "not recovered"
    for silent in (PODS, DEPLOYMENT):
        assert recovered({key: UP_AGAIN[key] for key in UP_AGAIN if key != silent}).state == "not enough data"
    bad = replace(HEALTHY(Query("probe", "get", "/health")), data={"status": 503, "error": None})
    assert recovered({**UP_AGAIN, ("/health",): lambda query: bad}).state == "not recovered"
