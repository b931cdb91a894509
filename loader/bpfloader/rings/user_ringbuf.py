"""User ring buffers: records that go from Python to a program, which drains them by bpf_user_ringbuf_drain.

The memory is a ring buffer's (see ringbuf.py) with the roles changed: the first page is the consumer's position, the
kernel's and read-only for us; then come the producer's position and the data, which are ours. A record is begun with
the busy bit in its header, at which the kernel stops, and published by taking that away (kernel/bpf/ringbuf.c,
__bpf_user_ringbuf_peek; user_ring_buffer__reserve in libbpf's ringbuf.c). Linux 6.1 and newer.
"""

from __future__ import annotations

import mmap
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..codec.base import Codec, pack_for
from ..errors import LayoutError, MapError
from ..maps.base import Map, codec_of
from ..signals import DeferredSignals
from .barrier import Fence
from .ringbuf import BUSY, DISCARD, HEADER, LONG, POSITIONS, step_of
from .memory import state_sizes

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
# Seconds between looks at a full ring, doubled up to the second. No poll(2): it says "writable" as soon as a byte is
# free, and a program may drain without waking anyone (BPF_RB_NO_WAKEUP).
SHORTEST, LONGEST = 0.0001, 0.01


class UserRing:
    """The memory of a user ring buffer; only ever used under its map's lock."""

    def __init__(self, fd: int, size: int):
        self.size, self.fence = size, Fence()
        page, length = mmap.PAGESIZE, mmap.PAGESIZE + 2 * size
        self.consumer = memoryview(mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ))[:LONG].cast("L")
        view = memoryview(mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=page))
        self.producer, self.data = view[:LONG].cast("L"), view[page:]
        self.words = self.data.cast("I")

    def free(self) -> int:
        """Bytes that nothing is in."""
        taken = (self.producer[0] - self.consumer[0]) % POSITIONS
        self.fence()
        return self.size - taken

    def put(self, data: bytes | int, busy: int) -> int | None:
        """Where a record's header is that has the data, or room for so many bytes; None if the ring is too full.

        One assignment publishes it, and an interrupt before that leaves the ring as it was.
        """
        length = data if isinstance(data, int) else len(data)
        if step_of(length) > self.free():
            return None
        position: int = self.producer[0]
        offset = position % self.size
        self.words[offset >> 2], self.words[(offset >> 2) + 1] = length | busy, 0
        if not isinstance(data, int):
            self.data[offset + HEADER : offset + HEADER + length] = data
        self.fence()
        self.producer[0] = (position + step_of(length)) % POSITIONS
        return offset

    def close(self) -> None:
        """Lets go of the memory."""
        for view in (self.words, self.data, self.producer, self.consumer):
            view.release()


class Reservation:
    """Room for one record: write to `data`, then `submit` or `discard`, or use it in a `with`, which does the right one.

    Until then the program gets neither it nor what is written after it.
    """

    def __init__(self, owner: UserRingBuffer[Any], ring: UserRing, offset: int, size: int):
        self._owner, self._ring, self._offset, self._size = owner, ring, offset, size
        self.data = ring.data[offset + HEADER : offset + HEADER + size]

    def submit(self) -> None:
        """Gives the record to the program; does nothing the second time. Nor does it after the object's destroy."""
        self._commit(self._size)

    def discard(self) -> None:
        """Gives the room back, unseen by the program; does nothing the second time."""
        self._commit(self._size | DISCARD)

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
    """A user ring buffer, its records typed. `record` is a generated class or a codec. Any number of threads may write."""

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        state_sizes(self, 0)
        self._codec: Codec[T] = codec_of(record)
        self._lock = threading.RLock()
        self._ring: UserRing | None = None

    def _ensure_mapped(self) -> UserRing:
        if (ring := self._ring) is not None:
            return ring
        with self._owner.lock, self._lock, DeferredSignals():  # the locks in the order in which destroy takes them
            if self._ring is None:
                self._ring = UserRing(self.fd, self.max_entries)
            return self._ring

    @property
    def size(self) -> int:
        """How many bytes the ring holds; each record takes its own size, 8 more, and what fills up a multiple of 8."""
        return self.max_entries

    @property
    def free(self) -> int:
        """How many of its bytes are free. Raises StateError before load and after destroy."""
        ring = self._ensure_mapped()
        with self._lock:
            return ring.free() if self._ring is ring else 0

    def submit(self, record: T, timeout: float | None = 0.0) -> None:
        """Sends a record, after waiting up to `timeout` seconds for room; without end for None.

        Raises MapError when there is still no room, LayoutError for a value that doesn't fit, or a record larger than
        the ring, StateError before load and after destroy.
        """
        self._put(pack_for(self, self._codec, record), 0, timeout)

    def reserve(self, size: int | None = None, timeout: float | None = 0.0) -> Reservation:
        """Room for a record of `size` bytes, the type's own if it isn't given. Waits and raises as `submit` does."""
        wanted = self._codec.size if size is None else size
        ring, offset = self._put(wanted, BUSY, timeout)
        return Reservation(self, ring, offset, wanted)

    def _put(self, data: bytes | int, busy: int, timeout: float | None) -> tuple[UserRing, int]:
        length = data if isinstance(data, int) else len(data)
        end = None if timeout is None else time.monotonic() + timeout
        pause = SHORTEST
        while True:
            ring = self._ensure_mapped()
            if length < 0 or length >= DISCARD or step_of(length) > ring.size:
                what = f"a record of {length} bytes doesn't fit {self.name}, which has {ring.size}"
                raise LayoutError(what, fix="raise max_entries before load")
            with self._lock:
                offset = ring.put(data, busy) if self._ring is ring else None
            if offset is not None:
                return ring, offset
            left = pause if end is None else min(pause, end - time.monotonic())
            if left <= 0:
                fix = "let the program drain it (bpf_user_ringbuf_drain), give a timeout, or raise max_entries before load"
                raise MapError(f"the user ring buffer {self.name} is full", fix=fix)
            time.sleep(left)
            pause = min(2 * pause, LONGEST)

    def _close(self) -> None:
        """Unmaps the ring."""
        with self._lock:
            ring, self._ring = self._ring, None
            if ring:
                ring.close()
