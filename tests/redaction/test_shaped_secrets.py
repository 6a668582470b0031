"""Secrets that go because of what they look like, or because they are known."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import SettingsError
from runbook.redaction.redactor import Redactor
from tests.redaction.planted import AMBIGUOUS, CORE, REDACTOR, SHAPES, alnum, leaks, quick, spaced


@quick
@given(
    alnum | st.text("abcXYZ019_-.~", max_size=8).map(lambda s: f"{s}{CORE}{s}"),
    st.sampled_from(SHAPES),
    st.integers(0, 2),
)
def test_shapes(secret: str, form: Callable[[str], str], depth: int) -> None:
    """Headers, addresses, data source names and command lines do not keep their credentials, however often escaped."""
    text = form(secret)
    for _ in range(depth):
        text = json.dumps(text)
    assert CORE not in REDACTOR.text(text)
    assert not leaks({text: [text]})


@pytest.mark.parametrize("form", ["mysql://app:{}@db:3306/shop", "app:{}@tcp(db:3306)/shop"])
@quick
@given(
    st.text("ab9!$%^*?,;:()[]{}|/@=+~-._#", max_size=8)
    .map(lambda s: f"a{s}{CORE}")
    .filter(lambda s: not AMBIGUOUS.search(s))
)
def test_addresses_awkward(form: str, secret: str) -> None:
    """A password in an address goes whole though it was not encoded as it should be."""
    assert CORE not in REDACTOR.text(f"cannot reach {form.format(secret)}")


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@quick
@given(st.sampled_from([JWT, JWT[:60], JWT[:30]]), st.text(max_size=20), st.text(max_size=20))
def test_jwt_anywhere(token: str, before: str, after: str) -> None:
    """A JWT goes wherever it stands, cut off or not."""
    assert token[:20] not in REDACTOR.text(before + token + after)


PEM_BODY = "\n".join(["MIIEvQ" + CORE + "IBADANBgkqhkiG9w0BAQEFAASC" * 2] * 4)


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
@pytest.mark.parametrize("newline", ["\n", "\\n", "\\\\n", " ", "", "\r\n", "%0A"])
@pytest.mark.parametrize("cut", ["whole", "head", "tail"])
def test_private_key(kind: str, newline: str, cut: str) -> None:
    """A private key goes, whole or cut off at either end, with real, literal or no line breaks."""
    begin = "" if cut == "head" else f"-----BEGIN {kind}-----{newline}"
    end = "" if cut == "tail" else f"{newline}-----END {kind}-----"
    text = f"loaded key: {begin}{PEM_BODY}{end}".replace("\n", newline)
    assert CORE not in REDACTOR.text(text)
    assert REDACTOR.text(text).startswith("loaded key:")


def test_other_keys() -> None:
    """AWS access keys and the tokens of well-known services go by their shape."""
    for secret in (
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "glpat-" + "aB3_" * 5,
        "xoxb-1234567890-abcdefghij",
    ):
        assert REDACTOR.text(f"using {secret}, ok") in (f"using [redacted {k}], ok" for k in ("key", "token"))


def test_email_addresses() -> None:
    """E-mail addresses go by default and stay if the profile says so."""
    text = "login of jane.doe+test@mail.example.co.uk and j%40example.com failed"
    assert REDACTOR.text(text) == "login of [redacted email] and [redacted email] failed"
    assert Redactor(emails=False).text(text) == text


@quick
@given(spaced, st.sampled_from(["{}", "x{}y", "user said {}!", '{{"a": "{}"}}']))
def test_known_secrets(secret: str, form: str) -> None:
    """A value known from the settings goes in every spelling: plain, JSON, URL and base64."""
    redactor = Redactor(secrets=[secret])
    spellings = [secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)]
    for spelling in spellings:
        assert CORE not in redactor.text(form.format(spelling))
    assert base64.b64encode(secret.encode()).decode() not in redactor.text(base64.b64encode(secret.encode()).decode())


def test_own_patterns() -> None:
    """The operator's patterns are applied to text, keys and values, and do not look into placeholders."""
    redactor = Redactor(patterns=[r"(?i)cust-\d+", r"redacted \w+"])
    assert redactor.text("CUST-12 password=x") == "[redacted pattern] password=[redacted password]"
    assert redactor.json({"cust-1": ["cust-2"]}) == {"[redacted pattern]": ["[redacted pattern]"]}
    with pytest.raises(SettingsError, match="no regular expression"):
        Redactor(patterns=["("])


def test_keys_that_become_equal() -> None:
    """Two keys that differ only in a secret both stay."""
    assert REDACTOR.json({"a@x.org": 1, "b@x.org": 2}) == {"[redacted email]": 1, "[redacted email] (2)": 2}
