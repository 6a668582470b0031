"""runbook.toml, found and read: the environments and service profiles in it, checked, with absolute paths."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runbook.config import process_env, toml, validation
from runbook.config.paths import located
from runbook.config.schema import Environment, Service
from runbook.errors import SettingsError
from runbook.text.suggest import hint

logger = logging.getLogger(__name__)
PACKAGE = Path(__file__).resolve().parent.parent
FILE_NAME = "runbook.toml"


@dataclass(frozen=True)
class Settings:
    """The whole file: all paths in it are absolute, every environment names a service that is there."""

    path: Path
    environments: Mapping[str, Environment]
    services: Mapping[str, Service]

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
    """The settings of `path`, else RUNBOOK_SETTINGS, else the nearest runbook.toml upward, else the shipped one."""
    file = _find() if path is None else path
    file = file.expanduser().absolute()
    raw = toml.read(file)
    logger.info("Settings: %s", file)
    toml.known(raw, ("service", "environment"), file)
    tables = {
        name: toml.convert(raw.get(name, {}), dict[str, dict[str, object]], file, name)
        for name in ("service", "environment")
    }
    services = {
        name: toml.convert({"name": name, **table}, Service, file, f"service.{name}")
        for name, table in tables["service"].items()
    }
    environments = {
        name: toml.convert(table, Environment, file, f"environment.{name}")
        for name, table in tables["environment"].items()
    }
    for name, service in services.items():
        validation.check_service(service, file, f"service.{name}")
    for name, environment in environments.items():
        validation.check_environment(environment, services, file, f"environment.{name}")
    here = Path.cwd()
    passing_by = file == shipped() and file.parent not in (here, *here.parents)  # then evidence is not kept beside it
    home = here if passing_by else file.parent
    return Settings(file, {name: located(one, file.parent, home) for name, one in environments.items()}, services)


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
