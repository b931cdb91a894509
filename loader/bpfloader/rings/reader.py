"""Reader, the ways to read a ring or perf buffer: iteration, callbacks, batches, asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..codec.records import BytesDecoder, RecordDecoder, TupleDecoder
from ..errors import StateError
from .buffer import Buffer

if TYPE_CHECKING:
    from typing import Literal

    from .async_reader import Stream
    from .callback import Subscription

T = TypeVar("T")


class Reader(Buffer[T]):
    """A buffer that programs fill and Python empties. Base of RingBuffer and PerfEventArray.

    Records are copies, which stay valid. Any number of threads and tasks may read, and each record goes to one of them;
    only one process may read. An iteration ends when any thread destroys the object; one that begins afterwards raises
    StateError. An exception in a callback, a KeyboardInterrupt, a cancelled task or a `break` loses at most the current
    record: the next call goes on behind it. But what `batch` returns is the caller's: a handler that raises between its
    return and its use loses it (docs/loader.md says where Python allows that).
    """

    subscription: Subscription | None = None  # the callback that was opened, for code that comes from bcc

    def fileno(self) -> int:
        """Returns a descriptor that is readable when there may be a record, for select, epoll and other event loops.

        The buffer owns it. Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        waiter = self._ensure_waiter()
        if waiter is None:
            raise StateError("the object is destroyed", fix="open it again")
        return waiter.fileno()

    def poll(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds, without end for None, and returns True if there is a record.

        Returns False when the object is destroyed meanwhile. Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        return self._poll(self._gather(timeout))

    def events(self, timeout: float | None = None) -> Iterator[T]:
        """Yields records as they come, until none has come for `timeout` seconds; without end for None.

        Raises StateError before load and after destroy, RecordError for a record shorter than its type, which the next
        call skips.
        """
        return chain.from_iterable(self._chunks_as_they_come(timeout))  # no frame of Python's runs for each record

    def _chunks_as_they_come(self, timeout: float | None) -> Iterator[Iterator[T]]:
        self._ensure_mapped()
        while True:
            yield from self._chunks()
            left = self._gather(timeout)
            if not self._refill() and not self._poll(left):
                return

    def __iter__(self) -> Iterator[T]:
        """Yields records as they come, without end; see `events`."""
        return self.events()

    def __aiter__(self) -> Stream[T]:
        """Returns an asynchronous iterator without end, for any number of tasks in any event loops."""
        from .async_reader import Stream

        self._ensure_mapped()
        return Stream(self)

    def consume(self, callback: Callable[[T], Any], limit: int | None = None) -> int:
        """Calls back for each available record, at most `limit`, and returns how many there were. Never waits.

        Ends also where the callback is slower than the program, or makes it send more: what came meanwhile is left.
        Raises as `events` does, and as the callback does: the record passed to it counts as read.
        """
        self._ensure_mapped()
        count, end = 0, self._end()
        while (limit is None or count < limit) and self._has_before(end) and self._refill():
            for value in islice(self._drain(), None if limit is None else limit - count):
                count += 1
                callback(value)
        return count

    @overload
    def batch(self, timeout: float | None = 0, limit: int | None = None, *, numpy: Literal[True]) -> Any: ...

    @overload
    def batch(self, timeout: float | None = 0, limit: int | None = None, *, numpy: bool = False) -> list[T]: ...

    def batch(self, timeout: float | None = 0, limit: int | None = None, *, numpy: bool = False) -> Any:
        """Returns a list of the available records, at most `limit`; empty if there is none. Doesn't wait.

        With a `timeout`, waits up to so many seconds for the first record, without end for None. With `numpy` returns
        a structured array instead, the caller's own copy, with the type's members as fields (see
        codec/numpy_records.py). Raises as `events` does, LibraryError without numpy.
        """
        if not numpy:
            return self._after_waiting(RecordDecoder, timeout, limit)
        from ..codec.numpy_records import ArrayDecoder

        return self._after_waiting(ArrayDecoder, timeout, limit)

    def tuples(self, timeout: float | None = 0, limit: int | None = None) -> list[tuple[Any, ...]]:
        """Returns the same as `batch`, as tuples of the members as they lie in memory: several times as fast.

        Waits as `batch` does: only with a `timeout`, without end for None.
        Integers and floats are numbers, other types are bytes: text with its NULs, arrays, nested structs; neighbouring
        bitfields are one item. Raises as `events` does.
        """
        rows: list[tuple[Any, ...]] = self._after_waiting(TupleDecoder, timeout, limit)
        return rows

    def _after_waiting(self, kind: type[RecordDecoder], timeout: float | None, limit: int | None) -> Any:
        self._ensure_mapped()
        left = self._gather(timeout)
        if not self._read_batch(kind, limit) and self._poll(left):  # a look before would cost as much as the read
            self._read_batch(kind, limit)
        return self._take_batch(kind)

    def event(self, data: bytes) -> T:
        """Decodes a record from its bytes, such as `raw` returns. Raises LayoutError for too few bytes."""
        return self._codec.unpack(data)

    def raw(self, limit: int | None = None) -> list[bytes]:
        """Returns the bytes of the available records, at most `limit`, whatever their type. Never waits."""
        self._ensure_mapped()
        values: list[bytes] = self._batch(BytesDecoder, limit)
        return values
