"""What is asked about the deployment `web` of the recorded shop, and how that is refused or answered."""

from __future__ import annotations

from pathlib import Path

from runbook.model import Answer, Query
from runbook.sources.kubernetes.queries import deployment, events, nodes, pods, policies, previous_logs, secrets, usage
from tests.canned import Canned
from tests.sources.kubernetes.server import refusal, repeating, source

WEB = ("shop", "web")
ABOUT_WEB = [ask(*WEB) for ask in (deployment, pods, events, usage, previous_logs, nodes, policies, secrets)]
FORBIDDEN = refusal(403, 'User "oncall" cannot do that')
MIB = 1024 * 1024


def answer_at(moment: str, query: Query, folder: Path) -> Answer:
    with Canned(repeating(moment)) as server:
        return source(folder, server).ask(query)
