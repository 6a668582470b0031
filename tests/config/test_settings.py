"""runbook.toml: what is wrong with it is told in one sentence; what is right is typed and located."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.config import schema, secrets, settings
from runbook.errors import SettingsError
from tests import ROOT

SERVICE = """
[service.shop]
metric_prefix = "shop_"
metric_labels = { app = "shop" }
log_app = "shop"
index = "logs-*"
namespace = "web"
deployment = "shop"
"""
GOOD = SERVICE + '[environment.live]\nservice = "shop"\nprometheus = { url = "http://prometheus:9090" }\n'


def refusal(folder: Path, text: str) -> str:
    """The one sentence about a file with this text, without the file's name."""
    file = folder / "runbook.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    sentence = str(caught.value)
    assert str(file) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence.replace(f"{file}", "FILE")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('url = "http://prometheus:9090"', 'ulr = "http://prometheus:9090"'),
        ('namespace = "web"', 'name_space = "web"'),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, change: str, told: str):
    """A mistyped key names the key that was probably meant, since it would otherwise have no effect."""
    sentence = refusal(tmp_path, GOOD.replace(change, told))
    wrong, right = told.split(" ")[0], change.split(" ")[0]
    assert f"unknown key `{wrong}`" in sentence
    assert f"did you mean {right}?" in sentence


@pytest.mark.parametrize(
    ("change", "to", "key", "expected"),
    [
        (
            'metric_prefix = "shop_"',
            'metric_prefix = "shop-"',
            "service.shop.metric_prefix",
            "beginning of a metric name",
        ),
        (
            'metric_prefix = "shop_"',
            "metric_prefix = 3",
            "service.shop.metric_prefix",
            "should be text, got a whole number",
        ),
        ('app = "shop"', 'my-app = "shop"', "service.shop.metric_labels", "a label name"),
        ('namespace = "web"', 'namespace = "Web; rm -rf /"', "service.shop.namespace", "a Kubernetes namespace"),
        ('deployment = "shop"', 'deployment = "$(id)"', "service.shop.deployment", "a Kubernetes object"),
        *(
            (
                'deployment = "shop"',
                f'deployment = "shop"\njwt_public_key_path = "{path}"',
                "service.shop.jwt_public_key_path",
                "the absolute path of a file",
            )
            for path in ("jwt.pem", "/etc/../jwt.pem", "/a b", "/$(id)", "/a/")
        ),
        ('deployment = "shop"', 'deployment = "a..b"', "service.shop.deployment", "a Kubernetes object"),
        ('deployment = "shop"', f'deployment = "{"a" * 64}"', "service.shop.deployment", "a Kubernetes object"),
        ('deployment = "shop"', f'deployment = "{"a." * 126}bb"', "service.shop.deployment", "a Kubernetes object"),
        ('namespace = "web"', 'namespace = "a.b"', "service.shop.namespace", "a Kubernetes namespace"),
        ('namespace = "web"', f'namespace = "{"a" * 64}"', "service.shop.namespace", "a Kubernetes namespace"),
        ('index = "logs-*"', 'index = "x"\nhealth_path = "/a/../b"', "service.shop.health_path", "holds .."),
        ('index = "logs-*"', 'index = "x"\nhealth_path = "/%2e%2e/b"', "service.shop.health_path", "holds .."),
        ('index = "logs-*"', 'index = "x"\nprobe_path = "//host/x"', "service.shop.probe_path", "single /"),
        ('index = "logs-*"', 'index = "x"\nprobe_path = "/x#y"', "service.shop.probe_path", "or #"),
        ('index = "logs-*"', 'index = "x"\nlogin_path = "/a/../b"', "service.shop.login_path", "holds .."),
        ('index = "logs-*"', 'index = "../_all?x"', "service.shop.index", "name or pattern of an index"),
        ('index = "logs-*"', 'index = ""', "service.shop.index", "name or pattern of an index"),
        ('log_app = "shop"\n', "", "service.shop", "lacks `log_app`"),
        ("http://prometheus", "prometheus", "environment.live.prometheus.url", "beginning with http://"),
        ("http://prometheus", "ftp://prometheus", "environment.live.prometheus.url", "beginning with http://"),
        ('"http://prometheus:9090"', '""', "environment.live.prometheus.url", "is empty"),
        ('service = "shop"', 'service = "shap"', "environment.live.service", "did you mean shop?"),
        ('{ url = "http://prometheus:9090" }', "3", "environment.live.prometheus", "should be a table"),
        ("9090", '9090", method = "PUT', "environment.live.prometheus.method", 'should be "GET" or "POST"'),
        ('service = "shop"', 'service = "shop"\nrecording = "{name}.gz"', "environment.live.recording", "{alert}"),
        ('service = "shop"', 'service = "shop"\ndeadline_seconds = 0', "environment.live.deadline_seconds", "above 0"),
    ],
)
def test_a_wrong_value_names_its_key_and_what_was_expected(
    tmp_path: Path, change: str, to: str, key: str, expected: str
):
    """File, key path and expectation stand in one sentence, so that nobody has to read our code."""
    assert change in GOOD
    sentence = refusal(tmp_path, GOOD.replace(change, to))
    assert f"`{key}" in sentence
    assert expected in sentence


@pytest.mark.parametrize("value", ["0", "0.0", "-0.05", "nan", "inf", "true", '"5%"', "[]"])
def test_a_threshold_is_a_number_above_nought(tmp_path: Path, value: str):
    """What no alert could fire at is refused by its name, whatever alerts there are."""
    sentence = refusal(tmp_path, GOOD + f"[service.shop.thresholds]\nqueue_length = {value}\n")
    assert "`service.shop.thresholds.queue_length` should be a number above 0" in sentence


def test_thresholds_keep_their_kind_of_number(tmp_path: Path):
    """Any name may stand there, since the alerts declare them; a whole number stays one."""
    file = tmp_path / "runbook.toml"
    file.write_text(GOOD + "[service.shop.thresholds]\nqueue_length = 10\nerror_ratio = 0.5\n")
    limits = settings.load(file).service("shop").thresholds
    assert limits == {"queue_length": 10, "error_ratio": 0.5}
    assert [type(value) for value in limits.values()] == [int, float]


@pytest.mark.parametrize("url", ["http://me:canary@prometheus", "https://canary@prometheus/x", "http://p?token=canary"])
def test_a_secret_in_a_url_is_refused_without_repeating_it(tmp_path: Path, url: str):
    """Credentials belong in `auth`, and a sentence about them must not spread them further."""
    sentence = refusal(tmp_path, GOOD.replace("http://prometheus:9090", url))
    assert "put those in `auth`" in sentence
    assert "canary" not in sentence


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        ('password_env = "hunter2!canary"', "never the secret itself"),
        ('username = "me"', "needs both"),
        ('password_env = "P"', "needs both"),
        ('username = "me"\npassword_env = "P"\nbearer_env = "B"', "several ways"),
        ('bearer_env = "B"\nbearer_file = "b"', "the same secret twice"),
        ('client_key_file = "key.pem"', "without `client_cert_file`"),
        ('headers = { Authorization = "Bearer canary" }', "never stands in this file"),
        ('password = "canary"', "unknown key `password`"),
    ],
)
def test_contradictory_credentials_are_refused_without_repeating_them(tmp_path: Path, auth: str, told: str):
    """How to log in must be unambiguous, and no secret may stand in the file or in an error about it."""
    sentence = refusal(
        tmp_path,
        f"{GOOD}\n[environment.live.elasticsearch]\nurl = 'http://e'\n[environment.live.elasticsearch.auth]\n{auth}\n",
    )
    assert "environment.live.elasticsearch.auth" in sentence
    assert told in sentence
    assert "canary" not in sentence


@pytest.mark.parametrize(
    ("mysql", "told"),
    [
        ('host = "db"', "needs `host`, `user` and one of"),
        ('host = "db"\nuser = "oncall"', "needs `host`, `user` and one of"),
        ('user = "oncall"\npassword_env = "P"', "needs `host`, `user` and one of"),
        ('dsn_env = "D"\nhost = "db"', "alone"),
        ('dsn_env = "D"\npassword_env = "P"', "alone"),
        ('dsn_env = "D"\ndsn_file = "d"', "the same secret twice"),
        ('dsn_env = "mysql://me:canary@db"', "never the secret itself"),
        ('dsn_file = "d"\ntls = "off"\nca_file = "ca.pem"', "has TLS off"),
        ('dsn_file = "d"\ntls = "sometimes"', 'should be "auto" or "required" or "off"'),
        ('dsn_file = "d"\nport = 65536', "mysql.port"),
        ('host = "db:3306"\nuser = "oncall"\npassword_env = "P"', "the port has a key of its own"),
        ('host = "me:canary@db"\nuser = "oncall"\npassword_env = "P"', "a host name or an address alone"),
        ('password = "canary"', "unknown key `password`"),
    ],
)
def test_a_database_is_named_by_its_parts_or_by_a_dsn(tmp_path: Path, mysql: str, told: str):
    """Either host, user and password, or a DSN, and neither in the file itself; anything else is told without it."""
    sentence = refusal(tmp_path, f"{GOOD}\n[environment.live.mysql]\n{mysql}\n")
    assert "environment.live.mysql" in sentence
    assert told in sentence
    assert "canary" not in sentence


@pytest.mark.parametrize("host", ["db", "db.example.org", "10.1.2.3", "fd00::1", "mysql-primary.web.svc"])
def test_a_database_may_have_any_name_or_address(tmp_path: Path, host: str):
    """Names, addresses of both kinds, and the usual port."""
    (tmp_path / "runbook.toml").write_text(
        f'{GOOD}mysql = {{ host = "{host}", user = "oncall", password_file = "pw" }}\n'
    )
    mysql = settings.load(tmp_path / "runbook.toml").environment("live").mysql
    assert mysql == schema.MySQL(host=host, port=3306, user="oncall", password_file=str(tmp_path / "pw"))


@pytest.mark.parametrize(
    "address",
    ["db", "db:", ":3306", "db:x", "db:0", "db:65536", "mysql://db:3306", "a b:1", "fd00::1:3306", "u@db:1", "-x:1"],
)
def test_the_services_database_has_host_and_port(tmp_path: Path, address: str):
    """What the service connects to is written host:port, and nothing else is taken for it."""
    assert "`environment.live.database_address`" in refusal(tmp_path, f'{GOOD}database_address = "{address}"\n')


@pytest.mark.parametrize("address", ["", "db:3306", "10.1.2.3:33060", "[fd00::1]:3306", "mysql.web.svc:65535"])
def test_the_services_database_is_taken_as_written(tmp_path: Path, address: str):
    """Names and addresses of both kinds, with a port; or none."""
    (tmp_path / "runbook.toml").write_text(f'{GOOD}database_address = "{address}"\n')
    assert settings.load(tmp_path / "runbook.toml").environment("live").database_address == address


def test_a_databases_secrets_are_known_in_every_spelling(tmp_path: Path):
    """The password of its file, and of a DSN the whole and the password with and without %-escapes, are secrets."""
    (tmp_path / "pw").write_text("canary-one\n")
    (tmp_path / "dsn").write_text("mysql://oncall:canary%2Dtwo@db/shop\n")
    for mysql, known in (
        ('{ host = "db", user = "oncall", password_file = "pw" }', ("canary-one",)),
        ('{ dsn_file = "dsn" }', ("mysql://oncall:canary%2Dtwo@db/shop", "canary%2Dtwo", "canary-two")),
    ):
        (tmp_path / "runbook.toml").write_text(f"{GOOD}mysql = {mysql}\n")
        assert secrets.secrets(settings.load(tmp_path / "runbook.toml").environment("live")) == known


def test_headers_that_prove_who_we_are_are_secrets(tmp_path: Path):
    """The value of a header named like a key or token is a secret, so that it is never recorded; a tenant is none."""
    (tmp_path / "runbook.toml").write_text(
        f"{GOOD}\n[environment.live.elasticsearch]\nurl = 'http://e'\n[environment.live.elasticsearch.auth.headers]\n"
        "X-Api-Key = 'canary-one'\nX-Forwarded-Access-Token = 'Bearer canary-two'\nX-Scope-OrgID = 'web'\n"
    )
    live = settings.load(tmp_path / "runbook.toml").environment("live")
    assert secrets.secrets(live) == ("canary-one", "Bearer canary-two", "canary-two")


def test_the_probes_token_is_a_secret_beside_the_file(tmp_path: Path):
    """The probe's token is found from the file's folder and known as a secret; it may be named once."""
    (tmp_path / "token").write_text("canary\n")
    named = f"{GOOD}probe_token_file = 'token'\n"
    (tmp_path / "runbook.toml").write_text(named)
    live = settings.load(tmp_path / "runbook.toml").environment("live")
    assert live.probe_token_file == str(tmp_path / "token")
    assert secrets.secrets(live) == ("canary",)
    assert "names the same secret twice" in refusal(tmp_path, f"{named}probe_token_env = 'TOKEN'\n")


def test_bundles_are_signed_with_a_key_from_outside_the_file(tmp_path: Path):
    """The key is read beside the file that names it; a key that is named and not there is refused before a run."""
    named = f"{GOOD}seal_key_file = 'key'\n"
    (tmp_path / "runbook.toml").write_text(named)
    live = settings.load(tmp_path / "runbook.toml").environment("live")
    with pytest.raises(SettingsError, match="cannot be read"):
        secrets.seal_key(live)
    (tmp_path / "key").write_text("canary\n")
    assert secrets.seal_key(live) == b"canary"
    assert secrets.secrets(live) == ("canary",)
    assert "names the same secret twice" in refusal(tmp_path, f"{named}seal_key_env = 'KEY'\n")


@pytest.mark.parametrize("name", ["~no-such-person/key", "a\\u0000b"])
def test_a_file_that_cannot_be_named_is_one_sentence(tmp_path: Path, name: str):
    """Nobody's home folder and a NUL are no paths; that is said, and no traceback shown."""
    (tmp_path / "runbook.toml").write_text(f'{GOOD}seal_key_file = "{name}"\n')
    with pytest.raises(
        SettingsError, match=r"^(There is no home folder|The file [^\n]* of `seal_key_file`) [^\n]*\.\Z"
    ):
        secrets.seal_key(settings.load(tmp_path / "runbook.toml").environment("live"))


def test_lists_in_lists_without_end_are_one_sentence(tmp_path: Path):
    """What Python cannot follow is no setting."""
    assert "nested too deeply" in refusal(tmp_path, f"x = {'[' * 5000}")


@pytest.mark.parametrize(
    "path", ["{alert.__class__}", "{alert:>99}", "{alert!r}", "{{alert}", "{}", "}", "a/{recordings}/b"]
)
def test_a_recording_has_no_braces_but_the_alerts(tmp_path: Path, path: str):
    """Only {alert} itself stands for the name, and {recordings}/ at the beginning for the folder."""
    assert "no other braces" in refusal(tmp_path, f"{GOOD}recording = '{path}'\n")


def test_a_regular_expression_that_is_none_is_refused(tmp_path: Path):
    """A redaction pattern that does not compile would redact nothing."""
    assert "`service.shop.redact_patterns[1]` is not a regular expression" in refusal(
        tmp_path, GOOD.replace('index = "logs-*"', 'index = "logs-*"\nredact_patterns = ["a", "(b"]')
    )


@pytest.mark.parametrize("text", ["[service.shop\n", "a = \n", "x = 1\nx = 2\n", "a = 'ä"])
def test_broken_toml_names_its_line(tmp_path: Path, text: str):
    """A slip of the keyboard is found by its line."""
    assert re.search(r"is not valid TOML: .*(line \d+|end of document)", refusal(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    """A file of another encoding is told as such."""
    file = tmp_path / "runbook.toml"
    file.write_bytes(b'a = "\xff"')
    with pytest.raises(SettingsError, match="not UTF-8"):
        settings.load(file)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path):
    """--settings with a wrong path says so."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml does not exist"):
        settings.load(tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(tmp_path)


def test_a_table_of_another_program_is_refused(tmp_path: Path):
    """A misspelt top-level table would take all its keys with it."""
    assert "did you mean environment?" in refusal(tmp_path, GOOD + "[enviroment.x]\n")


@given(st.text(max_size=200))
def test_no_text_makes_anything_but_settings_or_one_sentence(text: str):
    """Whatever stands in the file, loading it gives settings or a SettingsError."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"runbook-any-{os.getpid()}.toml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        settings.load(file)
    except SettingsError as error:
        assert str(file) in str(error)
    finally:
        file.unlink()


def test_unknown_names_list_the_known(tmp_path: Path):
    """A wrong environment or service names those that there are."""
    (tmp_path / "runbook.toml").write_text(GOOD)
    found = settings.load(tmp_path / "runbook.toml")
    with pytest.raises(SettingsError, match=r"no environment 'life' in .*did you mean live\? Known: demo, live\."):
        found.environment("life")
    with pytest.raises(SettingsError, match=r"no service 'x' in .*known: micro-frontend, shop\."):
        found.service("x")


def test_paths_are_taken_from_the_files_folder(tmp_path: Path):
    """Whoever starts us from wherever, a relative path means the same file; `~` is the home."""
    (tmp_path / "runbook.toml").write_text(
        SERVICE
        + """
        [environment.live]
        service = "shop"
        recording = "r/{alert}.gz"
        kubernetes = { kubeconfig = "~/config" }
        [environment.live.prometheus]
        url = "https://p"
        auth = { ca_file = "ca.pem", bearer_file = "/run/token" }
        """
    )
    live = settings.load(tmp_path / "runbook.toml").environment("live")
    assert live.prometheus
    assert live.kubernetes
    assert live.recording == str(tmp_path / "r/{alert}.gz")
    assert live.evidence == str(tmp_path / "evidence")
    assert live.prometheus.auth.ca_file == str(tmp_path / "ca.pem")
    assert live.prometheus.auth.bearer_file == "/run/token"
    assert live.kubernetes.kubeconfig == str(Path("~/config").expanduser())


def load_in(folder: Path, **environment: str) -> list[str]:
    """Path of the settings, and evidence folder of its first environment, for a process started in a folder."""
    code = (
        "from runbook.config.settings import load; s = load(); "
        "print(s.path, next(iter(s.environments.values())).evidence, sep='\\n')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.split("\n")[:2]


def test_the_file_is_found_by_variable_then_upward_then_as_shipped(tmp_path: Path):
    """RUNBOOK_SETTINGS wins, then the nearest runbook.toml upward, then ours with evidence where one stands."""
    other, inner = tmp_path / "other", tmp_path / "team/inner"
    other.mkdir()
    inner.mkdir(parents=True)
    (other / "mine.toml").write_text(GOOD)
    (tmp_path / "team/runbook.toml").write_text(GOOD)
    assert load_in(inner, RUNBOOK_SETTINGS=str(other / "mine.toml")) == [
        str(other / "mine.toml"),
        str(other / "evidence"),
    ]
    assert load_in(inner) == [str(tmp_path / "team/runbook.toml"), str(tmp_path / "team/evidence")]
    assert load_in(other) == [str(settings.shipped()), str(other / "evidence")]


def test_the_demonstration_is_there_in_any_case(tmp_path: Path):
    """Settings without an environment `demo` have the shipped one, its evidence beside them; the others are theirs."""
    (tmp_path / "runbook.toml").write_text(GOOD)
    found = settings.load(tmp_path / "runbook.toml")
    shipped = settings.load(settings.shipped())
    assert set(found.environments) == {"live", "demo"}
    assert found.environment("demo").recording == shipped.environment("demo").recording
    assert found.environment("demo").evidence == str(tmp_path / "evidence")
    assert found.service("micro-frontend") == shipped.service("micro-frontend")


def test_a_demonstration_of_one_s_own_wins(tmp_path: Path):
    """Who has an environment `demo` keeps it, and gets no service that nobody named."""
    (tmp_path / "runbook.toml").write_text(f'{GOOD}[environment.demo]\nservice = "shop"\nrecording = "{{alert}}.gz"\n')
    found = settings.load(tmp_path / "runbook.toml")
    assert found.environment("demo").recording == str(tmp_path / "{alert}.gz")
    assert set(found.services) == {"shop"}


def test_the_folder_of_one_s_own_alerts(tmp_path: Path):
    """It is relative to the file, and needs not be there yet; without it there is none."""
    file = tmp_path / "runbook.toml"
    for text, folder in (('[alerts]\nfolder = "mine"\n', tmp_path / "mine"), ("", None)):
        file.write_text(GOOD + text)
        assert settings.load(file).alerts_folder == folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[alerts]\n", "`alerts` lacks `folder`"),
        ('[alerts]\nfolder = ""\n', "`alerts.folder` is empty"),
        ('[alerts]\nfolders = "x"\n', "did you mean folder?"),
        ('[alert]\nfolder = "x"\n', "did you mean alerts?"),
    ],
)
def test_a_folder_of_alerts_that_is_none_is_refused(tmp_path: Path, text: str, told: str):
    """A table without its key, or with another one, would silently have no alerts."""
    assert told in refusal(tmp_path, GOOD + text)


def test_the_shipped_file_has_every_environment_of_the_procedure():
    """production, staging, lab and demo are there, with the thresholds of the procedure."""
    shipped = settings.load(settings.shipped())
    assert set(shipped.environments) == {"production", "staging", "lab", "demo"}
    service = shipped.service("micro-frontend")
    assert service.thresholds == {
        "error_ratio": 0.05,
        "auth_failure_ratio": 0.20,
        "database_errors_per_second": 0.1,
        "latency_p95_seconds": 2.0,
        "memory_bytes": 500 * 1024 * 1024,
    }
    assert (service.metric_prefix, service.index, service.namespace) == ("micro_frontend_", "micro-apps-*", "web")
    assert shipped.environment("demo").recording == "{recordings}/{alert}.jsonl.gz"


def test_nothing_else_reads_the_process_environment():
    """There is one place where the environment comes in, so that a run can be told by its settings.

    What the terminal can show is not of a run: the command line looks it up.
    """
    readers = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "lib").rglob("*.py")
        if re.search(r"os\.environ\b|os\.getenv|from os import .*environ", file.read_text(encoding="utf-8"))
    }
    assert readers == {"lib/runbook/cli/main.py", "lib/runbook/config/process_env.py"}
