"""For all tests."""

from __future__ import annotations

import signal

# A shell that starts a command in the background makes it ignore Ctrl-C, and so do all of its children:
# the tests that interrupt a run would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
