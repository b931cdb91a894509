"""Reads ring buffers from the memory that the kernel shares (Documentation/bpf/ringbuf.rst, linux/bpf.h).

The first page holds the consumer's position, the second the producer's; then come the data, mapped twice so that a
record that wraps around is in one piece. A record is a header of 8 bytes, whose first word is the length with a busy
and a discard bit, and its data; each starts at a multiple of 8.

The order of accesses (kernel/bpf/ringbuf.c): read the producer's position, then a record's header, then its data; move
the consumer's position on only after all of the data is read, since the kernel may overwrite what lies before it. Stop
at a busy record: programs commit in any order, the ring keeps the order of reservation.
"""

from __future__ import annotations

import mmap
import struct as structs
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..codec.base import Codec
from ..codec.records import RecordDecoder, RecordError
from ..errors import LayoutError, MapError
from ..map.shared import mapping
from .barrier import Fence
from .callback import Callback, Subscription
from .memory import BUSY_HEAD, EMPTY, READY, Batch, SharedMemory, set_kernel_sizes
from .reader import Reader
from .waiting import LOOK

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
BUSY_BIT, DISCARD_BIT = 1 << 31, 1 << 30  # BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT
RECORD_HEADER_SIZE = 8  # BPF_RINGBUF_HDR_SZ
FIRST_RUN, LONGEST_RUN = 64, 4096  # records decoded as one run, all of the type's size: at first, and at most
LONG_SIZE = structs.calcsize("L")
POSITION_RANGE = 1 << 8 * LONG_SIZE  # positions are unsigned longs that count bytes and wrap around


class Front(NamedTuple):
    """A buffer's state by its first record that isn't discarded, and the bytes of discarded ones before that."""

    state: int
    discarded: int


class Records:
    """Finds the records in a ring's data, which are mapped twice in `memory`."""

    def __init__(self, memory: memoryview, fence: Callable[[], None]):
        self.memory, self.fence, self.size = memory, fence, len(memory) // 2
        self.words = memory.cast("I")
        self._sizes: dict[int, memoryview] = {}
        self._run_length = FIRST_RUN

    def committed(
        self, decoder: RecordDecoder, position: int, available: int, limit: int | None = None
    ) -> tuple[list[Any], int]:
        """Returns the records committed from a position on, and how many bytes they and discarded ones take.

        Stops at a record that is still being written. Raises RecordError for a first record that doesn't fit its type.
        """
        values: list[Any] = []
        used, left = 0, available if limit is None else limit
        while used < available and left > 0:
            offset = (position + used) % self.size
            count = (
                self._uniform(decoder, offset, min(left, (available - used) // decoder.stride)) if decoder.fixed else 0
            )
            if count:
                self.fence()
                values += decoder.decode_run(self.memory[offset : offset + count * decoder.stride])
                used, left = used + count * decoder.stride, left - count
                continue
            length = self.words[offset >> 2]
            step = record_stride(length)
            if length & BUSY_BIT:
                break
            if step > available - used:
                what = f"a record of {step} bytes in {available - used}"
                raise MapError(what, fix="let only one process consume the ring")
            if not length & DISCARD_BIT:
                self.fence()
                try:
                    values += decoder.decode_one(
                        self.memory[offset + RECORD_HEADER_SIZE : offset + RECORD_HEADER_SIZE + length]
                    )
                    if length > decoder.size:
                        decoder.note_longer(length)
                except LayoutError as error:
                    if values:
                        break
                    raise RecordError(error.what, step) from None
                left -= 1
            used += step
        return values, used

    def _uniform(self, decoder: RecordDecoder, offset: int, most: int) -> int:
        """Counts the committed records from an offset on that have the type's size, up to `most`."""
        most = min(most, self._run_length)
        if not most:
            return 0
        lengths = self.words[offset >> 2 : (offset + most * decoder.stride) >> 2 : decoder.stride >> 2]
        if lengths == self._headers_of(decoder.size)[:most]:
            self._run_length = min(2 * self._run_length, LONGEST_RUN)
            return most
        # The kernel may have committed a record between the comparison above and the look at it here.
        count = next((number for number, length in enumerate(lengths) if length != decoder.size), most)
        self._run_length = max(1, count)
        return count

    def _headers_of(self, size: int) -> memoryview:
        """Returns LONGEST_RUN headers of that size: comparing with them is much faster than a loop over headers."""
        if size not in self._sizes:
            self._sizes[size] = memoryview(array("I", [size]) * LONGEST_RUN)
        return self._sizes[size]

    def front(self, position: int, available: int) -> Front:
        """Looks at the records from a position on, up to the first one that isn't discarded."""
        used = 0
        while used < available:
            length = self.words[(position + used) % self.size >> 2]
            if length & BUSY_BIT:
                return Front(BUSY_HEAD, used)
            if not length & DISCARD_BIT:
                return Front(READY, used)
            used += record_stride(length)
        return Front(EMPTY, min(used, available))

    def close(self) -> None:
        """Releases the views of the memory."""
        self.words.release()
        self.memory.release()


def record_stride(length: int) -> int:
    """Returns the distance in bytes from a record to the next one, by the first word of its header."""
    return ((length & ~(BUSY_BIT | DISCARD_BIT)) + RECORD_HEADER_SIZE + 7) // 8 * 8


class Ring(SharedMemory):
    """A ring buffer's memory, mapped with the machine's own page size: on pages of 16 KiB, 4096 is EINVAL."""

    def __init__(self, fd: int, size: int):
        self.fds, self._fence = [fd], Fence()
        mapped = mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.consumer = memoryview(mapped)[:LONG_SIZE].cast("L")
        length = mmap.PAGESIZE + 2 * size
        view = memoryview(mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=mmap.PAGESIZE))
        self.producer = view[:LONG_SIZE].cast("L")
        self.records = Records(view[mmap.PAGESIZE :], self._fence)

    def available(self) -> int:
        """Returns the bytes that are reserved or committed and not yet released."""
        available: int = (self.producer[0] - self.consumer[0]) % POSITION_RANGE
        self._fence()
        return available

    def progress(self) -> tuple[int, int]:
        return self.consumer[0], self.records.size

    def state(self) -> int:
        """Returns READY, BUSY_HEAD or EMPTY by the first record, and releases discarded ones before it."""
        position = self.consumer[0]
        state, discarded = self.records.front(position, self.available())
        if discarded:  # else epoll would report them again and again
            self.release(position + discarded)
        return state

    def read_records(self, decoder: RecordDecoder, limit: int | None) -> Batch:
        """Reads committed records, at most `limit`; a first one that doesn't fit is left behind. Raises RecordError."""
        position = self.consumer[0]
        try:
            values, used = self.records.committed(decoder, position, self.available(), limit)
        except RecordError as error:
            self.release(position + error.step)
            raise
        return Batch(values, position + used)

    def release(self, mark: Any) -> None:
        """Moves the consumer's position on, never back."""
        if mark is not None and 0 < (mark - self.consumer[0]) % POSITION_RANGE <= 2 * self.records.size:
            self._fence()
            self.consumer[0] = mark % POSITION_RANGE

    def after_fork(self) -> None:
        self._fence = self.records.fence = Fence()

    def close(self) -> None:
        """Releases the memory, which is unmapped with its last view."""
        self.records.close()
        self.consumer.release()
        self.producer.release()


class RingBuffer(Reader[T]):
    """A ring buffer of typed records. `record` is a generated class or a codec.

    A program that can't reserve space may count that itself, in a global variable or a per-CPU array that has the
    ring's name with `_lost` behind it, or the name in `counter`. `lost` reads it.
    """

    HEADER_SIZE = RECORD_HEADER_SIZE
    counter: str = ""
    _longest_wait = LOOK

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name, record)
        set_kernel_sizes(self, 0)

    def open_ring_buffer(self, callback: Callback, ctx: Any = None) -> None:
        """Makes Object.ring_buffer_poll call `callback` with (ctx, bytes, size). Raises StateError before load.

        For code that comes from bcc (see callback.py).
        """
        self._ensure_mapped()
        self.subscription = Subscription("ring", self, callback, ctx)

    def _map_memory(self) -> Ring:
        with mapping(f"the ring {self.name}"):
            return Ring(self.fd, self.max_entries)

    def _stride(self, length: int) -> int:
        return record_stride(length)

    @property
    def size(self) -> int:
        """The size of the ring in bytes; a record takes 8 bytes more than its size, rounded up to a multiple of 8."""
        return self.max_entries

    @property
    def available(self) -> int:
        """The bytes of records that haven't been read; near `size`, records are about to be lost.

        Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        return self._under_lock(lambda ring: ring.available(), 0)

    @property
    def lost(self) -> int | None:
        """The number of records that found no room, by the program's own count; None if it doesn't count."""
        return self._owner.program_count(self.counter or f"{self.name}_lost")
