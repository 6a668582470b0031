"""The report of an investigation, and what hostile text does to it: nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbook.config.schema import Prometheus
from runbook.investigation.definitions import Severity
from runbook.investigation.result import Investigation
from runbook.model import Chart, Step, Table
from runbook.reporting import report
from runbook.reporting.presentation import present
from runbook.text import shell
from tests import samples
from tests.hostile import HOSTILE, Page, with_text
from tests.sample_steps import LOOK, MITIGATIONS, ROLL_BACK

PROOF = report.Proof("HighErrorRate-20260115T104700Z", samples.END + 9, "0.1.0", 31, "5f2c" * 16)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2", "h3", "div"),
    *("p", "span", "b", "code", "pre", "a", "img", "ul", "ol", "li", "dl", "dt", "dd", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "svg", "rect"),
}


def draw(chart: Chart) -> bytes:
    """A picture that costs nothing."""
    return samples.PIXEL


def html(investigation: Investigation, proof: report.Proof = PROOF) -> str:
    return report.html(present(investigation), proof=proof, draw=draw)


def page(investigation: Investigation = samples.INVESTIGATION, proof: report.Proof = PROOF) -> Page:
    return Page(html(investigation, proof))


def test_verdict_comes_first_and_proof_last() -> None:
    """The order is: verdict, what to do now, what is not known, is it real, causes, checks, mitigation, proof."""
    body = page().body
    order = [
        "respond within 1 hour, by 11:47 UTC",
        "Probably a bad deployment: revision 14.",
        "Do now",
        "4 of 5 checks ran",
        "Is it real?",
        "Probable causes",
        "What was checked",
        "What do the logs say?",
        "Mitigation",
        "Verification",
        "Timeline",
        "Escalate if",
        "Evidence HighErrorRate-20260115T104700Z",
    ]
    places = [body.index(words) for words in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("severity", "words"),
    [
        ("critical", "respond at once, at any hour · notify by PagerDuty, SMS, e-mail"),
        ("high", "respond within 1 hour, by 11:47 UTC · notify by PagerDuty, e-mail"),
        ("medium", "respond within 4 hours, by 14:47 UTC · notify by e-mail"),
        ("low", "respond on the next business day · notify by ticket"),
    ],
)
def test_severity_says_how_soon_and_who_is_told(severity: Severity, words: str) -> None:
    """The first line is the procedure's: response time and means of notification."""
    alert = replace(samples.ALERT, severity=severity)
    assert words in page(replace(samples.INVESTIGATION, alert=alert)).body


def test_the_one_thing_to_do_is_whole() -> None:
    """The command stands alone in its element, to be copied, with precondition, risk, undo and what to watch."""
    shown = page()
    assert shown.texts["pre"][0] == ROLL_BACK
    do = next(text for text in shown.texts["section"] if "Do now" in text)
    step = MITIGATIONS[0].steps[0]
    for words in (step.precondition, "is lost", shell.command(step.undo_argv), step.watch):
        assert words in do


def test_what_to_do_now_changes_something_and_what_to_look_at_stands_before_it() -> None:
    """A step that only reads is marked as a look; where there is no other, it is what to do."""
    mitigation = MITIGATIONS[0]
    look = LOOK

    def doing(*steps: Step) -> str:
        made = replace(samples.INVESTIGATION, mitigations=(replace(mitigation, steps=steps),))
        return next(text for text in page(made).texts["section"] if "Do now" in text)

    do = doing(look, mitigation.steps[0])
    assert do.index("Look first") < do.index(shell.command(look.argv)) < do.index(ROLL_BACK) < do.index("Before")
    assert "Look first" not in doing(look)
    assert shell.command(look.argv) in doing(look)


def test_what_only_a_person_can_do_is_something_to_do() -> None:
    """A manual step is what to do now, though it is no command: its kind says so, not its words."""
    mitigation, manual = MITIGATIONS[0], MITIGATIONS[0].steps[1]
    made = replace(samples.INVESTIGATION, mitigations=(replace(mitigation, steps=(LOOK, manual)),))
    do = next(text for text in page(made).texts["section"] if "Do now" in text)
    assert do.index("Look first") < do.index(manual.text)


def test_options_and_addresses_are_not_broken() -> None:
    """A narrow page breaks a line before an option or an address, never within; what is copied stays the same."""
    mitigation = MITIGATIONS[0]
    step = replace(mitigation.steps[0], precondition="198.51.100.215 is none of ours: `iptables --list-rules`")
    made = page(replace(samples.INVESTIGATION, mitigations=(replace(mitigation, steps=(step,)),)))
    assert made.texts["pre"][0] == ROLL_BACK
    assert {"--to-revision", "--context", "-n", "--list-rules", "198.51.100.215"} <= set(made.texts["span"])


def test_a_sentence_is_not_set_as_a_command() -> None:
    """A step for people, not for a shell, stands in no copyable element."""
    assert not any("Tell the authors" in text for text in page().texts["pre"])


def test_nothing_to_do_once_recovered() -> None:
    """After a verified recovery, the verdict says so and no command is urged."""
    shown = page(samples.RESTORED)
    assert not any("Do now" in text for text in shown.texts["section"])
    assert "Recovered: at or below 5 %" in shown.texts["section"][0]


def test_what_is_not_known_stands_at_the_top_with_its_reason() -> None:
    """The ledger names each check that did not run or judged on partial data, and why."""
    ledger = page().texts["ul"][0]
    assert "Do pods reach their limits? Not known: Kubernetes refused" in ledger
    assert "Do all revisions fail alike? the answer is cut at 500 series" in ledger


def test_one_reason_stands_once_with_all_that_it_leaves_open() -> None:
    """Where a source is away, its sentence is not repeated for each check that needed it."""
    also = replace(samples.LIMITS, check="traffic", question="Is there more traffic?")
    ledger = page(replace(samples.INVESTIGATION, findings=(samples.REAL, samples.LIMITS, also))).texts["ul"][0]
    assert ledger.count("Not known: Kubernetes refused") == 1
    assert "Do pods reach their limits? Is there more traffic? Not known: Kubernetes refused" in ledger


def test_a_normal_check_takes_one_line_and_no_chart() -> None:
    """Its line is the fold of its queries; a chart it may have is left to the bundle."""
    chart = samples.REAL.result.charts
    normal = replace(samples.DATABASE, result=replace(samples.DATABASE.result, charts=chart))
    shown = page(replace(samples.INVESTIGATION, findings=(samples.LIMITS, normal)))
    assert "img" not in shown.tags
    assert any("Is the database well? Yes: no connection errors" in text for text in shown.texts["summary"])


def test_every_image_says_what_it_shows() -> None:
    """Who cannot see a chart hears its title and sentence."""
    alts = [attributes["alt"] for tag, attributes in page().elements if tag == "img"]
    assert alts[0] == f"Failed requests (5xx): {samples.REAL.result.sentence}"
    assert len(alts) == 3


def test_it_loads_and_runs_nothing() -> None:
    """No script, no style or image from elsewhere; the policy allows exactly this page's style and embedded images."""
    text = html(samples.RESTORED)
    shown = Page(text)
    assert shown.tags <= TAGS
    assert all(src.startswith("data:image/png;base64,") for src in shown.attributes("src"))
    assert not shown.attributes("style")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert policy in shown.attributes("content")
    assert "url(" not in style[1]


def test_queries_lead_to_their_pages() -> None:
    """A Prometheus query opens as a graph over the same window, a search opens in Kibana."""
    links = {urlsplit(href).netloc: href for href in page().attributes("href")}
    assert set(links) == {"prometheus.example", "kibana.example"}
    asked = parse_qs(urlsplit(links["prometheus.example"]).query)
    assert asked["g0.expr"] == [samples.SHARE.text]
    assert asked["g0.end_input"] == ["2026-01-15 11:12:00"]
    assert asked["g0.range_input"] == ["5400s"]


@pytest.mark.parametrize("url", ["http://me:secret@prometheus:9090/p/", "javascript:alert(1)//", "file:///etc/passwd"])
def test_links_hold_no_password_and_no_script(url: str) -> None:
    """An address in the settings is stripped of credentials, and only http and https become links."""
    environment = msgspec.structs.replace(samples.ENVIRONMENT, prometheus=Prometheus(url=url))
    shown = page(replace(samples.INVESTIGATION, context=replace(samples.CONTEXT, environment=environment)))
    assert not any("secret" in href or not href.startswith("http") for href in shown.attributes("href"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), min_size=1, max_size=5).map("".join))
def test_hostile_text_stays_text(text: str) -> None:
    """Wherever it stands, it brings no element, attribute or invisible character with it."""
    made = html(with_text(text))
    made.encode("utf-8")
    shown = Page(made)
    assert shown.tags <= TAGS
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made)
    assert all(urlsplit(href).netloc in ("prometheus.example", "kibana.example") for href in shown.attributes("href"))


def test_a_megabyte_of_log_is_cut() -> None:
    """A line of a megabyte in every place leaves a report that opens."""
    text = html(with_text("x" * 1_048_576))
    assert len(text) < 500_000
    assert "x…x" in text


def test_without_a_supported_cause_it_says_when_to_escalate() -> None:
    """Then the thing to do now is to close the gaps, or to call for help; no command is urged."""
    shown = page(replace(samples.INVESTIGATION, verdicts=samples.VERDICTS[1:], mitigations=()))
    do = next(text for text in shown.texts["section"] if "Do now" in text)
    assert "Fix the sources listed below, then run again. Escalate if:" in do
    assert samples.ALERT.escalate_if[0] in do
    assert "verdict amber" in shown.attributes("class")


def test_without_a_gap_nobody_is_asked_to_close_one() -> None:
    """Where every check ran on whole data and no cause is supported, only a person can help."""
    whole = (samples.REAL, samples.DATABASE)
    shown = page(replace(samples.INVESTIGATION, findings=whole, verdicts=samples.VERDICTS[1:2], mitigations=()))
    do = next(text for text in shown.texts["section"] if "Do now" in text)
    assert "Escalate if:" in do
    assert "Fix the sources" not in do


def test_a_false_alarm_is_green_and_asks_for_nothing() -> None:
    """When the alert does not hold, the verdict says so in green and nothing is to be done."""
    calm = replace(samples.REAL, result=replace(samples.REAL.result, status="normal", sentence="No."))
    shown = page(replace(samples.INVESTIGATION, findings=(calm,), verdicts=(), mitigations=()))
    assert "verdict green" in shown.attributes("class")
    assert "Do now" not in shown.body


def test_a_long_table_folds_and_says_where_the_rest_is() -> None:
    """Eight rows are shown, thirty are there, all are in the bundle's data."""
    table = Table("newest errors", ("Message",), tuple((f"message {i}",) for i in range(100)))
    finding = replace(samples.MESSAGES, result=replace(samples.MESSAGES.result, tables=(table,)))
    shown = page(replace(samples.INVESTIGATION, findings=(samples.REAL, finding)))
    assert "22 more rows, and 70 in data/newest-errors.csv" in shown.texts["summary"]
    assert [text for text in shown.texts["td"] if text.startswith("message")] == [f"message {i}" for i in range(30)]


def test_an_investigation_without_findings_still_reports() -> None:
    """A run that found nothing gives a report that says so."""
    body = page(samples.NOTHING).body
    assert "Nothing was found." in body
    assert "0 of 0 checks ran" in body


@pytest.mark.parametrize("scheme", [0, 1])
def test_every_colour_can_be_read(scheme: int) -> None:
    """In the light scheme and in the dark one, text on its background has a contrast of 4.5 or more (WCAG AA)."""
    css = (report.TEMPLATES / "report.css").read_text()
    colours = dict(re.findall(r"--(\w+):(#\w+)", re.findall(r":root{([^}]*)}", css)[scheme]))
    tones = [(tone, f"{tone}bg") for tone in ("red", "green", "amber", "blue", "grey")]
    plain = [("ink", "bg"), ("mute", "bg"), ("mute", "soft"), ("light", "dark"), ("blue", "bg"), ("ink", "redbg")]
    for front, back in [*tones, *plain, ("ink", "greenbg"), ("ink", "amberbg"), ("ink", "soft")]:
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_equal_investigations_give_equal_reports() -> None:
    """Nothing but the investigation and its proof decides the bytes."""
    one, two = (html(samples.INVESTIGATION) for _ in range(2))
    assert one == two


def test_what_is_replayed_is_told_as_such() -> None:
    """It says at its top when the answers were recorded, and nothing of it where somebody was asked."""
    said = "replayed from answers recorded 15 January 2026 11:12 UTC"
    assert said in page(proof=replace(PROOF, replayed=True)).texts["header"][0]
    assert "replayed" not in page().body
