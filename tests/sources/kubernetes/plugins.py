"""A credential plugin of a kubeconfig, and a server whose version it asks for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.canned import Reply

VERSION = {"/version": Reply({"gitVersion": "v1.36.3"})}
V1, BETA = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


def plugin(folder: Path, body: str, **more: Any) -> dict[str, Any]:
    """A credential plugin: a Python script with this body, which may `give(token=...)`, and its entry for the file."""
    script = folder / "plugin.py"
    script.write_text(
        "import json, os, sys, time\n"
        "def give(**status): print(json.dumps({'kind': 'ExecCredential', 'status': status}))\n"
        f"{body}\n"
    )
    return {"exec": {"apiVersion": V1, "command": sys.executable, "args": [str(script)], **more}}
