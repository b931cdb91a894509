"""What lies under the ways to read a ring or perf buffer: its memory, locks, waiting, and its end in the middle of it all.

The lock guards the memory: it is held while records are decoded, never while anybody waits or a callback runs. It is
reentrant, since a signal's handler may destroy the object in the middle. `destroy` takes the object's lock, then this one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, repeat, starmap
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ..codec.base import Codec
from ..codec.records import Form
from ..fork import follow
from ..maps.base import Map, codec_of
from ..signals import Undisturbed
from .source import EMPTY, PAUSE, READY, Source, Taken
from .waiting import Pace, Waiter

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 1024  # records decoded before their space goes back to the kernel


class Buffer(Map, Generic[T]):
    """A buffer that programs fill and Python empties: all of it but the ways to read."""

    HEADER: ClassVar[int]  # bytes before a record's data

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        self._codec: Codec[T] = codec_of(record)
        self._lock = threading.RLock()
        self._source: Source | None = None
        self._waiter: Waiter | None = None
        self._taken = Taken(deque(), None)
        self._forms: dict[type[Form], Form] = {}
        # Of each thread and form the batch that it is about to return: an interrupt leaves it here for the next call.
        self._handed: dict[tuple[int, type[Form]], Taken] = {}
        self._pace = Pace()
        follow(self)

    def _make(self) -> Source:
        """Maps the buffer."""
        raise NotImplementedError

    def _stride(self, length: int) -> int:
        """How far from a record of that length the next one is."""
        raise NotImplementedError

    def _opened(self) -> Source:
        """The buffer, mapped at the first use. Raises StateError before load and after destroy."""
        if (source := self._source) is not None:
            return source
        with self._owner.lock, self._lock, Undisturbed():  # the locks in the order in which destroy takes them
            if self._source is None:
                self._source = self._make()
            return self._source

    def _waiting(self) -> Waiter | None:
        """What wakes this process for the buffer, None for one whose object is destroyed."""
        with self._lock:
            if self._source and not self._waiter:
                with Undisturbed():
                    self._waiter = Waiter(self._source.fds)
            return self._waiter

    def _form(self, kind: type[Form]) -> Form:
        if kind not in self._forms:
            self._forms[kind] = kind(self._codec, self.HEADER, self._stride(self._codec.size))
        return self._forms[kind]

    def _under_lock(self, read: Callable[[Source], R], closed: R) -> R:
        """What `read` gives of the open buffer, `closed` for one whose object is destroyed, even in the middle."""
        with self._lock:
            if self._source is None:
                return closed
            try:
                return read(self._source)
            except ValueError:  # a signal's handler has released the memory while this thread was in it
                if self._source is None:
                    return closed
                raise

    def _refill(self) -> bool:
        """Decodes what is committed and hands its space back; whether there was any."""

        def refill(source: Source) -> bool:
            if self._taken.values:
                return True
            self._settle(source)
            values, mark = source.take(self._form(Form), AT_ONCE)
            self._taken = Taken(deque(values), mark)
            source.release(mark)
            return bool(values)

        return self._under_lock(refill, False)

    def _settle(self, source: Source) -> None:
        """Hands back what has been taken: an interrupt may have come before that was done."""
        for taken in (self._taken, *self._handed.values()):
            source.release(taken.mark)

    def _is_handed(self, kind: type[Form]) -> bool:
        """Whether an interrupted call of this thread has left a batch of that form, which the next one gives."""
        return (threading.get_ident(), kind) in self._handed

    def _batch(self, kind: type[Form], limit: int | None) -> Any:
        """Records in one of the forms, at most `limit`: those that an iteration has left, or else the buffer's."""
        form, key = self._form(kind), (threading.get_ident(), kind)

        def read(source: Source) -> None:
            self._settle(source)
            if key in self._handed:  # an interrupted call's
                return
            if self._taken.values:
                return self._hand_left(key, form, limit)
            values, mark = source.take(form, limit)
            self._handed[key] = Taken(form.joined(values), mark)
            source.release(mark)

        self._under_lock(read, None)
        for taken in starmap(self._handed.pop, ((key, None),)):  # once, as source.ONCE says
            return taken.values if taken else form.joined([])

    def _hand_left(self, key: tuple[int, type[Form]], form: Form, limit: int | None) -> None:
        """A batch of the records that an iteration has left."""
        values: list[Any] = []
        typed = type(form) is Form
        if typed:
            self._handed[key] = Taken(values, None)  # before it is filled, so that an interrupt loses none
        for value in islice(self._drain(), limit):
            values += [value] if typed else form.one(memoryview(self._codec.pack(value)))
        self._handed[key] = Taken(form.joined(values), None)

    def _drain(self) -> Iterator[T]:
        """The records that are decoded already, each removed.

        Nothing is called in Python between a record's removal and where it goes: there CPython would raise an interrupt.
        """
        try:
            yield from starmap(self._taken.values.popleft, repeat(()))
        except IndexError:  # that was the last one
            return

    def _state(self) -> int:
        return READY if self._taken.values else self._under_lock(lambda source: source.state(), EMPTY)

    def _pause(self) -> float:
        """How long to sleep rather than to wait for the next record (see waiting.Pace)."""
        return self._under_lock(lambda source: self._pace.pause(time.monotonic(), *source.progress()), 0.0)

    def _poll(self, timeout: float | None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            state, waiter = self._state(), self._waiting()
            left = None if end is None else end - time.monotonic()
            if state == READY or waiter is None or (left is not None and left <= 0):
                return state == READY
            if state == EMPTY:
                pause = self._pause()
                time.sleep(pause if left is None else min(pause, left)) if pause else waiter.wait(left)
            else:  # epoll would say at once that there is something
                time.sleep(PAUSE)

    @property
    def lost(self) -> int | None:
        """How many records found no room; None where nobody counts."""
        return None

    def _forked(self) -> None:
        """In a new child process: locks may be held by threads that it hasn't got, and epoll is the parent's."""
        self._lock = threading.RLock()
        if self._waiter:
            self._waiter.abandon()
            self._waiter = None
        if self._source:
            self._source.forked()

    def _close(self) -> None:
        """Ends whatever iteration is under way, and unmaps the buffer; records that nobody has got are dropped."""
        with self._lock:
            source, self._source = self._source, None
            waiter, self._waiter = self._waiter, None
            self._taken.values.clear()
            self._handed.clear()
            if source:
                source.close()
            if waiter:
                waiter.close()
