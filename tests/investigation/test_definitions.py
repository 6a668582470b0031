"""A wrong name in an alert is refused when it is written: by the type checker, or when the alert is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runbook.alerts.checks.logins import authentication
from runbook.alerts.checks.requests import scope
from runbook.alerts.checks.workload import nodes, pod_states
from runbook.alerts.high_error_rate import ALERT, DATABASE
from runbook.alerts.instance_down import ALERT as INSTANCE_DOWN
from runbook.errors import DefinitionError, UsageError
from runbook.incident import Incident
from runbook.investigation.definitions import Alert, Cause, Check, Conclusive, Plan, Sign, plan
from runbook.investigation.results import Results
from runbook.model import Facts, Result
from tests import ROOT, fakes


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Facts):
    """Facts of a check that HighErrorRate does not have."""


Elsewhere.__module__ = "runbook.alerts.checks.database.database_helth"
ASK = Check("authentication", "Again?", authentication.Facts, lambda c: {}, lambda *_: Result("unknown", ""))


def with_cause(cause: Cause) -> Alert:
    return replace(ALERT, causes=(cause, *ALERT.causes[1:]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: with_cause(replace(DATABASE, requires=(Elsewhere,))), "requires the check"),
        (
            lambda: with_cause(replace(DATABASE, supports=(Sign(Elsewhere, 0.5, lambda f: True, lambda f: ""),))),
            "has a sign on the check",
        ),
        (
            lambda: with_cause(replace(DATABASE, refutes=(Sign(Elsewhere, 0.5, lambda f: True, lambda f: ""),))),
            "has a sign on the check",
        ),
        (
            lambda: with_cause(replace(DATABASE, plan=Plan(lambda c, r: ("", ()), reads=(Elsewhere,)))),
            "has a plan that reads the check",
        ),
    ],
    ids=["cause", "supporting sign", "refuting sign", "plan"],
)
def test_a_check_that_an_alert_does_not_have_is_refused(wrong: Callable[[], Alert], said: str):
    """Whatever of a cause names it: the alert is refused in one sentence with the nearest name."""
    with pytest.raises(DefinitionError) as refused:
        wrong()
    sentence = str(refused.value)
    assert f"HighErrorRate cannot be used: the cause database {said} database_helth" in sentence
    assert "did you mean database_health?" in sentence


def test_an_optional_sign_may_lack_its_check():
    """Alerts share causes: a sign that is marked so is left out where the check is not asked."""
    sign = Sign(Elsewhere, 0.5, lambda f: True, lambda f: "", optional=True)
    assert with_cause(replace(DATABASE, supports=(*DATABASE.supports, sign)))


def test_a_fact_that_no_check_finds_is_refused():
    """A fact that decides a cause is looked up by its name: a misspelled one would never be known."""
    with pytest.raises(DefinitionError, match=r"authentication finds no fact 'failng'; did you mean failing\?"):
        Conclusive(authentication.Facts, "failng")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: replace(ALERT, checks=(*ALERT.checks, ASK)), "it has two checks named authentication"),
        (lambda: replace(ALERT, causes=(*ALERT.causes, DATABASE)), "it has two causes named database"),
        (lambda: replace(ALERT, checks=ALERT.checks[1:]), "its first check must say whether the alert is real"),
        (lambda: replace(ALERT, severity="midium"), r"the severity .midium.; did you mean medium\?"),  # type: ignore[arg-type]
        (
            lambda: with_cause(replace(DATABASE, supports=(Sign(scope.Facts, 6, lambda f: True, lambda f: ""),))),
            "weighs 6; a weight is above 0 and at most 1",
        ),
    ],
)
def test_an_alert_that_contradicts_itself_is_refused(wrong: Callable[[], Alert], said: str):
    """Names stand for one thing, the first check is the alert's own, weights are shares."""
    with pytest.raises(DefinitionError, match=said):
        wrong()


def test_a_check_comes_after_those_that_it_reads():
    """A check that judges by what others found is refused where they are missing, or come later."""
    with pytest.raises(DefinitionError, match="the check nodes needs, before it, the check pod_states"):
        replace(ALERT, checks=(*ALERT.checks, nodes.CHECK))
    with pytest.raises(DefinitionError, match="the check pod_states needs, before it, the check down_instances"):
        first, *others = INSTANCE_DOWN.checks
        rest = (check for check in others if check is not pod_states.CHECK)
        replace(INSTANCE_DOWN, checks=(first, pod_states.CHECK, *rest))


def test_a_plan_reads_what_it_declares():
    """A plan that reads further facts fails in its first test, since an alert could lack them."""

    @plan(scope.Facts)
    def silent(c: object, results: Results) -> tuple[str, tuple[()]]:
        return str(results.facts(authentication.Facts)), ()

    found = Results({"scope": Result("unknown", "")}, ALERT.checks)
    with pytest.raises(DefinitionError, match="authentication are read and not declared"):
        silent(fakes.context(), found)


def test_facts_of_a_check_that_was_not_asked_are_refused():
    """Reading them would be silence for ever; whoever means that says so."""
    found = Results({}, ALERT.checks)
    with pytest.raises(DefinitionError, match=r"no check database_helth; did you mean database_health\?"):
        found.facts(Elsewhere)
    assert found.facts(Elsewhere, optional=True) is None


def test_an_unknown_check_in_a_notebook_says_which_there_are():
    """`incident.show("databse_health")` is one sentence with the nearest name."""
    incident = Incident.replay(ROOT / "notebooks/recordings/HighErrorRate.jsonl.gz")
    with pytest.raises(
        UsageError, match=r"HighErrorRate has no check 'databse_health'; did you mean database_health\?"
    ):
        incident.show("databse_health")


TYPOS = {
    "check": ("from runbook.alerts.checks.database import databse_health\n", "databse_health"),
    "fact": (
        "from runbook.alerts.checks.requests import scope\nfrom runbook.investigation.definitions import Sign\n"
        "Sign(scope.Facts, 0.5, lambda f: f.one_pdo, lambda f: '')\n",
        'maybe "one_pod"',
    ),
    "cause": ("from runbook.alerts.high_error_rate import DATABSE\n", "DATABSE"),
    "sign": ("from runbook.alerts.shared_causes import ONLY_NEW_POD\n", "ONLY_NEW_POD"),
    "subject": ("from runbook.alerts.shared_causes import about\nabout('databse')\n", "databse"),
    "label": (
        "from runbook.config.schema import Service\n\n"
        "def label(service: Service) -> str:\n    return service.pod_lable\n",
        'maybe "pod_label"',
    ),
    "threshold": ("from runbook.alerts.thresholds import ERROR_RATOI\n", "ERROR_RATOI"),
    "plan": ("from runbook.alerts.mitigations.releases import rol_back\n", "rol_back"),
}


def test_the_type_checker_refuses_a_typing_error_in_each_kind_of_name(tmp_path: Path):
    """One misspelled name of each kind, and mypy names each with the right one beside it where it knows it."""
    for kind, (text, _) in TYPOS.items():
        (tmp_path / f"{kind}.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *TYPOS]
    command = [*command[: -len(TYPOS)], *(str(tmp_path / f"{kind}.py") for kind in TYPOS)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False).stdout
    for kind, (_, said) in TYPOS.items():
        lines = [line for line in told.splitlines() if line.startswith(str(tmp_path / f"{kind}.py"))]
        assert any(said in line for line in lines), (kind, told)
