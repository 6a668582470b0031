"""Judgements from data, pure: when something began and by how much, and which log messages are new since.

Each part stands in a module of its own; here are the names that the checks use.
"""

from runbook.findings.onsets import Onset, onset
from runbook.findings.samples import Change, changed
from runbook.findings.templates import Template, group

__all__ = ["Change", "Onset", "Template", "changed", "group", "onset"]
