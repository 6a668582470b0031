"""Recording: what was answered replays equal, what was damaged is noticed, what is secret is never written."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import RecordingCorrupt, RecordingError, RecordingMiss, SourceError
from runbook.model import JSON, Answer, Query, canonical
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor
from tests import ROOT

CORE = "Zq7Canary"
HEADER = Header("HighErrorRate", "INC-2026-01-15-01", 1768473600.0, 1768475100.5, {"lookback": "90m"}, {"step": 15})
UP = Query("prometheus", "range", "up", {"start": 0, "end": 60, "step": 15})
PODS = Query("kubernetes", "get", "/api/v1/namespaces/web/pods", {})


class Fake:
    """Answers from a function and counts what it was asked."""

    def __init__(self, answer: Callable[[Query], Answer]) -> None:
        self._answer = answer
        self.asked: Counter[str] = Counter()

    def ask(self, query: Query) -> Answer:
        self.asked[query.text] += 1
        return self._answer(query)


def giving(data: JSON) -> Fake:
    return Fake(lambda query: Answer(query, "complete", data, seconds=0.25))


def refuse(query: Query) -> Answer:
    raise SourceError(f"Kubernetes refused {query.text} (403).", "forbidden")


def record(path: Path | None, **sources: Fake) -> Recorder:
    return Recorder(sources or {"prometheus": giving(["1"]), "kubernetes": giving({"items": []})}, path, HEADER)


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A recording of two answers."""
    path = tmp_path / "recording.jsonl.gz"
    with record(path) as recorder:
        recorder.ask(UP)
        recorder.ask(PODS)
    return path


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(change(lines)), mtime=0))
    return path


# --- what is damaged, foreign or missing -----------------------------------------------------------------------


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


# --- the disk --------------------------------------------------------------------------------------------------


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A recording that cannot be opened does not stop the run: it answers, and says the trouble in one sentence."""
    recorder = record(tmp_path / "absent" / "r")
    assert recorder.ask(UP).data == ["1"]
    recorder.close()
    assert "cannot be written (No such file or directory)" in recorder.trouble


def test_file_that_exists(taken: Path) -> None:
    """The recording of another run is never written over."""
    before = taken.read_bytes()
    recorder = record(taken)
    recorder.ask(UP)
    recorder.close()
    assert "(File exists)" in recorder.trouble
    assert taken.read_bytes() == before


def test_file_that_disappears(tmp_path: Path) -> None:
    """A recording that was deleted while the run went on is noticed at its end."""
    with record(tmp_path / "r") as recorder:
        recorder.ask(UP)
        (tmp_path / "r").unlink()
    assert "it was removed while the run went on" in recorder.trouble


FULL_DISK = """
    import resource, signal, sys
    from tests.recording.test_recording import UP, PODS, giving, record
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    import os, pathlib
    much = giving(os.urandom(9000).hex())
    with record(pathlib.Path(sys.argv[1]), prometheus=much, kubernetes=giving({})) as recorder:
        assert recorder.ask(UP).usable and recorder.ask(PODS).usable
    print(recorder.trouble)
"""


def test_disk_that_is_full(tmp_path: Path) -> None:
    """A disk that fills up does not stop the run: it answers on, and what was written before is readable."""
    said = run(FULL_DISK, tmp_path / "r")
    assert "cannot be written (File too large), so this run cannot be replayed; free the disk" in said
    assert list(Replay(tmp_path / "r", partial_ok=True).answers) == []


def test_recording_that_grows_too_big(tmp_path: Path) -> None:
    """No recording is written that a replay would refuse to read."""
    sources = {"prometheus": giving("x" * 5000), "kubernetes": giving({})}
    with Recorder(sources, tmp_path / "r", HEADER, max_bytes=5000) as recorder:
        assert recorder.ask(UP).usable
    assert "beyond 5000 bytes" in recorder.trouble


KILLED = """
    import pathlib, sys, time
    from runbook.model import Query
    from tests.recording.test_recording import giving, record
    recorder = record(pathlib.Path(sys.argv[1]), prometheus=giving(["7"] * 1000))
    for n in range(25):
        recorder.ask(Query("prometheus", "range", f"up {n}", {}))
    print("ready", flush=True)
    time.sleep(60)
"""


def test_killed_run(tmp_path: Path) -> None:
    """What a killed run recorded is readable to its last answer, on demand only."""
    path = tmp_path / "r"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)], stdout=subprocess.PIPE, env=environment()
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(RecordingCorrupt, match="stops after line 26, without its end"):
        Replay(path)
    replay = Replay(path, partial_ok=True)
    assert not replay.complete
    assert [a.query.text for a in replay.answers] == [f"up {n}" for n in range(25)]
    assert replay.ask(Query("prometheus", "range", "up 24", {})).data == ["7"] * 1000


def run(script: str, *arguments: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


# --- asking ----------------------------------------------------------------------------------------------------


def test_failures_are_answers(tmp_path: Path) -> None:
    """A source that refuses, and one that is not configured, are recorded as failed answers and replay so."""
    with record(tmp_path / "r", kubernetes=Fake(refuse)) as recorder:
        refused, absent = recorder.ask(PODS), recorder.ask(UP)
    assert (refused.completeness, refused.error) == ("failed", f"Kubernetes refused {PODS.text} (403).")
    assert (absent.completeness, absent.error[:35]) == ("failed", "This environment has no prometheus;")
    assert [Replay(tmp_path / "r").ask(q) for q in (PODS, UP)] == [refused, absent]


def test_asked_once(tmp_path: Path) -> None:
    """Equal queries from many threads go out once, are recorded once and get the same answer."""

    def slow(query: Query) -> Answer:
        time.sleep(0.02)
        return Answer(query, "complete", [query.text, time.monotonic_ns()])

    source = Fake(slow)
    queries = [Query("prometheus", "range", f"up {n % 7}", {"n": n % 7}) for n in range(70)]
    with record(tmp_path / "r", prometheus=source) as recorder, ThreadPoolExecutor(16) as pool:
        given = list(pool.map(recorder.ask, queries))
    assert set(source.asked.values()) == {1}
    assert [Replay(tmp_path / "r").ask(q) for q in queries] == given
    assert len(list(Replay(tmp_path / "r", partial_ok=True).answers)) == 7


def test_a_fault_reaches_all_who_wait() -> None:
    """An error that is none of ours is raised to each who asked, and no one waits for ever."""

    def broken(query: Query) -> Answer:
        raise ZeroDivisionError(query.text)

    recorder = record(None, prometheus=Fake(broken))
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(recorder.ask, UP) for _ in range(8)]
    assert all(isinstance(result.exception(5), ZeroDivisionError) for result in results)


def test_after_the_end(tmp_path: Path) -> None:
    """An answer that comes after the end is refused, since the recording would lack it."""
    asked, go = threading.Event(), threading.Event()

    def late(query: Query) -> Answer:
        asked.set()
        go.wait(5)
        return Answer(query, "complete", 1)

    recorder = record(tmp_path / "r", prometheus=Fake(late))
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(recorder.ask, UP)
        asked.wait(5)
        recorder.close()
        recorder.close()
        go.set()
        assert isinstance(result.exception(5), RecordingError)
    assert list(Replay(tmp_path / "r").answers) == []


def test_queries_that_become_one() -> None:
    """Two queries that differ only in what is redacted are not mistaken for each other."""
    recorder = record(None, prometheus=giving(1))
    first, second = (Query("prometheus", "range", f'up{{user="{n}@example.com"}}', {}) for n in ("a", "b"))
    assert recorder.ask(first).query.text == 'up{user="[redacted email]"}'
    with pytest.raises(RecordingError, match="differ only in what is redacted"):
        recorder.ask(second)
    assert recorder.ask(first).usable


def test_the_run_sees_what_is_written(tmp_path: Path) -> None:
    """Tuples, keys that are numbers, NaN, surrogates and unsorted keys look in the run as they will in its replay."""
    odd = {"b": (1, float("nan")), "a": {2: "\ud800"}, "c": float("inf"), "d": -0.0, "e": 2**200}
    with record(tmp_path / "r", prometheus=giving(odd)) as recorder:
        live = recorder.ask(UP)
    assert live.data == {"a": {"2": "?"}, "b": [1, None], "c": None, "d": -0.0, "e": 2**200}
    assert repr(Replay(tmp_path / "r").ask(UP).data) == repr(live.data)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["NaN", "+Inf", "\ud800", "a\x00b"])
)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("\udfff"), inner, max_size=4),
    max_leaves=20,
)
sentences = st.lists(st.text(max_size=20), max_size=3).map(tuple)


@settings(deadline=None, max_examples=200)
@given(
    json_values,
    sentences,
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    st.floats(0, 1e6),
)
def test_replay_equals_run(
    data: JSON, warnings: tuple[str, ...], text: str, params: dict[str, JSON], seconds: float
) -> None:
    """Whatever JSON a source answers, a replay gives exactly what the run saw, in the same order of keys."""
    query = Query("elasticsearch", "search", text, params)
    source = Fake(lambda q: Answer(q, "partial", data, warnings, "", seconds))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r"
        with record(path, elasticsearch=source) as recorder:
            live = recorder.ask(query)
        assert recorder.trouble == ""
        assert repr(Replay(path).ask(query)) == repr(live)


def test_header_and_now(taken: Path) -> None:
    """The header comes back as given, with the frozen now; the query log has the answers in order."""
    replay = Replay(taken)
    assert (replay.header, replay.now, replay.complete) == (HEADER, 1768475100.5, True)
    assert [a.query for a in Replay(taken, partial_ok=True).answers] == [UP, PODS]


def test_streamed_bytes(taken: Path) -> None:
    """A streamed file is a single gzip member without a time in it, one canonical document per line."""
    raw = taken.read_bytes()
    assert raw[4:8] == b"\0\0\0\0"
    inflate = zlib.decompressobj(31)
    lines = inflate.decompress(raw).splitlines()
    assert inflate.eof and not inflate.unused_data
    assert all(canonical(json.loads(line)) == line for line in lines)


def test_readable_after_each_answer(tmp_path: Path) -> None:
    """Each answer can be read back as soon as it was given."""
    recorder = record(tmp_path / "r")
    assert not list(Replay(tmp_path / "r", partial_ok=True).answers)
    for n, query in enumerate((UP, PODS), 1):
        given_answer = recorder.ask(query)
        assert list(Replay(tmp_path / "r", partial_ok=True).answers)[-1] == given_answer
        assert len(list(Replay(tmp_path / "r", partial_ok=True).answers)) == n


def test_recorded_again_from_a_replay(taken: Path, tmp_path: Path) -> None:
    """A replay is a source like any other: what is recorded from it has the same answers."""
    replay = Replay(taken)
    with Recorder({"prometheus": replay, "kubernetes": replay}, tmp_path / "again", replay.header) as recorder:
        recorder.ask(UP)
        recorder.ask(PODS)
    assert (tmp_path / "again").read_bytes() == taken.read_bytes()


def test_answers_are_the_askers_own(taken: Path) -> None:
    """Who changes a replayed answer changes it for himself only."""
    replay = Replay(taken)
    replay.ask(UP).data.append("more")
    assert replay.ask(UP).data == ["1"]


# --- secrets ---------------------------------------------------------------------------------------------------

planted = st.sampled_from(
    [
        f"password={CORE}",
        f"Authorization: Bearer {CORE}",
        f"mysql://app:{CORE}@db:3306/shop",
        json.dumps({"client_secret": f"a b {CORE}"}),
        f"known {CORE}known value",
        f"{CORE.lower()}@example.com",
        f"CUSTOMER-{CORE}",
    ]
)
positions = st.sampled_from(
    ["data", "key", "nested", "warning", "error", "query", "param", "parameters", "context", "refused"]
)


@settings(deadline=None, max_examples=150)
@given(planted, positions)
def test_no_canary_reaches_the_disk(secret: str, position: str) -> None:
    """A secret planted anywhere in a run occurs in no byte of its recording, nor in what the run goes on with."""

    def here(name: str, other: JSON = "") -> JSON:
        return secret if name == position else other

    def answer(query: Query) -> Answer:
        if position == "refused":
            raise SourceError(f"refused: {secret}", "refused")
        if position == "error":
            return Answer(query, "failed", error=f"failed: {secret}")
        data = {"data": here("data"), here("key", "k"): 1, "deep": [{"log": json.dumps({"message": here("nested")})}]}
        return Answer(query, "partial", data, (f"warning: {here('warning')}",))

    query = Query("elasticsearch", "search", f"q {here('query')}", {"body": [here("param")]})
    header = Header("A", "I", 0, 0, {"p": here("parameters")}, {"c": [here("context")]})
    redactor = Redactor(patterns=[r"CUSTOMER-\w+"], secrets=[f"{CORE}known value"])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r"
        with Recorder({"elasticsearch": Fake(answer)}, path, header, redactor) as recorder:
            live = recorder.ask(query)
        written = gzip.decompress(path.read_bytes())
        assert CORE.lower().encode() not in written.lower()
        assert CORE.lower() not in repr(live).lower()
        assert repr(Replay(path, redactor).ask(query)) == repr(live)


def test_replay_knows_its_redaction(tmp_path: Path) -> None:
    """The header tells how queries were redacted, except for a pattern that spells the secret out."""
    redactor = Redactor(emails=False, patterns=[r"CUST-\d+", "hunter2"])
    query = Query("prometheus", "range", "CUST-12 a@b.org", {})
    with Recorder({"prometheus": giving(1)}, tmp_path / "r", HEADER, redactor) as recorder:
        recorder.ask(query)
    assert Replay(tmp_path / "r").ask(query).query.text == "[redacted pattern] a@b.org"
    assert b"hunter2" not in gzip.decompress((tmp_path / "r").read_bytes())
