"""Names that those who come from bcc look for: callbacks that are opened on a map and called by a poll of the object.

    def print_event(ctx, data, size):           # a perf buffer's has the CPU in ctx's place
        event = b["events"].event(data)
        print(event.pid, event.comm)

    b["events"].open_ring_buffer(print_event)
    while True:
        b.ring_buffer_poll()

As in bcc, a callback gets (ctx, data, size) or (cpu, data, size), and `event` makes the typed record; time-outs are
milliseconds. Other than there, `data` is bytes, an exception in a callback is the poll's own, and what a callback returns
doesn't matter. New code has it simpler: `for event in skel.maps.events`. Maps with keys have bcc's batches, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import TYPE_CHECKING, Any

from ..codec.records import Placed

if TYPE_CHECKING:
    from .reader import Reader

Callback = Callable[[Any, bytes, int], Any]
AT_ONCE = 1024  # records that are taken from the buffer before the first of them is delivered


class Subscription:
    """A buffer's callback. `kind` is the kind of buffers that one poll serves, `ring` or `perf`."""

    def __init__(self, kind: str, reader: Reader[Any], callback: Callback, context: Any = None):
        self.kind, self.reader, self.callback, self.context = kind, reader, callback, context
        self.undelivered, self.told = deque[tuple[Any, bytes]](), 0
        self.on_loss: Callable[[int], Any] | None = None

    def deliver(self) -> None:
        """Calls back for each record that is there; an exception leaves those behind it for the next time."""
        while True:
            self.undelivered.extend(self.reader._batch(Placed, AT_ONCE))
            if not self.undelivered:
                break
            while self.undelivered:
                for cpu, data in starmap(self.undelivered.popleft, ((),)):  # as Buffer._drain does
                    self.callback(self.context if cpu is None else cpu, data, len(data))
        lost: int = (self.reader.lost or 0) if self.on_loss else 0
        if self.on_loss and lost > self.told:
            new, self.told = lost - self.told, lost
            self.on_loss(new)


class TableNames:
    """What bcc's tables have for many entries at once. A base of the maps with keys."""

    def items_lookup_batch(self) -> Iterator[tuple[Any, Any]]:
        """The entries: what `items` gives, in bcc's words."""
        return iter(self.batch())  # type: ignore[attr-defined]

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[Any, Any]]:
        """The entries, which are deleted: `drain`."""
        return iter(self.drain())  # type: ignore[attr-defined]

    def items_update_batch(self, keys: Iterable[Any], values: Iterable[Any]) -> None:
        """Sets a value for each key: `update`."""
        self.update(zip(keys, values))  # type: ignore[attr-defined]

    def items_delete_batch(self, keys: Iterable[Any] | None = None) -> None:
        """Deletes these keys, or all: `delete`, `clear`."""
        self.clear() if keys is None else self.delete(keys)  # type: ignore[attr-defined]


class BufferNames:
    """What bcc's BPF object has for its buffers. A base of Object."""

    parts: list[Any]

    def ring_buffer_poll(self, timeout: int = -1) -> None:
        """Calls the callbacks of opened ring buffers, after waiting up to `timeout` ms for a record; -1: without end."""
        self._serve("ring", timeout)

    def ring_buffer_consume(self) -> None:
        """Calls the callbacks of opened ring buffers for the records that are there."""
        self._serve("ring", 0)

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Calls the callbacks of opened perf buffers, after waiting up to `timeout` ms for a record; -1: without end."""
        self._serve("perf", timeout)

    def perf_buffer_consume(self) -> None:
        """Calls the callbacks of opened perf buffers for the records that are there."""
        self._serve("perf", 0)

    def _serve(self, kind: str, timeout: int) -> None:
        from .poll import poll

        every = (getattr(part, "subscription", None) for part in self.parts)
        subscriptions = [each for each in every if each and each.kind == kind]
        at_once = not timeout or any(each.undelivered for each in subscriptions)
        poll([each.reader for each in subscriptions], 0 if at_once else None if timeout < 0 else timeout / 1000)
        for each in subscriptions:
            each.deliver()
