"""Runs as a person starts them: settings as a file, the command line as a process, what it left as data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from runbook.config.schema import Environment, Service

BIN = Path(sys.executable).parent
PATIENCE = 180.0  # seconds after which a command that should have ended is a failure of its own


def write_settings(file: Path, environments: Mapping[str, Environment], service: Service) -> Path:
    """A runbook.toml with these environments, all of the one service."""
    profile: dict[str, Any] = msgspec.to_builtins(service)
    name = profile.pop("name")
    kept = {
        name: {key: value for key, value in msgspec.to_builtins(one).items() if value is not None}
        for name, one in environments.items()
    }
    file.write_bytes(msgspec.toml.encode({"environment": kept, "service": {name: profile}}))
    return file


def surroundings(settings: Path) -> dict[str, str]:
    """The process environment of a command: this one's, with these settings and no default environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK_")}
    return {**kept, "RUNBOOK_SETTINGS": str(settings)}


def runbook(settings: Path, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
    """`runbook` with these arguments, as a process of its own."""
    return run([sys.executable, "-m", "runbook.cli", *map(str, arguments)], settings, **how)


def run(
    command: list[str], settings: Path, *, patience: float = PATIENCE, **how: Any
) -> subprocess.CompletedProcess[str]:
    """A command until its end."""
    return subprocess.run(
        command, env=surroundings(settings), capture_output=True, text=True, check=False, timeout=patience, **how
    )


def options(parameters: Mapping[str, str]) -> list[str]:
    """Notebook parameters as `-p NAME VALUE`, which papermill and `runbook` both take."""
    return [text for name, value in parameters.items() for text in ("-p", name, value)]


def findings(bundle: Path) -> dict[str, Any]:
    """What a bundle says was found."""
    found: dict[str, Any] = json.loads((bundle / "findings.json").read_text())
    return found


def manifest(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself."""
    found: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    return found
