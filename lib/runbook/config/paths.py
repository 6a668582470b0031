"""Every path of an environment's settings made absolute, from a known folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from runbook.config.schema import Elasticsearch, Environment, Prometheus
from runbook.errors import SettingsError

Struct = TypeVar("Struct", bound=msgspec.Struct)
EVIDENCE = "evidence"
RECORDINGS = "{recordings}/"  # the beginning of a recording's path: where the alert's own recordings are
_FILES = ("probe_token_file", "base_url_ca_file", "seal_key_file")


def located(environment: Environment, beside: Path, home: Path) -> Environment:
    """The environment with absolute paths: the evidence folder's from `home`, all others from the file's folder."""
    changes: dict[str, object] = {
        "evidence": absolute(environment.evidence or EVIDENCE, home),
        "recording": _recording(environment.recording, beside),
        **{name: absolute(getattr(environment, name), beside) for name in _FILES},
    }
    for name in ("prometheus", "elasticsearch"):
        source: Prometheus | Elasticsearch | None = getattr(environment, name)
        if source is not None:
            changes[name] = msgspec.structs.replace(source, auth=_with_absolute_files(source.auth, beside))
    if environment.mysql is not None:
        changes["mysql"] = _with_absolute_files(environment.mysql, beside)
    if environment.kubernetes is not None:
        kubeconfig = absolute(environment.kubernetes.kubeconfig, beside)
        changes["kubernetes"] = msgspec.structs.replace(environment.kubernetes, kubeconfig=kubeconfig)
    return msgspec.structs.replace(environment, **changes)


def absolute(name: str, folder: Path) -> str:
    """A path of the settings, from a folder where it does not begin at the root or a home; "" where none is named."""
    try:
        return str(folder / Path(name).expanduser()) if name else ""
    except RuntimeError:
        raise SettingsError(f"There is no home folder for the path {name[:200]!r}; write it in full.") from None


def _recording(name: str, folder: Path) -> str:
    """Where {recordings} is, only the catalogue of alerts knows."""
    return name if name.startswith(RECORDINGS) else absolute(name, folder)


def _with_absolute_files(one: Struct, folder: Path) -> Struct:
    files = {name: absolute(getattr(one, name), folder) for name in one.__struct_fields__ if name.endswith("_file")}
    return msgspec.structs.replace(one, **files)
