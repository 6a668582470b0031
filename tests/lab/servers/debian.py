"""Debian's packages for the lab, installed without the system services that some of them would start."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.servers.cache import LabError

# A program we call and the package it is in. nginx and Chromium are for tests that start those themselves.
PROGRAMS = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "mvn": "maven",
    "java": "openjdk-17-jre-headless",
    "nginx": "nginx",
    "mariadbd": "mariadb-server",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}
POLICY = Path("/usr/sbin/policy-rc.d")
START_NOTHING = "#!/bin/sh\n# For one installation by the lab's setup: start no service.\nexit 101\n"


class PackagesFailed(LabError):
    """Packages are missing and cannot be installed."""


def missing_packages() -> list[str]:
    """The packages of programs that are not there."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None})


def install(packages: list[str]) -> None:
    """Install these with apt, as root."""
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise PackagesFailed(f"This is not Debian: install by your own means what Debian calls {wanted}.")
    if os.geteuid() != 0:
        raise PackagesFailed(f"Installing packages needs root: run `sudo apt-get install {wanted}`, then this again.")
    with no_services():
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", *packages)


@contextmanager
def no_services(policy: Path = POLICY) -> Generator[None, None, None]:
    """Keep Debian from starting services meanwhile; a policy that the machine has already is not ours to change."""
    if policy.exists():
        yield
        return
    policy.write_text(START_NOTHING)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(["apt-get", "-q", *arguments], env=environment, check=False).returncode != 0:
        raise PackagesFailed(f"`apt-get {' '.join(arguments)}` failed; what it said stands above.")
