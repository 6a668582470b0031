"""docs/settings.md says all of runbook.toml, and nothing else."""

from __future__ import annotations

import re

import msgspec

from runbook.config import schema
from tests import ROOT, settings_reference


def test_the_page_is_fresh():
    """docs/settings.md is what `python -m tests.settings_reference` writes."""
    assert settings_reference.PAGE.read_text(encoding="utf-8") == settings_reference.page()


def test_every_table_of_the_schema_is_on_the_page():
    """No struct of the schema is left out."""
    named = [one for one in vars(schema).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    assert {one for one in named if not one.__name__.startswith("_")} == set(settings_reference.TABLES.values())


def test_every_key_has_a_meaning():
    """Each line of each table ends with a sentence."""
    keys = [line for line in settings_reference.page().splitlines() if line.startswith("| `")]
    assert [line for line in keys if not line.endswith(". |")] == []


def test_every_variable_of_the_process_is_on_the_page():
    """The RUNBOOK_ variables that the program reads are those that the page names."""
    read = re.findall(r'"(RUNBOOK_\w+)"', (ROOT / "lib/runbook/config/process_env.py").read_text(encoding="utf-8"))
    assert set(read) == set(re.findall(r"RUNBOOK_[A-Z]+", settings_reference.page()))
