"""The one view of an investigation that every report renders."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from runbook.config.schema import Kubernetes
from runbook.model import Answer, Query, Table
from runbook.reporting.presentation import present
from runbook.reporting.queries import text_to_copy
from runbook.reporting.tables import table_view
from runbook.sources.kubernetes import queries as kubernetes
from tests import samples
from tests.sample_steps import LOOK, MITIGATIONS, ROLL_BACK

CLUSTER = Kubernetes(kubeconfig="~/.kube/shop", context="production")
ASKED = [
    *(
        ask("web", "shop")
        for ask in (
            kubernetes.deployment,
            kubernetes.pods,
            kubernetes.events,
            kubernetes.usage,
            kubernetes.previous_logs,
            kubernetes.nodes,
            kubernetes.policies,
            kubernetes.secrets,
            kubernetes.clock,
            kubernetes.access,
        )
    ),
    kubernetes.public_key("web", "shop", "/etc/keys/kubectl.pem", "app"),
    kubernetes.version(),
]


def to_copy(query: Query, cluster: Kubernetes | None = CLUSTER) -> str:
    """A query's text in an environment with this cluster."""
    environment = msgspec.structs.replace(samples.ENVIRONMENT, kubernetes=cluster)
    return text_to_copy(query, replace(samples.CONTEXT, environment=environment))


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.kind)
def test_kubectl_under_a_fold_names_cluster_and_namespace(query: Query) -> None:
    """Pasted as it stands, each command asks the cluster that was asked, in its namespace; nothing else changes."""
    shown = to_copy(query)
    options = "--kubeconfig ~/.kube/shop --context production -n web"
    commands = [part for part in shown.replace(" | ", " && ").split(" && ") if part.startswith("kubectl")]
    assert commands
    assert all(command.startswith(f"kubectl {options} ") for command in commands)
    assert shown.replace(f" {options}", "") == query.text.replace(" -n web", "")


@pytest.mark.parametrize(
    ("cluster", "options"),
    [
        (None, "-n web"),
        (Kubernetes(), "-n web"),
        (Kubernetes(context="[redacted email]"), "-n web"),
        (Kubernetes(context="a b"), "--context 'a b' -n web"),
    ],
)
def test_what_is_not_known_of_the_cluster_is_not_made_up(cluster: Kubernetes | None, options: str) -> None:
    """No context, or a redacted one, is left out; an odd one is quoted."""
    assert to_copy(kubernetes.pods("web", "shop"), cluster) == f"kubectl {options} get pods -o wide | grep '^shop-'"


def test_other_queries_are_shown_as_recorded() -> None:
    """PromQL that speaks of kubectl is not touched."""
    query = Query("prometheus", "instant", "kubectl -n web", {"time": 0})
    assert to_copy(query) == query.text


def test_presenting_changes_no_query() -> None:
    """A replay finds its answers by the text that was recorded."""
    before = [answer.query for answer in samples.INVESTIGATION.answers]
    present(samples.INVESTIGATION)
    assert [answer.query for answer in samples.INVESTIGATION.answers] == before


def test_the_ledger_counts_what_the_findings_say() -> None:
    """What did not run stands once for each reason, what ran on partial data with what was missing."""
    ledger = present(samples.INVESTIGATION).ledger
    assert (ledger.sentence, ledger.ran, ledger.checks) == ("4 of 5 checks ran", 4, 5)
    assert [gap.questions for gap in ledger.unknown] == [(samples.LIMITS.question,)]
    assert [gap.why for gap in ledger.partial] == ["the answer is cut at 500 series"]
    assert not ledger.whole


def test_what_to_do_comes_with_what_to_look_at_first() -> None:
    """The first step that changes something; steps that only read stand before it."""
    mitigation = MITIGATIONS[0]
    steps = (LOOK, *mitigation.steps)
    now = present(replace(samples.INVESTIGATION, mitigations=(replace(mitigation, steps=steps),))).now
    assert now
    assert now.step
    assert [step.number for step in now.looks] == [1]
    assert (now.step.number, now.step.command, now.step.sentence) == (2, ROLL_BACK, "")


def test_nothing_is_to_be_done_once_it_is_over() -> None:
    """A recovery needs no command."""
    assert present(samples.RESTORED).now is None


def test_a_table_shows_its_first_rows_and_counts_all() -> None:
    """Cells are text, columns of numbers are known as such, the first one names its row."""
    view = table_view(Table("odd name/", ("1", "n", "x"), tuple((str(i), i * 1000, "5 %") for i in range(40))))
    assert view.numeric == (False, True, True)
    assert (view.rows[2], view.more, view.file) == (("2", "2,000", "5 %"), 10, "data/odd-name.csv")


def test_a_query_says_what_was_wrong_with_its_answer() -> None:
    """Its heading tells who was asked, of which window, and how whole the answer is."""
    answer = Answer(samples.SHARE, "partial", {}, ("cut at 500 series",))
    finding = replace(samples.REAL, answers=(answer,))
    shown = present(replace(samples.INVESTIGATION, findings=(finding,))).findings[0].queries
    assert shown.title == "1 query · Prometheus"
    assert shown.asked[0].heading == (
        "Prometheus, range, 09:42–11:12 UTC, 15 January 2026, every 15 s · partial: cut at 500 series"
    )
