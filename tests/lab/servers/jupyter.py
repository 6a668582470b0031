"""JupyterLab as a browser sees it: a server on loopback, asked by its REST interface and its kernels' websocket.

with JupyterLab(command, environment, log) as lab:      # the command that starts it, e.g. `runbook open …`
    lab.execute(notebook)                               # a kernel session for it, cell by cell; the outputs
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import requests
import websocket

from tests.lab.servers.processes import eventually, free_port

PATIENCE = 120.0


class JupyterLab:
    """Started by a command that takes JupyterLab's arguments at its end; ended with the `with` block, kernels too."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._port, self._token, self._folder = free_port(), secrets.token_hex(8), folder
        own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        self._environment = {**environment, **own, "IPYTHONDIR": str(folder / "ipython")}
        self._command = [
            *command,
            f"--ServerApp.port={self._port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self._token}",
            *(["--allow-root"] if os.getuid() == 0 else []),
        ]
        self.said = folder / "jupyterlab.log"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.said.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if not eventually(self._ready, PATIENCE):
            self.__exit__()
            raise AssertionError(self.said.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def execute(self, notebook: str) -> list[list[dict[str, Any]]]:
        """Open a session for a notebook of the server's folder and run all its cells; the outputs of each code cell."""
        cells = self._ask("GET", f"contents/{notebook}")["content"]["cells"]
        session = self._ask(
            "POST",
            "sessions",
            {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}},
        )
        kernel = _Kernel(f"ws{self.url[4:]}/api/kernels/{session['kernel']['id']}/channels", self._token)
        try:
            return [kernel.execute(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        finally:
            kernel.close()

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"JupyterLab ended while starting: {self.said.read_text()}")
        try:
            return bool(self._ask("GET", "status"))
        except requests.ConnectionError:
            return False

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"token {self._token}"}
        answer = requests.request(method, f"{self.url}/api/{path}", json=body, headers=headers, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()


class _Kernel:
    """A kernel's channels, joined into one websocket; one request at a time."""

    def __init__(self, url: str, token: str) -> None:
        self._session = uuid.uuid4().hex
        self._socket = websocket.create_connection(
            f"{url}?session_id={self._session}", header={"Authorization": f"token {token}"}, timeout=PATIENCE
        )

    def close(self) -> None:
        self._socket.close()

    def execute(self, code: str) -> list[dict[str, Any]]:
        """The messages with outputs, until the kernel is idle again and has replied."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": self._session,
            "date": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._socket.send(json.dumps({**request, "channel": "shell", "buffers": []}))
        outputs: list[dict[str, Any]] = []
        awaited = {"idle", "execute_reply"}
        while awaited:
            message = json.loads(self._socket.recv())
            if message["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            kind, said = message["header"]["msg_type"], message["content"]
            awaited -= {said["execution_state"] if kind == "status" else kind}
            if kind in ("display_data", "execute_result", "stream", "error"):
                outputs.append({"output_type": kind, **said})
        return outputs
