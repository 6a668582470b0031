"""Redaction: what is secret does not survive, what an engineer needs does, and a hostile line costs no time."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbook.errors import SettingsError
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
awkward = (
    st.text("ab9!#$%^*?,;:()[]{}|/@=+~-._\\", max_size=8)
    .map(lambda s: f"a{s}{CORE}")
    .filter(lambda s: not AMBIGUOUS.search(s))
)
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


def leaks(value: JSON, redactor: Redactor = REDACTOR) -> bool:
    return CORE.encode() in canonical(redactor.json(value)).replace(b"\\", b"")


# --- what must go ----------------------------------------------------------------------------------------------


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


@quick
@given(names, spaced, st.sampled_from(QUOTED), st.integers(0, 3))
def test_quoted(name: str, secret: str, form: Callable[[str, str], str], depth: int) -> None:
    """A quoted value goes whole, spaces and escaped quotes included, at any depth of JSON inside strings."""
    text = form(name, secret)
    for _ in range(depth):
        text = json.dumps(text)
    assert CORE not in REDACTOR.text(text)
    assert not leaks({"_source": {"message": text}})


@quick
@given(names, spaced, st.sampled_from(QUOTED), st.integers(1, 3))
def test_quoted_inside_prose(name: str, secret: str, form: Callable[[str, str], str], depth: int) -> None:
    """Escaped JSON in the middle of a sentence is read too, where no parser could."""
    text = form(name, secret)
    for _ in range(depth):
        text = json.dumps(text)
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
alnum = st.text("abcXYZ019", min_size=1, max_size=12).map(lambda s: f"{s}{CORE}{s}")


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


# --- what must stay --------------------------------------------------------------------------------------------

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


# --- the shape of the result -----------------------------------------------------------------------------------

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


# --- speed -----------------------------------------------------------------------------------------------------

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
