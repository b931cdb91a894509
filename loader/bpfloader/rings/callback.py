"""bcc's callbacks, which are opened on a map and called by a poll of the object (object/bcc.py).

    def print_event(ctx, data, size):           # a perf buffer's has the CPU in ctx's place
        event = b["events"].event(data)
        print(event.pid, event.comm)

    b["events"].open_ring_buffer(print_event)
    while True:
        b.ring_buffer_poll()

As in bcc, a callback gets (ctx, data, size) or (cpu, data, size), and `event` makes the typed record; time-outs are
milliseconds. Unlike bcc, `data` is bytes, the poll raises exceptions of callbacks, and callbacks' results are ignored.
New code is simpler: `for event in skel.maps.events`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec.records import CpuBytesDecoder
from ..signals import take_one
from .memory import BATCH_SIZE

if TYPE_CHECKING:
    from .buffer import Buffer

Callback = Callable[[Any, bytes, int], Any]


class Subscription:
    """A buffer's callback. `kind` is `ring` or `perf`, the buffers that one poll serves."""

    def __init__(self, kind: str, buffer: Buffer[Any], callback: Callback, context: Any = None):
        self.kind, self.buffer, self.callback, self.context = kind, buffer, callback, context
        self.undelivered, self.reported_lost = deque[tuple[Any, bytes]](), 0
        self.on_loss: Callable[[int], Any] | None = None

    def deliver(self) -> None:
        """Calls back for each available record; an exception leaves the records behind it for the next call.

        Records that come meanwhile may be left, too, so that this ends.
        """
        end, more = self.buffer._end(), True
        while more:
            self.undelivered.extend(self.buffer._batch(CpuBytesDecoder, BATCH_SIZE))
            more = bool(self.undelivered) and self.buffer._has_before(end)
            while self.undelivered:
                for cpu, data in take_one(self.undelivered.popleft):
                    self.callback(self.context if cpu is None else cpu, data, len(data))
        lost = (self.buffer.lost or 0) if self.on_loss else 0
        if self.on_loss and lost > self.reported_lost:
            new, self.reported_lost = lost - self.reported_lost, lost
            self.on_loss(new)
