"""Kubernetes: revisions and when they were rolled out, from a real API server's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbook.model import Answer
from runbook.sources.kubernetes.containers import clocks_of, previous_logs_of, public_key_of
from runbook.sources.kubernetes.network_policies import labels_of, policies_of
from runbook.sources.kubernetes.nodes import nodes_of
from runbook.sources.kubernetes.objects import access_of, events_of, pods_of, usage_of, version_of
from runbook.sources.kubernetes.queries import access, deployment, version
from runbook.sources.kubernetes.rollouts import deployment_of, revisions
from tests.canned import Canned, Reply
from tests.lab.service.shop import CANARY
from tests.sources.kubernetes.asking import ABOUT_WEB, WEB, answer_at
from tests.sources.kubernetes.server import TOKEN, repeating, source, stage

STAGES = ["rolled_back", "bad_rollout", "undone_half-way", "rolled_back_again"]


@pytest.mark.parametrize("moment", STAGES)
def test_nothing_secret_is_recorded(moment: str, tmp_path: Path):
    """Environment values, arguments, change causes with `set env`, managedFields and annotations stay behind."""
    raw = json.dumps(stage(moment))
    assert all(word in raw for word in (CANARY, "managedFields", "last-applied-configuration"))
    for query in [*ABOUT_WEB, access(*WEB), version()]:
        log = {"log": Reply(b"a line\n")} if query.kind == "previous_logs" else {}
        with Canned(repeating(moment, **log)) as server:
            recorded = json.dumps(source(tmp_path, server).ask(query).data)
        assert not any(
            word in recorded for word in (CANARY, TOKEN, "managedFields", "last-applied", "DATABASE", "args")
        )


def test_a_bad_rollout_is_told_from_the_good_revision_before(tmp_path: Path):
    """Of three revisions, the last one is current, not ready, and dated by its ReplicaSet."""
    answer = answer_at("bad_rollout", deployment(*WEB), tmp_path)
    old, good, bad = revisions(answer)
    assert answer.completeness == "complete"
    assert (old.number, old.replicas, old.change_cause) == (2, 0, "second")
    assert (good.number, good.replicas, good.ready, good.current, good.change_cause) == (3, 2, 2, False, "first")
    assert (bad.number, bad.replicas, bad.ready, bad.current) == (4, 1, 0, True)
    assert bad.images == ("registry.example/web:v3", "registry.example/proxy:1")
    assert bad.change_cause == "kubectl set env …"
    assert bad.replicaset.startswith("web-")
    assert (bad.rolled_out_at, bad.evidence) == (bad.created_at, "creation")
    assert bad.rolled_out_at == pytest.approx(stage("bad_rollout")["began"], abs=2)


@pytest.mark.parametrize(
    ("moment", "number", "evidence"),
    [
        ("rolled_back", 3, ["event"]),
        ("undone_half-way", 5, ["condition"]),
        (
            "rolled_back_again",
            7,
            ["event", "pod"],
        ),  # which of the many events Kubernetes lumps together, it draws by lot
    ],
)
def test_a_roll_back_is_dated_when_it_happened(moment: str, number: int, evidence: list[str], tmp_path: Path):
    """`rollout undo` uses the first ReplicaSet again; its rollout is now and not when that was created."""
    current = revisions(answer_at(moment, deployment(*WEB), tmp_path))[-1]
    assert (current.number, current.current) == (number, True)
    assert current.evidence in evidence
    assert current.images[0] == "registry.example/web:v1"
    assert current.rolled_out_at == pytest.approx(stage(moment)["began"], abs=2)
    assert current.created_at < stage("rolled_back")["began"] - 2


def test_a_roll_back_whose_events_are_gone_is_dated_by_its_pods(tmp_path: Path):
    """An hour later the events are gone; the oldest pod since the revision before tells the time as well."""
    with Canned(repeating("rolled_back", events=Reply({"items": []}))) as server:
        current = revisions(source(tmp_path, server).ask(deployment(*WEB)))[-1]
    assert current.evidence == "pod"
    assert current.rolled_out_at == pytest.approx(stage("rolled_back")["began"], abs=2)


def test_a_roll_back_that_nothing_dates_is_not_dated(tmp_path: Path):
    """Superseded, without events or pods, a revision used again has no time rather than a wrong one."""
    answer = answer_at("rolled_back", deployment(*WEB), tmp_path)
    answer.data.update(events=[], pods=[])
    answer.data["deployment"]["status"]["conditions"] = []
    assert (revisions(answer)[-1].rolled_out_at, revisions(answer)[-1].evidence) == (None, "none")


def test_the_deployment_counts_its_pods(tmp_path: Path):
    """Wanted, ready and available pods, and how the rollout goes."""
    found = deployment_of(answer_at("bad_rollout", deployment(*WEB), tmp_path))
    assert found is not None
    assert (found.name, found.wanted, found.ready, found.available) == ("web", 2, 2, 2)
    assert found.progress in ("NewReplicaSetCreated", "ReplicaSetUpdated")


def test_an_answer_without_data_has_no_revisions():
    """A failed answer reads as nothing, for every reader."""
    for query in [*ABOUT_WEB, access(*WEB), version()]:
        empty = Answer(query, "failed", error="down")
        assert not any(
            read(empty)
            for read in (
                revisions,
                pods_of,
                events_of,
                usage_of,
                access_of,
                version_of,
                deployment_of,
                previous_logs_of,
                nodes_of,
                policies_of,
                labels_of,
                public_key_of,
                clocks_of,
            )
        )
