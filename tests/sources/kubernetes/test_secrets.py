"""Kubernetes' Secrets and ConfigMaps: names only, and which of them a deployment lacks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import SourceError
from runbook.model import Answer
from runbook.redaction.redactor import Redactor
from runbook.sources.kubernetes.projection import references
from runbook.sources.kubernetes.queries import access, secrets
from runbook.sources.kubernetes.secrets import age_seconds, secrets_of
from tests.canned import Canned, Reply
from tests.lab.service.shop import deployment
from tests.sources.kubernetes.server import refusal, repeating, source

WEB = ("shop", "web")
FORBIDDEN = refusal(403, "forbidden")


def asked(folder: Path, **instead: Reply) -> Answer:
    with Canned(repeating("bad_rollout", **instead)) as server:
        return source(folder, server).ask(secrets(*WEB))


def test_what_is_needed_and_not_there_is_missing(tmp_path: Path):
    """Of a Secret that is there, one that is not, and a ConfigMap that pods do without, the second is missing."""
    found = secrets_of(asked(tmp_path))
    assert found.referenced == ("configmap/web-settings", "secret/web-database", "secret/web-jwt-key")
    assert found.missing == ("secret/web-jwt-key",)
    (database,) = [one for one in found.known if one.name == "secret/web-database"]
    assert database.type == "Opaque"
    assert database.created_at is not None
    assert 0 < time.time() - database.created_at < 600


def test_names_survive_redaction(tmp_path: Path):
    """What is recorded of Secrets is no secret: the redactor leaves the answer as it is."""
    data = asked(tmp_path).data
    assert Redactor().json(data) == data


def test_only_printed_lines_are_asked_for(tmp_path: Path):
    """Neither list is asked for with its objects, whose annotations may repeat the values."""
    with Canned(repeating("bad_rollout")) as server:
        source(tmp_path, server).ask(secrets(*WEB))
        source(tmp_path, server).ask(access(*WEB))
        lists = [one for one in server.requests if one.path.partition("?")[0].endswith(("/secrets", "/configmaps"))]
    assert [one.headers["Accept"] for one in lists] == ["application/json;as=Table;g=meta.k8s.io;v=v1"] * 4
    assert [one.params["includeObject"] for one in lists] == ["None"] * 4


def test_without_the_right_nothing_is_called_missing(tmp_path: Path):
    """Names that may not be read make the answer partial, with the file that grants them, and no Secret missing."""
    answer = asked(tmp_path, secrets=FORBIDDEN)
    assert answer.completeness == "partial"
    assert "does not let us list secrets in namespace shop (403); apply deploy/rbac-secrets.yaml" in answer.warnings[0]
    assert secrets_of(answer).missing == ()
    assert "secret/web-jwt-key" in secrets_of(answer).referenced


def test_a_server_that_sends_whole_objects_is_garbage(tmp_path: Path):
    """An answer with objects instead of lines is not read, and what it holds is not recorded."""
    whole = Reply({"kind": "SecretList", "items": [{"metadata": {"name": "x"}, "data": {"url": "Y2FuYXJ5"}}]})
    answer = asked(tmp_path, secrets=whole)
    assert answer.completeness == "partial"
    assert "answered JSON of an unknown shape (list secrets in namespace shop)" in answer.warnings[0]
    assert "Y2FuYXJ5" not in str(answer)


def test_every_way_to_refer_to_one_is_known():
    """Variables, whole environments, volumes, projected volumes and registries, of init containers too."""
    found = deployment()
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    spec["initContainers"] = [{"name": "i", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c1"}}}]}]
    spec["containers"] = [{"name": "c", "envFrom": [{"secretRef": {"name": "s1"}}, {"configMapRef": {"name": "c2"}}]}]
    sources = [{"secret": {"name": "s2", "optional": True}}, {"configMap": {"name": "c3"}}, {"downwardAPI": {}}]
    volumes = [{"secret": {"secretName": "s3"}}, {"configMap": {"name": "c4"}}, {"projected": {"sources": sources}}]
    spec["volumes"] = [*volumes, {"emptyDir": {}}]
    spec["imagePullSecrets"] = [{"name": "s4"}]
    named = {(one["kind"], one["name"]): one["optional"] for one in references(found)}
    assert named == {
        **{("configmap", name): False for name in ("c1", "c2", "c3", "c4")},
        **{("secret", name): name == "s2" for name in ("s1", "s2", "s3", "s4")},
    }


def test_what_one_place_needs_is_needed():
    """A name that one place could do without and another not is not optional."""
    found = deployment()
    spec = found["spec"]["template"]["spec"]
    optional, needed = ({"secretRef": {"name": "both", "optional": whether}} for whether in (True, False))
    for order in ([optional, needed], [needed, optional]):
        spec["containers"][0]["envFrom"] = order
        assert {"kind": "secret", "name": "both", "optional": False} in references(found)


def test_an_account_without_any_right_is_refused(tmp_path: Path):
    """Where not even the deployment may be read, the question fails."""
    with pytest.raises(SourceError, match=r"does not let us get deployments\.apps web"):
        asked(tmp_path, deployments=FORBIDDEN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("119s", 119),
        ("3m20s", 200),
        ("125m", 7500),
        ("3d4h", 273_600),
        ("2y3d", 63_331_200),
        ("<unknown>", None),
        ("", None),
    ],
)
def test_an_age_is_read_as_kubectl_prints_it(text: str, seconds: float | None):
    """All the units, and what is no age."""
    assert age_seconds(text) == seconds


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading_of_an_age(text: str):
    """Any text is an age or none."""
    assert age_seconds(text) is None or age_seconds(text) >= 0  # type: ignore[operator]
