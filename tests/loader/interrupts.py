"""Interrupts a test again and again, by signals whose handler raises."""

import gc
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Interrupt(Exception):
    """Raised by the handler, as KeyboardInterrupt is by that of SIGINT."""


@contextmanager
def interrupting() -> Iterator:
    """A function that calls another one again and again until it returns True, while signals interrupt it."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled in the main thread")

    armed, waits, interrupts = [False], random.Random(4), [0]

    def handler(number, frame):
        if armed[0]:
            armed[0] = False
            raise Interrupt

    def under_fire(step, longest=5e-3):
        ended = False
        while not ended:
            try:
                armed[0] = True
                signal.setitimer(
                    signal.ITIMER_REAL, longest * waits.choice((0.02, 0.06, 0.2, 1)) * waits.random() + 2e-5
                )
                ended = step()
                armed[0] = False
            except Interrupt:
                interrupts[0] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)

    # Python swallows an interrupt in a weak reference's callback, or in one of the collector's (hypothesis has one).
    gc.collect()
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    before = signal.signal(signal.SIGALRM, handler)
    yield under_fire
    signal.signal(signal.SIGALRM, before)
    gc.callbacks[:] = callbacks
    assert interrupts[0], "the test has tested nothing"
