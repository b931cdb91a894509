"""How long a reader lets records gather when they come one by one and fast, as network cards do with interrupts.

Each wake-up costs a process more than a dozen records: at 100,000 a second evenly spread, waking for every one takes a
third of a core, and waking a thousand times a second a tenth.
"""

from __future__ import annotations

PAUSE = 0.001  # seconds: what a record may have to wait, though only while many come
BUSY = 0.00025  # seconds between two looks at an empty buffer, not counting pauses, below which many come
FILLED = 0.25  # of the buffer: as much as may gather in a pause at the pace of before


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
        if came > 0 and took - paused < BUSY:
            self._paused = min(PAUSE, FILLED * size / came * took)
        return self._paused
