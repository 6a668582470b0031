"""The ready commands of every alert."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.alerts.checks.database import database_health
from runbook.alerts.checks.requests import scope
from runbook.alerts.checks.workload import changes, down_instances, nodes, pod_states, policies, resource_limits
from runbook.alerts.high_error_rate import ALERT
from runbook.alerts.mitigations.commands import kubectl, mysql
from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Environment, Kubernetes
from runbook.config.settings import Settings
from runbook.incident import Incident
from runbook.investigation.definitions import Context
from runbook.investigation.results import Results, check_name
from runbook.model import Facts, Mitigation, Result, Step
from runbook.text import shell
from tests import fakes

LEAD = "kubectl --context production -n web"
WEB = "deployment/rust-micro-front-end"
POD = "rust-micro-front-end-7d9f-x2x4z"
OTHER = "rust-micro-front-end-7d9f-b8k2c"
GIVEN = {
    "environment": "here",
    "incident_id": "INC-2026-01-15-01",
    "started_at": "2026-01-15T10:40:00Z",
    "ended_at": "2026-01-15T11:12:00Z",
    "lookback": "90m",
}

KNOWN: dict[type[Facts], dict[str, Any]] = {
    changes.Facts: {
        "wanted": 4,
        "revision": 14,
        "current_revision": 14,
        "previous_revision": 13,
        "current_since": fakes.ONSET - 120,
        "restarted_pods": (
            OTHER,
            POD,
        ),
    },
    resource_limits.Facts: {
        "container": "app",
        "memory_limit": 512 * 1024 * 1024,
        "cpu_limit": 0.5,
        "memory_top_pod": POD,
        "cpu_top_pod": OTHER,
        "memory_reached": True,
        "oom_kills": 2,
    },
    scope.Facts: {"top_pod": POD},
    database_health.Facts: {"in_use": 19.0, "pool": 20},
    down_instances.Facts: {"down": (POD,), "now": (POD,), "up": (OTHER,), "port": 8080},
    pod_states.Facts: {
        "crashed": (POD,),
        "killed": (POD,),
        "blocked": (POD,),
        "waiting": (POD,),
        "blocked_by": "ErrImagePull",
    },
    nodes.Facts: {"failing": ("node-1",), "pressed": ("node-2",)},
    policies.Facts: {"cuts": ("allow-ingress",), "may_cut": (), "port": 8080},
}

NAMES = {facts: check_name(facts) for facts in KNOWN}

PLANS = {cause.name: cause.plan for cause in ALERT.causes} | {
    f"{name}.{cause.name}": cause.plan
    for name in SHIPPED.names
    if name != ALERT.name
    for cause in SHIPPED.load(name).causes
}


def cluster(**settings: str) -> Context:
    environment = Environment(service="shop", kubernetes=Kubernetes(**settings))  # type: ignore[arg-type]
    return fakes.context(environment=environment, environment_name="production")


def results(**changed: Mapping[str, Any]) -> Results:
    """All facts known, but for the changed ones."""
    return Results(
        {
            NAMES[kind]: Result("abnormal", "", fakes.facts(kind, **{**given, **changed.get(NAMES[kind], {})}))
            for kind, given in KNOWN.items()
        }
    )


def plan(cause: str, context: Context | None = None, **changed: Mapping[str, Any]) -> Mitigation:
    return made(cause, context or cluster(context="production"), results(**changed))


def made(cause: str, context: Context, found: Results) -> Mitigation:
    """The plan of HighErrorRate's cause of that name, or of another alert's: "SlowResponses.pool"."""
    return Mitigation(cause, *PLANS[cause](context, found))


def commands(mitigation: Mitigation) -> list[str]:
    return [shown(step) for step in mitigation.steps if shown(step).startswith("kubectl")]


def shown(step: Step) -> str:
    return shell.command(step.argv) if step.argv else step.text


def undo(step: Step) -> str:
    return shell.command(step.undo_argv) if step.undo_argv else step.undo


def texts(step: Step) -> Iterator[str]:
    yield from (shown(step), step.precondition, step.risk, undo(step), step.watch)


@pytest.mark.parametrize("cause", PLANS)
@pytest.mark.parametrize(
    "found", [Results({}), Results({name: Result("unknown", "") for name in NAMES.values()})], ids=["absent", "unknown"]
)
def test_without_facts_every_step_is_whole_and_names_no_number(cause: str, found: Results) -> None:
    """Where no check could run, each step still has all its terms, and nothing is filled in that nobody knows."""
    for step in made(cause, fakes.context(), found).steps:
        assert all(texts(step))
        assert "None" not in " ".join(texts(step))
        assert not re.search(r"--(replicas|current-replicas|to-revision|limits)=(?!NUMBER)\S", " ".join(texts(step)))


@pytest.mark.parametrize("cause", PLANS)
def test_commands_in_pods_name_the_services_container(cause: str) -> None:
    """Where the profile names it, no exec and no logs meet a sidecar that was put before it."""
    service = msgspec.structs.replace(fakes.SERVICE, container="app", jwt_public_key_path="/keys/jwt.pem")
    environment = Environment(service="shop", kubernetes=Kubernetes(context="eu"), database_address="db:3306")
    told = commands(made(cause, fakes.context(service=service, environment=environment), results()))
    inside = [command for command in told if re.search(r" -n web (exec|logs) ", command)]
    assert [command for command in inside if " -c app " not in command] == []


@pytest.mark.parametrize("cause", PLANS)
def test_a_paused_deployment_is_resumed_before_it_is_rolled_back_or_restarted(cause: str) -> None:
    """Kubectl refuses both while it is paused; where it is not, nobody is told to resume it."""
    told = commands(plan(cause, changes={"paused": True}))
    resumed = [n for n, command in enumerate(told) if "rollout resume" in command]
    refused = [n for n, command in enumerate(told) if re.search("rollout (undo|restart)", command)]
    assert resumed == [n - 1 for n in refused]
    assert not [command for command in commands(plan(cause)) if "resume" in command]


def none(value: object) -> object:
    """What a fact is where it is not known: tuples are empty."""
    return () if isinstance(value, tuple) else None


@given(
    st.fixed_dictionaries(
        {
            NAMES[kind]: st.fixed_dictionaries(
                {fact: st.sampled_from([none(value), value]) for fact, value in given.items()}
            )
            for kind, given in KNOWN.items()
        }
    )
)
def test_any_fact_may_be_missing(facts: dict[str, dict[str, Any]]) -> None:
    """Whichever facts are not known, every cause has whole steps and no command prints a None."""
    for cause in PLANS:
        for step in plan(cause, **facts).steps:
            assert all(texts(step)) and "None" not in " ".join(texts(step))


def fix(found: Mitigation) -> list[Step]:
    """The steps without the looks at this run's pod."""
    return [step for step in found.steps if f"pod/{POD}" not in shown(step) and f"pod/{OTHER}" not in shown(step)]


@pytest.mark.parametrize("name", ["none", "?", "10.0.0.7:8080", "--all", "x; reboot", "", None, 3])
def test_what_is_no_pod_is_not_asked_for(name: object) -> None:
    """A stand-in for no pod, or a label that is no pod's name, makes no command."""
    unknown = {"memory_top_pod": name, "cpu_top_pod": name}
    for cause in ("resources", "database", "deployment"):
        found = plan(cause, changes={"restarted_pods": (name,)}, scope={"top_pod": name}, resource_limits=unknown)
        assert not [command for command in commands(found) if " describe " in command or " logs " in command]


def test_an_unknown_number_of_replicas_is_looked_up() -> None:
    """Without the wanted number the step reads it and says what to do with it, since a literal one may scale down."""
    first, *_ = plan("traffic", changes={"wanted": None}).steps
    assert shown(first) == f"{LEAD} get {WEB}"
    assert "half as many again" in first.watch and f"{LEAD} get hpa" in first.precondition


@pytest.mark.parametrize(("wanted", "more"), [(0, 1), (1, 2), (2, 3), (4, 6), (5, 8)])
def test_scaling_out_only_ever_adds(wanted: int, more: int) -> None:
    """The new number is above the wanted one, Kubernetes refuses it once that changed, and the undo is exact."""
    first, *_ = plan("traffic", changes={"wanted": wanted}).steps
    assert shown(first) == f"{LEAD} scale {WEB} --current-replicas={wanted} --replicas={more}"
    assert undo(first) == f"{LEAD} scale {WEB} --current-replicas={more} --replicas={wanted}"
    assert f"no HorizontalPodAutoscaler sets it: `{LEAD} get hpa`" in first.precondition


def test_no_second_roll_back() -> None:
    """Where somebody went back already, that is said, and no command rolls back once more."""
    found = plan("deployment", changes={"current_revision": 15, "previous_revision": 12})
    assert found.title == "Revision 14 is out of service already"
    assert shown(found.steps[0]) == "Do not roll back: revision 14 no longer runs; revision 15 does since 10:38 UTC."
    assert not [text for step in found.steps for text in texts(step) if "rollout undo" in text]
    assert commands(found)[:2] == [
        f"{LEAD} rollout status {WEB} --timeout=5m",
        f"{LEAD} rollout history {WEB} --revision=15",
    ]


def test_a_roll_back_at_an_unknown_time() -> None:
    """Since when the current revision runs is left out where it is not known."""
    found = plan("deployment", changes={"current_revision": 15, "current_since": None})
    assert shown(found.steps[0]) == "Do not roll back: revision 14 no longer runs; revision 15 does."


@pytest.mark.parametrize("fact", ["revision", "current_revision"])
def test_an_unknown_revision_is_looked_up(fact: str) -> None:
    """Without knowing which revision runs and which is to blame, the history comes first and no undo is ready."""
    found = plan("deployment", changes={fact: None})
    assert commands(found)[0] == f"{LEAD} rollout history {WEB}"
    assert not [command for command in commands(found) if "undo" in command]


def test_nothing_earlier_to_go_back_to() -> None:
    """Without an earlier revision no undo is proposed, which Kubernetes would refuse."""
    found = plan("deployment", changes={"previous_revision": None})
    assert shown(fix(found)[0]).startswith("Deploy the release before revision 14 again")
    assert not [command for command in commands(found) if "undo" in command]


def test_the_bad_revision_is_rolled_back() -> None:
    """The suspect that still runs is replaced by the one before it, and the undo brings it back."""
    first, second, *_ = fix(plan("deployment"))
    assert shown(first) == f"{LEAD} rollout undo {WEB} --to-revision=13"
    assert undo(first) == f"{LEAD} rollout undo {WEB} --to-revision=14"
    assert f"`{LEAD} rollout history {WEB}` must still list revision 14 last" in first.precondition
    assert shown(second) == f"{LEAD} rollout status {WEB} --timeout=5m"


@pytest.mark.parametrize("missing", ["memory_limit", "container"])
def test_an_unknown_limit_is_looked_up(missing: str) -> None:
    """Without the container or its limit, all limits are read and none is set."""
    found = plan("resources", resource_limits={missing: None})
    assert shlex.split(shown(fix(found)[0]))[:-1] == [*LEAD.split(), "get", WEB, "-o"]
    assert shlex.split(shown(fix(found)[0]))[-1].startswith("jsonpath={range .spec.template.spec.containers[*]}")
    assert not [command for command in commands(found) if "set resources" in command]


def test_the_limit_of_one_container_is_raised() -> None:
    """Memory is raised by half, for the named container alone, and undone by the limit that it had."""
    first, second, *_ = fix(plan("resources"))
    assert shown(first) == f"{LEAD} set resources {WEB} -c app --limits=memory=768Mi"
    assert undo(first) == f"{LEAD} set resources {WEB} -c app --limits=memory=512Mi"
    assert "the limit is still 512 MiB of memory" in first.precondition
    assert " scale " in shown(second)


def test_with_cpu_short_pods_are_added_first() -> None:
    """Where CPU is short and memory is not, more pods come before a higher limit."""
    first, second, *_ = fix(plan("resources", resource_limits={"memory_reached": False, "oom_kills": 0}))
    assert " scale " in shown(first)
    assert shown(second) == f"{LEAD} set resources {WEB} -c app --limits=cpu=750m"


@pytest.mark.parametrize("cause", ["resources", "database", "deployment"])
def test_this_runs_pod_is_read_before_the_fix(cause: str) -> None:
    """A fix replaces the pods: the worst of the restarted ones, and what it said before it ended, is read first."""
    assert commands(plan(cause))[:2] == [
        f"{LEAD} describe pod/{POD}",
        f"{LEAD} logs pod/{POD} -c app --previous --tail=100",
    ]


def test_a_pod_that_never_restarted_has_no_previous_log() -> None:
    """Of a pod that did not restart only the description is read: Kubernetes would refuse its previous log."""
    found = plan("database", changes={"restarted_pods": ()})
    assert commands(found)[0] == f"{LEAD} describe pod/{POD}"
    assert not any("--previous" in command for command in commands(found))


def test_an_unknown_context_has_to_be_looked_at() -> None:
    """Without a known context every step that changes something asks which cluster is current, and no other does."""
    for cause in PLANS:
        for step in plan(cause, cluster(kubeconfig="/srv/kube/config")).steps:
            alters = step.kind == "change" and shown(step).startswith("kubectl")
            asks = "that of production: `kubectl --kubeconfig /srv/kube/config config current-context`"
            assert (asks in step.precondition) == alters
            assert "current-context" not in " ".join(texts(plan(cause).steps[0]))


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({}, ""),
        ({"context": "[redacted email]"}, ""),
        ({"kubeconfig": "/srv/kube/config"}, "--kubeconfig /srv/kube/config "),
        ({"kubeconfig": "~/kube/a b"}, "--kubeconfig ~/'kube/a b' "),
        ({"kubeconfig": "~/$(reboot)", "context": "a; reboot"}, "--kubeconfig ~/'$(reboot)' --context 'a; reboot' "),
        ({"kubeconfig": "~/c", "context": "eu"}, "--kubeconfig ~/c --context eu "),
    ],
)
def test_commands_reach_the_cluster_that_was_asked(settings: dict[str, str], where: str) -> None:
    """The kubeconfig and the context are printed where they are known, as a shell needs them."""
    assert shell.command(kubectl(cluster(**settings), "get", "pods")) == f"kubectl {where}-n web get pods"


def test_without_a_cluster_the_namespace_is_printed() -> None:
    """An environment without Kubernetes has commands for the current context."""
    assert shell.command(kubectl(fakes.context(), "get", "pods")) == "kubectl -n web get pods"


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"kubeconfig": "/srv/kube/config", "context": "eu"}, {"kubeconfig": "/srv/kube/config", "context": "eu"}),
        ({"kubeconfig": str(Path.home() / "ops" / "config")}, {"kubeconfig": "~/ops/config"}),
        ({"context": "alice@ops.example.com"}, {"context": "[redacted email]"}),
        ({"context": "eu", "in_cluster": True}, {"context": "eu"}),
        ({"context": "eu", "exec": True}, {"context": "eu", "exec": True}),  # decides what is asked of the pods
    ],
)
def test_a_replay_reaches_the_same_cluster(settings: dict[str, Any], kept: dict[str, str], tmp_path: Path) -> None:
    """The recording keeps what commands need, without anybody's home folder, and live and replay print the same."""
    environment = Environment(
        service="shop", kubernetes=Kubernetes(**settings), evidence=str(tmp_path), deadline_seconds=0.1
    )
    live = Incident.open(ALERT.name, Settings(tmp_path, {"here": environment}, {"shop": fakes.SERVICE}), **GIVEN)
    live.record()
    (bundle,) = tmp_path.glob("*/*/manifest.json")
    replayed = Incident.replay(bundle.parent)
    contexts = [one.investigation().context for one in (live, replayed)]
    assert contexts[0].environment.kubernetes == contexts[1].environment.kubernetes == Kubernetes(**kept)
    assert kubectl(contexts[0], "get", "pods") == kubectl(contexts[1], "get", "pods")


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SHOW STATUS LIKE '%Connections%'", "\"SHOW STATUS LIKE '%Connections%'\""),
        ("KILL 6", "'KILL 6'"),
        ("SELECT '$HOME'", None),
        ("SELECT '`id`'", None),
        ("SELECT '!x'", None),
    ],
)
def test_a_statement_s_own_quotes_stay_readable(statement: str, shown: str | None) -> None:
    """Double quotes stand outside where nothing within means anything to a shell; it gets the statement whole."""
    command = shell.command(mysql(fakes.context(), statement))
    assert shlex.split(command)[-1] == statement
    assert command.endswith(f" -e {shown or shlex.quote(statement)}")
