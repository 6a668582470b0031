"""Recordings that are damaged, foreign or lack an answer: it is noticed, and named."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import RecordingCorrupt, RecordingError, RecordingMiss
from runbook.model import JSON, Query, canonical
from runbook.recording.replay import Replay
from tests.recording.recorded import PODS, UP, record


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(change(lines)), mtime=0))
    return path


def test_miss_names_the_nearest(taken: Path) -> None:
    """A query that was not recorded names the nearest one and what it differs in."""
    with pytest.raises(RecordingMiss, match=r"nearest: answer 1; differs in: step 30 instead of 15; replay with"):
        Replay(taken).ask(Query("prometheus", "range", "up", {"start": 0, "end": 60, "step": 30}))
    with pytest.raises(
        RecordingMiss,
        match=r"differs in: text up\{\} instead of up; end nothing instead of 60; zone 1 instead of nothing;",
    ):
        Replay(taken).ask(Query("prometheus", "range", "up{}", {"start": 0, "step": 15, "zone": 1}))


def test_miss_of_a_whole_kind(taken: Path) -> None:
    """A query of a kind that was never asked says which kinds there are."""
    with pytest.raises(RecordingMiss, match="it holds only kubernetes get, prometheus range; record again"):
        Replay(taken).ask(Query("mysql", "rows", "SELECT 1", {}))


def exchange(line: bytes, data: JSON) -> bytes:
    """The line with another answer, its digest made to fit."""
    old = json.loads(line)
    answer = {**old["answer"], "data": data}
    return canonical({**old, "answer": answer, "sha256": hashlib.sha256(canonical(answer)).hexdigest()}) + b"\n"


DAMAGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "edited answer": (lambda b: [b[0], b[1].replace(b'"1"', b'"2"'), *b[2:]], "line 2: the answer is not the one"),
    "edited answer and digest": (
        lambda b: [b[0], exchange(b[1], ["2"]), *b[2:]],
        "line 4: the lines before it are not those",
    ),
    "edited query": (lambda b: [b[0], b[1].replace(b'"up"', b'"dn"'), *b[2:]], "line 2: the query is not the one"),
    "edited header": (lambda b: [b[0].replace(b"90m", b"91m"), *b[1:]], "line 1: the header is not the one"),
    "removed answer": (lambda b: [b[0], *b[2:]], "line 2: answer 1 should stand there, not 2"),
    "removed last answer": (lambda b: [*b[:2], b[3]], "line 3: the lines before it are not those"),
    "removed end": (lambda b: b[:-1], "stops after line 3, without its end"),
    "removed header": (lambda b: b[1:], "its first line does not say 'runbook-recording'"),
    "swapped answers": (lambda b: [b[0], b[2], b[1], b[3]], "line 2: answer 1 should stand there, not 2"),
    "repeated answer": (lambda b: [*b[:3], b[1], b[3]], "line 4: answer 3 should stand there, not 1"),
    "the same query twice": (
        lambda b: [*b[:3], b[1].replace(b'"n":1', b'"n":3'), b[3]],
        "line 4: it answers the query of line 2 again",
    ),
    "answer after the end": (lambda b: [*b, b[1]], "line 5: something follows the end"),
    "a line cut off": (lambda b: [*b[:2], b[2][:-9]], "line 3: the line is cut off"),
    "text after the end": (lambda b: [*b, b"x"], "line 5: something follows the end"),
    "bad JSON": (lambda b: [b[0], b[1][:-9] + b"\n", *b[2:]], "line 2: it is not an answer"),
    "bad end": (lambda b: [*b[:3], b'{"end":2}\n'], "line 4: it is not the end"),
    "nothing": (lambda b: [], "line 1: there is no header"),
    "other version": (
        lambda b: [b[0].replace(b'"version":1', b'"version":7'), *b[1:]],
        "recording of version 7, this program reads version 1",
    ),
    "other format": (lambda b: [b'{"format":"har"}\n'], "is no recording"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_named(taken: Path, what: str) -> None:
    """Each kind of damage is refused with the file, the line and what to do."""
    change, message = DAMAGES[what]
    with pytest.raises(RecordingCorrupt) as caught:
        Replay(rewrite(taken, change))
    assert message in str(caught.value)
    assert str(taken) in str(caught.value)


def test_forged_answer(taken: Path) -> None:
    """An answer whose digests were made to fit, but that is none, is refused when it is asked for."""
    with record(taken.with_name("other")) as recorder:
        recorder.ask(UP)
    body = b'{"completeness":"perfect","data":[],"error":"","seconds":0,"warnings":[]}'
    sha = hashlib.sha256(body).hexdigest().encode()

    def forge(lines: list[bytes]) -> list[bytes]:
        line = json.loads(lines[1])
        return [lines[0], lines[1].replace(canonical(line["answer"]), body).replace(line["sha256"].encode(), sha)]

    replay = Replay(rewrite(taken.with_name("other"), forge), partial_ok=True)
    with pytest.raises(RecordingCorrupt, match="line 2: the answer is not one of this version"):
        replay.ask(UP)


def test_not_gzip_and_not_there(tmp_path: Path) -> None:
    """A file that is no gzip, an empty one, one that is not there and a folder each get their own sentence."""
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    for name, message in {
        "text": "it is no gzip file",
        "empty": "there is no header",
        "absent": "cannot be read .No such file or directory.",
        ".": "cannot be read .Is a directory.",
    }.items():
        with pytest.raises(RecordingError, match=message):
            Replay(tmp_path / name)


def test_bomb(tmp_path: Path, taken: Path) -> None:
    """A small file that unfolds without end is refused early, and so is a recording beyond the limit."""
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(bytes(64 * 1024 * 1024)))
    with pytest.raises(RecordingCorrupt, match="unfolds to more than 512 MB"):
        Replay(bomb)
    with pytest.raises(RecordingCorrupt, match="unfolds to more than 900 bytes"):
        Replay(taken, max_bytes=900)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_damaged_byte(data: st.DataObject) -> None:
    """A flipped, removed or added byte, or a cut, anywhere, is noticed or changes nothing of what is read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r"
        with record(path) as recorder:
            recorder.ask(UP)
            recorder.ask(PODS)
        whole = path.read_bytes()
        before = (Replay(path).header, list(Replay(path).answers))
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = data.draw(
            st.sampled_from(
                [
                    whole[:at],
                    whole[:at] + whole[at + 1 :],
                    whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :],
                    whole[:at] + whole[at : at + 1] + whole[at:],
                    whole + whole[at:],
                ]
            )
        )
        path.write_bytes(damaged)
        for partial_ok in (False, True):
            try:
                replay = Replay(path, partial_ok=partial_ok)
                after = (replay.header, list(replay.answers))
            except RecordingError:
                continue
            assert after[0] == before[0]
            assert after[1] == before[1] if not partial_ok else after[1] == before[1][: len(after[1])]
