"""SharedMemory, the base of what buffers read: memory that the kernel shares with this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from operator import length_hint
from typing import Any, NamedTuple, TypeVar

from ..codec.records import RecordDecoder
from ..libbpf.library import library
from ..map.base import Map

EMPTY, READY, BUSY_HEAD = range(3)  # states of a buffer, by its first record
BATCH_SIZE = 1024  # the most records read before their space is released
BUSY_PAUSE = 0.0002  # seconds between looks at a record that its program has begun and not finished
T = TypeVar("T")


def hand_out(values: Iterable[T]) -> Iterator[T]:
    """Returns an iterator that loops and threads may share: each value goes to one of them, and a `break` loses none.

    In a Python without a GIL, a list's iterator may give a value to two threads; a deque's takes a lock.
    """
    return iter(deque(values))


class Batch(NamedTuple):
    """Records read from a buffer, and the mark to release; one object, so that no interrupt separates them."""

    values: Any  # a list, a deque, or what the decoder makes
    mark: Any


class Iterated(NamedTuple):
    """Records read for an iteration, and the mark.

    `values` hands out those that are decoded, `rest` are not yet (see codec/records.py).
    """

    values: Iterator[Any]
    rest: list[Any]
    mark: Any

    @property
    def left(self) -> bool:
        """True if there are records left."""
        return bool(self.rest) or length_hint(self.values) > 0


class SharedMemory:
    """The memory of a buffer; use it only under the buffer's lock."""

    fds: list[int]

    def state(self) -> int:
        """Returns READY if the first record is committed, BUSY_HEAD if it is being written, EMPTY if there is none."""
        raise NotImplementedError

    def progress(self) -> tuple[int, int]:
        """Returns the bytes released so far, and the size of the buffer in bytes, or of the smallest of several."""
        raise NotImplementedError

    def available(self) -> int:
        """Returns the unread bytes."""
        raise NotImplementedError

    def read_records(self, decoder: RecordDecoder, limit: int | None) -> Batch:
        """Reads committed records, at most `limit`. Raises RecordError for a first one that doesn't fit its type."""
        raise NotImplementedError

    def release(self, mark: Any) -> None:
        """Gives the space of read records back to the kernel; does nothing the second time."""
        raise NotImplementedError

    def after_fork(self) -> None:
        """Makes the memory usable in a new child process."""

    def close(self) -> None:
        """Unmaps the memory."""
        raise NotImplementedError


def set_kernel_sizes(buffer: Map, size: int) -> None:
    """Sets the sizes of keys and values that the kernel requires: 0 for ring buffers, 4 for perf event arrays.

    `__type(value, struct event)` declares the type of records, so the object has its size instead.
    """
    if (buffer.key_size, buffer.value_size) != (size, size):
        library().bpf_map__set_key_size(buffer.handle, size)
        library().bpf_map__set_value_size(buffer.handle, size)
