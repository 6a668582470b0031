"""A kernel of this interpreter as a plain process, begun before the heavy imports of whoever will talk to it.

Talk goes over sockets in a private folder, so that no other user and no port is involved. The user's IPython
profile, history and working directory play no part in a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from runbook.config.process_env import child_environment

logger = logging.getLogger(__name__)
CONNECTION, LOCK = "connection.json", "lock"  # who holds the lock lives
LONGEST_FOLDER: Final = 60  # the path of a socket has at most 107 characters
_ARGUMENTS: Final = (
    "--HistoryManager.enabled=False",
    "--InteractiveShellApp.ignore_cwd=True",
    "--InteractiveShell.colors=nocolor",
)
# Linux ends it (PR_SET_PDEATHSIG, SIGKILL) together with the thread that started it. By itself it would notice only
# after a second, in which it could write into evidence that the next run has sealed already.
_END_WITH_US: Final = 'getattr(__import__("ctypes").CDLL(None), "prctl", lambda *_: None)(1, 9)'


class Kernel:
    """A running kernel; leaving the `with` ends it, whatever it is doing. `preload` names modules to import early."""

    def __init__(self, environment: dict[str, str], preload: tuple[str, ...] = ()) -> None:
        self._folder = _private_folder()
        self._lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        ports = {f"{name}_port": number for number, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)}
        self.connection: dict[str, Any] = {
            "transport": "ipc",
            "ip": str(self._folder / "socket"),
            "key": secrets.token_hex(16),
            "signature_scheme": "hmac-sha256",
            **ports,
        }
        file = self._folder / CONNECTION
        file.touch(0o600)
        file.write_text(json.dumps(self.connection), encoding="ascii")
        self.log = self._folder / "kernel.log"
        lines = [_END_WITH_US, *(f"__import__({module!r})" for module in preload)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "ipykernel_launcher",
                    "-f",
                    str(file),
                    *_ARGUMENTS,
                    f"--IPKernelApp.exec_lines={lines!r}",
                ],
                env=child_environment(
                    **environment,
                    JPY_PARENT_PID=str(os.getpid()),  # it ends when we do, also where there is no prctl
                    IPYTHONDIR=str(self._folder / "ipython"),
                    PYDEVD_DISABLE_FILE_VALIDATION="1",
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for us, and all that it started can be ended as one group
            )

    def manager(self) -> Any:
        """jupyter_client's view of it."""
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_client.provisioning.local_provisioner import LocalProvisioner

        manager = AsyncKernelManager(kernel_name="python3")
        manager.load_connection_info(self.connection)  # type: ignore[arg-type] # the same, not as their TypedDict
        local = LocalProvisioner(
            kernel_id=self._folder.name, kernel_spec=KernelSpec(argv=[sys.executable]), parent=manager
        )
        local.process, local.pid, local.pgid = self.process, self.process.pid, self.process.pid
        manager.provisioner = local
        return manager

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if self.process.poll() is None:
            logger.debug("Ending the kernel")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Words for its death, as far as the operating system tells; "" while it runs."""
        code = self.process.poll()
        if code is None:
            return ""
        if code >= 0:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return f"exited with {code}" + (f" ({said[-1][:2000]})" if said else "")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was ended by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)


def _private_folder() -> Path:
    """Readable by us only, and with a path that leaves room for the names of sockets."""
    usual = tempfile.gettempdir()
    short = usual if len(usual) < LONGEST_FOLDER else "/tmp"  # noqa: S108 - mkdtemp makes it private
    sweep(Path(short))
    return Path(tempfile.mkdtemp(prefix="runbook-", dir=short))


def sweep(around: Path) -> None:
    """Take away what our runs left that were killed; others' folders and those of living runs stay."""
    for file in around.glob(f"runbook-*/{CONNECTION}"):  # written after the lock was taken
        folder = file.parent
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
