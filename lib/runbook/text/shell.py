"""Commands as a person pastes them into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence


class Operator(str):
    """A word that means something to the shell, such as `|`: a command that holds one is for a person's shell alone."""

    __slots__ = ()


PIPE, AND, INTO = Operator("|"), Operator("&&"), Operator(">")


def command(argv: Sequence[str]) -> str:
    """The words as one line, each quoted as a shell needs it."""
    return " ".join(word if isinstance(word, Operator) else _quoted(word) for word in argv)


def _quoted(word: str) -> str:
    """A path in the home folder keeps its `~/` for the shell to expand; single quotes stay readable where they can."""
    if word.startswith("~/") and word != "~/":
        return f"~/{shlex.quote(word[2:])}"
    if "'" in word and not re.search(r'[$`"\\!]', word):
        return f'"{word}"'
    return shlex.quote(word)
