"""Judgements from data, pure: when something began and by how much, whether it still grows, and which log messages are
new since.

Each part stands in a module of its own; here are the names that the checks use.
"""

from runbook.findings.bends import bend
from runbook.findings.onsets import Onset, onset
from runbook.findings.samples import Change, changed
from runbook.findings.stretches import stretch_start
from runbook.findings.templates import Template, group
from runbook.findings.trends import Slope, Trend, trend

__all__ = [
    "Change",
    "Onset",
    "Slope",
    "Template",
    "Trend",
    "bend",
    "changed",
    "group",
    "onset",
    "stretch_start",
    "trend",
]
