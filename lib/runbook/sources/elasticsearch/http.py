"""Elasticsearch over its official client: one response, or one sentence why there is none.

Imported on the first question only: the client takes a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import elasticsearch
import msgspec
from elastic_transport import NodeConfig, ObjectApiResponse, SerializationError, TransportError, Urllib3HttpNode
from elasticsearch import ApiError, ElasticsearchWarning, NotFoundError, UnsupportedProductError

from runbook.config import schema
from runbook.errors import Reason, SourceError
from runbook.model import JSON, Query
from runbook.sources.http import auth, failures
from runbook.sources.http.timelimit import TimeLimit, make_cuttable

CONNECTIONS = 32  # all queries of an alert go out at once

# A cluster without security says so in a header of every response, which the client turns into a warning on stderr.
warnings.filterwarnings("ignore", category=ElasticsearchWarning)


class _Node(Urllib3HttpNode):
    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        make_cuttable(self.pool)


class Connection:
    """One cluster's address; safe to use from many threads."""

    def __init__(self, config: schema.Elasticsearch) -> None:
        self._config = config
        self._place = failures.place(config.url)
        self._client = elasticsearch.Elasticsearch(
            _with_port(auth.without_userinfo(config.url)),
            headers=auth.headers(config.auth),
            node_class=_Node,
            connections_per_node=CONNECTIONS,
            max_retries=2,
            retry_on_status=(502, 503, 504),
            retry_on_timeout=False,
            **_tls(config.auth),
        )

    def response(self, query: Query, seconds: float) -> JSON:
        """The body as plain JSON; that there is no such index is a response too. Raises SourceError without one."""
        with TimeLimit(seconds) as limit:
            try:
                body = self._perform(query, limit).body
            except (ApiError, TransportError, OSError) as error:
                if isinstance(error, NotFoundError) and _cause(error.body).get("type") == "index_not_found_exception":
                    return error.body
                raise self._source_error(error, query, limit) from None
        if not _right_shape(query, body):
            raise self._error("answered JSON of an unknown shape", failures.status_words(200)[1], "garbage")
        return body

    def _perform(self, query: Query, limit: TimeLimit) -> ObjectApiResponse[Any]:
        credentials = auth.authorization(self._config.auth, self._config.url)
        client = self._client.options(
            request_timeout=limit.remaining, headers={"authorization": credentials} if credentials else {}
        )
        if query.kind == "info":
            return client.info()
        index = query.params["index"]
        if query.kind == "fields":
            return client.field_caps(index=index, fields=query.text.split(","))
        # the cluster itself gives up a little before we do, and sends what it has
        body = {"timeout": f"{int(limit.remaining * 800)}ms", **msgspec.json.decode(query.text)}
        return client.search(index=index, body=body)

    def _source_error(self, error: Exception, query: Query, limit: TimeLimit) -> SourceError:
        if isinstance(error, UnsupportedProductError):
            advice = "OpenSearch and proxies that drop the header X-Elastic-Product are not supported, correct `url`"
            return self._error("is not Elasticsearch", advice, "garbage")
        if isinstance(error, ApiError):
            return self._refusal(error, query)
        if isinstance(error, SerializationError):
            return self._error("answered something that is not JSON", failures.status_words(200)[1], "garbage")
        return failures.source_error(
            "Elasticsearch", self._place, failures.TIMEOUT if limit.over else failures.fault(error)
        )

    def _refusal(self, error: ApiError, query: Query) -> SourceError:
        """What an error status means, in Elasticsearch's own words where it has any."""
        status, cause = error.status_code, _cause(error.body)
        if "media_type_header" in cause.get("type", "") or status == 406:
            what = f"does not speak with version {elasticsearch.__version__[0]} of the Python client"
            return self._error(what, 'install "elasticsearch>=8.19,<9", which speaks with servers 8 and 9', "refused")
        if not cause or status in (401, 403):
            words, advice = failures.status_words(status)
            return self._error(words, advice, failures.reason(status))
        words = auth.hidden(f"{cause.get('type')}: {cause.get('reason')}", self._config.auth, self._config.url)[:500]
        what, advice = f"refused the query ({status} {words})", "check the field names of the service's profile"
        return self._error(what, advice, failures.reason(status), query)

    def _error(self, what: str, advice: str, reason: Reason, query: Query | None = None) -> SourceError:
        return SourceError(
            f"Elasticsearch at {self._place} {what}; {advice}.{f' Query: {query.text[:500]}' if query else ''}", reason
        )


def _right_shape(query: Query, body: JSON) -> bool:
    """Whether the pure functions of `elasticsearch` can read it."""
    part = {"search": "hits", "fields": "fields", "info": "version"}[query.kind]
    return isinstance(body, dict) and isinstance(body.get(part), dict)


def _cause(body: JSON) -> Mapping[str, Any]:
    """The innermost reason that an error body gives; {} if it is not one of Elasticsearch's."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return {}
    inner = [one["reason"] for one in error.get("failed_shards", ()) if isinstance(one.get("reason"), dict)]
    return next((one for one in [*inner, *error.get("root_cause", ())] if one.get("type")), error)


def _tls(config: schema.Auth) -> dict[str, Any]:
    authority, shown = auth.ca_bundle(config), auth.client_certificate(config)
    certificate, key = shown if isinstance(shown, tuple) else (shown, None)
    options = {"ca_certs": authority if authority is not True else None, "client_cert": certificate, "client_key": key}
    return {name: value for name, value in options.items() if value}


def _with_port(url: str) -> str:
    """The client insists on a port."""
    parts = urlsplit(url)
    if parts.port:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"))
