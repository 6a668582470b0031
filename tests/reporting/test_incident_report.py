"""The incident report of an investigation, and what hostile text does to it: nothing."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from runbook.investigation.result import Investigation
from runbook.reporting import report
from runbook.reporting.presentation import present
from tests import samples
from tests.hostile import HOSTILE, Page, with_text


def markdown(investigation: Investigation, *, replayed: bool = False) -> str:
    return report.markdown(present(investigation), replayed=replayed)


def test_incident_report_has_the_procedures_sections() -> None:
    """Every heading of the procedure's template is there, in its order."""
    text = markdown(samples.INVESTIGATION)
    headings = ["Summary", "Timeline", "Root Cause", "Resolution", "Prevention", "Lessons Learned", "Action Items"]
    assert [h for h in re.findall(r"^## (.*)$", text, re.MULTILINE) if h in headings] == headings
    assert text.startswith("# Incident Report\n")


def test_incident_report_is_filled_in_as_far_as_known() -> None:
    """Identity, time, duration, severity, service, impact and what is known of the timeline are not left to people."""
    text = markdown(samples.RESTORED)
    for line in (
        "- **Incident ID**: INC-2026-01-15-01",
        "- **Date/Time**: 2026-01-15 10:40 UTC",
        "- **Duration**: 19 min",
        "- **Severity**: High",
        "- **Service(s) Affected**: rust-micro-front-end (production)",
        "4,812 of 31,868 requests failed in 32 minutes",
        "- **10:38** - revision 14",
        "- **10:47** - Alert triggered",
        "- **10:57** - Mitigation applied",
        "- **10:59** - Service restored",
        "- ____ - Root cause identified",
        "- ____ - Incident closed",
    ):
        assert line in text


def test_incident_report_leaves_open_what_is_open() -> None:
    """Before a recovery, duration, mitigation and restoration are blanks, not guesses."""
    text = markdown(samples.INVESTIGATION)
    for line in (
        "- **Duration**: ____ (not restored by 11:12 UTC, the end of the data)\n",
        "- ____ - Mitigation applied",
        "- ____ - Service restored",
    ):
        assert line in text
    assert '- [ ] Fix the data source for: "Do pods reach their limits?" Not known: Kubernetes refused' in text


def test_what_is_replayed_is_told_as_such() -> None:
    """It says at its top when the answers were recorded, and nothing of it where somebody was asked."""
    head = markdown(samples.INVESTIGATION, replayed=True).split("## Summary")[0]
    assert "> The evidence is replayed from answers recorded 15 January 2026 11:12 UTC.\n" in head
    assert "replayed" not in markdown(samples.INVESTIGATION)


def test_hostile_text_makes_no_markup_in_the_incident_report() -> None:
    """Rendered, it has no link, image, foreign element or additional heading."""
    shown = Page(MarkdownIt("commonmark").render(markdown(with_text("".join(HOSTILE)))))
    assert shown.tags <= {"h1", "h2", "p", "ul", "li", "strong", "blockquote", "code", "pre"}
    assert len(shown.texts["h2"]) == 8
