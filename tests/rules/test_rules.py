"""The alerting rules, as promtool and the catalogue see them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runbook import alerts, rules, settings

HERE = Path(__file__).parent
PROMTOOL = shutil.which("promtool")
SETTINGS = settings.load(settings.shipped())
ENVIRONMENT = SETTINGS.environment("production")
SERVICE = SETTINGS.service(ENVIRONMENT.service)
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: install Debian's package `prometheus`"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the printed rules of all alerts, where promtool looks for them."""
    document = rules.rules([alerts.load(name) for name in alerts.names()], SERVICE, ENVIRONMENT)
    (tmp_path / "rules.yml").write_text(rules.as_yaml(document), encoding="utf-8")
    return tmp_path


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@needs_promtool
@pytest.mark.parametrize("name", alerts.names())
def test_each_rule_does_what_its_unit_tests_say(folder: Path, name: str):
    """promtool's own engine evaluates every rule on made-up series: when it fires, when not, and what it then says."""
    shutil.copy(HERE / f"{name}.test.yml", folder)
    ran = promtool(folder, "test", "rules", f"{name}.test.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_the_unit_tests_notice_another_threshold(folder: Path):
    """A rule with a threshold of 50 % fails the unit tests: they do test something."""
    file = folder / "rules.yml"
    file.write_text(file.read_text().replace("> 0.05", "> 0.5"))
    shutil.copy(HERE / "HighErrorRate.test.yml", folder)
    assert promtool(folder, "test", "rules", "HighErrorRate.test.yml").returncode != 0


@needs_promtool
def test_promtool_accepts_the_rules(folder: Path):
    """The printed file is one that Prometheus loads."""
    ran = promtool(folder, "check", "rules", "rules.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(alerts.names())} rules found" in ran.stdout


@needs_promtool
def test_odd_text_stays_text(tmp_path: Path):
    """Quotes, colons, braces and line ends in a profile cannot break the file."""
    odd = settings.Service(
        name='a "b": {c}\n- d # e',
        metric_prefix="x_",
        metric_labels={"app": 'quo"te\\'},
        log_app="x",
        deployment="x",
        namespace="x",
        index="x",
    )
    document = rules.rules([alerts.load("HighErrorRate")], odd, ENVIRONMENT)
    (tmp_path / "rules.yml").write_text(rules.as_yaml(document), encoding="utf-8")
    ran = promtool(tmp_path, "check", "rules", "rules.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_rule_links_to_its_runbook():
    """The link is derived from the alert's name, below the environment's address of the notebooks."""
    there = settings.Environment(service="x", runbook_base_url="https://git.example/runbooks/")
    for name in alerts.names():
        (rule,) = rules.rules([alerts.load(name)], SERVICE, there)["groups"][0]["rules"]
        assert rule["annotations"]["runbook_url"] == f"https://git.example/runbooks/{name}.ipynb"


def test_a_threshold_of_the_profile_is_the_rules():
    """Whoever changes a threshold in runbook.toml gets another rule."""
    changed = settings.Service(
        name="x",
        metric_prefix="x_",
        metric_labels={},
        log_app="x",
        deployment="x",
        namespace="x",
        index="x",
        thresholds=settings.Thresholds(error_ratio=0.125),
    )
    (rule,) = rules.rules([alerts.load("HighErrorRate")], changed, ENVIRONMENT)["groups"][0]["rules"]
    assert rule["expr"].endswith("> 0.125")
    assert "x_http_requests_total" in rule["expr"]
