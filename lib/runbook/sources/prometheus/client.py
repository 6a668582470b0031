"""Prometheus: PromQL in, its raw answer out, and that answer as aligned arrays.

`Prometheus.ask` is the only part that talks to anybody; all else here is pure. Times are epoch seconds, UTC.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from runbook.config import schema
from runbook.errors import ParameterError
from runbook.model import JSON, Answer, Completeness, Query

if TYPE_CHECKING:  # half a second to import: on first use only
    from runbook.sources.prometheus.http import Connection

Labels = dict[str, str]
MAX_POINTS = 11_000  # Prometheus refuses a range query with more points per series

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_API_PATHS = {"series": "/api/v1/series", "label names": "/api/v1/labels"}


def instant(text: str, at: int) -> Query:
    """The value of an expression at one time."""
    return Query("prometheus", "instant", text, {"time": at})


def range_(text: str, start: int, end: int, step: int) -> Query:
    """An expression at `start`, `start + step`, … up to and including `end`; long ranges are split and joined."""
    return Query("prometheus", "range", text, {"start": start, "end": end, "step": step})


def series(selector: str, start: int, end: int) -> Query:
    """The label sets of the series that a selector finds in a time range; an empty answer if there are none."""
    return Query("prometheus", "series", selector, {"start": start, "end": end})


def label_names(selector: str, start: int, end: int) -> Query:
    """The names of the labels that the series of a selector have."""
    return Query("prometheus", "label names", selector, {"start": start, "end": end})


def label_values(label: str, selector: str, start: int, end: int) -> Query:
    """The values that a label has among the series of a selector."""
    return Query("prometheus", "label values", selector, {"label": _label(label), "start": start, "end": end})


def build_info() -> Query:
    """What Prometheus says about itself; see `version`."""
    return Query("prometheus", "build info", "buildinfo")


def quote(value: str) -> str:
    """A value as a PromQL string literal, in double quotes, that it cannot break out of."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ParameterError(
            "A label value is not valid Unicode text, which Prometheus never stores; correct it."
        ) from None
    return (
        '"'
        + "".join(_ESCAPES.get(c) or (c if c.isprintable() or ord(c) > 0x7F else f"\\x{ord(c):02x}") for c in value)
        + '"'
    )


def label_matchers(labels: Mapping[str, str]) -> str:
    """`app="x",env="y"`, to stand between braces; "" for no labels."""
    return ",".join(f"{_label(name)}={quote(value)}" for name, value in labels.items())


def _label(name: str) -> str:
    if not _LABEL_NAME.fullmatch(name):
        raise ParameterError(f"{name[:80]!r} is not a label name; use letters, digits and _ only.")
    return name


@dataclass(frozen=True)
class Matrix:
    """Series on one time grid: `times` (points,) int64, `values` (series, points) float64, NaN where there is no value.

    `labels[i]` belongs to `values[i]`; infinities stay. No series at all is fine: `values` is then (0, points).
    """

    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: tuple[Labels, ...]

    def __len__(self) -> int:
        """How many series there are."""
        return len(self.labels)

    def select(self, wanted: Mapping[str, str]) -> Matrix:
        """The series that have all these labels."""
        rows = [i for i, labels in enumerate(self.labels) if wanted.items() <= labels.items()]
        return Matrix(self.times, self.values[rows], tuple(self.labels[i] for i in rows))

    def sum(self) -> npt.NDArray[np.float64]:
        """All series added up, (points,); NaN only where none has a value."""
        missing = np.isnan(self.values)
        with np.errstate(invalid="ignore"):  # +Inf and -Inf make NaN
            return np.where(missing.all(axis=0), np.nan, np.where(missing, 0.0, self.values).sum(axis=0))


def matrix(answer: Answer) -> Matrix:
    """The series of a range answer, aligned on its query's grid; a matrix of no series if it has none."""
    params = answer.query.params
    start, step = params["start"], params["step"]
    times = np.arange(start, params["end"] + 1, step, dtype=np.int64)
    found: list[dict[str, Any]] = answer.data["result"] if answer.data else []
    values = np.full((len(found), len(times)), np.nan)
    for row, one in zip(values, found, strict=True):
        numbers = _floats([text for _, text in one["values"]])
        if len(numbers) == len(row) and one["values"][0][0] == start:
            row[:] = numbers
        else:  # gaps; a server that moves a range onto a grid of its own may also send a point outside of ours
            offsets = np.array([at for at, _ in one["values"]], np.float64) - start
            places = np.rint(offsets / step).astype(np.int64)
            inside = (places >= 0) & (places < len(row))
            row[places[inside]] = np.array(numbers)[inside]
    return Matrix(times, values, tuple(one["metric"] for one in found))


def _floats(texts: list[str]) -> list[float]:
    """As float() reads them, four times as fast."""
    try:
        return msgspec.convert(texts, list[float], strict=False)
    except msgspec.ValidationError:  # "+Inf"
        return [float(text) for text in texts]


def vector(answer: Answer) -> tuple[tuple[Labels, float], ...]:
    """The labels and the value of each series of an instant answer; a scalar is one without labels."""
    if not answer.data:
        return ()
    if answer.data["resultType"] == "scalar":
        return (({}, float(answer.data["result"][1])),)
    return tuple((one["metric"], float(one["value"][1])) for one in answer.data["result"])


def version(answer: Answer) -> str:
    """The version in an answer to `build_info`; "" where it does not say (3.x built from source)."""
    return str((answer.data or {}).get("version", ""))


class Prometheus:
    """One Prometheus, or what speaks its API; many threads may ask at once.

    `seconds` bounds each question, with its retries and all parts of a split range, by cutting the connection.
    Keep it a little below the Deadline around it: the sentence from here names the address.
    """

    def __init__(self, config: schema.Prometheus, seconds: float = 18.0) -> None:
        self._config, self._seconds = config, seconds
        self._opening = threading.Lock()

    def ask(self, query: Query) -> Answer:
        """The API's raw `data`: complete, empty, or partial where the API warned (it may then hold nothing).

        Raises SourceError if there is no answer, SettingsError if a secret or a certificate is missing.
        """
        from runbook.sources.http.timelimit import TimeLimit  # see TYPE_CHECKING above

        began = time.monotonic()
        with self._opening:
            connection = self._connection
        with TimeLimit(self._seconds) as limit:
            replies = [connection.reply(query, path, params, limit) for path, params in _requests(query)]
        data = replies[0].data if len(replies) == 1 else _joined([reply.data for reply in replies])
        warnings = _unique(text for reply in replies for text in reply.warnings)
        infos = _unique(text for reply in replies for text in reply.infos)
        return Answer(
            query, _completeness(query, data, warnings), data, (*warnings, *infos), seconds=time.monotonic() - began
        )

    @cached_property
    def _connection(self) -> Connection:
        from runbook.sources.prometheus.http import Connection  # see TYPE_CHECKING above

        return Connection(self._config)


def _requests(query: Query) -> list[tuple[str, dict[str, JSON]]]:
    """Path and parameters of each HTTP request of a query: one, but several for a range of too many points."""
    if query.kind == "instant":
        return [("/api/v1/query", {"query": query.text, **query.params})]
    if query.kind == "range":
        start, end, step = (query.params[name] for name in ("start", "end", "step"))
        starts = range(start, max(start, end) + 1, MAX_POINTS * max(step, 1))  # what is wrong, Prometheus says
        ends = [*(following - step for following in starts[1:]), end]
        return [
            ("/api/v1/query_range", {"query": query.text, "start": s, "end": e, "step": step})
            for s, e in zip(starts, ends, strict=True)
        ]
    if query.kind == "build info":
        return [("/api/v1/status/buildinfo", {})]
    params = {"match[]": query.text, **query.params}
    path = f"/api/v1/label/{params.pop('label')}/values" if query.kind == "label values" else _API_PATHS[query.kind]
    return [(path, params)]


def _joined(parts: list[JSON]) -> JSON:
    """The parts of a split range as one; their times do not overlap."""
    whole: dict[tuple[tuple[str, str], ...], JSON] = {}
    for part in parts:
        for one in part["result"]:
            known = whole.setdefault(tuple(sorted(one["metric"].items())), {"metric": one["metric"], "values": []})
            known["values"] += one["values"]
    return {"resultType": "matrix", "result": list(whole.values())}


def _completeness(query: Query, data: JSON, warnings: tuple[str, ...]) -> Completeness:
    if warnings:
        return "partial"
    found = data["result"] if query.kind in ("instant", "range") else data
    return "complete" if found else "empty"


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
