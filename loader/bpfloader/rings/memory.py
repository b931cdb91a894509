"""What a reader reads from: memory that it shares with the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import starmap
from typing import Any, NamedTuple, TypeVar

from ..codec.records import Form
from ..libbpf.library import library
from ..maps.base import Map

EMPTY, READY, BUSY_HEAD = range(3)
PAUSE = 0.0002  # seconds between looks at a record that its program has begun and not finished
T = TypeVar("T")


def take_one(pop: Callable[..., T], *arguments: Any) -> Iterator[T]:
    """Calls `pop` once, for a loop `for value in take_one(queue.popleft)`, and loses nothing to an interrupt.

    CPython raises an interrupt between two instructions of Python only: a call written out could lose what it has
    removed before it is assigned. The loop's call and assignment have no such place between them.
    """
    return starmap(pop, (arguments,))


class SharedMemory:
    """The memory that a reader reads; only ever used under the reader's lock."""

    fds: list[int]

    def state(self) -> int:
        """READY with a committed record in front, BUSY_HEAD with one that is being written, else EMPTY."""
        raise NotImplementedError

    def progress(self) -> tuple[int, int]:
        """How many bytes have been handed back so far, and how many the buffer holds, or the smallest of several."""
        raise NotImplementedError

    def read_records(self, form: Form, limit: int | None) -> tuple[list[Any], Any]:
        """The committed records, at most `limit`, and what `release` wants in order to hand their space back."""
        raise NotImplementedError

    def release(self, mark: Any) -> None:
        """Hands space back to the kernel; doing it twice is doing it once."""
        raise NotImplementedError

    def after_fork(self) -> None:
        """Makes it usable in a new child process."""

    def close(self) -> None:
        """Lets go of the memory."""
        raise NotImplementedError


class Batch(NamedTuple):
    """Decoded records that nobody has got yet, and the mark to release; one object, so that no interrupt parts them."""

    values: Any  # a deque, or what a form makes of a batch
    mark: Any


def state_sizes(of: Map, size: int) -> None:
    """Sets the sizes of keys and values that the kernel wants of such a map, where it states those of its records.

    `__type(value, struct event)` types the records of a ring; the kernel wants 0 for rings, 4 for perf event arrays.
    """
    if (of.key_size, of.value_size) != (size, size):
        library().bpf_map__set_key_size(of.handle, size)
        library().bpf_map__set_value_size(of.handle, size)
