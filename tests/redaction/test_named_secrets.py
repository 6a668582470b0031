"""Secrets that go because of the name beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbook.model import JSON
from tests.redaction.planted import AMBIGUOUS, CORE, QUOTED, REDACTOR, UNQUOTED, leaks, names, quick, spaced, tokens

awkward = (
    st.text("ab9!#$%^*?,;:()[]{}|/@=+~-._\\", max_size=8)
    .map(lambda s: f"a{s}{CORE}")
    .filter(lambda s: not AMBIGUOUS.search(s))
)


@quick
@given(names, tokens, st.sampled_from(UNQUOTED))
def test_unquoted(name: str, secret: str, form: Callable[[str, str], str]) -> None:
    """An unquoted value after a secret's name does not survive in any way of writing the two."""
    assert CORE not in REDACTOR.text(form(name, secret))


@quick
@given(names, awkward, st.sampled_from(UNQUOTED[:5]))
@example("password", f"a,b;{CORE}", UNQUOTED[0])
@example("password", f"a){CORE}", UNQUOTED[0])
def test_unquoted_awkward(name: str, secret: str, form: Callable[[str, str], str]) -> None:
    """Punctuation inside an unquoted value does not end it, unless another field begins there."""
    assert CORE not in REDACTOR.text(form(name, secret))


def nested(text: str, depth: int) -> str:
    """JSON inside a string inside JSON, so deep."""
    return json.dumps(nested(text, depth - 1)) if depth else text


@quick
@given(names, spaced, st.sampled_from(QUOTED), st.integers(0, 3))
def test_quoted(name: str, secret: str, form: Callable[[str, str], str], depth: int) -> None:
    """A quoted value goes whole, spaces and escaped quotes included, at any depth of JSON inside strings."""
    text = nested(form(name, secret), depth)
    assert CORE not in REDACTOR.text(text)
    assert not leaks({"_source": {"message": text}})


@quick
@given(names, spaced, st.sampled_from(QUOTED), st.integers(1, 3))
def test_quoted_inside_prose(name: str, secret: str, form: Callable[[str, str], str], depth: int) -> None:
    """Escaped JSON in the middle of a sentence is read too, where no parser could."""
    text = nested(form(name, secret), depth)
    assert CORE not in REDACTOR.text(f"upstream said {text[1:-1]}; giving up, status=502")


@quick
@given(
    names, spaced, st.sampled_from(UNQUOTED[:3] + QUOTED[:2]), st.sampled_from([quote, quote_plus]), st.integers(1, 2)
)
def test_url_encoded(
    name: str, secret: str, form: Callable[[str, str], str], encode: Callable[[str], str], times: int
) -> None:
    """URL-encoded fields are read as what they mean."""
    text = form(name, encode(secret))
    for _ in range(times):
        text = encode(text)
    assert CORE not in REDACTOR.text(f"GET /search?q={text} HTTP/1.1")


@settings(deadline=None, max_examples=50)
@given(
    names,
    st.recursive(
        tokens | st.integers(10**9, 10**12) | st.floats(1e9, 1e12),
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=5), inner, min_size=1),
    ),
)
def test_secret_key(name: str, value: JSON) -> None:
    """Under a secret's name everything goes, whatever its type."""
    clean = REDACTOR.json({"outer": [{name: value}]})
    assert next(iter(clean["outer"][0].values())).startswith("[redacted ")


@quick
@given(
    names,
    spaced,
    st.sampled_from([("name", "value"), ("key", "value"), ("Variable_name", "Value"), ("name", "default")]),
)
def test_name_and_value(name: str, secret: str, keys: tuple[str, str]) -> None:
    """A value whose neighbour holds the secret's name goes, as in the environment of a Kubernetes container."""
    assert not leaks({"env": [{keys[0]: name, keys[1]: secret}, {"name": "PATH", "value": "/usr/bin"}]})


@given(names, spaced)
@quick
def test_headers_as_pairs(name: str, secret: str) -> None:
    """Headers as pairs and arguments as lists hide a secret after its name."""
    assert not leaks([[name, secret]])
    assert not leaks({"args": ["serve", f"--{name}", secret, "--port", "80"]})


def test_rows_under_columns() -> None:
    """A table with columns and rows loses the cells of secret columns only."""
    table = {"columns": ["user", "authentication_string"], "rows": [["app", f"*{CORE}"], ["root", ""]]}
    assert REDACTOR.json(table)["rows"] == [["app", "[redacted password]"], ["root", ""]]


def test_kubernetes_secret() -> None:
    """The data of a Secret goes, its keys and name stay."""
    secret = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"user": CORE}, "stringData": {"a": CORE}}
    assert REDACTOR.json(secret)["data"] == {"user": "[redacted secret]"}
    assert not leaks(secret)
    assert not leaks({"kind": "SecretList", "items": [{"metadata": {}, "data": {"user": CORE}}]})


def test_last_applied_configuration() -> None:
    """A manifest kept as text in an annotation is redacted inside and stays JSON."""
    manifest = {
        "spec": {"containers": [{"env": [{"value": CORE, "name": "DB_PASSWORD"}, {"name": "A", "value": "b"}]}]}
    }
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(manifest)}
    clean = REDACTOR.json({"metadata": {"annotations": annotation}})
    kept = json.loads(clean["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
    assert kept["spec"]["containers"][0]["env"][0] == {"name": "DB_PASSWORD", "value": "[redacted password]"}
    assert kept["spec"]["containers"][0]["env"][1] == {"name": "A", "value": "b"}
