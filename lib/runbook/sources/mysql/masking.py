"""SQL statements without what they are about: literals and comments go, keywords and names stay. Pure.

Nobody says in which `sql_mode` a statement was written, and that decides where a literal ends. So wherever the modes
disagree (a backslash before the closing quote, SQL in a comment), and where a statement was cut, all the rest goes.
"""

from __future__ import annotations

import re

LENGTH = 200
MASK, REST = "?", "?…"

_TOKEN = re.compile(
    r"""
      (?P<name> `(?:[^`]|``)*` )
    | (?P<literal> (?:(?<![\w$])[xXbBnN])? (?: '(?:[^'\\]|''|\\[^'])*'(?!') | "(?:[^"\\]|""|\\[^"])*"(?!") ) )
    | (?P<comment> /\*(?!M?!).*?\*/ | /\*M?![\w\s,.=]*\*/ | \#[^\n]* | --(?=[\x00-\x20\x7f]|\Z)[^\n]* )
    | (?P<number> (?<![\w$])\.?[0-9][\w.]*(?:(?<=[eE])[-+][0-9]+)? )
    | (?P<unsure> ['"`] | /\* )
    """,
    re.VERBOSE | re.DOTALL,
)


def masked(statement: str) -> str:
    """The statement on one line, each literal as `?`, at most LENGTH characters of it."""
    pieces: list[str] = []
    place = 0
    for token in _TOKEN.finditer(statement):
        pieces.append(statement[place : token.start()])
        place = token.end()
        if token["unsure"]:
            pieces.append(REST)
            place = len(statement)
            break
        pieces.append(token["name"] or (" " if token["comment"] else MASK))
    pieces.append(statement[place:])
    line = " ".join("".join(pieces).split())
    return line if len(line) <= LENGTH else line[: LENGTH - 1] + "…"
