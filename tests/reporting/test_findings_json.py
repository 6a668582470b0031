"""findings.json: the same for equal runs, as its schema says, and a sentence for every difference."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any

import jsonschema
import pytest

from runbook.investigation.result import Investigation
from runbook.model import Answer, Event, Facts, Series, canonical
from runbook.reporting.findings_json import compare, findings_json
from runbook.reporting.report import TEMPLATES
from runbook.text.escape import shortened
from tests import samples
from tests.hostile import HOSTILE, with_text
from tests.sample_steps import MITIGATIONS, ROLL_BACK

SCHEMA = json.loads((TEMPLATES.parent / "findings.schema.json").read_text())


@pytest.mark.parametrize(
    "investigation",
    [samples.INVESTIGATION, samples.RESTORED, samples.NOTHING, samples.FAULTY, with_text("".join(HOSTILE))],
)
def test_it_is_as_the_schema_says(investigation: Investigation) -> None:
    """Found, recovered, empty or hostile: the file fits the published schema."""
    checker = jsonschema.Draft202012Validator(SCHEMA)
    checker.check_schema(SCHEMA)
    checker.validate(json.loads(canonical(findings_json(investigation))))


@pytest.mark.parametrize("amiss", [{"status": "fine"}, {"completeness": None}, {"surprise": 1}])
def test_the_schema_refuses_what_it_does_not_know(amiss: dict[str, Any]) -> None:
    """An unknown status, a missing completeness or an additional field does not fit."""
    wrong = findings_json(samples.INVESTIGATION)
    wrong["findings"][0] |= amiss
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_neither_clock_nor_timing_is_in_it() -> None:
    """Two runs over the same answers, at other times and other speeds, give the same bytes."""
    slower = replace(samples.REAL, answers=tuple(replace(a, seconds=a.seconds + 7) for a in samples.REAL.answers))
    later = replace(
        samples.INVESTIGATION,
        context=replace(samples.CONTEXT, now=samples.END + 9999),
        findings=(slower, *samples.FINDINGS[1:]),
    )
    assert canonical(findings_json(later)) == canonical(findings_json(samples.INVESTIGATION))


def test_a_time_in_the_facts_is_kept_to_the_second() -> None:
    """Rounding for equality across machines does not touch epoch seconds."""
    onset = findings_json(samples.INVESTIGATION)["findings"][0]["facts"]["onset"]
    assert onset == samples.ONSET


def facts(found: Facts | None, fault: str = "") -> Any:
    """What findings.json holds of a check's facts."""
    finding = replace(samples.REAL, result=replace(samples.REAL.result, facts=found, fault=fault))
    return findings_json(replace(samples.INVESTIGATION, findings=(finding,)))["findings"][0]["facts"]


@dataclass(frozen=True)
class Measured(Facts):
    """Facts of every shape."""

    low: float
    high: tuple[float, ...]
    worst: Event | None = None
    names: tuple[str, ...] = ()
    places: list[str] = field(default_factory=list)


def test_no_value_is_null() -> None:
    """NaN and infinity, which JSON cannot hold, become null."""
    assert facts(Measured(math.nan, (math.inf, -math.inf))) == {"low": None, "high": [None, None]}


def test_facts_are_their_fields() -> None:
    """A dataclass within becomes an object, and what has its default is left out."""
    event = Event(samples.ONSET, "onset", "onset")
    assert facts(Measured(1.0, (), event, ("a",))) == {
        "low": 1.0,
        "high": [],
        "worst": {"time": samples.ONSET, "label": "onset", "kind": "onset"},
        "names": ["a"],
    }
    assert facts(Measured(1.0, ())) == {"low": 1.0, "high": []}


def test_where_nothing_was_found_there_are_no_facts() -> None:
    """None, and beside it the error of a check that failed itself."""
    assert facts(None) == {}
    assert facts(None, "KeyError: 'le'") == {"fault": "KeyError: 'le'"}


def test_a_step_is_text_whether_a_command_or_a_sentence() -> None:
    """Commands and how they are undone are spelled as a shell takes them."""
    change, manual = findings_json(samples.INVESTIGATION)["mitigations"][0]["steps"]
    assert (change["command"], change["undo"]) == (ROLL_BACK, ROLL_BACK.replace("=13", "=14"))
    assert (manual["command"], manual["undo"]) == (MITIGATIONS[0].steps[1].text, "nothing to undo")


def test_text_that_utf8_cannot_spell_is_replaced() -> None:
    """A lone surrogate in a sentence does not keep the file from being written."""
    odd = replace(samples.INVESTIGATION, headline="a" + chr(0xD800))
    assert json.loads(canonical(findings_json(odd)))["headline"] == "a?"


def test_equal_outcomes_do_not_differ() -> None:
    """Comparing an outcome with itself finds nothing."""
    assert compare(findings_json(samples.RESTORED), findings_json(samples.RESTORED)) == []


def test_a_changed_status_is_named_by_its_check() -> None:
    """The sentence says where, what it was and what it is."""
    calm = replace(samples.REAL, result=replace(samples.REAL.result, status="normal"))
    changed = replace(samples.INVESTIGATION, findings=(calm, *samples.FINDINGS[1:]))
    assert compare(findings_json(samples.INVESTIGATION), findings_json(changed)) == [
        "findings › errors › status was “abnormal”, is “normal”."
    ]


def test_a_changed_point_of_a_chart_is_found() -> None:
    """One value of a curve changes the chart's digest."""
    chart = samples.REAL.result.charts[0]
    moved = Series("now", chart.series[1].times, (*chart.series[1].values[:-1], 99.0))
    other = replace(chart, series=(chart.series[0], moved))
    finding = replace(samples.REAL, result=replace(samples.REAL.result, charts=(other,)))
    changed = replace(samples.INVESTIGATION, findings=(finding, *samples.FINDINGS[1:]))
    (difference,) = compare(findings_json(samples.INVESTIGATION), findings_json(changed))
    assert difference.startswith("findings › errors › charts › failed-requests › sha256 was")


def test_a_check_that_is_gone_and_one_that_is_new_are_named() -> None:
    """Neither is taken for a change of its neighbours."""
    before = findings_json(replace(samples.INVESTIGATION, findings=(samples.REAL, samples.DATABASE)))
    after = findings_json(replace(samples.INVESTIGATION, findings=(samples.REAL, samples.LIMITS)))
    places = [line.split(" is ")[0] for line in compare(before, after) if line.startswith("findings")]
    assert places == ["findings › database", "findings › resources"]


def test_another_order_of_causes_is_a_difference() -> None:
    """The ranking is part of the outcome."""
    turned = replace(samples.INVESTIGATION, verdicts=samples.VERDICTS[::-1])
    assert compare(findings_json(samples.INVESTIGATION), findings_json(turned)) == [
        "verdicts: the order was deployment, database, resources, is resources, database, deployment."
    ]


def test_a_query_that_failed_meanwhile_is_named() -> None:
    """A differing completeness of one answer is told with the query's key."""
    finding = replace(samples.DATABASE, answers=(Answer(samples.SHARE, "failed", error="Prometheus is down."),))
    changed = replace(samples.INVESTIGATION, findings=(*samples.FINDINGS[:3], finding, samples.LIMITS))
    differences = compare(findings_json(samples.INVESTIGATION), findings_json(changed))
    place = f"findings › database › queries › {shortened(samples.SHARE.key, 40)} › error"
    assert f"{place} was nothing, is “Prometheus is down.”." in differences
