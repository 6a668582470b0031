"""What is inside containers: previous logs, the head of a public key, and clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import SourceError
from runbook.model import Answer
from runbook.sources.kubernetes.containers import PodClock, clocks_of, ended, key_head, previous_logs_of
from runbook.sources.kubernetes.queries import clock, previous_logs
from tests.canned import Canned, Reply
from tests.sources.kubernetes.server import refusal, repeating, source

WEB = ("shop", "web")
HEADER, BODY = "-----BEGIN PUBLIC KEY-----", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo"
KINDS = ("", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ")


def asked(folder: Path, moment: str = "bad_rollout", **instead: Reply) -> Answer:
    with Canned(repeating(moment, **instead)) as server:
        return source(folder, server).ask(previous_logs(*WEB))


# Previous logs


def test_the_last_words_of_a_container_that_crashed_are_told(tmp_path: Path):
    """The previous run's last lines of both containers that were killed, long lines cut, odd bytes replaced."""
    text = b"starting\nthread 'main' panicked\xff\n" + b"x" * 900 + b"\n"
    with Canned(repeating("bad_rollout", log=Reply(text))) as server:
        answer = source(tmp_path, server).ask(previous_logs(*WEB))
        logs = [one.params for one in server.requests if "/log?" in one.path]
    assert [(one["container"], one["previous"], one["tailLines"]) for one in logs] == [
        ("app", "true", "40"),
        ("proxy", "true", "40"),
    ]
    app, proxy = previous_logs_of(answer)
    assert (answer.completeness, app.container, proxy.container) == ("complete", "app", "proxy")
    assert set(answer.data["previous_logs"][0]) == {"pod", "container", "lines"}
    assert app.lines == ("starting", "thread 'main' panicked\ufffd", f"{'x' * 499}…")


def test_where_nothing_ever_started_again_there_are_no_logs(tmp_path: Path):
    """Healthy pods are not asked for logs, and the answer is empty."""
    with Canned(repeating("rolled_back")) as server:
        answer = source(tmp_path, server).ask(previous_logs(*WEB))
        assert not any("/log" in one.path for one in server.requests)
    assert (answer.completeness, previous_logs_of(answer)) == ("empty", ())


def test_logs_that_may_not_be_read_fail(tmp_path: Path):
    """A missing right is no silence: it is named with the file that grants it."""
    with pytest.raises(
        SourceError, match=r"does not let us get pods/log of web-\S+ .*\(403\); apply deploy/rbac\.yaml"
    ):
        asked(tmp_path, log=refusal(403, "forbidden"))


def test_a_log_that_is_gone_costs_its_own_part(tmp_path: Path):
    """Where one container's log was cleaned away, the other's is told, and the answer is partial."""
    replies = iter([refusal(400, "previous terminated container not found"), Reply(b"bye\n")])
    answers = repeating("bad_rollout")
    with Canned(lambda request: next(replies) if "/log?" in request.path else answers(request)) as server:
        answer = source(tmp_path, server).ask(previous_logs(*WEB))
    assert answer.completeness == "partial"
    assert "previous terminated container not found; ask the same with kubectl" in answer.warnings[0]
    assert [one.lines for one in previous_logs_of(answer)] == [("bye",)]


def test_the_pods_that_ended_last_are_asked():
    """Of many pods that crashed, the three in which a container ended last, the newest first."""
    times = {
        "a": "2026-01-15T10:40:00Z",
        "b": "2026-01-15T10:43:00Z",
        "c": "2026-01-15T10:41:00Z",
        "d": "2026-01-15T10:42:00Z",
    }
    pods = [
        {
            "metadata": {"name": name},
            "status": {"containerStatuses": [crashed("app", at), {"name": "proxy", "restartCount": 0, "state": {}}]},
        }
        for name, at in times.items()
    ]
    assert list(ended(pods, 3)) == [("b", "app"), ("d", "app"), ("c", "app")]


def crashed(name: str, at: str) -> dict[str, Any]:
    return {"name": name, "restartCount": 1, "state": {}, "lastState": {"terminated": {"finishedAt": at}}}


def test_an_init_container_that_crashes_has_its_log():
    """A pod that never got beyond its init container is asked for that one's log."""
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {"initContainerStatuses": [{"name": "migrate", "restartCount": 0, "state": waits}]}
    assert list(ended([{"metadata": {"name": "a"}, "status": status}], 3)) == [("a", "migrate")]


# Public key


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (f"{HEADER}\n{BODY}\n{BODY}\n", "public key"),
        (f"-----BEGIN RSA PUBLIC KEY-----\r\n{BODY}\r\n", "public key"),
        (f"{HEADER}\n{BODY[:40]}==\n-----END PUBLIC KEY-----\n", "public key"),
        (f"-----BEGIN CERTIFICATE-----\n{BODY}\n{BODY}\n", "certificate"),
        (f"{HEADER}\n", "other"),
        (f"{HEADER}\n<html>\n", "other"),
        (f"{BODY}\n{BODY}\n", "other"),
        ('{"kty": "RSA", "d": "canary"}', "other"),
        ("", "empty"),
        ("\n \n", "empty"),
    ],
)
def test_the_form_of_a_key_file_is_told(text: str, form: str):
    """Well-formed, certificate, something else or empty; only what is public is shown."""
    told, lines = key_head(text)
    assert told == form
    assert bool(lines) == (form in ("public key", "certificate"))


@given(st.sampled_from(KINDS), st.text(max_size=30), st.text(max_size=30), st.booleans())
def test_nothing_of_a_private_key_is_shown(kind: str, before: str, after: str, lower: bool):
    """Wherever the words stand in the file, it is called private and not a letter of it is kept."""
    words = f"-----BEGIN {kind}PRIVATE KEY-----"
    assert key_head(f"{before}{words.lower() if lower else words}\n{after}") == ("private key", [])


@given(st.text(max_size=300))
def test_what_is_shown_of_a_key_is_base64(text: str):
    """Of any file, only a header and lines of base64 are shown."""
    _, lines = key_head(f"{HEADER}\n{text}")
    assert all(line.isascii() and " " not in line for line in lines[1:] if not line.startswith("-----END "))


# Clock


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ("1768473700.250000000", "", PodClock("p", 90.2, 0.05, "")),
        ("1768473600.%N", "", PodClock("p", -9.55, 0.55, "")),
        ("1768473600", "", PodClock("p", -9.55, 0.55, "")),
        ("", "date: not found", PodClock("p", None, None, "date: not found")),
        ("<html>", "", PodClock("p", None, None, "the pod's `date` printed no time")),
    ],
)
def test_a_clock_is_compared_with_the_middle_of_the_question(said: str, error: str, told: PodClock):
    """The offset is against the middle of sent and received, give or take half of that and what `date` leaves out."""
    sent = 1768473610.0
    one = {"pod": "p", "sent": sent, "received": sent + 0.1, "said": said, "error": error}
    (found,) = clocks_of(Answer(clock(*WEB), "complete", {"clock": [one]}))
    assert found == told
