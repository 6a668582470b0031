"""Settings of an environment without any source: each run asks nobody, and each of its checks is unknown."""

from __future__ import annotations

from pathlib import Path

from runbook.config import settings
from runbook.config.settings import Settings

TEXT = """
[service.shop]
metric_prefix = "micro_frontend_"
metric_labels = { app = "micro-frontend" }
log_app = "rust-micro-front-end"
index = "micro-apps-*"
namespace = "web"
deployment = "rust-micro-front-end"

[environment.bare]
service = "shop"
"""
NOTEBOOKS = Path(__file__).parent / "fixtures/notebooks"


def bare(folder: Path) -> Settings:
    """Written into a folder, where its evidence goes too."""
    file = folder / "runbook.toml"
    file.write_text(TEXT, encoding="utf-8")
    return settings.load(file)
