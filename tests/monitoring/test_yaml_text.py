"""The YAML that is printed says what the data says, and can be read."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from runbook.model import JSON
from runbook.monitoring.yaml_text import as_yaml

TEXTS = st.text(st.characters(codec="utf-8")) | st.text("a :#-'\"{}[]|>&*!%@`\\\n\t 10", max_size=12)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_every_document_reads_back_as_it_was(document: dict[str, JSON]):
    """Whatever stands in a profile stays text: nothing becomes a number, a comment or another key."""
    again = yaml.safe_load(as_yaml(document))
    assert again == document
    assert list(again) == list(document)


def test_a_person_can_read_it():
    """Keys keep their order, lists are set in, several lines stay lines, a long one stays one, nothing is an alias."""
    one = {"for": "5m", "expr": "a\n  > b", "also": ["x " * 100 + "end"]}
    assert as_yaml({"rules": [one, {"b": "10:30", "a": one["also"]}]}) == (
        "rules:\n  - for: 5m\n    expr: |-\n      a\n        > b\n    also:\n"
        f"      - {'x ' * 100}end\n  - b: '10:30'\n    a:\n      - {'x ' * 100}end\n"
    )
