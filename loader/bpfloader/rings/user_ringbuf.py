"""Writes user ring buffers: records from Python for a program, which drains them with bpf_user_ringbuf_drain.

The memory is a ring buffer's (see ringbuf.py) with the roles exchanged: the kernel writes the consumer's position on
the first page, which is read-only here; this process writes the producer's position and the data. It begins a record
with the busy bit in its header, at which the kernel stops, and publishes it by clearing that bit (kernel/bpf/ringbuf.c,
__bpf_user_ringbuf_peek; user_ring_buffer__reserve in libbpf's ringbuf.c). Linux 6.1 and newer.
"""

from __future__ import annotations

import mmap
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ..codec.base import Codec, pack_for
from ..errors import LayoutError, MapError
from ..fork import call_after_fork
from ..map.base import Map, codec_of
from ..map.shared import mapping
from ..signals import DeferredSignals
from .barrier import Fence
from .memory import set_kernel_sizes
from .ringbuf import BUSY_BIT, DISCARD_BIT, LONG_SIZE, POSITION_RANGE, RECORD_HEADER_SIZE, record_stride

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
# Seconds between looks at a full ring, doubled from the first to the second number. poll(2) doesn't help: it returns as
# soon as a single byte is free, and a program may drain without waking anyone (BPF_RB_NO_WAKEUP).
FIRST_PAUSE, LAST_PAUSE = 0.0001, 0.01
IF_FULL = "let the program drain it (bpf_user_ringbuf_drain), give a timeout, or raise max_entries before load"


class UserRing:
    """The memory of a user ring buffer; use it only under the map's lock."""

    def __init__(self, fd: int, size: int):
        self.size, self.fence = size, Fence()
        page, length = mmap.PAGESIZE, mmap.PAGESIZE + 2 * size
        self.consumer = memoryview(mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ))[:LONG_SIZE].cast("L")
        view = memoryview(mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=page))
        self.producer, self.data = view[:LONG_SIZE].cast("L"), view[page:]
        self.words = self.data.cast("I")

    def free(self) -> int:
        """Returns the number of free bytes."""
        used: int = (self.producer[0] - self.consumer[0]) % POSITION_RANGE
        self.fence()
        return self.size - used

    def put(self, data: bytes | int, busy: int) -> int | None:
        """Adds a record with this data, or with room for that many bytes, and returns the offset of its header.

        Returns None if the ring is too full. One assignment publishes it: an interrupt before changes nothing.
        """
        length = data if isinstance(data, int) else len(data)
        if record_stride(length) > self.free():
            return None
        position: int = self.producer[0]
        offset = position % self.size
        self.words[offset >> 2], self.words[(offset >> 2) + 1] = length | busy, 0
        if not isinstance(data, int):
            self.data[offset + RECORD_HEADER_SIZE : offset + RECORD_HEADER_SIZE + length] = data
        self.fence()
        self.producer[0] = (position + record_stride(length)) % POSITION_RANGE
        return offset

    def close(self) -> None:
        """Releases the views of the memory."""
        for view in (self.words, self.data, self.producer, self.consumer):
            view.release()


class RecordPlace(NamedTuple):
    """The ring that holds a record, and the offset of the record's header."""

    ring: UserRing
    offset: int


class Reservation:
    """Space for one record: write to `data`, then call `submit` or `discard`. A `with` calls `discard` on an error.

    Until then the program gets neither this record nor later ones.
    """

    def __init__(self, owner: UserRingBuffer[Any], ring: UserRing, offset: int, size: int):
        self._owner, self._ring, self._offset, self._size = owner, ring, offset, size
        self.data = ring.data[offset + RECORD_HEADER_SIZE : offset + RECORD_HEADER_SIZE + size]

    def submit(self) -> None:
        """Passes the record to the program; does nothing the second time, or after the object's destroy."""
        self._commit(self._size)

    def discard(self) -> None:
        """Gives the space back, unseen by the program; does nothing the second time."""
        self._commit(self._size | DISCARD_BIT)

    def _commit(self, header: int) -> None:
        with self._owner._lock:
            self.data.release()
            ring, self._ring = self._ring, None  # type: ignore[assignment]
            if ring and self._owner._ring is ring:
                ring.fence()
                ring.words[self._offset >> 2] = header

    def __enter__(self) -> memoryview:
        return self.data

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.discard() if kind else self.submit()


class UserRingBuffer(Map, Generic[T]):
    """A user ring buffer of typed records. `record` is a generated class or a codec. Any thread may write."""

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        set_kernel_sizes(self, 0)
        self._codec: Codec[T] = codec_of(record)
        self._lock = threading.RLock()
        self._ring: UserRing | None = None
        call_after_fork(self)

    def _ensure_mapped(self) -> UserRing:
        if (ring := self._ring) is not None:
            return ring
        with self._owner.lock, self._lock, DeferredSignals():  # the locks in the order in which destroy takes them
            if self._ring is None:
                with mapping(f"the ring {self.name}"):
                    self._ring = UserRing(self.fd, self.max_entries)
            return self._ring

    @property
    def size(self) -> int:
        """The size of the ring in bytes; a record takes 8 bytes more than its size, rounded up to a multiple of 8."""
        return self.max_entries

    @property
    def free(self) -> int:
        """The free bytes. Raises StateError before load and after destroy."""
        ring = self._ensure_mapped()
        with self._lock:
            return ring.free() if self._ring is ring else 0

    def submit(self, record: T, timeout: float | None = 0.0) -> None:
        """Sends a record; waits up to `timeout` seconds for space, without end for None.

        Raises MapError for a ring that is still full, LayoutError for a value that doesn't fit its type or the ring,
        StateError before load and after destroy.
        """
        self._put(pack_for(self, self._codec, record), 0, timeout)

    def reserve(self, size: int | None = None, timeout: float | None = 0.0) -> Reservation:
        """Reserves space for a record of `size` bytes, by default the type's. Waits and raises as `submit` does."""
        length = self._codec.size if size is None else size
        ring, offset = self._put(length, BUSY_BIT, timeout)
        return Reservation(self, ring, offset, length)

    def _put(self, data: bytes | int, busy: int, timeout: float | None) -> RecordPlace:
        length = data if isinstance(data, int) else len(data)
        end = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            ring = self._ensure_mapped()
            if length < 0 or length >= DISCARD_BIT or record_stride(length) > ring.size:
                what = f"a record of {length} bytes doesn't fit {self.name}, which has {ring.size}"
                raise LayoutError(what, fix="raise max_entries before load")
            with self._lock:
                offset = ring.put(data, busy) if self._ring is ring else None
            if offset is not None:
                return RecordPlace(ring, offset)
            left = pause if end is None else min(pause, end - time.monotonic())
            if left <= 0:
                raise MapError(f"the user ring buffer {self.name} is full", fix=IF_FULL)
            time.sleep(left)
            pause = min(2 * pause, LAST_PAUSE)

    def _after_fork(self) -> None:
        """Replaces the lock, which a thread missing in the child may hold, and the ring's fence."""
        self._lock = threading.RLock()
        if self._ring:
            self._ring.fence = Fence()

    def _close(self) -> None:
        """Unmaps the ring."""
        with self._lock:
            ring, self._ring = self._ring, None
            if ring:
                ring.close()
