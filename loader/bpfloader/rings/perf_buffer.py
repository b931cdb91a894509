"""Perf buffers, which programs fill with bpf_perf_event_output, one for each CPU (linux/perf_event.h).

A buffer is a page of positions, then data, a power of two of pages. The kernel writes data_head, which only grows, the
reader data_tail; both count bytes. perf_records.py reads the records.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import struct as structs
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..codec.base import Codec
from ..codec.records import RecordDecoder, RecordError
from ..errors import CallError, MapError, PrivilegeError, warn
from ..kernel.perf_event import online_cpus, open_bpf_output
from ..libbpf.library import library
from ..map.perf_counters import Counters
from ..signals import DeferredSignals
from .barrier import Fence
from .callback import Callback, Subscription
from .memory import EMPTY, READY, Batch, SharedMemory, set_kernel_sizes
from .perf_records import SAMPLE_HEADER_SIZE, sample_stride, samples
from .reader import Reader

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
DATA_HEAD, DATA_TAIL = 1024 // 8, 1032 // 8  # offsets in struct perf_event_mmap_page, as words of 8 bytes
LOOK_AT_CPUS = 1.0  # seconds from one look at which CPUs are online to the next
DEFAULT_SIZE = 128 * 1024  # bytes a CPU, below the limit of perf_event_mlock_kb for an unprivileged user


class Consumed(NamedTuple):
    """A buffer's tail, up to which it is read, and how many records were lost before it."""

    tail: int
    lost: int


class CpuBuffer:
    """One CPU's buffer: its perf event and its memory.

    `done` is one object, so that no interrupt separates its two numbers.
    """

    def __init__(self, cpu: int, size: int):
        self.cpu, self.size, self.fd = cpu, size, -1
        self.done = Consumed(0, 0)
        self.fd = open_bpf_output(cpu)
        self.map()

    def map(self) -> None:
        """Maps the memory; writable, since the kernel overwrites unread records of a read-only one. Raises MapError."""
        try:
            mapped = mmap.mmap(self.fd, mmap.PAGESIZE + self.size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError as error:
            fix = "make it smaller, give CAP_IPC_LOCK, or raise RLIMIT_MEMLOCK or kernel.perf_event_mlock_kb"
            what = f"can't map {self.size} bytes of a perf buffer for CPU {self.cpu} ({error.strerror})"
            raise MapError(what, fix=fix, errno=error.errno or 0) from None
        self._view = memoryview(mapped)
        self.data = self._view[mmap.PAGESIZE :]
        self.words = self._view[: mmap.PAGESIZE].cast("Q")

    def available(self) -> int:
        """Returns the bytes between tail and head. On 32 bits positions wrap at 2^32, hence the mask."""
        available: int = (self.words[DATA_HEAD] - self.done.tail) & (2 * self.size - 1)
        return available

    def copy(self, available: int) -> bytes:
        """Copies the bytes from the tail on, in one piece."""
        start = self.done.tail % self.size
        first = bytes(self.data[start : start + available])
        return first + bytes(self.data[: available - len(first)])

    def unmap(self) -> None:
        """Unmaps the memory."""
        self.words.release()
        self.data.release()
        self._view.release()

    def close(self) -> None:
        """Closes the perf event; does nothing the second time."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close  # of a map without an object, which is closed with the last reference to it


class CpuBuffers(SharedMemory):
    """The buffers of all CPUs that are online, also of those that come online later, within LOOK_AT_CPUS seconds.

    The kernel ends a CPU's event as it goes offline, so one that comes back gets a new buffer.
    """

    def __init__(self, name: str, fd: int, size: int):
        self._name, self._fd, self._size = name, fd, size
        self.buffers: list[CpuBuffer] = []
        self._fence, self._turn, self._lost_before = Fence(), 0, 0
        self._online: set[int] = set()
        self._refused: set[int] = set()
        self._next_look = 0.0
        self._make_epoll()
        try:
            for cpu in online_cpus():
                self._open(cpu)
            self._next_look = time.monotonic() + LOOK_AT_CPUS
        except BaseException:
            self.close()
            raise

    def _make_epoll(self) -> None:
        """Makes the descriptor that is readable when a buffer is, of which there may be more later."""
        self._epoll = select.epoll()
        self.fds = [self._epoll.fileno()]
        for buffer in self.buffers:
            if buffer.cpu in self._online:
                self._epoll.register(buffer.fd, select.EPOLLIN)

    def _open(self, cpu: int) -> None:
        """Opens a CPU's buffer, and directs programs' output there to it. Raises PrivilegeError, MapError."""
        try:
            buffer = CpuBuffer(cpu, self._size)
        except MapError as error:
            if error.errno == errno.ENODEV:  # it has gone offline again
                return
            raise
        _put(self._name, self._fd, buffer)
        self.buffers.append(buffer)
        self._online.add(cpu)
        self._epoll.register(buffer.fd, select.EPOLLIN)

    def _look_at_cpus(self) -> None:
        """Opens a buffer for each CPU that has come online. Warns where it can't: what programs send there is lost."""
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + LOOK_AT_CPUS
        online = set(online_cpus())
        if online == self._online:
            return
        with DeferredSignals():
            for buffer in self.buffers:
                if buffer.cpu in self._online - online:  # its event has ended
                    with contextlib.suppress(FileNotFoundError):  # of one that was offline before
                        self._epoll.unregister(buffer.fd)
            new, self._online = online - self._online, online & self._online
            for cpu in sorted(new):
                self._drop_read(cpu)
                self._try_to_open(cpu)

    def _try_to_open(self, cpu: int) -> None:
        """Opens a CPU's buffer. Warns once where that is refused; each look tries again."""
        try:
            self._open(cpu)
            self._refused.discard(cpu)
        except (PrivilegeError, MapError) as error:
            if cpu not in self._refused:
                self._refused.add(cpu)
                warn(f"{self._name}: CPU {cpu} has come online, and what programs send there is lost: {error}")

    def _drop_read(self, cpu: int) -> None:
        """Closes a CPU's former buffers that are read to their end."""
        for old in [each for each in self.buffers if each.cpu == cpu and not each.available()]:
            self.buffers.remove(old)
            self._lost_before += old.done.lost
            old.unmap()
            old.close()

    def available(self) -> int:
        """Returns the unread bytes of all CPUs."""
        return sum(buffer.available() for buffer in self.buffers)

    def state(self) -> int:
        """Returns READY if a CPU's buffer has records, else EMPTY."""
        self._look_at_cpus()
        return READY if any(buffer.available() for buffer in self.buffers) else EMPTY

    def progress(self) -> tuple[int, int]:
        """Returns the bytes released of all CPUs' buffers, and the size of the smallest."""
        return sum(each.done.tail for each in self.buffers), min(each.size for each in self.buffers)

    def read_records(self, decoder: RecordDecoder, limit: int | None) -> Batch:
        """Reads records of each CPU, beginning with another CPU each time. Raises RecordError."""
        self._look_at_cpus()
        values: list[Any] = []
        left, marks = 1 << 62 if limit is None else limit, []
        self._turn = (self._turn + 1) % len(self.buffers)  # starts with another CPU each time
        for buffer in (*self.buffers[self._turn :], *self.buffers[: self._turn]):
            available = buffer.available()
            if not available or not left:
                continue
            self._fence()
            tail, lost = buffer.done
            decoder.cpu = buffer.cpu
            try:
                found = samples(decoder, buffer.copy(available), left)
            except RecordError as error:
                if values:
                    break
                self.release([(buffer, tail + error.step, lost)])
                raise
            values, left = values + found.values, left - found.number
            marks.append((buffer, tail + found.used, lost + found.lost))
        return Batch(values, marks)

    def release(self, mark: Any) -> None:
        """Gives the space of read records back to the kernel."""
        for buffer, tail, lost in mark or ():
            if tail > buffer.done.tail:
                self._fence()
                buffer.done = Consumed(tail, lost)
                buffer.words[DATA_TAIL] = tail

    def lost(self) -> int:
        """Returns how many records were lost, by the kernel's count."""
        return self._lost_before + sum(buffer.done.lost for buffer in self.buffers)

    def after_fork(self) -> None:
        """Maps the memory again, which a child doesn't inherit (VM_DONTCOPY in kernel/events/core.c)."""
        self._fence = Fence()
        for buffer in self.buffers:
            buffer.unmap()
            buffer.map()
        self._make_epoll()  # the other one is the parent's, too

    def close(self) -> None:
        """Unmaps and closes each CPU's buffer."""
        self._epoll.close()
        for buffer in self.buffers:
            buffer.unmap()
            buffer.close()


def _put(name: str, fd: int, buffer: CpuBuffer) -> None:
    """Directs programs' output on a CPU to its buffer. Raises MapError."""
    key, value = structs.pack("=I", buffer.cpu), structs.pack("=I", buffer.fd)
    try:
        library().bpf_map_update_elem(fd, key, value, 0)
    except CallError as error:
        fix = "leave the map's max_entries at 0, for as many as there are CPUs"
        raise MapError(f"{name} has no place for CPU {buffer.cpu}: {error.what}", fix=fix, errno=error.errno) from None


class PerfEventArray(Counters, Reader[T]):
    """A perf event array of typed records, with a buffer for each CPU that is online. `record` is a class or codec.

    Records of one CPU are in order, those of several are not. A type of fixed size is cut to its size; records that are
    bytes, or end in a flexible array, keep up to 7 bytes of the kernel's padding.
    """

    HEADER_SIZE = SAMPLE_HEADER_SIZE
    _longest_wait = LOOK_AT_CPUS

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name, record)
        set_kernel_sizes(self, 4)
        self._size = DEFAULT_SIZE

    @property
    def size(self) -> int:
        """The size of each CPU's buffer in bytes: 128 KiB unless set, before load, to a power of two of pages."""
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        """Sets the size of each CPU's buffer. Raises MapError unless it is a power of two, StateError."""
        self._require_power_of_two(size)
        self._owner.require_open(f"the size of the perf buffer {self.name}")
        self._size = size

    def _require_power_of_two(self, size: int) -> None:
        if size < mmap.PAGESIZE or size & (size - 1):
            what = f"{size} bytes are no size for the perf buffer {self.name}"
            raise MapError(what, fix=f"give a power of two, {mmap.PAGESIZE} or more")

    def open_perf_buffer(
        self, callback: Callback, page_cnt: int | None = None, lost_cb: Callable[[int], Any] | None = None
    ) -> None:
        """Makes Object.perf_buffer_poll call `callback` with (cpu, bytes, size), and `lost_cb` with a number of losses.

        `page_cnt` is the size of each CPU's buffer in pages, a power of two; a new size opens new buffers and drops the
        records in the old ones. Raises StateError before load, MapError. For code from bcc (see callback.py).
        """
        if page_cnt is not None and page_cnt * mmap.PAGESIZE != self._size:
            self._require_power_of_two(page_cnt * mmap.PAGESIZE)
            with self._lock:
                self._close()
                self._size = page_cnt * mmap.PAGESIZE
        self._ensure_mapped()
        self.subscription = Subscription("perf", self, callback)
        self.subscription.on_loss = lost_cb

    def _loaded(self) -> None:
        """Opens the buffers at once: without one, a program's records would be lost and not even counted."""
        self._ensure_mapped()

    def _stop(self) -> None:
        with self._lock:
            self._close()

    def _map_memory(self) -> CpuBuffers:
        return CpuBuffers(self.name, self.fd, max(self._size, mmap.PAGESIZE))

    def _stride(self, length: int) -> int:
        return sample_stride(length)

    @property
    def available(self) -> int:
        """The unread bytes of all CPUs. Raises StateError before load and after destroy."""
        self._ensure_mapped()
        return self._under_lock(lambda buffers: buffers.available(), 0)

    @property
    def lost(self) -> int:
        """The number of records that found no room. The kernel reports losses with the next record that finds some.

        Raises StateError before load and after destroy.
        """
        self._ensure_mapped()
        return self._under_lock(lambda buffers: buffers.lost(), 0)
