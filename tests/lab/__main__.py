"""`make lab`: the service and all its servers, running until Ctrl-C: `python -m tests.lab [DIRECTORY]`.

It prints where everything is, how to break the service, and the command that investigates it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from runbook.alerts.registry import SHIPPED
from runbook.config.schema import Environment, Service
from runbook.monitoring import alerting_rules, yaml_text
from tests.lab.faults import FAULTS
from tests.lab.scenarios.investigating import environment, profile, settings_file
from tests.lab.servers.cache import LabError
from tests.lab.servers.cluster import Kubernetes
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.lab import Lab
from tests.lab.servers.prometheus import Alertmanager, Prometheus
from tests.lab.service.live import Live

FOR_SECONDS = 60  # a person does not want to wait five minutes for each trial


class LiveLab:
    """The simulated service, alive, scraped, logged and mirrored; its alert fires after FOR_SECONDS."""

    def __init__(self, directory: Path, interval: str = "5s") -> None:
        kubernetes, elasticsearch = Kubernetes(directory / "kubernetes"), Elasticsearch(directory / "elasticsearch")
        self.service = Live(directory / "service", kubernetes=kubernetes, elasticsearch=elasticsearch)
        alertmanager = Alertmanager(directory / "alertmanager")
        self.settings = directory / "runbook.toml"
        prometheus = Prometheus(
            directory / "prometheus",
            scrape_configs=[self.service.scrape_config()],
            rule_files=[self._rules(directory / "rules.yaml")],
            alertmanager_url=alertmanager.url,
            interval=interval,
        )
        self.lab = Lab(
            directory,
            alertmanager=alertmanager,
            prometheus=prometheus,
            elasticsearch=elasticsearch,
            kubernetes=kubernetes,
        )

    def __enter__(self) -> LiveLab:
        self.lab.start()
        try:
            self.service.start()
        except BaseException:
            self.lab.stop()
            raise
        self.settings.write_bytes(settings_file(environment(self.lab, self.service.base_url), live_profile()))
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()
        self.lab.stop()

    def _rules(self, path: Path) -> Path:
        shortened = [replace(SHIPPED.load(name), for_seconds=FOR_SECONDS) for name in SHIPPED.names]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            yaml_text.as_yaml(alerting_rules.rules(shortened, live_profile(), Environment(service="micro-frontend")))
        )
        return path

    def told(self) -> str:
        """What a person needs to know."""
        lab, control = self.lab, self.service.control_url
        return "\n".join(
            [
                f"Prometheus     {lab.prometheus.url}",
                f"Alertmanager   {lab.alertmanager.url}",
                f"Elasticsearch  {lab.elasticsearch.url}",
                f"Kubernetes     KUBECONFIG={lab.kubernetes.kubeconfig()}",
                f"MariaDB        {lab.mariadb.address}",
                f"The service    {self.service.base_url}",
                "",
                "Break it:      "
                + f"curl -X POST {control}/fault -H 'Content-Type: application/json' -d '"
                + '{"name": "bad-release"}'
                + "'",
                f"               faults: {', '.join(FAULTS)}",
                f"Mend it:       curl -X DELETE {control}/fault",
                f"Investigate:   .venv/bin/runbook run HighErrorRate --settings {self.settings} "
                + "--environment lab --lookback 30m",
                "",
                f"The alert fires {FOR_SECONDS} s after more than 5 % of requests fail. The lab runs until Ctrl-C.",
            ]
        )


def live_profile() -> Service:
    """As in history, but scraped more often."""
    return msgspec.structs.replace(profile(), scrape_interval_seconds=5)


def main(arguments: list[str]) -> int:
    """Start, print, wait, stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="lab-") as temporary, suppress(KeyboardInterrupt):
        try:
            with LiveLab(Path(arguments[0] if arguments else temporary)) as live:
                print(live.told(), flush=True)
                signal.pause()
        except LabError as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
