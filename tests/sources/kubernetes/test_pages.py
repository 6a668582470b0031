"""Kubernetes: lists that come in pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runbook.sources.kubernetes.objects import events_of
from runbook.sources.kubernetes.queries import events
from tests.canned import Canned, Reply, Request
from tests.sources.kubernetes.asking import WEB
from tests.sources.kubernetes.server import EVENTS, refusal, repeating, source
from tests.sources.refusals import refused


def pages(request: Request, total: int) -> Reply:
    """A list of numbered events, as many to a page as asked for."""
    first, size = int(request.params.get("continue", "0")), int(request.params["limit"])
    numbers = range(first, min(first + size, total))
    following = {"continue": str(first + size)} if first + size < total else {}
    items = [
        {"metadata": {"name": str(n)}, "involvedObject": {"kind": "Deployment", "name": "web"}, "reason": str(n)}
        for n in numbers
    ]
    return Reply({"kind": "EventList", "metadata": following, "items": items})


def paged(total: int, expire: int = 0) -> Any:
    """The stage with so many events; the first `expire` later pages are gone (410)."""
    rest, left = repeating("bad_rollout"), [expire]

    def answer(request: Request) -> Reply:
        if not request.path.startswith(EVENTS):
            return rest(request)
        if "continue" in request.params and left[0] > 0:
            left[0] -= 1
            return refusal(410, "The provided continue parameter is too old")
        return pages(request, total)

    return answer


def test_a_list_that_keeps_expiring_fails(tmp_path: Path):
    """After three attempts at a list whose pages go stale, the sentence says so."""
    with Canned(paged(1200, expire=9)) as server:
        error = refused(source(tmp_path, server), events(*WEB))
    assert "let its pages expire while we were reading them (list events in namespace shop); run again" in str(error)


def test_a_list_that_expired_is_read_anew(tmp_path: Path):
    """A page that is gone (410) restarts the list, and nothing is counted twice."""
    with Canned(paged(1200, expire=1)) as server:
        answer = source(tmp_path, server).ask(events(*WEB))
    assert answer.completeness == "complete"
    assert sorted(int(event.reason) for event in events_of(answer)) == list(range(1200))


def test_an_endless_list_is_cut_and_told(tmp_path: Path):
    """Beyond 10,000 objects the answer is partial and says how many were read."""
    with Canned(paged(30_000)) as server:
        answer = source(tmp_path, server).ask(events(*WEB))
    assert answer.completeness == "partial"
    assert answer.warnings == ("Only the first 10,000 events in namespace shop were read.",)
