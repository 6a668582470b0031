"""A configuration as YAML that a person reads and edits."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from runbook.model import JSON

_RARE_LINE_ENDS = re.compile("[\x85\u2028\u2029]")  # PyYAML loses them between single quotes
WIDE = 1 << 20  # no line is broken: an expression or sentence is copied whole


class _Readable(yaml.SafeDumper):  # type: ignore[misc] # PyYAML ships no types
    """Lists set in below their key, text of several lines as such, and nothing by reference."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _RARE_LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def as_yaml(document: Mapping[str, JSON]) -> str:
    """The document's text, its keys in their order."""
    text: str = yaml.dump(dict(document), Dumper=_Readable, sort_keys=False, allow_unicode=True, width=WIDE)
    return text
