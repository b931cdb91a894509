"""The ways to read a ring or perf buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, repeat, starmap
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..codec.records import Form, Raw, Tuples
from ..errors import StateError
from .buffer import Buffer

if TYPE_CHECKING:
    from typing import Literal

    from .async_reader import Stream
    from .callback import Subscription

T = TypeVar("T")


class Reader(Buffer[T]):
    """A buffer that programs fill and Python empties. Base of RingBuffer and PerfEventArray.

    Records are copies: they stay valid. Any number of threads and tasks may read, each record goes to one of them; of
    processes only one may. An iteration ends when the object is destroyed, by whatever thread; one that is begun
    afterwards raises StateError. An exception in a callback, a KeyboardInterrupt, a cancelled task or a loop that is
    broken off loses nothing but the record that was in hand: the next call goes on behind it.
    """

    subscription: Subscription | None = None  # what a callback was opened with, for those who come from bcc

    def fileno(self) -> int:
        """A descriptor that is readable when there may be a record, for select, epoll and event loops of others.

        It stays the reader's own. Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        waiter = self._ensure_waiter()
        if waiter is None:
            raise StateError("the object is destroyed", fix="open it again")
        return waiter.fileno()

    def poll(self, timeout: float | None = None) -> bool:
        """Whether there is a record, after waiting up to `timeout` seconds; without end for None.

        False, too, when the object is destroyed meanwhile. Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        return self._poll(timeout)

    def events(self, timeout: float | None = None) -> Iterator[T]:
        """The records as they come, until none has come for `timeout` seconds; without end for None.

        Raises StateError before load and after destroy, RecordError for a record shorter than its type, which the next
        call passes over.
        """
        self._ensure_mapped()
        while True:
            try:
                yield from starmap(self._decoded.values.popleft, repeat(()))  # _drain, without a second generator
            except IndexError:
                pass
            if not self._refill() and not self._poll(timeout):
                return

    def __iter__(self) -> Iterator[T]:
        """The records as they come, without end; see `events`."""
        return self.events()

    def __aiter__(self) -> Stream[T]:
        """The records as they come, without end, for `async for`: any number of tasks, in any event loops."""
        from .async_reader import Stream

        self._ensure_mapped()
        return Stream(self)

    def consume(self, callback: Callable[[T], Any], limit: int | None = None) -> int:
        """How many records were there, each handed to `callback`; at most `limit`. It never waits.

        Raises as `events` does, and what the callback raises: the record that it was given counts as read.
        """
        count = 0
        self._ensure_mapped()
        while (limit is None or count < limit) and self._refill():
            for value in islice(self._drain(), None if limit is None else limit - count):
                count += 1
                callback(value)
        return count

    @overload
    def batch(self, timeout: float | None = None, limit: int | None = None, *, numpy: Literal[True]) -> Any: ...

    @overload
    def batch(self, timeout: float | None = None, limit: int | None = None, *, numpy: bool = False) -> list[T]: ...

    def batch(self, timeout: float | None = None, limit: int | None = None, *, numpy: bool = False) -> Any:
        """The records that are there, at most `limit`, as a list; waits up to `timeout` seconds for the first one.

        With `numpy` a structured array instead, a copy that is the caller's own, with the type's members as fields (see
        codec/numpy_records.py). An empty one at the time-out. Raises as `events` does, LibraryError where there is no
        numpy.
        """
        if not numpy:
            return self._after_waiting(Form, timeout, limit)
        from ..codec.numpy_records import Arrays

        return self._after_waiting(Arrays, timeout, limit)

    def tuples(self, timeout: float | None = None, limit: int | None = None) -> list[tuple[Any, ...]]:
        """As `batch`, but tuples of the members as they lie in memory, which is several times as fast.

        Integers and floats are numbers, all else is bytes: text with its NULs, arrays, nested structs; neighbouring
        bitfields are one item. Raises as `events` does.
        """
        rows: list[tuple[Any, ...]] = self._after_waiting(Tuples, timeout, limit)
        return rows

    def _after_waiting(self, kind: type[Form], timeout: float | None, limit: int | None) -> Any:
        self._ensure_mapped()
        # What an interrupt kept from the caller is no longer in the buffer, where _poll looks.
        ready = self._has_undelivered(kind) or self._poll(timeout)
        return self._batch(kind, limit) if ready else self._form(kind).join([])

    def event(self, data: bytes) -> T:
        """The record that bytes are, as `raw` gives them. Raises LayoutError for too few of them."""
        return self._codec.unpack(data)

    def raw(self, limit: int | None = None) -> list[bytes]:
        """The bytes of the records that are there, at most `limit`, whatever their type; never waits."""
        self._ensure_mapped()
        values: list[bytes] = self._batch(Raw, limit)
        return values
