"""runbook.toml, found and read: the environments and service profiles in it, checked, with absolute paths."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runbook.config import process_env, toml, validation
from runbook.config.paths import absolute, located
from runbook.config.schema import Alerts, Environment, Service
from runbook.errors import SettingsError
from runbook.text.suggest import hint

logger = logging.getLogger(__name__)
PACKAGE = Path(__file__).resolve().parent.parent
FILE_NAME = "runbook.toml"
DEMO = "demo"  # the environment that replays the recorded incident of each alert


@dataclass(frozen=True)
class Settings:
    """The whole file: all paths in it are absolute, every environment names a service that is there.

    `alerts_folder` is where the alerts of one's own are; None where the file names no folder.
    """

    path: Path
    environments: Mapping[str, Environment]
    services: Mapping[str, Service]
    alerts_folder: Path | None = None

    def environment(self, name: str) -> Environment:
        """An environment by its name."""
        if name not in self.environments:
            raise SettingsError(
                f"There is no environment {name[:80]!r} in {self.path}; {hint(name, self.environments)}"
            )
        return self.environments[name]

    def service(self, name: str) -> Service:
        """A service profile by its name."""
        if name not in self.services:
            raise SettingsError(f"There is no service {name[:80]!r} in {self.path}; {hint(name, self.services)}")
        return self.services[name]


def load(path: Path | None = None) -> Settings:
    """The settings of `path`, else RUNBOOK_SETTINGS, else the nearest runbook.toml upward, else the shipped one.

    The shipped environment `demo` is there in any case, unless the file has its own.
    """
    file = _find() if path is None else path
    file = file.expanduser().absolute()
    here = Path.cwd()
    passing_by = file == shipped() and file.parent not in (here, *here.parents)  # then evidence is not kept beside it
    found = _read(file, here if passing_by else file.parent)
    return found if file == shipped() or DEMO in found.environments else _with_demo(found)


def _read(file: Path, home: Path) -> Settings:
    """One file as it stands, its evidence below `home`."""
    raw = toml.read(file)
    logger.info("Settings: %s", file)
    toml.known(raw, ("service", "environment", "alerts"), file)
    tables = {
        name: toml.convert(raw.get(name, {}), dict[str, dict[str, object]], file, name)
        for name in ("service", "environment")
    }
    services = {name: _service(name, table, file) for name, table in tables["service"].items()}
    environments = {
        name: toml.convert(table, Environment, file, f"environment.{name}")
        for name, table in tables["environment"].items()
    }
    for name, service in services.items():
        validation.check_service(service, file, f"service.{name}")
    for name, environment in environments.items():
        validation.check_environment(environment, services, file, f"environment.{name}")
    placed = {name: located(one, file.parent, home) for name, one in environments.items()}
    return Settings(file, placed, services, _alerts_folder(raw, file))


def _with_demo(found: Settings) -> Settings:
    """The settings, and the shipped environment that asks nobody, with its service."""
    usual = _read(shipped(), found.path.parent)
    if DEMO not in usual.environments:
        return found
    demo = usual.environment(DEMO)
    services = {demo.service: usual.service(demo.service), **found.services}
    return replace(found, environments={**found.environments, DEMO: demo}, services=services)


def _alerts_folder(raw: Mapping[str, object], file: Path) -> Path | None:
    if "alerts" not in raw:
        return None
    named = toml.convert(raw["alerts"], Alerts, file, "alerts").folder
    if not named:
        toml.refuse(file, "alerts.folder", 'is empty; name a folder, like "alerts".')
    return Path(absolute(named, file.parent))


def _service(name: str, table: Mapping[str, object], file: Path) -> Service:
    limits = toml.convert(table.get("thresholds", {}), dict[str, object], file, f"service.{name}.thresholds")
    validation.check_thresholds(limits, file, f"service.{name}.thresholds")
    return toml.convert({"name": name, **table}, Service, file, f"service.{name}")


def shipped() -> Path:
    """The runbook.toml that comes with the package: inside it when installed, at the top of a checkout."""
    return next(
        file
        for file in (PACKAGE / FILE_NAME, PACKAGE.parent.parent / FILE_NAME)
        if file.is_file() or file.parent != PACKAGE
    )


def _find() -> Path:
    named = process_env.settings_file()
    if named:
        return Path(named)
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), shipped())
