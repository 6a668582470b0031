"""The doctor: what is wrong with an environment is one line each, with what to do about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runbook.alerts.registry import SHIPPED
from runbook.clock import Frozen
from runbook.config.settings import Settings
from runbook.doctor import examine as examination
from runbook.doctor import requirements
from runbook.doctor.line import Diagnosis
from runbook.errors import SourceError
from runbook.incident import Incident
from runbook.investigation.investigator import Investigator
from runbook.model import JSON, Answer, Query, Source, failed
from runbook.recording.replay import Replay
from tests.bare import bare
from tests.fakes import context

NOW = 1_768_474_020.0
ALERTS = [SHIPPED.load(name) for name in SHIPPED.names]
NEEDED = {need.metric: need for need in requirements.metrics(ALERTS, context())}
KEYWORDS = dict.fromkeys(("level", "app", "username", "pod"), "keyword")
FIELDS = {"timestamp": "date", "message": "text", "client_ip": "ip", **KEYWORDS}
ALLOWED = [{"verb": "get", "resource": "deployments.apps", "status": 200, "error": ""}]


class World:
    """A source for all names, in which all is well; a test spoils what it is about."""

    def __init__(self) -> None:
        self.labels = {metric: sorted(need.labels) for metric, need in NEEDED.items()}
        self.values: dict[str, list[str]] = {}
        self.fields = {name: {kind: {}} for name, kind in FIELDS.items()}
        self.documents: list[JSON] = [{"_source": {}}]
        self.access: list[JSON] = ALLOWED
        self.mysql: JSON = {"version": "10.11.6-MariaDB", "access": [{"what": "lock waits", "error": ""}]}
        self.probe: dict[str, JSON] = {"status": 200, "error": None}
        self.down: set[str] = set()
        self.nothing: set[str] = set()
        self.seconds = 0.0

    def ask(self, query: Query) -> Answer:
        time.sleep(self.seconds)
        if query.source in self.down:
            return failed(query, f"{query.source} is down; start it.")
        if query.kind in self.nothing:
            return Answer(query, "empty", {"resultType": "vector", "result": []})
        data = self._data(query)
        empty = query.kind in ("fields", "label names", "label values", "search") and not data
        return Answer(query, "empty" if empty else "complete", data)

    def _data(self, query: Query) -> JSON:
        metric = query.text.partition("{")[0]
        kinds: Mapping[str, Callable[[], Any]] = {
            "instant": lambda: {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]},
            "build info": lambda: {"version": "3.1.0"},
            "label names": lambda: self.labels.get(metric, []),
            "label values": lambda: self.values.get(metric, []),
            "info": lambda: self.mysql if query.source == "mysql" else {"version": {"number": "9.1.2"}},
            "fields": lambda: {"fields": self.fields} if self.fields else {},
            "search": lambda: {"hits": {"hits": self.documents}},
            "version": lambda: {"gitVersion": "v1.36.3"},
            "access": lambda: {"access": self.access},
            "deployment": lambda: {"deployment": {}},
            "get": lambda: self.probe,
        }
        return kinds[query.kind]()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def examine(world: World, tmp_path: Path) -> Callable[[], tuple[Diagnosis, ...]]:
    def examine() -> tuple[Diagnosis, ...]:
        names = ("prometheus", "elasticsearch", "kubernetes", "mysql", "probe")
        return examination.examine("bare", bare(tmp_path), ALERTS, NOW, sources=dict.fromkeys(names, world))

    return examine


def wrong(lines: tuple[Diagnosis, ...]) -> Diagnosis:
    """The only line that is not ok."""
    (line,) = [line for line in lines if line.state != "ok"]
    return line


def test_what_the_named_alerts_do_not_ask_is_no_trouble(world: World, tmp_path: Path):
    """HighErrorRate asks no MySQL, so that one without it is not ill; what it does ask counts."""
    named = [SHIPPED.load("HighErrorRate")]
    world.down = {"mysql"}
    asked = dict.fromkeys(("prometheus", "elasticsearch", "kubernetes", "mysql", "probe"), world)
    lines = examination.examine("bare", bare(tmp_path), named, NOW, sources=asked)
    assert {line.source for line in lines} == {"prometheus", "elasticsearch", "kubernetes", "probe"}
    assert {line.state for line in lines} == {"ok"}
    assert wrong(examination.examine("bare", bare(tmp_path), ALERTS, NOW, sources=asked)).source == "mysql"


def test_another_server_at_the_address_is_told(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """What answers well, and nothing, to `vector(1)` is no Prometheus."""
    world.nothing = {"instant"}
    assert wrong(examine()).says == "answered, but not as Prometheus does; check its URL in runbook.toml"


def test_a_metric_that_is_missing_says_which_checks_it_costs(
    world: World, examine: Callable[[], tuple[Diagnosis, ...]]
):
    """A metric nobody exports names the setting to correct and the checks that cannot do without it."""
    del world.labels["micro_frontend_auth_attempts_total"]
    line = wrong(examine())
    assert (line.source, line.about, line.state) == ("prometheus", "micro_frontend_auth_attempts_total", "missing")
    assert "was not seen in the last hour: check metric_prefix" in line.says
    assert "authentication" in line.says.partition("without it: ")[2].split(", ")
    assert not examination.fit([line])


def test_a_metric_that_no_check_needs_is_optional(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """Without it every check runs: the doctor says so, and which of them then say less."""
    del world.labels["micro_frontend_cache_size_bytes"]
    line = wrong(examine())
    assert (line.about, line.state) == ("micro_frontend_cache_size_bytes", "optional")
    assert line.says.endswith("; all checks run without it, but these say less: memory_correlates")
    assert examination.fit(examine())


def test_metrics_of_which_a_check_needs_any_are_missing_together():
    """Each alone costs the check nothing; without all of them it has nothing to judge by."""
    some = [metric for metric in NEEDED if "_database_" in metric]
    alert = SHIPPED.load("HighErrorRate")
    for metric in some:
        assert requirements.lost([alert], context(), frozenset({metric})) == {metric: ()}
    whole = requirements.lost([alert], context(), frozenset(some))
    assert whole["micro_frontend_database_connections"] == ("database_health",)


@pytest.mark.parametrize("alert", SHIPPED.names)
def test_what_is_said_to_cost_no_check_costs_none(alert: str):
    """Each metric in turn is taken out of the recorded incident: the checks that then know nothing are those named."""
    replayed = SHIPPED.notebook(alert).parent / "recordings" / f"{alert}.jsonl.gz"
    found = Incident.replay(replayed).investigation()
    recorded, context = Replay(replayed), found.context
    ran = {finding.check for finding in found.findings if finding.ran}
    for need in requirements.metrics([found.alert], context):
        (stopped,) = requirements.lost([found.alert], context, frozenset({need.metric})).values()
        results = Investigator(found.alert, context, Lacking(need.metric, recorded), Frozen(context.now)).results()
        unknown = {name for name in need.checks if results[name].status == "unknown"}
        assert unknown & ran == set(stopped) & ran, need.metric


class Lacking:
    """A source in which one metric is not there."""

    def __init__(self, metric: str, source: Source) -> None:
        self._metric, self._source = metric, source

    def ask(self, query: Query) -> Answer:
        answer = self._source.ask(query)
        if query.source != "prometheus" or self._metric not in requirements.of(query.text, "micro_frontend_"):
            return answer
        return Answer(query, "empty", {"resultType": "matrix", "result": []})


def test_a_metric_with_another_label_value_says_which(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """A metric that is there under another name of the application tells that name."""
    del world.labels["process_cpu_seconds_total"]
    world.values["process_cpu_seconds_total"] = ["shop-b", "shop-a"]
    assert (
        'is there, but with app shop-a, shop-b instead of "micro-frontend": correct metric_labels'
        in wrong(examine()).says
    )


def test_a_label_that_is_missing_is_named(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """Queries group by labels: one that the metric lacks would quietly join all pods into one."""
    world.labels["micro_frontend_http_requests_total"].remove("pod")
    assert "has no label pod: set instance_label or pod_label" in wrong(examine()).says


def test_a_field_that_is_missing_or_unfit_is_named(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """A log field that no index has, or that has a type the checks can do nothing with, names its setting."""
    del world.fields["client_ip"]
    assert "no index has it: correct client_ip_field" in wrong(examine()).says
    world.fields |= {"client_ip": {"ip": {}}, "timestamp": {"text": {}}}
    assert "is of type text, the checks need date or date_nanos: correct time_field" in wrong(examine()).says


@pytest.mark.parametrize("name", ["username", "pod"])
def test_a_field_that_is_counted_by_value_must_be_a_keyword(
    name: str, world: World, examine: Callable[[], tuple[Diagnosis, ...]]
):
    """Elasticsearch does not count the values of a text, such as accounts or pods."""
    world.fields[name] = {"text": {}}
    assert f"correct {name}_field in runbook.toml (perhaps {name}.keyword)" in wrong(examine()).says


def test_an_application_that_is_logged_as_text_is_unfit(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """Words of a text would match the logs of other applications as well; the field beside it is named."""
    world.fields["app"] = {"text": {}}
    assert wrong(examine()).says == (
        "is of type text, the checks need keyword or constant_keyword: "
        "correct app_field in runbook.toml (perhaps app.keyword), or the mapping"
    )


def test_an_index_without_our_messages_is_told(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """An index that exists but holds nothing of the application, or no index at all, is told apart."""
    world.documents = []
    assert "no message of rust-micro-front-end in the last hour" in wrong(examine()).says
    world.fields = {}
    assert "no index of that name" in wrong(examine()).says


def test_a_right_that_is_missing_is_told(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """What Kubernetes forbids stands in its own words."""
    world.access = [
        *ALLOWED,
        {"verb": "list", "resource": "events", "status": 403, "error": "Kubernetes forbids it; ask."},
    ]
    line = wrong(examine())
    assert (line.about, line.state, line.says) == ("list events", "failed", "Kubernetes forbids it; ask.")


def test_an_optional_right_is_missing_rather_than_failed(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """What most checks do without is told as missing, each thing in its own line."""
    forbidden = {"status": 403, "error": "Kubernetes forbids it; ask.", "optional": True}
    world.access = [*ALLOWED, {"verb": "get", "resource": "nodes", **forbidden}]
    line = wrong(examine())
    assert (line.about, line.state, line.says) == ("get nodes", "missing", "Kubernetes forbids it; ask.")


def test_commands_in_pods_are_told_to_be_switched_off(examine: Callable[[], tuple[Diagnosis, ...]]):
    """By default no command runs in a pod: the doctor says so and how to change it, and that is well."""
    (line,) = [line for line in examine() if line.about == "commands in pods"]
    assert line.state == "ok"
    assert "`exec = true` allows it" in line.says


def test_what_the_database_does_not_let_us_read_is_told(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """A grant that the account lacks is a line of its own, in the source's words."""
    world.mysql = {"version": "8.4.2", "access": [{"what": "lock waits", "error": "MySQL forbids it; grant."}]}
    line = wrong(examine())
    assert (line.source, line.about, line.says) == ("mysql", "lock waits", "MySQL forbids it; grant.")


@pytest.mark.parametrize(
    ("status", "error", "told"), [(None, "connection refused", "connection refused"), (404, None, "answers 404")]
)
def test_a_service_that_does_not_answer_is_told(
    world: World, examine: Callable[[], tuple[Diagnosis, ...]], status: int | None, error: str | None, told: str
):
    """The probe's paths are tried, each."""
    world.probe = {"status": status, "error": error}
    lines = [line for line in examine() if line.state != "ok"]
    assert [line.about for line in lines] == ["/health", "/api/username/test"]
    assert all(told in line.says for line in lines)


@pytest.mark.parametrize("source", ["prometheus", "elasticsearch", "kubernetes", "mysql"])
def test_a_source_that_is_down_takes_one_line(world: World, examine: Callable[[], tuple[Diagnosis, ...]], source: str):
    """A source that cannot be reached says so once, not once for each metric, and costs the others nothing."""
    world.down = {source}
    line = wrong(examine())
    assert (line.source, line.about, line.state) == (source, "connection", "failed")
    assert line.says == f"{source} is down; start it."


def test_all_is_well(examine: Callable[[], tuple[Diagnosis, ...]]):
    """Each source, metric, field, right and path has its line, and the versions are told."""
    lines = examine()
    assert {line.state for line in lines} == {"ok"}
    assert {line.about for line in lines} >= {*NEEDED, *(f"field {name}" for name in FIELDS), "/health", "connection"}
    said = " ".join(line.says for line in lines)
    assert all(version in said for version in ("3.1.0", "9.1.2", "v1.36.3", "10.11.6-MariaDB"))


def test_sources_are_examined_in_parallel(world: World, examine: Callable[[], tuple[Diagnosis, ...]]):
    """Slow answers are waited for together: those of 0.1 s each take less than half their sum."""
    world.seconds = 0.1
    began = time.monotonic()
    asked = len(examine())
    assert asked >= 15
    assert time.monotonic() - began < 0.1 * asked / 2


def test_an_environment_without_sections_says_what_to_add(tmp_path: Path):
    """Each source without a section names the section."""
    lines = examination.examine("bare", bare(tmp_path), ALERTS, NOW)
    assert [line.state for line in lines] == ["failed"] * len(lines)
    assert "[environment.bare.prometheus]" in lines[0].says


def test_an_environment_that_replays_has_its_recordings_looked_at(tmp_path: Path):
    """The demonstration asks nobody; a recording that is missing or damaged is told."""
    settings: Settings = bare(tmp_path)
    file = settings.path
    file.write_text(file.read_text() + '[environment.demo]\nservice = "shop"\nrecording = "{alert}.jsonl.gz"\n')
    (tmp_path / "HighErrorRate.jsonl.gz").write_text("no recording")
    lines = examination.examine("demo", bare_again(file), ALERTS, NOW)
    assert [(line.source, line.state) for line in lines] == [("recording", "failed")] * len(ALERTS)
    assert [line.about for line in lines if "HighErrorRate.jsonl.gz" in line.says] == ["HighErrorRate"]


def bare_again(file: Path) -> Settings:
    from runbook.config.settings import load

    return load(file)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("up", {}),
        ('up{app="a"}', {"up": {"app"}}),
        ('sum by (pod) (rate(my_x_total{app="a", code=~"5.."}[5m]))', {"my_x_total": {"pod", "app", "code"}}),
        ('my_a{x="}"} / my_b{y!="\\"{z=\\"1"}', {"my_a": {"x"}, "my_b": {"y"}}),
        ('process_x{} + other_x{a="b"}', {"process_x": set()}),
        ("sum without (a, b) (my_x{})", {"my_x": {"a", "b"}}),
    ],
)
def test_metrics_and_labels_are_read_off_a_query(text: str, found: dict[str, set[str]]):
    """Names with the service's prefix and their labels, whatever stands in a label's value."""
    assert {metric: set(labels) for metric, labels in requirements.of(text, "my_").items()} == found


def test_the_catalogues_needs_are_those_of_the_procedure():
    """The metrics that the procedure names for HighErrorRate are among those looked for."""
    assert {"status_code", "app"} <= NEEDED["micro_frontend_http_requests_total"].labels
    assert {"micro_frontend_database_connections", "process_cpu_seconds_total", "process_resident_memory_bytes"} <= set(
        NEEDED
    )


def test_a_source_that_raises_costs_its_own_lines_only(tmp_path: Path):
    """Real sources stand behind a deadline that turns whatever they raise into a line."""
    from runbook.sources.deadline import Deadline

    class Broken:
        def ask(self, query: Query) -> Answer:
            raise SourceError("Broken on purpose; mend it.", "garbage")

    world = World()
    sources = {
        **dict.fromkeys(("elasticsearch", "kubernetes", "mysql", "probe"), world),
        "prometheus": Deadline(Broken(), 5),
    }
    line = wrong(examination.examine("bare", bare(tmp_path), ALERTS, NOW, sources=sources))
    assert line.says == "Broken on purpose; mend it."
    assert threading.active_count() < 50
