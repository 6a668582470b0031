"""What may be run in the lab's pods: the two commands of the runbooks, on files and a clock of each pod's own.

kwok runs a command on this machine, as us. So its PATH holds two small scripts only, and it runs nothing for a pod
that was not told of here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Object = dict[str, Any]
API = {"group": "kwok.x-k8s.io", "version": "v1alpha1"}
HEAD = '#!/bin/sh\n[ "$#:$1:$2" = "3:-n:3" ] || exit 64\nexec {head} -n 3 ".$3"\n'
DATE = '#!/bin/sh\n[ "$*" = "-u +%s.%N" ] || exit 64\nexec {date} -u -d "$LAB_CLOCK seconds" +%s.%N\n'


def write_commands(folder: Path) -> None:
    """`head -n 3 PATH`, below the folder it is started in, and `date -u +%s.%N`, so many seconds ahead."""
    folder.mkdir()
    for name, script in {"head": HEAD, "date": DATE}.items():
        (folder / name).write_text(script.format(**{name: shutil.which(name)}))
        (folder / name).chmod(0o755)


def definition() -> Object:
    """What makes the API server take objects of the kind Exec."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": API["version"], "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Exec", "listKind": "ExecList", "plural": "execs", "singular": "exec"}
    spec = {"group": API["group"], "names": names, "scope": "Namespaced", "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"execs.{API['group']}"},
        "spec": spec,
    }


def allowed(namespace: str, pod: str, folder: Path, files: Mapping[str, str], *, clock: int) -> Object:
    """The object that lets the commands run in a pod, which sees these files, written below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.lstrip("/")).write_text(text)
    local = {"workDir": str(folder), "envs": [{"name": "LAB_CLOCK", "value": str(clock)}]}
    return {
        "apiVersion": f"{API['group']}/{API['version']}",
        "kind": "Exec",
        "metadata": {"name": pod, "namespace": namespace},
        "spec": {"execs": [{"local": local}]},
    }
