"""Prometheus as a source: real servers 2.42 and 3, and nginx with TLS before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runbook.config.schema import Auth
from runbook.config.schema import Elasticsearch as ElasticsearchSettings
from runbook.config.schema import Prometheus as PrometheusSettings
from runbook.sources.elasticsearch import client as es
from runbook.sources.elasticsearch.client import Elasticsearch
from runbook.sources.probe.http import Probe, get
from runbook.sources.prometheus import client as prom
from runbook.sources.prometheus.client import Prometheus, instant, label_matchers, matrix, range_, vector
from tests.lab.servers.prometheus import Prometheus as PrometheusServer
from tests.lab.servers.proxy import USER, Proxy
from tests.sources.refusals import refused

pytestmark = pytest.mark.lab

START = 1_768_473_600  # 2026-01-15 10:40 UTC

DAY, STEP = 86_400, 60
CYCLE = ["1", "NaN", "+Inf", "-Inf", "2.5e-3"]


@pytest.fixture(scope="module", params=["debian", "3"])
def version(request: pytest.FixtureRequest) -> Literal["debian", "3"]:
    """Each Prometheus that we claim to speak to."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def prometheus_server(
    version: Literal["debian", "3"], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    """A Prometheus with a day of samples: `load` of pod a, whole, and of pod b, from noon on; then silence."""
    directory = tmp_path_factory.mktemp("prometheus")
    past = directory / "past.om"
    lines = [
        f'load{{pod="{pod}"}} {CYCLE[k // 60 % 5]} {START + k}'
        for pod, first in (("a", 0), ("b", DAY // 2))
        for k in range(first, DAY, STEP)
    ]
    past.write_text("\n".join(["# TYPE load gauge", *lines, "# EOF\n"]))
    with PrometheusServer(directory / "server", version=version, openmetrics=past) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(prometheus_server: PrometheusServer) -> Prometheus:
    return Prometheus(PrometheusSettings(url=prometheus_server.url))


def test_a_wrong_query_comes_back_in_prometheus_own_words(prometheus: Prometheus) -> None:
    """A parse error is one sentence with Prometheus's position and our query."""
    error = refused(prometheus, instant("sum(load", START))
    assert 'refused the query (400 bad_data: invalid parameter "query": 1:' in str(error)
    assert str(error).endswith("Query: sum(load")


def test_an_unknown_metric_is_empty(prometheus: Prometheus) -> None:
    """What Prometheus has never seen is an empty answer, in each kind of query."""
    queries = [
        instant("nothing", START),
        range_("nothing", START, START + 600, STEP),
        prom.series("nothing", START, START + 600),
        prom.label_values("pod", "nothing", START, START + 600),
    ]
    assert [prometheus.ask(query).completeness for query in queries] == ["empty"] * 4


def test_special_values_and_gaps_arrive(prometheus: Prometheus) -> None:
    """NaN, both infinities and the time before a series began are where they belong."""
    noon = START + DAY // 2
    found = matrix(prometheus.ask(range_("load", noon - 300, noon + 240, STEP)))
    rows = {labels["pod"]: row for labels, row in zip(found.labels, found.values, strict=True)}
    np.testing.assert_array_equal(rows["a"], [1, np.nan, np.inf, -np.inf, 0.0025] * 2)
    np.testing.assert_array_equal(rows["b"], [np.nan] * 5 + [1, np.nan, np.inf, -np.inf, 0.0025])


def test_a_series_that_ended_goes_stale(prometheus: Prometheus) -> None:
    """Five minutes after the last sample there is no value any more, not a repeated one."""
    end = START + DAY - STEP
    row = matrix(prometheus.ask(range_('load{pod="a"}', end, end + 900, 300))).values[0]
    assert list(np.isnan(row)) == [False, False, True, True] or list(np.isnan(row)) == [False, True, True, True]


def test_a_long_range_has_every_point_once(prometheus: Prometheus) -> None:
    """A day in steps of 5 s, 17,281 points, is more than Prometheus gives at once and comes back whole."""
    answer = prometheus.ask(range_('count(load{pod="a"})', START, START + DAY - STEP, 5))
    times = [at for at, _ in answer.data["result"][0]["values"]]
    assert times == list(range(START, START + DAY - STEP + 1, 5))
    assert np.isfinite(matrix(answer).values).all()


def test_what_there_is_can_be_asked(prometheus: Prometheus, version: str) -> None:
    """Series, label names and values are found, and the version, which a build of one's own may leave out."""
    assert prometheus.ask(prom.series("load", START, START + 60)).data == [{"__name__": "load", "pod": "a"}]
    assert prometheus.ask(prom.label_names("load", START, START + DAY)).data == ["__name__", "pod"]
    assert prometheus.ask(prom.label_values("pod", "load", START, START + DAY)).data == ["a", "b"]
    assert prom.version(prometheus.ask(prom.build_info())).startswith("2.42") == (version == "debian")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example('"} or vector(1) or x{a="')
@example("\\")
@example("\x00\n\r\t\x7f\u2028")
def test_prometheus_reads_a_quoted_value_as_it_was(prometheus: Prometheus, value: str) -> None:
    """Whatever a label's value holds, the real parser takes it as that one string."""
    quoted = prom.quote(value.replace("$", "$$"))
    ((labels, _),) = vector(prometheus.ask(instant(f'label_replace(vector(1), "x", {quoted}, "", "")', START)))
    assert labels.get("x", "") == value
    assert prometheus.ask(instant(f"load{{{label_matchers({'pod': value + '!'})}}}", START)).completeness == "empty"


def test_a_query_that_takes_too_long_is_given_up(prometheus_server: PrometheusServer) -> None:
    """Prometheus itself stops a query a little before our time is up, and says so."""
    hasty = Prometheus(PrometheusSettings(url=prometheus_server.url), 0.3)
    heavy = "sum(" + " + ".join(f"sum_over_time(load[{hours}h:1s])" for hours in (20, 21, 22, 23)) + ")"
    error = refused(hasty, range_(heavy, START + DAY - 600, START + DAY, 1))
    assert error.reason == "timeout"


def test_tls_and_password(prometheus_server: PrometheusServer, tmp_path: Path) -> None:
    """Behind nginx with TLS and a password: right, wrong and no credentials, and an authority we do not know."""
    with Proxy(tmp_path / "proxy", prometheus_server.url, "password") as proxy:
        (tmp_path / "right").write_text(proxy.password + "\n")
        (tmp_path / "wrong").write_text("wrong-" + proxy.password)
        ca = str(proxy.authority.file)
        query = range_("load", START, START + 600, STEP)

        def asking(**auth: Any) -> Prometheus:
            return Prometheus(PrometheusSettings(url=proxy.url, auth=Auth(**auth)))

        right = asking(ca_file=ca, username=USER, password_file=str(tmp_path / "right"))
        assert right.ask(query).completeness == "complete"
        for source in (asking(ca_file=ca), asking(ca_file=ca, username=USER, password_file=str(tmp_path / "wrong"))):
            error = refused(source, query)
            assert error.reason == "forbidden"
            assert "answered 401" in str(error)
            assert proxy.password not in str(error)
        assert "the certificate is signed by an unknown authority" in str(refused(asking(), query))
        assert "not speak TLS" in str(
            refused(Prometheus(PrometheusSettings(url=prometheus_server.url.replace("http", "https"))), query)
        )
        assert (
            Probe(proxy.url).ask(get("/")).data["error"]
            == "TLS failed: the certificate is signed by an unknown authority"
        )


def test_client_certificate(prometheus_server: PrometheusServer, tmp_path: Path) -> None:
    """Behind nginx that wants a client certificate: with one, and without."""
    with Proxy(tmp_path / "proxy", prometheus_server.url, "certificate") as proxy:
        certificate, key = map(str, proxy.authority.issue("client"))
        ca = str(proxy.authority.file)
        query = instant("load", START)
        mine = Auth(ca_file=ca, client_cert_file=certificate, client_key_file=key)
        assert Prometheus(PrometheusSettings(url=proxy.url, auth=mine)).ask(query).completeness == "complete"
        assert "answered 400" in str(
            refused(Prometheus(PrometheusSettings(url=proxy.url, auth=Auth(ca_file=ca))), query)
        )


def test_a_proxy_whose_server_is_down(tmp_path: Path) -> None:
    """nginx's 502 is a server error of the place we asked, after asking again."""
    with Proxy(tmp_path / "proxy", "http://127.0.0.1:1", "nothing") as proxy:
        auth = Auth(ca_file=str(proxy.authority.file))
        error = refused(Prometheus(PrometheusSettings(url=proxy.url, auth=auth)), instant("load", START))
        assert "answered 502" in str(error)
        assert error.reason == "server error"
        assert "answered 502" in str(refused(Elasticsearch(ElasticsearchSettings(url=proxy.url, auth=auth)), es.info()))
