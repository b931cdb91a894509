"""Waits for several ring and perf buffers at once."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from .buffer import Buffer
from .memory import BUSY_HEAD, BUSY_PAUSE, READY
from .waiting import DAY, Waiter

B = TypeVar("B", bound=Buffer[Any])


def poll(readers: Iterable[B], timeout: float | None = None) -> list[B]:
    """Waits up to `timeout` seconds, without end for None, and returns the buffers that have a record.

    Returns early when the object of one is destroyed. Raises StateError before load and after destroy.
    """
    return _poll(_mapped(readers), timeout)


def events(readers: Iterable[B], timeout: float | None = None) -> Iterator[tuple[B, Any]]:
    """Yields pairs of a buffer and a record as they come, until none has come for `timeout` seconds; None: without end.

    The buffers take turns, so that a busy one doesn't hold up the others. Ends when the object of one is destroyed.
    Raises as a buffer's own `events` does.
    """
    buffers = _mapped(readers)
    while True:
        for reader in buffers:
            reader._refill()
            for value in reader._drain():
                yield reader, value
        if not _poll(buffers, timeout):
            return


def _mapped(readers: Iterable[B]) -> list[B]:
    """Returns the buffers, mapped. Raises TypeError for other maps, and for a single one: its iteration would wait."""
    if isinstance(readers, Buffer):
        raise TypeError(f"{readers!r} is no list of buffers; write [{readers.name}], or its own events")
    buffers = list(readers)
    for reader in buffers:
        if not hasattr(reader, "_ensure_mapped"):
            raise TypeError(f"{reader!r} is no ring or perf buffer; give those alone")
        reader._ensure_mapped()
    return buffers


def _poll(readers: Sequence[B], timeout: float | None) -> list[B]:
    end = None if timeout is None else time.monotonic() + timeout
    pauses = [pause for reader in readers if (pause := reader._pause())]
    if pauses and (timeout is None or timeout > 0) and not any(reader._iterated.left for reader in readers):
        time.sleep(min(pauses if timeout is None else (*pauses, timeout)))
    while True:
        states = [reader._state() for reader in readers]
        ready = [reader for reader, state in zip(readers, states) if state == READY]
        waiters = [waiter for reader in readers if (waiter := reader._ensure_waiter())]
        now = time.monotonic()
        for reader in ready:
            reader._coalescer.looked = now
        left = DAY if end is None else min(DAY, end - now)
        if ready or left <= 0 or len(waiters) < len(readers) or not readers:
            return ready
        if BUSY_HEAD in states:
            time.sleep(BUSY_PAUSE)
        else:
            _wait(waiters, min(left, *(reader._longest_wait for reader in readers)))


def _wait(waiters: list[Waiter], timeout: float) -> None:
    """Waits until one of the waiters may have something to read, or is closed."""
    entered, selector = [waiter for waiter in waiters if waiter.enter()], select.poll()
    try:
        if len(entered) == len(waiters):
            for waiter in entered:
                selector.register(waiter.fileno(), select.POLLIN)
            selector.poll(timeout * 1000)
    finally:
        for waiter in entered:
            waiter.leave()
