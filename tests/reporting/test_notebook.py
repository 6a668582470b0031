"""What a notebook's cells show: the report's chips and sentences, the same in HTML and in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output

from runbook.model import Finding, Table
from runbook.reporting import blocks, notebook
from runbook.reporting.findings import Figure, finding_view, recovery_view
from runbook.reporting.notebook import Picture, Shown
from runbook.reporting.presentation import header, present
from runbook.reporting.tables import table_view
from tests import samples
from tests.hostile import HOSTILE, Page, with_text
from tests.sample_steps import ROLL_BACK

ALLOWED = {
    *(
        "p",
        "b",
        "br",
        "span",
        "code",
        "pre",
        "details",
        "summary",
        "div",
        "a",
        "table",
        "tr",
        "th",
        "td",
        "svg",
        "rect",
    ),
    *("ul", "li"),
}
SHOWN = present(samples.INVESTIGATION)
EVERYTHING_HOSTILE = with_text("".join(HOSTILE))


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A running IPython."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def bundles(shown: Shown) -> list[dict[str, Any]]:
    """The data of each output, by MIME type."""
    found = [part._repr_mimebundle_() for part in shown.parts]
    return [bundle[0] if isinstance(bundle, tuple) else bundle for bundle in found]


def finding(found: Finding) -> Shown:
    """A check's outputs."""
    return notebook.finding(finding_view(found, samples.CONTEXT))


def html(shown: Shown) -> str:
    return "\n".join(bundle["text/html"] for bundle in bundles(shown) if "text/html" in bundle)


def text(shown: Shown) -> str:
    return "\n".join(bundle["text/plain"] for bundle in bundles(shown))


def test_an_abnormal_check_shows_chip_sentence_chart_and_queries() -> None:
    """In this order, the status as a word, the queries under a fold."""
    shown = finding(samples.MESSAGES)
    kinds = [sorted(bundle) for bundle in bundles(shown)]
    assert kinds == [["text/html", "text/plain"], ["image/png", "text/plain"], ["text/html", "text/plain"]]
    page = Page(f"<body>{html(shown)}</body>")
    assert page.texts["span"][0] == "abnormal"
    assert page.texts["p"][0].startswith("What do the logs say?")
    assert page.texts["p"][0].endswith(samples.MESSAGES.result.sentence)
    assert page.texts["summary"] == ["1 query · Kibana"]
    assert page.texts["pre"] == [samples.LOGS.text]


def test_a_normal_check_is_one_output_without_chart() -> None:
    """What is normal takes a line and the fold of its queries."""
    calm = replace(samples.DATABASE, result=replace(samples.DATABASE.result, charts=samples.REAL.result.charts))
    (bundle,) = bundles(finding(calm))
    assert bundle["text/plain"].startswith("Is the database well? [normal] Yes: no connection errors")


def test_an_unknown_check_says_why() -> None:
    """The reason is in the sentence, and at the query that failed."""
    shown = text(finding(samples.LIMITS))
    assert shown.startswith("Do pods reach their limits? [unknown] Not known: Kubernetes refused")
    assert "Kubernetes, usage · failed: Kubernetes refused" in shown


def test_a_chart_has_a_twin_in_words() -> None:
    """nbval compares text, so the picture's plain text states series and points, and changes with them."""
    chart = samples.REAL.result.charts[0]
    one, two = (Picture(Figure(one, f"{one.title}: Yes.")) for one in (chart, replace(chart, series=chart.series[1:])))
    data, metadata = one._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert "Failed requests (5xx)" in data["text/plain"]
    assert data["text/plain"] != repr(two)
    assert metadata["image/png"]["alt"] == "Failed requests (5xx): Yes."


def test_html_and_plain_text_say_the_same() -> None:
    """Every word of the plain text of the causes is in the HTML."""
    block = notebook.causes(SHOWN.causes)
    seen = Page(f"<body>{block.html}</body>").body
    assert all(word in seen for word in re.findall(r"\w+", block.text))


def test_mitigations_show_commands_with_their_terms() -> None:
    """Each step has its command in a copyable element, precondition, risk, undo and what to watch."""
    shown = notebook.mitigations(SHOWN.mitigations)
    page = Page(f"<body>{html(shown)}</body>")
    assert page.texts["pre"] == [ROLL_BACK]
    assert "2. Tell the authors of revision 14" in html(shown)
    assert all(f"   {word}: " in text(shown) for word in ("Before", "Risk", "Undo", "Watch"))


def test_no_mitigation_is_said_so() -> None:
    """Without a supported cause the cell is not empty."""
    assert text(notebook.mitigations(())) == "None is proposed: no cause is supported by the data."


def test_a_table_is_cut_and_says_so() -> None:
    """Twelve rows, then how many more there are and where."""
    block = blocks.table(table_view(Table("pods", ("Pod", "Restarts"), tuple((f"pod-{i}", i) for i in range(30)))))
    assert block.text.endswith("pod-11  11\nand 18 more rows in data/pods.csv")
    assert block.html.count("<tr>") == 13


def test_context_names_incident_window_and_duty() -> None:
    """Severity with its response time, incident, service, environment and the data's window."""
    shown = notebook.context(header(samples.ALERT, samples.CONTEXT)).text
    for words in (
        "[high]",
        "respond within 1 hour",
        "INC-2026-01-15-01",
        "production",
        "09:42–11:12 UTC, 15 January 2026",
    ):
        assert words in shown


def test_record_names_no_path_of_the_machine() -> None:
    """Incident and bundle are named, the folder they lie in is not, whether sealed or still a draft."""
    folder = Path("/srv/somewhere/evidence/INC-2026-01-15-01")
    for name in ("HighErrorRate-20260115T104700Z", ".HighErrorRate-20260115T104700Z.partial"):
        shown = notebook.record(folder / name, SHOWN).text
        assert shown.startswith("Evidence: INC-2026-01-15-01/HighErrorRate-20260115T104700Z\n")
        assert "srv" not in shown


def test_a_replay_leaves_no_evidence_and_says_so() -> None:
    """Without a folder the cell tells that nothing was written."""
    assert notebook.record(None, SHOWN).text.startswith("No evidence is written")


def test_hostile_text_stays_text() -> None:
    """Wherever it stands it brings no element, handler or foreign link."""
    odd = present(EVERYTHING_HOSTILE)
    shown = Shown(
        (
            *(part for f in odd.findings for part in notebook.finding(f).parts if isinstance(part, blocks.Block)),
            notebook.causes(odd.causes),
            notebook.verdict(odd),
            *notebook.mitigations(odd.mitigations).parts,
        )
    )
    page = Page(f"<body>{html(shown)}</body>")
    assert page.tags <= {"body", *ALLOWED}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html(shown) + text(shown))


def test_outputs_are_the_same_twice() -> None:
    """No memory address, clock or identifier gets into them."""
    one, two = (bundles(finding(samples.MESSAGES)) for _ in range(2))
    assert one == two


def test_a_cell_gets_one_output_per_part(shell: InteractiveShell) -> None:
    """`show_…` puts the parts into the cell in order, as display data."""
    with capture_output() as captured:
        notebook.show_finding(finding_view(samples.MESSAGES, samples.CONTEXT))
    outputs: list[RichOutput] = captured.outputs
    assert [sorted(output.data) for output in outputs] == [
        ["text/html", "text/plain"],
        ["image/png", "text/plain"],
        ["text/html", "text/plain"],
    ]


def test_every_show_function_shows(shell: InteractiveShell) -> None:
    """Causes, mitigations, recovery and record reach the cell."""
    shown = present(samples.RESTORED)
    with capture_output() as captured:
        notebook.show_causes(shown)
        notebook.show_mitigations(shown)
        notebook.show_recovery(recovery_view(samples.RECOVERED, samples.CONTEXT))
        notebook.show_record(None, shown)
    texts = "\n".join(output.data["text/plain"] for output in captured.outputs)
    for words in ("Probably a bad deployment", "Roll back to revision 13", "Escalate if", "[recovered]", "No evidence"):
        assert words in texts


def test_progress_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is told while a cell waits cannot move the cursor."""
    notebook.progress("not recovered so far\x1b[2K; watching")
    assert capsys.readouterr().out == "not recovered so far␛[2K; watching\n"
