"""Waiting that another thread can end: an epoll (epoll(7)) over a reader's descriptors and a pipe of its own.

While records come one by one and fast, a reader lets them gather instead, as network cards do with interrupts. Each
wake-up costs a process more than a dozen records: at 100,000 a second evenly spread, waking for every one takes a third
of a core, and waking a thousand times a second a tenth.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable
from typing import Any

DAY = 86400.0  # seconds: epoll_wait(2) takes milliseconds in an int
LONGEST_PAUSE = 0.001  # seconds: what a record may have to wait, though only while many come
BUSY_INTERVAL = 0.00025  # seconds between two looks at an empty buffer, not counting pauses, below which many come
MAX_FILL = 0.25  # of the buffer: as much as may gather in a pause at the pace of before


class Waiter:
    """Wakes when a descriptor has something to read, or when `close` is called, in whatever thread.

    A descriptor's number is free for others once it is closed, so the epoll outlives whoever is still inside `wait`:
    the last one to leave closes it. The lock is reentrant, for a signal's handler may close in the middle of it all.
    """

    def __init__(self, fds: Iterable[int]):
        self._lock, self._users, self._closed = threading.RLock(), 0, True
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (*fds, self._wake_read):
            self._epoll.register(fd, select.EPOLLIN)
        self.futures: dict[Any, set[Any]] = {}  # of each event loop the futures that wait (async_reader.py)
        self._closed = False

    def fileno(self) -> int:
        """The epoll's descriptor: readable when one of those in it is. Raises ValueError after `close`."""
        return self._epoll.fileno()

    def wait(self, timeout: float | None) -> None:
        """Returns when there may be something to read, after `timeout` seconds (at most a day), or on `close`."""
        if self.enter():
            try:
                self._epoll.poll(None if timeout is None else min(max(0.0, timeout), DAY))
            except ValueError:  # closed by a signal's handler, between the two lines above
                if not self._closed:
                    raise
            finally:
                self.leave()

    def enter(self) -> bool:
        """Whether it is open; if it is, it stays until `leave`, and `close` only makes it readable."""
        with self._lock:
            self._users += not self._closed
            return not self._closed

    def leave(self) -> None:
        """Ends what `enter` began."""
        with self._lock:
            self._users -= 1
            self._close_if_unused()

    def close(self) -> None:
        """Wakes all who wait, now and from now on; does nothing the second time."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.write(self._wake_write, b"\0")
                self._close_if_unused()

    def abandon(self) -> None:
        """Closes this process's copies after a fork, whoever was inside in the other one; nobody is woken."""
        self._lock, self._users, self._closed = threading.RLock(), 0, True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closed and not self._users and not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def __del__(self) -> None:
        """Closes what an object that was never destroyed leaves open."""
        self._users = 0
        self.close()


class Pace:
    """Follows the looks at an empty buffer."""

    def __init__(self) -> None:
        self._then, self._before, self._paused = 0.0, 0, 0.0

    def pause(self, now: float, position: int, size: int) -> float:
        """How many seconds to sleep rather than to wait for the next record; 0 where records come slowly.

        `now` is the monotonic clock, `position` how many bytes have been read so far, `size` the buffer's.
        """
        took, came, paused = now - self._then, position - self._before, self._paused
        self._then, self._before, self._paused = now, position, 0.0
        if came > 0 and took - paused < BUSY_INTERVAL:
            self._paused = min(LONGEST_PAUSE, MAX_FILL * size / came * took)
        return self._paused
