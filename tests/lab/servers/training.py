"""A training run of Elasticsearch: Java keeps the classes it has loaded and linked, and starts from them next time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.lab.servers.builds import BuildFailed
from tests.lab.servers.cache import building
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.jvm import AOT_CACHE


class _Trained(Elasticsearch):
    stop_seconds = 180.0  # it writes the cache while ending


def train(destination: Path) -> None:
    """Run a node through what tests do most, and keep the classes that it loaded."""
    with building(destination) as folder, tempfile.TemporaryDirectory() as home:
        output = folder / AOT_CACHE
        with _Trained(Path(home), java_options=[f"-XX:AOTCacheOutput={output}"]) as node:
            _exercise(node)
        if not output.exists():
            raise BuildFailed("The training run of Elasticsearch has left no AOT cache; it starts without one.")


def _exercise(node: Elasticsearch) -> None:
    lines: list[dict[str, Any]] = []
    for number in range(100):
        lines += [{"create": {}}, {"level": "ERROR", "number": number}]
    levels = {"levels": {"terms": {"field": "level.keyword"}}}
    with node.client() as client:
        client.bulk(index="training", operations=lines, refresh=True)
        client.search(index="training", query={"match": {"level": "error"}}, aggs=levels)
        client.indices.delete(index="training")
