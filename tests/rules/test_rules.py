"""The alerting rules, as promtool and the catalogue see them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runbook.alerts.registry import SHIPPED
from runbook.config import schema, settings
from runbook.monitoring import alerting_rules, yaml_text

HERE = Path(__file__).parent
PROMTOOL = shutil.which("promtool")
SETTINGS = settings.load(settings.shipped())
ENVIRONMENT = SETTINGS.environment("production")
SERVICE = SETTINGS.service(ENVIRONMENT.service)
FOLLOWING = {
    "HighErrorRate",
    "DatabaseConnectionErrors",
    "SlowResponses",
    "HighMemoryUsage",
    "HighAuthFailureRate",
}  # by the procedure's figures
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: install Debian's package `prometheus`"
)


def printed(folder: Path, document: Mapping[str, Any]) -> Path:
    """These rules as a file, where the unit tests look for them."""
    (folder / "rules.yml").write_text(yaml_text.as_yaml(document), encoding="utf-8")
    return folder


def of_all(service: schema.Service = SERVICE) -> dict[str, Any]:
    """The rules of all alerts for a service."""
    return alerting_rules.rules([SHIPPED.load(name) for name in SHIPPED.names], service, ENVIRONMENT)


def rule_of(name: str, service: schema.Service = SERVICE) -> dict[str, Any]:
    """The rule of one alert."""
    (rule,) = alerting_rules.rules([SHIPPED.load(name)], service, ENVIRONMENT)["groups"][0]["rules"]
    return dict(rule)


def scaled(factor: float) -> schema.Service:
    """The profile with all thresholds that much higher."""
    limits = {name: type(value)(value * factor) for name, value in SERVICE.thresholds.items()}
    return msgspec.structs.replace(SERVICE, thresholds=limits)


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def unit_tested(folder: Path, name: str, rule: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """The unit tests of an alert, run on a rule."""
    shutil.copy(HERE / f"{name}.test.yml", folder)
    printed(folder, {"groups": [{"name": alerting_rules.GROUP, "rules": [rule]}]})
    return promtool(folder, "test", "rules", f"{name}.test.yml")


@needs_promtool
@pytest.mark.parametrize("name", SHIPPED.names)
def test_each_rule_does_what_its_unit_tests_say(tmp_path: Path, name: str):
    """promtool's own engine evaluates every rule on made-up series: when it fires, when not, and what it then says."""
    ran = unit_tested(tmp_path, name, rule_of(name))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
@pytest.mark.parametrize(
    "change",
    [{"expr": "vector(0) == 1"}, {"expr": "vector(1)"}, {"for": "0s"}, {"for": "2h"}, {"labels": {}}],
    ids=["fires never", "fires always", "fires at once", "fires late", "without severity"],
)
@pytest.mark.parametrize("name", SHIPPED.names)
def test_the_unit_tests_notice_another_rule(tmp_path: Path, name: str, change: dict[str, Any]):
    """A rule that fires at another time or says something else fails its unit tests: they do test it."""
    assert unit_tested(tmp_path, name, rule_of(name) | change).returncode != 0


@needs_promtool
@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("name", SHIPPED.names)
def test_the_unit_tests_notice_another_threshold(tmp_path: Path, name: str, factor: float):
    """A rule with half or twice its threshold fires at another time, whatever it says: its unit tests fail."""
    rule, other = rule_of(name), rule_of(name, scaled(factor))
    if rule["expr"] != other["expr"]:
        assert unit_tested(tmp_path, name, rule | {"expr": other["expr"]}).returncode != 0


@pytest.mark.parametrize("name", SHIPPED.names)
def test_what_an_alert_says_follows_the_profile(name: str):
    """An alert says the threshold that it fires at: another one in the profile changes rule, summary, description."""
    rule, other = rule_of(name), rule_of(name, scaled(0.5))
    follows = rule["expr"] != other["expr"]
    for said in ("summary", "description"):
        assert (rule["annotations"][said] != other["annotations"][said]) is follows
    assert follows or name not in FOLLOWING


@needs_promtool
def test_promtool_accepts_the_rules(tmp_path: Path):
    """The printed file is one that Prometheus loads, with one rule for each alert and none twice."""
    ran = promtool(printed(tmp_path, of_all()), "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(SHIPPED.names)} rules found" in ran.stdout


@needs_promtool
def test_odd_text_stays_text(tmp_path: Path):
    """Quotes, colons, braces and line ends in a profile cannot break the file."""
    odd = schema.Service(
        name='a "b": {c}\n- d # e',
        metric_prefix="x_",
        metric_labels={"app": 'quo"te\\'},
        log_app="x",
        deployment="x",
        namespace="x",
        index="x",
    )
    ran = promtool(printed(tmp_path, of_all(odd)), "check", "rules", "rules.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_rule_links_to_its_runbook():
    """The link is the alert's name below the environment's address of the notebooks; without it there is none."""
    there = schema.Environment(service="x", runbook_base_url="https://git.example/runbooks/")
    for name in SHIPPED.names:
        (rule,) = alerting_rules.rules([SHIPPED.load(name)], SERVICE, there)["groups"][0]["rules"]
        assert rule["annotations"]["runbook_url"] == f"https://git.example/runbooks/{name}.ipynb"
        assert "runbook_url" not in rule_of(name)["annotations"]


def test_a_threshold_of_the_profile_is_the_rules():
    """Whoever changes a threshold in runbook.toml gets another rule."""
    changed = schema.Service(
        name="x",
        metric_prefix="x_",
        metric_labels={},
        log_app="x",
        deployment="x",
        namespace="x",
        index="x",
        thresholds={"error_ratio": 0.125},
    )
    (rule,) = alerting_rules.rules([SHIPPED.load("HighErrorRate")], changed, ENVIRONMENT)["groups"][0]["rules"]
    assert rule["expr"].endswith("> 0.125")
    assert "x_http_requests_total" in rule["expr"]
