"""Elasticsearch as a source: a real server, and nginx with TLS before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch.helpers import bulk

from runbook.config.schema import Auth
from runbook.config.schema import Elasticsearch as ElasticsearchSettings
from runbook.sources.elasticsearch import client as es
from runbook.sources.elasticsearch.client import Elasticsearch
from tests.fakes import SERVICE
from tests.lab.servers.elastic import Elasticsearch as ElasticsearchServer
from tests.lab.servers.proxy import USER, Proxy
from tests.sources.refusals import refused

pytestmark = pytest.mark.lab

START = 1_768_473_600  # 2026-01-15 10:40 UTC


@pytest.fixture(scope="module")
def elasticsearch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    """12,000 messages, one a second, over two indices: two of three are errors; one app has a similar name."""
    with ElasticsearchServer(tmp_path_factory.mktemp("elasticsearch")) as server, server.client() as client:
        bulk(client, (document(i) for i in range(12_000)), refresh=True)
        yield server


def document(i: int) -> dict[str, Any]:
    """One message, its level spelled as in the wild."""
    return {
        "_index": f"micro-apps-{i % 2}",
        "timestamp": datetime.fromtimestamp(START + i, UTC).isoformat(),
        "app": "rust-micro-front-end" if i % 10 else "rust-micro-back-end",
        "level": ("info", "error", "ERROR")[i % 3],
        "message": f"JWT validation failed for user {i}" if i % 4 else "pool exhausted",
        "client_ip": f"10.0.0.{i % 20}",
    }


ERRORS = [i for i in range(12_000) if i % 3 and i % 10]


@pytest.fixture(scope="module")
def elasticsearch(elasticsearch_server: ElasticsearchServer) -> Elasticsearch:
    return Elasticsearch(ElasticsearchSettings(url=elasticsearch_server.url))


def test_a_wrong_search_comes_back_in_elasticsearch_own_words(elasticsearch: Elasticsearch) -> None:
    """A parse error, and an aggregation over text, are one sentence each with the reason."""
    assert "parsing_exception" in str(refused(elasticsearch, es.search("micro-apps-*", {"query": {"x": 1}})))
    error = refused(elasticsearch, es.top_values(SERVICE, START, START + 600, "message"))
    assert "Fielddata is disabled on [message]" in str(error)


def test_a_missing_index_is_empty(elasticsearch: Elasticsearch) -> None:
    """Neither a name nor a pattern without index is an error."""
    for index in ("nothing", "nothing-*"):
        answer = elasticsearch.ask(es.search(index, {}))
        assert (answer.completeness, len(answer.warnings)) == ("empty", 1)
        assert index in answer.warnings[0]
        assert elasticsearch.ask(es.fields(index, ["level"])).completeness == "empty"


def test_no_hit_is_empty(elasticsearch: Elasticsearch) -> None:
    """A window without messages is empty, without a warning."""
    answer = elasticsearch.ask(es.newest_errors(SERVICE, START - 600, START))
    assert (answer.completeness, answer.warnings, es.total(answer)) == ("empty", (), (0, True))


def test_a_failed_shard_is_partial(elasticsearch: Elasticsearch, elasticsearch_server: ElasticsearchServer) -> None:
    """An index whose field cannot be searched so fails its shard alone, which is told by name."""
    with elasticsearch_server.client() as client:
        client.indices.create(index="odd", mappings={"properties": {"client_ip": {"type": "ip"}}})
        client.index(index="odd", document={"client_ip": "10.0.0.1"}, refresh=True)
    answer = elasticsearch.ask(es.search("micro-apps-*,odd", {"query": {"term": {"client_ip": "no address"}}}))
    assert answer.completeness == "partial"
    assert "shards failed: odd [0]" in answer.warnings[0]


def test_the_newest_errors(elasticsearch: Elasticsearch) -> None:
    """Errors of this app alone, in whatever case the level is spelled, latest first, end excluded."""
    answer = elasticsearch.ask(es.newest_errors(SERVICE, START, START + 11_999, 5))
    times = [es.time_of(hit, "timestamp") - START for hit in es.hits(answer)]
    assert times == [i for i in reversed(ERRORS) if i < 11_999][:5]


def test_counts_over_time(elasticsearch: Elasticsearch) -> None:
    """Every interval of the window is there, empty ones too, and each message is counted once."""
    answer = elasticsearch.ask(es.errors_over_time(SERVICE, START - 3600, START + 12_000, 600))
    times, counts = es.histogram(answer)
    assert list(times) == list(range(START - 3600, START + 12_000, 600))
    assert counts.sum() == len(ERRORS) == es.total(answer)[0]
    assert list(counts[:6]) == [0] * 6
    assert (counts[6:] == [sum(START + i in range(t, t + 600) for i in ERRORS) for t in times[6:]]).all()


def test_a_sample_is_the_same_again_and_uniform(elasticsearch: Elasticsearch) -> None:
    """Equal seeds give equal documents, other seeds others; the mean of their times is the middle of the window."""
    one, again, other = (
        [
            hit["timestamp"]
            for hit in es.hits(elasticsearch.ask(es.sample_of_errors(SERVICE, START, START + 12_000, 500, seed=seed)))
        ]
        for seed in (1, 1, 2)
    )
    assert one == again
    assert len(set(one) & set(other)) < 100
    assert len(set(one)) == 500
    middle = np.mean([datetime.fromisoformat(text).timestamp() for text in one]) - START
    assert abs(middle - 6000) < 700  # 4.5 standard errors


def test_a_phrase_and_its_most_frequent_values(elasticsearch: Elasticsearch) -> None:
    """Messages with a phrase, by a field's values, and how many documents had others."""
    query = es.top_values(
        SERVICE, START, START + 12_000, "client_ip.keyword", size=3, level="error", phrases=("JWT validation",)
    )
    answer = elasticsearch.ask(query)
    pairs, others = es.terms(answer)
    assert len(pairs) == 3
    assert es.distinct(answer) == len({i % 20 for i in ERRORS if i % 4})
    assert sum(count for _, count in pairs) + others == sum(1 for i in ERRORS if i % 4)
    assert es.total(answer) == (sum(1 for i in ERRORS if i % 4), True)


def test_a_count_that_stops_is_not_exact(elasticsearch: Elasticsearch) -> None:
    """Elasticsearch stops counting at 10,000 unless asked to go on, and that is passed on."""
    assert es.total(elasticsearch.ask(es.search("micro-apps-*", {"size": 0}))) == (10_000, False)


def test_fields_and_version(elasticsearch: Elasticsearch) -> None:
    """What a field is called and of which type it is can be asked, as can the version."""
    types = es.field_types(elasticsearch.ask(es.fields("micro-apps-*", ["timestamp", "level", "levle"])))
    assert types == {"timestamp": ("date",), "level": ("text",)}
    assert es.version(elasticsearch.ask(es.info())).startswith("9.")


def test_elasticsearch_behind_tls_and_password(elasticsearch_server: ElasticsearchServer, tmp_path: Path) -> None:
    """Behind nginx with TLS and a password, as the lab's server has neither: right and wrong credentials."""
    with Proxy(tmp_path / "proxy", elasticsearch_server.url, "password") as proxy:
        (tmp_path / "right").write_text(proxy.password)
        (tmp_path / "wrong").write_text("wrong-" + proxy.password)
        ca = str(proxy.authority.file)

        def asking(file: str) -> Elasticsearch:
            auth = Auth(ca_file=ca, username=USER, password_file=str(tmp_path / file))
            return Elasticsearch(ElasticsearchSettings(url=proxy.url, auth=auth))

        assert asking("right").ask(es.info()).completeness == "complete"
        error = refused(asking("wrong"), es.info())
        assert "answered 401" in str(error)
        assert proxy.password not in str(error)


def test_elasticsearch_behind_a_client_certificate(elasticsearch_server: ElasticsearchServer, tmp_path: Path) -> None:
    """Behind nginx that wants a client certificate, one file holding both certificate and key."""
    with Proxy(tmp_path / "proxy", elasticsearch_server.url, "certificate") as proxy:
        certificate, key = proxy.authority.issue("client")
        both = tmp_path / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        auth = Auth(ca_file=str(proxy.authority.file), client_cert_file=str(both))
        assert Elasticsearch(ElasticsearchSettings(url=proxy.url, auth=auth)).ask(es.info()).completeness == "complete"
