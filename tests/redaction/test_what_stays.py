"""What is no secret stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.redaction.redactor import Redactor
from tests.redaction.planted import REDACTOR, quick

KEPT = """\
JWT validation failed: token expired
password authentication failed for user "app"
Access denied for user 'app'@'10.0.0.5' (using password: YES)
Invalid token: signature verification failed
invalid token: kid not found
authorization: denied for path /api/orders
Basic authentication required
basic auth failed for bob
invalid JWT: ExpiredSignature
session: closed
api_key expired
api key missing in request 4711-ab
unknown signing key kid-2024-01
GET /error?code=502&retry=1 and /search?code=NOT_FOUND&page=1
pod sk-shop-frontend-6d8f7c9b5-x2x4k restarted
Bearer token missing
token expired
unexpected token: '<' at position 0
open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory
MountVolume.SetUp failed for volume "db-secret" : secret "db-secret" not found
couldn't find key password in Secret web/db
secretName=db-credentials password_file=/run/secrets/db token_expires_in=3600
max_tokens=512 invalid_token=17 token=expired password=null
PWD=/srv/app
GET http://10.0.0.7:8080/api/token?retry=1 HTTP/1.1" 401
dial tcp 10.0.0.7:3306: connect: connection refused
pulled registry.internal:5000/shop/web@sha256:4c0e5006fcf33a445042c6196eb55c46af32c41bb1e88cba1c7b1d30c797f96c
at java.base@17.0.2/java.lang.Thread.run(Thread.java:833)
http://prometheus:9090/graph?g0.expr=up&g0.tab=0
mysql://app@db:3306/shop
sum(rate(micro_frontend_http_requests_total{path="/login", status=~"5.."}[5m])) by (pod)
sum by (reason) (rate(auth_failures_total{reason="invalid_password"}[5m]))
message: "password reset" AND level: ERROR
compass=north bypass=true passed: 3 tokenizer=standard keyboard: us secretary: jane monkey=1
kubectl -n web rollout undo deployment/shop --to-revision=13
2026-01-15T10:40:00.123Z ERROR [worker-7] db::pool: timeout after 5000 ms (20/20 in use)
deadlock found when trying to get lock; try restarting transaction"""


@pytest.mark.parametrize("line", KEPT.splitlines())
def test_kept(line: str) -> None:
    """What tells an engineer something and no secret stays as it was."""
    assert REDACTOR.text(line) == line
    assert REDACTOR.json({"message": line}) == {"message": line}


def test_kept_values() -> None:
    """References, counts, switches and empty values under such names stay."""
    pod = {
        "automountServiceAccountToken": False,
        "env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "db", "defaultMode": 420}},
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        ],
    }
    found = {"invalid_token": {"doc_count": 12}, "max_tokens": 5, "password": "", "token": None, "password_failures": 3}
    for value in (pod, found):
        assert REDACTOR.json(value) == value


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
@quick
def test_numbers_stay(number: float) -> None:
    """Numbers and numeric text are never touched."""
    assert REDACTOR.text(str(number)) == str(number)
    sample = [[1700000000.5, str(number)], [1700000015, "NaN"], [1700000030, "+Inf"]]
    assert Redactor(patterns=[r"\d+"], secrets=["1234"]).json({"values": sample}) == {"values": sample}
