"""Prometheus 2.42 (Debian) or 3, Alertmanager, and their tools `promtool` and `amtool`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.lab.servers.cache import LabError, Missing, prometheus3_build
from tests.lab.servers.processes import Server, answers, free_port

FOR_EVER = "100y"  # the default of 15 days would delete a loaded past
# With one size of blocks there is nothing to compact: a loaded past stays in the blocks that it came in.
NO_COMPACTION = ("--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")
SILENT: Mapping[str, Any] = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


class ToolFailed(LabError):
    """`promtool` or `amtool` ended with an error; the text is what it printed."""


class Prometheus(Server):
    """One Prometheus; `openmetrics` is a file of past samples, with times, loaded before the start."""

    def __init__(
        self,
        directory: Path,
        *,
        version: Literal["debian", "3"] = "debian",
        scrape_configs: Sequence[Mapping[str, Any]] = (),
        rule_files: Sequence[Path] = (),
        alertmanager_url: str | None = None,
        openmetrics: Path | None = None,
        interval: str = "1s",
    ) -> None:
        super().__init__(directory)
        self.version = version
        self.scrape_configs = scrape_configs
        self.rule_files = rule_files
        self.alertmanager_url = alertmanager_url
        self.openmetrics = openmetrics
        self.interval = interval
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def _start(self) -> None:
        binary = _binary("prometheus") if self.version == "debian" else str(prometheus3_build() / "prometheus")
        data = self.directory / "data"
        if self.openmetrics is not None:
            promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", str(self.openmetrics), str(data))
        config = self.directory / "prometheus.yml"
        config.write_text(json.dumps(self._config(), indent=2))  # JSON is YAML
        self._run(
            "prometheus",
            [
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                f"--storage.tsdb.retention.time={FOR_EVER}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                *NO_COMPACTION,
                # It finds its Alertmanager after 5 s, drops what fires before, and tells it again after this time only.
                f"--rules.alert.resend-delay={self.interval}",
            ],
        )
        self._wait("Prometheus", lambda: answers(self._port, "/-/ready"))

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": self.interval,
                "scrape_timeout": self.interval,
                "evaluation_interval": self.interval,
            },
            "scrape_configs": list(self.scrape_configs),
            "rule_files": [str(file.resolve()) for file in self.rule_files],
        }
        if self.alertmanager_url is not None:
            target = self.alertmanager_url.removeprefix("http://")
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}
        return config


class Alertmanager(Server):
    """One Alertmanager, off the network; without a `config` it tells nobody."""

    def __init__(self, directory: Path, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(directory)
        self.config = config or SILENT
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def _start(self) -> None:
        config = self.directory / "alertmanager.yml"
        config.write_text(json.dumps(self.config, indent=2))
        self._run(
            "alertmanager",
            [
                _binary("prometheus-alertmanager"),
                f"--config.file={config}",
                f"--storage.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--cluster.listen-address=",
            ],
        )
        self._wait("Alertmanager", lambda: answers(self._port, "/-/ready"))


def promtool(*arguments: str) -> str:
    """What `promtool` prints for these arguments."""
    return _tool("promtool", arguments)


def amtool(*arguments: str) -> str:
    """What `amtool` prints for these arguments."""
    return _tool("amtool", arguments)


def _tool(name: str, arguments: Sequence[str]) -> str:
    done = subprocess.run([_binary(name), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolFailed(f"{name} {' '.join(arguments)} failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"The program {name}")
    return found
