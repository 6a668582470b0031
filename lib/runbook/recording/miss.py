"""Why a recording holds no answer to a query: what the nearest recorded one differs in."""

from __future__ import annotations

from difflib import SequenceMatcher

from runbook.model import Query, canonical
from runbook.recording import file
from runbook.recording.file import Entry
from runbook.text.escape import plain_text


def miss(query: Query, recording: file.Recording) -> str:
    """The sentence about a query that was not recorded, with the nearest one that was."""
    asked = f"{recording.path} holds no answer to this {query.source} {query.kind} query: {short(query.text)}"
    like = [line for line in recording.lines if (line.query.source, line.query.kind) == (query.source, query.kind)]
    if not like:
        kinds = sorted({f"{line.query.source} {line.query.kind}" for line in recording.lines})
        return f"{asked}; it holds only {', '.join(kinds) or 'nothing'}; record again with this version."
    near = min(like, key=lambda line: _distance(query, line))
    differences = "; ".join(_difference(name, query, near.query) for name in _differing(query, near.query)[:5])
    return (
        f"{asked}; nearest: answer {near.n}; differs in: {differences}; "
        "replay with the recorded parameters, or record again."
    )


def _distance(asked: Query, line: Entry) -> tuple[int, float, int]:
    """How many fields differ, then how unlike the texts are."""
    texts = SequenceMatcher(None, asked.text[:400], line.query.text[:400], autojunk=False)
    return len(_differing(asked, line.query)), 1 - texts.ratio(), line.n


def _differing(asked: Query, recorded: Query) -> list[str]:
    names = sorted({*asked.params, *recorded.params})
    return [
        *(["text"] if asked.text != recorded.text else []),
        *(name for name in names if _spelled(asked, name) != _spelled(recorded, name)),
    ]


def _difference(name: str, asked: Query, recorded: Query) -> str:
    if name == "text":
        return f"text {short(asked.text)} instead of {short(recorded.text)}"
    return f"{name} {_spelled(asked, name)} instead of {_spelled(recorded, name)}"


def _spelled(query: Query, name: str) -> str:
    return short(canonical(query.params[name]).decode()) if name in query.params else "nothing"


def short(text: str) -> str:
    """A query's text in one line, cut to what a sentence can hold."""
    return plain_text(text, 120)
