"""Redaction as a whole: its result has the same shape, once is enough, and it is quick."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.model import JSON, canonical
from tests.redaction.planted import CORE, REDACTOR, leaks, names, words

pieces = st.sampled_from(
    words(
        'password= token: "secret":" \\" \\\\" \' Bearer Basic :// @ @tcp( eyJhbGciOiJI. , ; & [ ] { } '
        "= : %3D %22 --pwd < > "
    )
    + [f"[redacted {w}]" for w in ("password", "email", "token")]
    + [
        "[redacted ",
        " ",
        "\n",
        "a",
        "user",
        "b@c.de",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Cookie: ",
        "name: ",
        "value: ",
        "mysql -p",
        "Authorization: ",
    ]
)
jumble = st.lists(pieces | st.text(max_size=3), max_size=14).map("".join)
values = st.recursive(
    jumble | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | jumble, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=500)
@given(jumble)
def test_twice_is_once(text: str) -> None:
    """Redacting what is redacted changes nothing."""
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@settings(deadline=None, max_examples=300)
@given(values)
def test_json_twice_is_once(value: JSON) -> None:
    """Redacting redacted JSON changes nothing, and what comes out is plain JSON in canonical order."""
    once = REDACTOR.json(value)
    assert json.dumps(REDACTOR.json(once)) == json.dumps(once)
    assert json.dumps(json.loads(canonical(once))) == json.dumps(once)


def test_the_argument_is_not_changed() -> None:
    """The value handed in stays as it was."""
    value = {"password": "x", "b": [{"token": "y"}]}
    REDACTOR.json(value)
    assert value == {"password": "x", "b": [{"token": "y"}]}


def test_deep_nesting() -> None:
    """What is nested beyond reason is cut, not followed until the stack ends."""
    deep: JSON = CORE
    for _ in range(5000):
        deep = [deep]
    assert not leaks(deep)
    assert CORE not in REDACTOR.text("password=" + "[" * 5000 + CORE)


HOSTILE = [
    *("password=", "token: ", '"value":"', "://a:", "://a:b@", "a@b.", "eyJ", "eyJaaaaaaaa.", "pwd", "password={", "a"),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----a",
        "password=[[",
        "Cookie: a ",
        'Cookie: a="',
        "\\",
        '\\"',
    ),
    *(
        "%22",
        "password%3Da",
        "a:b@",
        "@tcp(",
        " ",
        "password=a,",
        "password=a,b",
        "--password ",
        '"a',
        "mysql -p",
        "key=",
    ),
    *(
        "identified by ",
        "authorization: a ",
        "password=<",
        "[redacted ",
        "password=[redacted ",
        "password='a\\'",
        '{"a":',
        "a.b-c",
    ),
    *(
        "Bearer ",
        "name: password ",
        "&quot;",
        "password value=",
        "a=",
        "sess",
        "\\u0022",
        "%25",
        'password=\\\\"',
        "'",
        "x:y ",
        "token\n",
        "password for ",
        "api_key ",
        "api_key a",
        "&code=",
        "sk-a",
        "basic auth ",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_line(unit: str) -> None:
    """A long line takes time in proportion to its length, whatever it repeats."""
    text = unit * (150_000 // len(unit)) + " password"
    began = time.process_time()
    REDACTOR.text(text)
    assert time.process_time() - began < 10  # in fact around 0.1; with a pattern that looks twice, minutes


def test_samples_are_quick() -> None:
    """A Prometheus answer of 283,000 samples is passed in a fraction of a second."""
    values = [[[1700000000 + 15 * i, str(i * 0.1234567)] for i in range(5660)] for _ in range(50)]
    answer = {
        "resultType": "matrix",
        "result": [{"metric": {"pod": f"web-{n}"}, "values": v} for n, v in enumerate(values)],
    }
    began = time.process_time()
    assert REDACTOR.json(answer)["result"][7]["values"][3] == values[7][3]
    assert time.process_time() - began < 0.5
