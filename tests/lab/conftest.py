"""The servers that several tests share, started at the first need and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.servers.lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """All five servers."""
    with Lab(tmp_path_factory.mktemp("lab")) as servers:
        yield servers
