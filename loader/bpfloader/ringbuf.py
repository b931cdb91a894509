"""A ring buffer's records, read from the memory that the kernel shares (Documentation/bpf/ringbuf.rst, linux/bpf.h).

The first page holds the consumer's position, the second the producer's, then come the data, mapped twice so that a
record that wraps around is in one piece. A record is a header of 8 bytes, whose first word is the length with a busy
and a discard bit, and its data; each starts at a multiple of 8.
"""

from __future__ import annotations

import mmap
import select
import struct as structs
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .codec import Codec
from .errors import LayoutError, MapError
from .maps import Map, codec_of

if TYPE_CHECKING:
    from .object import Object

T = TypeVar("T")
BUSY, DISCARD, HEADER = 1 << 31, 1 << 30, 8  # BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ
UNIFORM = 64  # records tried at once as being all of the codec's size
AT_ONCE = 1024  # records decoded before their space goes back to the kernel
DAY = 86400.0  # seconds: poll(2) takes milliseconds in an int
LONG = structs.calcsize("L")


class Fence:
    """Orders memory accesses across the call, which arm64 and others don't do by themselves: release, then acquire."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()


class RecordError(LayoutError):
    """A record too short for its type; `step` is how far the next one is."""

    def __init__(self, what: str, step: int):
        super().__init__(what, fix="submit what the ring's type says, or declare the type that is submitted")
        self.step = step


class Records(Generic[T]):
    """Decodes records from a ring's data, `memory`, in which they are mapped twice."""

    def __init__(self, memory: memoryview, codec: Codec[T], fence: Callable[[], None]):
        self.memory, self.codec, self.fence, self.size = memory, codec, fence, len(memory) // 2
        self.words = memory.cast("I")
        codes, self.build = codec.body()
        self.stride = _step(codec.size)
        self.batch = structs.Struct(f"{codec.order}{HEADER}x{codes}{self.stride - HEADER - codec.size}x")

    def take(self, position: int, available: int, limit: int = AT_ONCE) -> tuple[list[T], int]:
        """The records committed from a position on, and how many of the available bytes they and discarded ones take.

        Stops at a record that is still being written. Raises RecordError for a first record that doesn't fit its type.
        """
        values: list[T] = []
        used = 0
        while used < available and len(values) < limit:
            offset = (position + used) % self.size
            count = self._uniform(offset, available - used)
            if count:
                self.fence()
                rows = self.batch.iter_unpack(self.memory[offset : offset + count * self.stride])
                values += map(self.build, rows)
                used += count * self.stride
                continue
            length = self.words[offset >> 2]
            step = _step(length & ~(BUSY | DISCARD))
            if length & BUSY:
                break
            if step > available - used:
                raise MapError(
                    f"a record of {step} bytes in {available - used}", fix="let only one reader consume the ring"
                )
            if not length & DISCARD:
                self.fence()
                try:
                    values.append(self._one(offset + HEADER, length))
                except LayoutError as error:
                    if values:
                        break
                    raise RecordError(error.what, step) from None
            used += step
        return values, used

    def _uniform(self, offset: int, available: int) -> int:
        """How many records from here on are committed and just as long as the type."""
        most = min(available // self.stride, UNIFORM) if self.codec.fixed else 0
        lengths = self.words[offset >> 2 : (offset + most * self.stride) >> 2 : self.stride >> 2].tolist()
        if lengths.count(self.codec.size) == most:
            return most
        return next(number for number, length in enumerate(lengths) if length != self.codec.size)

    def _one(self, start: int, length: int) -> T:
        return self.codec.unpack(self.memory[start : start + length])

    def close(self) -> None:
        """Lets go of the memory."""
        self.words.release()
        self.memory.release()


def _step(length: int) -> int:
    """How far the record after one of that length is."""
    return (length + HEADER + 7) // 8 * 8


class RingBuffer(Map, Generic[T]):
    """A ring buffer, its records typed. One reader at a time; records are copied, so that they stay valid.

    `record` is a generated class or a codec.
    """

    def __init__(self, owner: Object, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        self._codec: Codec[T] = codec_of(record)
        self._fence, self._pending = Fence(), deque[T]()
        self._records: Records[T] | None = None

    def _open(self) -> Records[T]:
        """Maps the ring at the first use, with the machine's own page size: 4096 is EINVAL where pages have 16 KiB."""
        fd = self.fd
        if self._records is None:
            page, size = mmap.PAGESIZE, self.max_entries
            mapped = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            self._consumer = memoryview(mapped)[:LONG].cast("L")
            view = memoryview(mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page))
            self._producer = view[:LONG].cast("L")
            self._records = Records(view[page:], self._codec, self._fence)
            self._poll = select.poll()
            self._poll.register(fd, select.POLLIN)
        return self._records

    def _refill(self) -> bool:
        """Decodes what is committed and hands its space back; whether there was any."""
        records, position = self._open(), self._consumer[0]
        available = (self._producer[0] - position) % (1 << 8 * LONG)
        self._fence()
        used = 0
        try:
            values, used = records.take(position, available)
            self._pending.extend(values)
        except RecordError as error:
            used = error.step
            raise
        finally:
            self._fence()  # the kernel may overwrite what lies before the position
            self._consumer[0] = (position + used) % (1 << 8 * LONG)
        return used > 0

    def poll(self, timeout: float | None = None) -> bool:
        """Whether there is a record, after waiting up to `timeout` seconds (at most a day); without end for None."""
        self._open()
        limit = None if timeout is None else min(max(0.0, timeout), DAY) * 1000
        return bool(self._pending) or bool(self._poll.poll(limit))

    def events(self, timeout: float | None = None) -> Iterator[T]:
        """The records as they come, until none has come for `timeout` seconds; without end for None.

        Breaking off loses nothing: the next call goes on. Raises StateError before load and after destroy, RecordError
        for a record shorter than its type, which the next call passes over.
        """
        while True:
            while self._pending:
                yield self._pending.popleft()
            if not self._refill() and not self.poll(timeout):
                return

    def consume(self, callback: Callable[[T], Any]) -> int:
        """How many records were there, each handed to `callback`; never waits. Raises as `events` does."""
        count = 0
        self._open()
        while self._pending or self._refill():
            if self._pending:
                callback(self._pending.popleft())
                count += 1
        return count

    def _close(self) -> None:
        """Unmaps the ring; records already decoded are dropped."""
        if self._records:
            self._records.close()
            self._consumer.release()
            self._producer.release()
            self._records = None
        self._pending.clear()
