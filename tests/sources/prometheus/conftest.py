"""A secret to ask Prometheus with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.sources.prometheus.asking import CANARY


@pytest.fixture
def environment() -> Iterator[None]:
    """A secret in the environment."""
    os.environ["RUNBOOK_TEST_SECRET"] = CANARY
    yield
    del os.environ["RUNBOOK_TEST_SECRET"]
