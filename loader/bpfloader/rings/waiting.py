"""Waits for records, until another thread ends the wait: an epoll (epoll(7)) over a buffer's descriptors and a pipe.

While records come fast, a reader sleeps and lets them gather, as network cards do with interrupts. A look costs as much
as reading dozens of records: at 100,000 a second evenly spread, one look finds one record, and the next one has come
before it is read. Without pauses that takes all of a core. Records that come in bursts gather as well: a wake-up for
each burst of 100 costs as much as the burst.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable
from typing import Any

DAY = 86400.0  # seconds: epoll_wait(2) takes milliseconds in an int
# Seconds after which a reader looks into a ring that doesn't wake it: a program may submit with BPF_RB_NO_WAKEUP, and
# while that record is unread, later ones wake nobody either (bpf_ringbuf_commit in the kernel's ringbuf.c).
LOOK = 0.1
# Seconds from one look to the next while many records come, unless the buffer says another: in a buffer that isn't full
# by then even if a program begins to write as fast as one CPU can, and in a smaller one.
MAX_DELAY, MAX_DELAY_IF_SMALL = 0.01, 0.004
FASTEST = 64e6  # bytes a second: 1.6 million records of 32 bytes and their headers
BUSY_INTERVAL = 0.00025  # seconds between records on average; below it, many come
MAX_FILL = 0.25  # the part of the buffer that may fill during a pause, at the recent pace


class Waiter:
    """Waits until a descriptor has something to read, or any thread calls `close`.

    The kernel reuses the number of a closed descriptor, so the epoll stays open while a thread is inside `wait`: the
    last one to leave closes it. The lock is reentrant, since a signal handler may call `close` at any moment.
    """

    def __init__(self, fds: Iterable[int]):
        self._lock, self._users, self._closed = threading.RLock(), 0, True
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (*fds, self._wake_read):
            self._epoll.register(fd, select.EPOLLIN)
        self.futures: dict[Any, set[Any]] = {}  # the futures that wait, by event loop (async_reader.py)
        self._closed = False

    def fileno(self) -> int:
        """Returns the epoll's descriptor, readable when one of its descriptors is. Raises ValueError after `close`."""
        return self._epoll.fileno()

    def wait(self, timeout: float) -> None:
        """Waits until there may be something to read, for `timeout` seconds (at most a day), or until `close`."""
        if timeout != timeout:  # its end would never come
            raise ValueError("NaN is no time-out; give seconds, or None to wait without end")
        if self.enter():
            try:
                self._epoll.poll(min(max(0.0, timeout), DAY))
            except ValueError:  # closed by a signal handler between the two lines above
                if not self._closed:
                    raise
            finally:
                self.leave()

    def enter(self) -> bool:
        """Returns True if it is open, and keeps the epoll until `leave`: `close` then only makes it readable."""
        with self._lock:
            self._users += not self._closed
            return not self._closed

    def leave(self) -> None:
        """Ends what `enter` began."""
        with self._lock:
            self._users -= 1
            self._close_if_unused()

    def close(self) -> None:
        """Wakes all waiting threads and ends later waits at once; does nothing the second time."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.write(self._wake_write, b"\0")
                self._close_if_unused()

    def abandon(self) -> None:
        """Closes a child's copies of the descriptors after a fork, without waking the parent's threads."""
        self._lock, self._users, self._closed = threading.RLock(), 0, True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closed and not self._users and not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def __del__(self) -> None:
        """Closes the descriptors of an object that was never destroyed."""
        self._users = 0
        self.close()


class Coalescer:
    """Measures the pace of records, and spaces looks at a buffer out while they come fast.

    `records` is how many were read, `position` their bytes, `size` the buffer's in bytes; `looked` is when a reader
    that waits last found some, or will look next (the monotonic clock, seconds).
    """

    def __init__(self) -> None:
        self.records, self.position, self.size, self.looked = 0, 0, 0, 0.0
        self._last_time, self._last_records, self._last_position = 0.0, 0, 0

    def pause(self, now: float, max_delay: float | None = None) -> float:
        """Returns the seconds to sleep before the next look; 0 while records come slowly, or the last look is long ago.

        Looks are at most `max_delay` seconds apart; None goes by the buffer's size. The pace is an average since the
        last call before which records came: neither pauses nor what the caller does with records look like a lack of
        them.
        """
        if not (came := self.records - self._last_records):
            return 0.0
        elapsed, received, looked = now - self._last_time, self.position - self._last_position, self.looked
        self._last_time, self._last_records, self._last_position, self.looked = now, self.records, self.position, now
        if received <= 0 or elapsed >= BUSY_INTERVAL * came:
            return 0.0
        if max_delay is None:
            max_delay = min(MAX_DELAY, max(MAX_DELAY_IF_SMALL, self.size / FASTEST))
        self.looked = max(now, looked + min(max_delay, MAX_FILL * self.size / received * elapsed))
        return self.looked - now
