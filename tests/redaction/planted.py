"""Secrets, planted: what they look like and what stands around them."""

from __future__ import annotations

import re

from hypothesis import settings
from hypothesis import strategies as st

from runbook.model import JSON, canonical
from runbook.redaction.redactor import Redactor

CORE = "Zq7Canary"
AMBIGUOUS = re.compile(
    r"[,;&?#][\"']?[A-Za-z_][\w.-]*[\"']?\s*[=:]|[,;|&=(]\w+://"
)  # reads as the beginning of another field
REDACTOR = Redactor()
quick = settings(deadline=None, max_examples=100)


def words(text: str) -> list[str]:
    return text.split()


spaced = st.text(" ab9!#$%^*?,;:()[]{}|/@=+'`~\\\"", max_size=12).map(lambda s: f"{s}{CORE}{s}")
NAMES = words(
    "password passwd pwd PASSWORD db_password DB_PASSWORD dbPassword userPwd secret client_secret clientSecret "
    "AWS_SECRET_ACCESS_KEY token access_token accessToken refresh-token x-api-key api_key apikey apiKey API_KEY "
    "access_key private_key passphrase credentials authorization X-Auth-Token csrf_token session_id "
    "pass DB_PASS dbPass pw dbPw sid session csrf XSRF jwt"
)
names = st.sampled_from(NAMES)


def leaks(value: JSON, redactor: Redactor = REDACTOR) -> bool:
    return CORE.encode() in canonical(redactor.json(value)).replace(b"\\", b"")
