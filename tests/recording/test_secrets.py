"""What is secret is never written into a recording."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import SourceError
from runbook.model import JSON, Answer, Query
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from runbook.recording.replay import Replay
from runbook.redaction.redactor import Redactor
from tests.recording.recorded import CORE, HEADER, Fake, giving

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
