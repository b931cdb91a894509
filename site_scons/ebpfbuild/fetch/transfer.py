"""Runs a transfer in a thread of its own, and measures its rate: a source that is too slow is given up."""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

MARKS = 50  # in a window, so many are enough to tell a rate


class Rate:
    """The bytes that came within the last `window` seconds; the first one begins at `began`, by time.monotonic()."""

    def __init__(self, window: float, slowest: float, began: float):
        self.window, self.needed = window, window * slowest
        self._marks = deque([(began, 0)])

    def too_slow(self, now: float, done: int) -> bool:
        """Notes that `done` bytes are here; says whether a whole window has passed with fewer than it should bring."""
        if now - self._marks[-1][0] >= self.window / MARKS:
            self._marks.append((now, done))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self.window:
            self._marks.popleft()
        then, before = self._marks[0]
        return now - then >= self.window and done - before < self.needed


class Ended:
    """The last item of a Transfer: it came to its end, or to an `error`."""

    def __init__(self, error: Exception | None):
        self.error = error


class Abandoned(Exception):
    """Nobody waits any more for what a Transfer brings."""


class Transfer:
    """Runs `bring(put)` in a thread of its own, so that whoever takes the items can stop waiting at any moment.

    No time limit of a socket does that: a name that is looked up has none, and one byte a second satisfies any. A
    thread that is left behind ends with its next item, at the latest with the process.
    """

    def __init__(self, bring: Callable[[Callable[[Any], None]], None]):
        self._bring, self._over = bring, threading.Event()
        self._items: queue.Queue[Any] = queue.Queue(8)
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, seconds: float) -> Any:
        """Returns the next item, an Ended after the last one; None if none comes in time."""
        try:
            return self._items.get(timeout=seconds)
        except queue.Empty:
            return None

    def abandon(self) -> None:
        """Lets the thread end."""
        self._over.set()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._bring(self._put)
        except Abandoned:
            return
        except Exception as raised:  # noqa: BLE001  # it is raised again where it is waited for
            error = raised
        try:
            self._put(Ended(error))
        except Abandoned:
            return

    def _put(self, item: Any) -> None:
        while not self._over.is_set():
            try:
                return self._items.put(item, timeout=0.1)
            except queue.Full:
                continue
        raise Abandoned
