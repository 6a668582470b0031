"""Ctrl-C and SIGTERM end a run once, where it can end, and never while its draft is being made."""

from __future__ import annotations

import os
import signal

import pytest

from runbook.runs.signals import Interruptible, Terminated, number


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_it_is_released(sent: signal.Signals):
    """What comes between hold and release is raised at the release, as what it was."""
    with Interruptible() as interruptible:
        interruptible.hold()
        os.kill(os.getpid(), sent)
        with pytest.raises(KeyboardInterrupt) as stopped:
            interruptible.release()
    assert number(stopped.value) == sent
    assert isinstance(stopped.value, Terminated) == (sent == signal.SIGTERM)


def test_a_release_without_a_signal_raises_nothing():
    """A run that nobody interrupts goes on, and a later signal still ends it."""
    with Interruptible() as interruptible:
        interruptible.hold()
        interruptible.release()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_second_signal_is_ignored():
    """An impatient second Ctrl-C does not cost the evidence."""
    with Interruptible():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
