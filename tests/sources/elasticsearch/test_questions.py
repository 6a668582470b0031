"""Elasticsearch: questions about logs, and how their answers are read."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from runbook.model import Answer, Query
from runbook.sources.elasticsearch.client import (
    errors_over_time,
    field,
    histogram,
    newest_errors,
    sample_of_errors,
    search,
    terms,
    time_of,
    top_values,
    total,
)
from tests.fakes import SERVICE

LOGS = search("logs-*", {"size": 1})


def answer(data: Any, query: Query = LOGS) -> Answer:
    return Answer(query, "complete", data)


def body_of(query: Query) -> Any:
    return msgspec.json.decode(query.text)


def test_the_newest_errors_are_asked_as_the_procedure_does():
    """App and level by `match`, the time range in milliseconds with its end excluded, newest first."""
    body = body_of(newest_errors(SERVICE, 100, 200.5, 7))
    app, level = body["query"]["bool"]["must"]
    assert app == {"match": {"app": {"query": "rust-micro-front-end", "operator": "and"}}}
    assert {"match": {"level": "error"}} in level["bool"]["should"]
    assert body["query"]["bool"]["filter"] == [
        {"range": {"timestamp": {"gte": 100_000, "lt": 200_500, "format": "epoch_millis"}}}
    ]
    assert body["sort"] == [{"timestamp": {"order": "desc", "unmapped_type": "date"}}]
    assert body["size"] == 7


def test_any_of_several_phrases_is_looked_for():
    """One phrase has to occur; of several, one."""
    one, other = ({"match_phrase": {"message": text}} for text in ("no answer", "refused"))
    assert body_of(newest_errors(SERVICE, 0, 60, level="", phrases=("refused",)))["query"]["bool"]["must"][1:] == [
        other
    ]
    either = body_of(newest_errors(SERVICE, 0, 60, level="", phrases=("no answer", "refused")))
    assert either["query"]["bool"]["must"][1:] == [{"bool": {"should": [one, other], "minimum_should_match": 1}}]


def test_field_names_are_the_services_own():
    """Every field of a question comes from the service's profile."""
    service = msgspec.structs.replace(
        SERVICE, time_field="@t", level_field="log.level", app_field="svc", message_field="msg", index="i"
    )
    queries = [
        newest_errors(service, 0, 60, phrases=("x",)),
        errors_over_time(service, 0, 60, 30, phrases=("x",)),
        sample_of_errors(service, 0, 60, 5, phrases=("x",)),
        top_values(service, 0, 60, "ip", level="warn", phrases=("x",)),
    ]
    for query in queries:
        assert query.params == {"index": "i"}
        for name in ('"@t"', '"log.level"', '"svc"', '"msg"'):
            assert name in query.text
        for name in ('"timestamp"', '"level"', '"app"', '"message"'):
            assert name not in query.text


def test_counts_cover_the_window_with_zeros():
    """Whole intervals from the first one on, empty ones included, counted exactly."""
    body = body_of(errors_over_time(SERVICE, 130, 250, 60))
    buckets = body["aggs"]["over_time"]["date_histogram"]
    assert buckets["fixed_interval"] == "60s"
    assert (buckets["min_doc_count"], buckets["extended_bounds"]) == (0, {"min": 120_000, "max": 249_999})
    assert body["query"]["bool"]["filter"][0]["range"]["timestamp"]["gte"] == 120_000
    assert body["track_total_hits"] is True


def test_a_sample_is_uniform_and_the_same_again():
    """Documents are ranked by a seeded random number alone; equal questions have equal keys."""
    query = sample_of_errors(SERVICE, 0, 60, 100, seed=3)
    score = body_of(query)["query"]["function_score"]
    assert score["functions"] == [{"random_score": {"seed": 3, "field": "_seq_no"}}]
    assert score["boost_mode"] == "replace"
    assert query.key == sample_of_errors(SERVICE, 0, 60, 100, seed=3).key
    assert query.key != sample_of_errors(SERVICE, 0, 60, 100, seed=4).key


def test_hostile_text_stays_text():
    """A phrase with quotes and braces is a JSON string in the body, whatever it holds."""
    phrase = '"}}],"should":[{"match_all":{}}]'
    assert body_of(newest_errors(SERVICE, 0, 60, phrases=(phrase,)))["query"]["bool"]["must"][2] == {
        "match_phrase": {"message": phrase}
    }


def test_a_count_that_stopped_is_a_lower_bound():
    """10,000 with relation gte is not exact; a search that did not count says so too."""
    assert total(answer({"hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": []}})) == (10_000, False)
    assert total(answer({"hits": {"total": {"value": 7, "relation": "eq"}, "hits": []}})) == (7, True)
    assert total(answer({"hits": {"hits": [{}, {}]}})) == (2, False)


def test_a_histogram_is_two_arrays():
    """The begin of each interval in epoch seconds, and its count; two empty ones without an answer."""
    buckets = [{"key": 60_000, "doc_count": 2}, {"key": 120_000, "doc_count": 0}]
    times, counts = histogram(answer({"aggregations": {"over_time": {"buckets": buckets}}}))
    np.testing.assert_array_equal(times, [60, 120])
    np.testing.assert_array_equal(counts, [2, 0])
    times, counts = histogram(Answer(LOGS, "failed", error="x"))
    assert (len(times), len(counts)) == (0, 0)


def test_terms_say_what_they_leave_out():
    """The documents of all other values are counted beside the most frequent ones."""
    buckets = [{"key": "10.0.0.1", "doc_count": 5}, {"key": 1, "key_as_string": "true", "doc_count": 2}]
    data = {"aggregations": {"top": {"buckets": buckets, "sum_other_doc_count": 9}}}
    assert terms(answer(data)) == ((("10.0.0.1", 5), ("true", 2)), 9)


def test_a_field_is_found_nested_or_dotted():
    """Both spellings of a dotted field are read; what is not there is None."""
    assert field({"a": {"b": {"c": 1}}}, "a.b.c") == 1
    assert field({"a.b.c": 1}, "a.b.c") == 1
    assert field({"a": {"b.c": 1}}, "a.b.c") == 1
    assert field({"a": {"b": 1}}, "a.b.c") is None
    assert field({"a": "text"}, "a.b") is None


@pytest.mark.parametrize("document", [{"a": {"pod": "x"}}, {"a.pod": "x"}, {"a": {"pod": {"keyword": "x"}}}])
def test_the_keyword_beside_a_text_is_read_as_the_text(document: dict[str, object]):
    """What an index calls a.pod.keyword was logged as a.pod."""
    assert field(document, "a.pod.keyword") == "x"


@pytest.mark.parametrize(
    "value",
    [
        "1970-01-12T13:46:40Z",
        "1970-01-12T13:46:40",
        "1970-01-12T15:46:40.000000000+02:00",
        1_000_000,
        1_000_000.0,
        "1000000",
    ],
)
def test_the_time_of_a_document(value: Any):
    """ISO 8601, UTC unless it says otherwise, or an epoch number gives epoch seconds."""
    assert time_of({"@timestamp": value}, "@timestamp") == 1_000_000
    assert time_of({"t": 1_768_473_600_123}, "t") == 1_768_473_600.123


@pytest.mark.parametrize("document", [{}, {"t": None}, {"t": "yesterday"}, {"t": [1]}])
def test_a_document_without_time_has_none(document: Any):
    """A missing or unreadable time is NaN."""
    assert np.isnan(time_of(document, "t"))
