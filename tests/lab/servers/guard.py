"""Become the given program, in a way that it cannot outlive the process that asked for it.

usage: guard.py PARENT_PID PROGRAM [ARGUMENT ...]

The kernel kills a process marked so (prctl PR_SET_PDEATHSIG) as soon as the thread that started it is gone, whatever
ended that: SIGKILL too. The mark survives the exec below, so the server keeps this process's number.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Mark this process, then turn into `command`; end at once when the parent is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted: it is this process that becomes the server


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
