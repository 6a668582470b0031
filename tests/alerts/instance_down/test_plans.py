"""InstanceDown: what its plans say and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook.alerts.checks.workload import nodes
from runbook.alerts.instance_down import ALERT
from runbook.alerts.mitigations.nodes import leave_node
from runbook.config.schema import Environment, Kubernetes, Prometheus
from runbook.model import Mitigation, Step
from runbook.text.shell import command
from tests import fakes
from tests.alerts.instance_down.answers import SCENES, context, results, results_of
from tests.fakes import facts


def plan(cause: str, **changed: Mapping[str, Any]) -> Mitigation:
    environment = Environment(
        service="shop", kubernetes=Kubernetes(context="live"), prometheus=Prometheus(url="http://prometheus:9090")
    )
    plans = {one.name: one.plan for one in ALERT.causes}
    return Mitigation(cause, *plans[cause](context(environment=environment), results(**{**SCENES[cause], **changed})))


LEAD = "kubectl --context live -n web"


def shown(step: Step) -> str:
    """The command, or what to do."""
    return command(step.argv) if step.argv else step.text


def undo(step: Step) -> str:
    return command(step.undo_argv) if step.undo_argv else step.undo


def test_the_procedures_commands_are_there() -> None:
    """Restart, more room, cordon and drain, roll-back: each with this run's names, and with what undoes it."""
    crash, memory, lost = (plan(cause).steps for cause in ("deployment", "memory", "node"))
    commands = {shown(step): step for step in (*crash, *memory, *lost)}
    assert f"{LEAD} rollout history deployment/rust-micro-front-end" in commands
    assert f"{LEAD} rollout undo deployment/rust-micro-front-end --to-revision=13" in commands
    assert f"{LEAD} delete pod a" in commands
    assert f"{LEAD} set resources deployment/rust-micro-front-end -c app --limits=memory=768Mi" in commands
    assert undo(commands[f"{LEAD} cordon n1"]) == f"{LEAD} uncordon n1"
    drain = commands[f"{LEAD} drain n1 --ignore-daemonsets --delete-emptydir-data --timeout=5m"]
    assert (drain.kind, undo(drain)) == ("change", f"{LEAD} uncordon n1")


def test_a_node_under_pressure_is_not_drained() -> None:
    """It is still ready: it is looked at and cordoned, and nothing on it is evicted."""
    title, steps = leave_node(fakes.context(), results_of(facts(nodes.Facts, failing=(), pressed=("n1",))))
    assert "under pressure" in title
    assert [shown(step).split(" -n web ")[1] for step in steps] == ["describe node n1", "cordon n1"]


def test_the_scrape_is_mended_without_touching_a_pod() -> None:
    """Where the service is fine, every command only reads."""
    steps = plan("scrape").steps
    assert shown(steps[0]) == "curl -s 'http://prometheus:9090/api/v1/targets?state=active'"
    assert [step.kind for step in steps if step.argv] == ["read"] * 3


def test_a_missing_secret_is_named_and_an_image_looked_at() -> None:
    """What the containers wait for is what the steps are about."""
    wanting = {"blocked": ("a",), "blocked_by": "CreateContainerConfigError", "blocked_message": "not found"}
    steps = plan("configuration", pod_states=wanting, secrets={"missing": ("secret/x",)}).steps
    assert shown(steps[0]) == f"{LEAD} describe pod/a"
    assert (steps[1].kind, steps[1].text.startswith("Create secret/x in the namespace web ")) == ("manual", True)
    assert undo(steps[1]) == f"{LEAD} delete secret x"
    assert any("containers[*].image" in shown(step) for step in plan("configuration").steps)


def test_odd_names_make_no_command() -> None:
    """What is no name of a pod, a node or a policy is not pasted into a shell."""
    odd = ("x; reboot", "--all", "$(id)")
    for cause in SCENES:
        steps = plan(
            cause,
            pod_states={"killed": odd, "crashed": odd, "blocked": odd},
            nodes={"failing": odd},
            policies={"cuts": odd},
            secrets={"missing": odd},
            down_instances={"down": odd, "now": odd, "up": odd},
        ).steps
        assert not [text for step in steps for text in (shown(step), undo(step)) if any(name in text for name in odd)]
