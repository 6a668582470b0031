"""Recording: what was answered replays equal."""

from __future__ import annotations

import json
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import RecordingError
from runbook.model import JSON, Answer, Query, canonical
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from tests.recording.recorded import HEADER, PODS, UP, Fake, giving, record, refuse


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
