"""What a server's address says about where it is."""

from __future__ import annotations

import pytest

from runbook.sources.http.session import is_loopback, is_near


@pytest.mark.parametrize(
    ("url", "near", "loopback"),
    [
        ("http://127.0.0.1:9090", True, True),
        ("http://[::1]:9090", True, True),
        ("http://localhost:9090/prometheus", True, True),
        ("http://10.1.2.3", True, False),
        ("http://prometheus:9090", True, False),
        ("http://prometheus.monitoring.svc:9090", True, False),
        ("http://user:secret@prometheus.local", True, False),
        ("https://prometheus.example.com", False, False),
        ("https://192.0.2.1.example.com", False, False),
        ("https://8.8.8.8", False, False),
    ],
)
def test_near_and_far_by_name(url: str, near: bool, loopback: bool):
    """Private addresses and names without a public domain are near; the own machine is loopback."""
    assert (is_near(url), is_loopback(url)) == (near, loopback)
