"""Elasticsearch: questions to a service's logs, their raw answers, and those as counts and documents.

`Elasticsearch.ask` is the only part that talks to anybody; all else here is pure. Times are epoch seconds, UTC.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from runbook.config import schema
from runbook.config.schema import Service
from runbook.model import JSON, Answer, Completeness, Query

if TYPE_CHECKING:  # the client takes a second to import: on the first question only
    from runbook.sources.elasticsearch.http import Connection

Document = dict[str, Any]


def search(index: str, body: Mapping[str, JSON]) -> Query:
    """Any search; `index` may hold wildcards and commas. The text is the body as one would paste it."""
    return Query("elasticsearch", "search", msgspec.json.encode(body).decode(), {"index": index})


def newest_errors(
    service: Service, start: float, end: float, size: int = 20, *, level: str = "error", phrases: Sequence[str] = ()
) -> Query:
    """The newest messages of a level, whole documents, latest first."""
    newest_first = [{service.time_field: {"order": "desc", "unmapped_type": "date"}}]
    return search(
        service.index, {"query": matching(service, start, end, level, *phrases), "sort": newest_first, "size": size}
    )


def errors_over_time(
    service: Service, start: float, end: float, step: int, *, level: str = "error", phrases: Sequence[str] = ()
) -> Query:
    """How many messages of a level per `step` seconds, zeros included; read it with `histogram`.

    Intervals begin at multiples of `step`: the first at or before `start`, whole; the last one ends early, at `end`.
    """
    first = int(start // step) * step
    buckets = {
        "field": service.time_field,
        "fixed_interval": f"{step}s",
        "min_doc_count": 0,
        "extended_bounds": {"min": first * 1000, "max": _milliseconds(end) - 1},
    }
    body = {"query": matching(service, first, end, level, *phrases), "size": 0, "track_total_hits": True}
    return search(service.index, {**body, "aggs": {"over_time": {"date_histogram": buckets}}})


def sample_of_errors(
    service: Service,
    start: float,
    end: float,
    size: int,
    *,
    level: str = "error",
    phrases: Sequence[str] = (),
    seed: int = 1,
) -> Query:
    """A uniform sample of the messages of a level, time and message only; the same seed gives the same sample.

    `total` is exact, so that each document stands for total / size messages. Elasticsearch allows 10,000 at most.
    """
    uniform = {
        "query": matching(service, start, end, level, *phrases),
        "functions": [{"random_score": {"seed": seed, "field": "_seq_no"}}],
        "boost_mode": "replace",
    }
    wanted = [service.time_field, service.message_field]
    return search(
        service.index, {"query": {"function_score": uniform}, "_source": wanted, "size": size, "track_total_hits": True}
    )


def top_values(
    service: Service,
    start: float,
    end: float,
    field: str,
    *,
    size: int = 10,
    level: str = "",
    phrases: Sequence[str] = (),
) -> Query:
    """The most frequent values of a keyword, number or IP field; read it with `terms`, their number with `distinct`."""
    body = {"query": matching(service, start, end, level, *phrases), "size": 0, "track_total_hits": True}
    counted = {"top": {"terms": {"field": field, "size": size}}, "distinct": {"cardinality": {"field": field}}}
    return search(service.index, {**body, "aggs": counted})


def fields(index: str, names: Sequence[str]) -> Query:
    """Whether fields exist, and with what types; read it with `field_types`."""
    return Query("elasticsearch", "fields", ",".join(names), {"index": index})


def info() -> Query:
    """What the server says about itself; see `version`."""
    return Query("elasticsearch", "info", "/")


def total(answer: Answer) -> tuple[int, bool]:
    """How many documents matched, and whether that is exact: counting stops at 10,000 unless asked to go on."""
    found = _hits(answer).get("total")
    if found is None:  # no index, no answer, or the search asked not to count
        return len(_hits(answer).get("hits", ())), answer.completeness == "empty"
    return found["value"], found["relation"] == "eq"


def hits(answer: Answer) -> tuple[Document, ...]:
    """The documents found, as they were logged."""
    return tuple(hit.get("_source", {}) for hit in _hits(answer).get("hits", ()))


def histogram(answer: Answer, name: str = "over_time") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The begin of each interval and how many documents lie in it; both empty if no index answered."""
    buckets = _aggregation(answer, name).get("buckets", ())
    return np.array([b["key"] // 1000 for b in buckets], np.int64), np.array(
        [b["doc_count"] for b in buckets], np.int64
    )


def terms(answer: Answer, name: str = "top") -> tuple[tuple[tuple[str, int], ...], int]:
    """The values with their counts, most frequent first, and how many documents had any other value."""
    found = _aggregation(answer, name)
    pairs = tuple((str(b.get("key_as_string", b["key"])), int(b["doc_count"])) for b in found.get("buckets", ()))
    return pairs, int(found.get("sum_other_doc_count", 0))


def distinct(answer: Answer) -> int | None:
    """About how many different values there are; None where it was not counted."""
    value = _aggregation(answer, "distinct").get("value")
    return None if value is None else int(value)


def field(document: Document, name: str) -> JSON:
    """A field's value, whether logged as {"a.b": 1} or as {"a": {"b": 1}}; None if it is not there.

    A text's "a.keyword" exists in the index only: its value is that of "a".
    """
    if name in document:
        return document[name]
    head, _, rest = name.partition(".")
    inner = document.get(head)
    value = field(inner, rest) if rest and isinstance(inner, dict) else None
    return field(document, name.removesuffix(".keyword")) if value is None and name.endswith(".keyword") else value


def time_of(document: Document, name: str) -> float:
    """A document's time: ISO 8601 (UTC if it names no zone), epoch seconds or milliseconds; NaN if none of these."""
    value = field(document, name)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return _iso_time(str(value))
    return number / 1000 if number > 1e11 else number


def field_types(answer: Answer) -> dict[str, tuple[str, ...]]:
    """Each field that exists with its types; several if the indices do not agree."""
    return {name: tuple(sorted(types)) for name, types in (answer.data or {}).get("fields", {}).items()}


def version(answer: Answer) -> str:
    """The version in an answer to `info`; "" where it does not say."""
    return str((answer.data or {}).get("version", {}).get("number", ""))


def matching(service: Service, start: float, end: float, level: str, *phrases: str) -> JSON:
    """The service's messages with start <= time < end, with any of the phrases; a level in its usual spellings."""
    window = {"gte": _milliseconds(start), "lt": _milliseconds(end), "format": "epoch_millis"}
    must: list[JSON] = [{"match": {service.app_field: {"query": service.log_app, "operator": "and"}}}]
    if level:
        spellings = [level.lower(), level.upper(), level.capitalize()]
        must.append(
            {
                "bool": {
                    "should": [{"match": {service.level_field: text}} for text in spellings],
                    "minimum_should_match": 1,
                }
            }
        )
    any_of = [{"match_phrase": {service.message_field: phrase}} for phrase in phrases]
    must += any_of if len(any_of) < 2 else [{"bool": {"should": any_of, "minimum_should_match": 1}}]
    return {"bool": {"must": must, "filter": [{"range": {service.time_field: window}}]}}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _iso_time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _hits(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = (answer.data or {}).get("hits", {})
    return found


def _aggregation(answer: Answer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (answer.data or {}).get("aggregations", {}).get(name, {})
    return found


class Elasticsearch:
    """One Elasticsearch cluster, 8 or 9; many threads may ask at once.

    `seconds` bounds each question with its retries, by cutting the connection. Keep it a little below the Deadline
    around it: the sentence from here names the address.
    """

    def __init__(self, config: schema.Elasticsearch, seconds: float = 18.0) -> None:
        self._config, self._seconds = config, seconds
        self._opening = threading.Lock()

    def ask(self, query: Query) -> Answer:
        """The raw response: complete; partial after a time-out or with failed shards; empty without hits or index.

        Raises SourceError if there is no answer, SettingsError if a secret or a certificate is missing.
        """
        began = time.monotonic()
        with self._opening:
            connection = self._connection
        data = connection.response(query, self._seconds)
        warnings = _warnings(query, data) if query.kind == "search" else ()
        return Answer(query, _completeness(query, data), data, warnings, seconds=time.monotonic() - began)

    @cached_property
    def _connection(self) -> Connection:
        from runbook.sources.elasticsearch.http import Connection  # see TYPE_CHECKING above

        return Connection(self._config)


def _completeness(query: Query, data: JSON) -> Completeness:
    if query.kind == "info":
        return "complete"
    if query.kind == "fields":
        return "complete" if data.get("fields") else "empty"
    if data.get("timed_out") or data.get("_shards", {}).get("failed"):
        return "partial"
    found = data.get("hits", {})
    return "complete" if found.get("hits") or (found.get("total") or {}).get("value") else "empty"


def _warnings(query: Query, data: JSON) -> tuple[str, ...]:
    """What is missing from a search's response, in words."""
    index, shards = query.params["index"], data.get("_shards", {})
    said: list[str] = []
    if not shards.get("total"):
        said.append(f"No index matches {index}.")
    if data.get("timed_out"):
        said.append(f"Elasticsearch ran out of time on {index}; counts and hits cover a part of it.")
    if shards.get("failed"):
        said.append(
            f"{shards['failed']} of {shards['total']} shards failed: {_failures(shards) or 'it does not say which'}."
        )
    return tuple(said)


def _failures(shards: Mapping[str, Any]) -> str:
    """Each failed shard with its reason, at most five."""
    failures = shards.get("failures", ())[:5]
    return "; ".join(
        f"{one.get('index')} [{one.get('shard')}]: {(one.get('reason') or {}).get('reason')}" for one in failures
    )
