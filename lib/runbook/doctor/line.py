"""One line of what the doctor says, and what asking for it takes."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from runbook.model import Answer, Query, Source
from runbook.text.format import source_text

State = Literal["ok", "optional", "missing", "failed"]
RECENT_SECONDS = 3600


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at. `says` is what was found or, where the state is not ok, what is wrong and what to do.

    What is missing costs a check, or makes one wrong; without what is optional every check runs, and some say less.
    """

    source: str
    about: str
    state: State
    says: str


def ask_all(source: Source, queries: Iterable[Query]) -> list[Answer]:
    """The answers, asked for at the same time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(source.ask, queries))


def failed(answer: Answer, about: str) -> Diagnosis:
    """The line for an answer that did not come, or cannot be what was asked for."""
    return Diagnosis(answer.query.source, about, "failed", answer.error or _foreign(answer))


def _foreign(answer: Answer) -> str:
    return f"answered, but not as {source_text(answer.query.source)} does; check its URL in runbook.toml"
