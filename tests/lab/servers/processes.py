"""Server processes: started under a guard, waited for, stopped by us alone.

Each process is a child that only we reap. Its number therefore cannot pass to a stranger before we have seen it
end, and a signal through its handle never reaches anybody else's process.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import SSLContext
from typing import Self, TypeVar

from tests.lab.servers.cache import LabError

T = TypeVar("T")
GUARD = Path(__file__).with_name("guard.py")
FIRST_PORT, LAST_PORT = 20_000, 32_000  # below the range that Linux takes for outgoing connections
TAIL_LINES = 15

# The kernel ties a guarded child to the thread that forked it, so all are forked by this one,
# which lives as long as we do.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")


class StartFailed(LabError):
    """A server ended, or did not become ready in time; the text ends with the end of its log."""


class Process:
    """One running server and its log."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0  # a server may be started again
        guarded = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *command]
        with log.open("ab") as output:
            self._handle = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for us; we then stop the servers in order
            )

    @property
    def pid(self) -> int:
        """The number of the server itself: the guard has become it."""
        return self._handle.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._handle.poll() is None

    def output(self) -> list[str]:
        """The lines it has logged so far."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").splitlines()

    def tail(self) -> str:
        """The end of the log, for an error."""
        lines = self.output()[-TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *lines])

    def stop(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL if that has not helped in time; returns once it is gone."""
        self._handle.terminate()
        try:
            self._handle.wait(seconds)
        except subprocess.TimeoutExpired:
            self._handle.kill()
            self._handle.wait()


class Startable:
    """What runs for one `with` block."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until ready; whatever goes wrong, nothing is left running."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it."""
        raise NotImplementedError


class Server(Startable):
    """What the servers share: a directory, processes, start and stop. A subclass says how in `_start`."""

    stop_seconds = 10.0  # a server that has not ended by itself by then is killed

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.processes: list[Process] = []

    def start(self) -> None:
        """Start and wait until ready; whatever goes wrong, nothing is left running."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what was started, the last one first; a second call does nothing."""
        while self.processes:
            self.processes[-1].stop(self.stop_seconds)
            self.processes.pop()

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start one process of this server."""
        log = self.directory / f"{name}.log"
        process = _SPAWNER.submit(Process, name, command, log=log, environment=environment or {}).result()
        self.processes.append(process)
        return process

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until `ready()`, which fails at once when a process of this server has ended."""
        deadline = time.monotonic() + seconds
        while True:
            self._check_alive()
            if ready():
                return
            if time.monotonic() > deadline:
                raise StartFailed(f"{what} was not ready within {seconds:g} s. {self.processes[-1].tail()}")
            time.sleep(0.05)

    def _check_alive(self) -> None:
        for process in self.processes:
            if not process.alive:
                raise StartFailed(f"{process.name} ended while starting. {process.tail()}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    for port in random.sample(range(FIRST_PORT, LAST_PORT), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StartFailed(f"No free port found between {FIRST_PORT} and {LAST_PORT}.")


def answers(port: int, path: str, *, tls: SSLContext | None = None, token: str = "") -> bool:
    """Whether GET `path` at this port of 127.0.0.1 is answered with 200."""
    return fetch(port, path, tls=tls, token=token) is not None


def fetch(port: int, path: str, *, tls: SSLContext | None = None, token: str = "") -> bytes | None:
    """The body of the answer to GET `path` at this port of 127.0.0.1; None unless it comes with 200."""
    where = ("127.0.0.1", port)
    connection = HTTPSConnection(*where, context=tls, timeout=5) if tls else HTTPConnection(*where, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def eventually(ask: Callable[[], T], seconds: float = 30.0) -> T:
    """The first answer that is true in Python's sense, or the last one when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer
