"""nginx before a server of ours: TLS by a test authority, a password, or a client certificate.

Prometheus and the lab's Elasticsearch have no authentication of their own here; many users put just this before them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Literal

from tests.certificates import Authority
from tests.lab.servers.cache import Missing
from tests.lab.servers.processes import Server, free_port

USER = "oncall"
CONFIG = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {guard}
        location / {{ proxy_pass {upstream}; }}
    }}
}}
"""


class Proxy(Server):
    """HTTPS at `url` for `upstream`; `wants` is how callers prove who they are.

    `authority.file` is whom to trust. For "password" the user is `USER`; for "certificate", `authority.issue(...)` one.
    """

    def __init__(self, directory: Path, upstream: str, wants: Literal["nothing", "password", "certificate"]) -> None:
        super().__init__(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(self.directory)
        self.password = "canary-" + os.urandom(6).hex()
        self._upstream, self._wants = upstream, wants
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self._port}"

    def _start(self) -> None:
        certificate, key = self.authority.issue("proxy", "127.0.0.1")
        config = self.directory / "nginx.conf"
        config.write_text(
            CONFIG.format(
                directory=self.directory,
                port=self._port,
                certificate=certificate,
                key=key,
                guard=self._guard(),
                upstream=self._upstream,
            )
        )
        self._run("nginx", [_nginx(), "-e", "stderr", "-p", str(self.directory), "-c", str(config)])
        self._wait("nginx", self._listens)

    def _guard(self) -> str:
        if self._wants == "certificate":
            return f"ssl_client_certificate {self.authority.file}; ssl_verify_client on;"
        if self._wants == "nothing":
            return ""
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"], input=self.password, capture_output=True, text=True, check=True
        )
        users = self.directory / "users"
        users.write_text(f"{USER}:{hashed.stdout}")
        return f"auth_basic lab; auth_basic_user_file {users};"

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self._port)) == 0


def _nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Missing("The program nginx")
    return found
