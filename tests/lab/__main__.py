"""Keep the servers running until Ctrl-C: `python -m tests.lab [DIRECTORY]`, by default a temporary one.

It prints where they are as `export` lines, to be pasted into another shell.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.lab.cache import LabError
from tests.lab.servers import Lab


def main(arguments: list[str]) -> int:
    """Start, print, wait, stop."""
    with tempfile.TemporaryDirectory(prefix="lab-") as temporary, suppress(KeyboardInterrupt):
        try:
            serve(Path(arguments[0] if arguments else temporary))
        except LabError as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


def serve(directory: Path) -> None:
    """Run until interrupted."""
    with Lab(directory) as lab:
        for name, value in lab.environment().items():
            print(f"export {name}={value}")
        print("# The lab runs until Ctrl-C.", flush=True)
        signal.pause()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
