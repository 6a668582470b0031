"""The words of the runbooks as frozen data; no behaviour beyond what each word means.

All times are seconds since the epoch, UTC. All JSON is plain Python (dict, list, str, int, float, bool, None).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

JSON = Any
Completeness = Literal["complete", "partial", "empty", "failed"]
Status = Literal["abnormal", "normal", "unknown"]
StepKind = Literal["read", "change", "manual"]
State = Literal["supported", "refuted", "not tested"]
SourceName = Literal["prometheus", "elasticsearch", "kubernetes", "mysql", "probe"]


def canonical(value: JSON) -> bytes:
    """The one JSON spelling of a value: keys sorted, no spaces; equal values have equal bytes."""
    return msgspec.json.encode(value, order="deterministic")


def digest(value: JSON) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


@dataclass(frozen=True)
class Query:
    """A question in the source's own language.

    `text` is what a person would paste (PromQL, a search body as JSON, an API path, a URL);
    `params` is everything else that changes the answer, JSON only (start, end, step, index, ...).
    """

    source: SourceName
    kind: str
    text: str
    params: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, JSON]:
        """What the recording stores of it."""
        return {"source": self.source, "kind": self.kind, "text": self.text, "params": dict(self.params)}

    @property
    def key(self) -> str:
        """Equal queries, equal keys."""
        return digest(self.as_json)


@dataclass(frozen=True)
class Answer:
    """What came back: the source's raw data as JSON, how complete it is, and how long it took.

    `error` is one sentence and set exactly when `completeness` is "failed"; `data` is then None.
    """

    query: Query
    completeness: Completeness
    data: JSON = None
    warnings: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether there is data to judge by (perhaps partial)."""
        return self.completeness in ("complete", "partial")


def failed(query: Query, error: str, seconds: float = 0.0) -> Answer:
    """An answer that did not come, and why."""
    return Answer(query, "failed", error=error, seconds=seconds)


class Source(Protocol):
    """The one seam: something that is asked. Clients, Deadline, Recorder, Replay and a test's fake are siblings."""

    def ask(self, query: Query) -> Answer:
        """The answer with its completeness; raises SourceError where a real client got none."""
        ...


@dataclass(frozen=True)
class Event:
    """Something that happened at a time, drawn on the charts as a line with its label above the axes."""

    time: float
    label: str
    kind: Literal["rollout", "restart", "onset", "alert", "mitigation"]


@dataclass(frozen=True)
class Series:
    """One line (or set of bars) of a chart: equally long times and values; NaN where there is no data."""

    label: str
    times: Sequence[float]
    values: Sequence[float]
    role: Literal["now", "reference"] = "now"


@dataclass(frozen=True)
class Chart:
    """A figure as data. `name`: its file name without suffix; `unit` stands on the y axis, `limit` at the threshold."""

    name: str
    title: str
    unit: str
    series: tuple[Series, ...]
    kind: Literal["line", "bars"] = "line"
    threshold: float | None = None
    events: tuple[Event, ...] = ()
    limit: str = "threshold"


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers under column titles; `name` is its file name without suffix.

    Cells may hold text from the outside world: whoever renders one escapes it.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


@dataclass(frozen=True)
class Facts:
    """What a check found, as typed fields that the rules for causes, mitigations and later checks read.

    Each check has a frozen dataclass of its own, named `Facts` in the check's module. Values are JSON values, tuples or
    dataclasses of them; None is not known. A field with a default is left out of findings.json while it has that value.
    """


@dataclass(frozen=True, kw_only=True)
class AlertFacts(Facts):
    """What the first check of an alert finds, besides its own: when the trouble began (epoch seconds, UTC; None: not
    known), and whom it hit, as a clause.
    """

    onset: float | None
    impact: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventFacts(Facts):
    """What a check finds that tells of events, in any order: rollouts, restarts."""

    events: tuple[Event, ...]


@dataclass(frozen=True)
class Result:
    """What a check found: a status, one sentence from the data, and the evidence for both.

    `facts` is None where nothing was found out; `fault` is the error of a check that failed itself, for a developer.
    """

    status: Status
    sentence: str
    facts: Facts | None = None
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's result together with the answers that it was judged by."""

    check: str
    question: str
    result: Result
    answers: tuple[Answer, ...] = ()

    @property
    def completeness(self) -> Completeness:
        """The worst of its answers that says something: any failure or partial answer makes it partial."""
        kinds = {a.completeness for a in self.answers}
        if not kinds or kinds == {"complete"}:
            return "complete"
        if len(kinds) == 1:
            return next(iter(kinds))
        return "partial" if kinds & {"failed", "partial"} else "complete"

    @property
    def ran(self) -> bool:
        """Whether the question was answered at all."""
        return self.result.status != "unknown"


@dataclass(frozen=True)
class Verdict:
    """A cause after the rules: its state, a score in 0..1 (None if not tested), and why, in one clause.

    `fault` is the error where the rules themselves failed, for a developer.
    """

    cause: str
    title: str
    state: State
    score: float | None
    because: str
    checks: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a mitigation: a ready command, or something that a person does; never executed by us.

    A "read" changes nothing, a "change" is a command that does, "manual" is a change that only a person can make.
    `argv` is the command, word by word; where there is none, `text` says what to do. `undo_argv` and `undo` likewise.
    """

    kind: StepKind
    argv: tuple[str, ...] = ()
    text: str = ""
    precondition: str
    risk: str
    undo_argv: tuple[str, ...] = ()
    undo: str = ""
    watch: str

    def __post_init__(self) -> None:
        if bool(self.argv) == bool(self.text) or bool(self.undo_argv) == bool(self.undo):
            raise ValueError("A step has a command or a text, and so has its undo: one of the two, not both.")
        if self.kind == "change" and not self.argv:
            raise ValueError("A step that changes something by no command is manual.")


@dataclass(frozen=True)
class Mitigation:
    """What to do about a cause: ordered steps, filled in with this run's names."""

    cause: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Recovery:
    """Whether the service recovered since the mitigation."""

    state: Literal["recovered", "not recovered", "relapsed", "not enough data", "not mitigated"]
    sentence: str
    charts: tuple[Chart, ...] = ()
    answers: tuple[Answer, ...] = ()
