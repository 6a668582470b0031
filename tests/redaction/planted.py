"""Secrets, planted: what they look like and what stands around them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

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


# What a secret looks like: the core, which must not survive, before or after characters that end a careless match.
tokens = st.text("abcXYZ019+/_-.~=", max_size=12).map(lambda s: f"{s}{CORE}{s}")
alnum = st.text("abcXYZ019", min_size=1, max_size=12).map(lambda s: f"{s}{CORE}{s}")
spaced = st.text(" ab9!#$%^*?,;:()[]{}|/@=+'`~\\\"", max_size=12).map(lambda s: f"{s}{CORE}{s}")
NAMES = words(
    "password passwd pwd PASSWORD db_password DB_PASSWORD dbPassword userPwd secret client_secret clientSecret "
    "AWS_SECRET_ACCESS_KEY token access_token accessToken refresh-token x-api-key api_key apikey apiKey API_KEY "
    "access_key private_key passphrase credentials authorization X-Auth-Token csrf_token session_id "
    "pass DB_PASS dbPass pw dbPw sid session csrf XSRF jwt"
)
names = st.sampled_from(NAMES)

UNQUOTED: list[Callable[[str, str], str]] = [
    lambda k, v: f"{k}={v}",
    lambda k, v: f"{k}: {v}",
    lambda k, v: f"{k} = {v}",
    lambda k, v: f"{k}:{v}",
    lambda k, v: f"{k}=>{v}",
    lambda k, v: f"retry {k}={v} user=bob",
    lambda k, v: f"({k}={v})",
    lambda k, v: f"Config[host=db, {k}={v}, port=3306]",
    lambda k, v: f"GET /login?user=bob&{k}={v}&next=home HTTP/1.1",
    lambda k, v: f"- name: {k}\n  value: {v}\n- name: PATH",
    lambda k, v: f"<{k}>{v}</{k}>",
    lambda k, v: f'<ns:{k} type="text">{v}</ns:{k}>',
    lambda k, v: f"map[Host:[db] {k}:[{v}]]",
    lambda k, v: f"--{k} {v.lstrip('-')} --verbose",
    lambda k, v: f"--{k}={v}",
    lambda k, v: f"user[{k}]={v}",
]
QUOTED: list[Callable[[str, str], str]] = [
    lambda k, v: json.dumps({k: v}),
    lambda k, v: json.dumps({"user": "bob", k: v, "status": 500}, separators=(",", ":")),
    lambda k, v: f"body was {json.dumps({k: v})} and more",
    lambda k, v: f"{k}={json.dumps(v)} user=bob",
    lambda k, v: f"{k}: {json.dumps(v)}",
    lambda k, v: f"cut off {json.dumps({'a': 1, k: v})[:-2]}",
    lambda k, v: json.dumps({"env": [{"name": k, "value": v}]}),
    lambda k, v: json.dumps({k: [v, {"more": v}]}),
    lambda k, v: json.dumps({k: {"deep": [v]}}),
    lambda k, v: f"request {json.dumps({k: [v, {'more': v}]})} failed",
    lambda k, v: repr({k: v}),
    lambda k, v: f'Config {{ host: "db", {k}: Some({json.dumps(v)}), port: 3306 }}',
    lambda k, v: f"Config {{ {k}: Secret({json.dumps(v)}) }}",
    lambda k, v: f"{k}({json.dumps(v)})",
    lambda k, v: f'<input type="hidden" name="{k}" value={json.dumps(v)}>',
]


def plain(secret: str) -> str:
    return secret.replace(".", "").replace("~", "").replace("=", "")


def alphanumeric(secret: str) -> str:
    return plain(secret).replace("_", "").replace("-", "")


SHAPES: list[Callable[[str], str]] = [
    lambda s: f"Authorization: Bearer {s}",
    lambda s: f"authorization=bearer {s}, next=1",
    lambda s: f"-H 'Authorization: Bearer {s}' http://h/",
    lambda s: f'{{"Authorization": ["Bearer {s}"]}}',
    lambda s: f"headers={{Authorization=[Bearer {s}], Host=[h]}}",
    lambda s: f"Authorization: Basic {base64.b64encode(s.encode()).decode()}|{s}",
    lambda s: f"Authorization: {s}",
    lambda s: f"Authorization: Token {s}",
    lambda s: f'Authorization: Digest username="bob", realm="x", response="{s}"',
    lambda s: f"Authorization: AWS4-HMAC-SHA256 Credential=AK/2026/eu/s3, Signature={s}",
    lambda s: f"Proxy-Authorization: NTLM {s}",
    lambda s: f"got Bearer {s} from the client",
    lambda s: f"Bearer%20{s}",
    lambda s: f"sent ApiKey {s}",
    lambda s: f"Cookie: theme=dark; session={s}; a=b",
    lambda s: f'Cookie: a="x"; b="{s}"',
    lambda s: f"Set-Cookie: id={s}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; b={s}",
    lambda s: f'{{"set-cookie": ["a={s}; Path=/", "b={s}"]}}',
    lambda s: f"JSESSIONID={s}",
    lambda s: f"mysql://app:{s}@db.internal:3306/shop",
    lambda s: f"redis://:{s}@cache:6379/0 and amqp://a:{s}@mq1,amqp://b:{s}@mq2",
    lambda s: f"https://{s}@git.internal/x.git",
    lambda s: f"https://{s}:x-oauth-basic@git.internal/x.git",
    lambda s: f"dsn: app:{s}@tcp(10.0.0.7:3306)/shop?parseTime=true",
    lambda s: f"app:{s}@unix(/run/mysqld.sock)/shop",
    lambda s: f"connect root:{s}@10.0.0.7:3306 refused",
    lambda s: f"jdbc:mysql://db/shop?user=app&password={s}&useSSL=false",
    lambda s: f"Server=db;Uid=app;Pwd={s};Database=shop",
    lambda s: f"host=db user=app password={s} sslmode=disable",
    lambda s: f"CREATE USER app IDENTIFIED BY '{s}'",
    lambda s: f"IDENTIFIED WITH caching_sha2_password BY '{s}'",
    lambda s: f"SET PASSWORD = PASSWORD('{s}')",
    lambda s: f"SET PASSWORD FOR app = '{s}'",
    lambda s: f"SET PASSWORD FOR 'app'@'%' = '{s}'",
    lambda s: f"GET /callback?code={s}&state=1 HTTP/1.1",
    lambda s: f"grant_type=authorization_code&code={s}",
    lambda s: f"using sk-proj-{plain(s)}0123456789abcdef",
    lambda s: f"using sk-{alphanumeric(s)}0123456789abcdef",
    lambda s: f"api_key {plain(s)} rejected",
    lambda s: f"API key {plain(s)}.",
    lambda s: f"basic auth root:{s}",
    lambda s: f"mysql -h db -uroot -p{s} shop",
    lambda s: f"curl -u admin:{s} http://h/",
    lambda s: f"docker login -u bob -p {s} registry.internal",
    lambda s: f"sshpass -p '{s}' ssh host",
    lambda s: f"machine h login bob password {s}",
    lambda s: f"Invalid token 'k2{s}0123456789abc'",
    lambda s: f"hash $2b$12${s.replace('~', '')}abcdefghijklmnopqrstuv differs",
    lambda s: f"https://s3/x?X-Amz-Signature={s}&X-Amz-Date=1",
    lambda s: f"https://blob/x?sv=1&sig={s}",
    lambda s: f"https://hooks.slack.com/services/T1/B1/{s.replace('=', '').replace('.', '')}",
]


def leaks(value: JSON, redactor: Redactor = REDACTOR) -> bool:
    return CORE.encode() in canonical(redactor.json(value)).replace(b"\\", b"")
