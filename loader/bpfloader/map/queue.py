"""Maps of values without keys: queues, stacks and bloom filters."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ..codec.base import Codec, pack_for
from ..signals import DeferredSignals, take_one
from .base import ANY, EXIST, ValuesMap

if TYPE_CHECKING:
    from ..owner import Owner

V = TypeVar("V")
PART = 256  # values that `drain` removes before it lets a signal's handler run


class Queue(ValuesMap[V]):
    """A queue, first in, first out. The kernel doesn't tell how many values it has: there is no len()."""

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name, value)
        # What each thread's drain has removed and not returned: an exception leaves it here for the next one.
        self._drained: dict[int, list[V]] = {}

    def push(self, value: V, *, replace: bool = False) -> None:
        """Adds a value; with `replace`, a full queue drops its oldest one. Raises MapError, LayoutError."""
        self._call("update_elem", None, pack_for(self, self._value, value), EXIST if replace else ANY)

    def extend(self, values: Iterable[V]) -> None:
        """Adds values one by one. Raises as `push` does."""
        for value in values:
            self.push(value)

    def pop(self) -> V:
        """Removes and returns the next value. Raises IndexError for an empty queue."""
        return self._next("lookup_and_delete_elem")

    def peek(self) -> V:
        """Returns the next value without removing it. Raises IndexError for an empty queue."""
        return self._next("lookup_elem")

    def _next(self, verb: str) -> V:
        found = ctypes.create_string_buffer(self._value.size)
        try:
            self._call(verb, None, found)
        except KeyError:
            raise IndexError(f"{self.name} is empty") from None
        return self._value.unpack(found.raw)

    def __iter__(self) -> Iterator[V]:
        """Removes and yields values until none is left."""
        while True:
            try:
                value = self.pop()
            except IndexError:
                return
            yield value

    def drain(self) -> list[V]:
        """Removes the values that are there and returns them in order.

        What an exception keeps from the caller, such as a KeyboardInterrupt, this thread's next `drain` returns.
        """
        thread, left, more = threading.get_ident(), self.max_entries, True  # a program may push for ever
        kept = self._drained.setdefault(thread, [])
        while more and left > 0:
            with DeferredSignals():  # until what the kernel has removed is kept
                before = len(kept)
                kept.extend(islice(self, min(left, PART)))
                more, left = len(kept) > before, left - PART
        for taken in take_one(self._drained.pop, thread, None):
            return kept if taken is kept else []  # else a signal handler's drain has returned them
        raise AssertionError

    def clear(self) -> None:
        """Removes all values."""
        for _ in self:
            pass


class Stack(Queue[V]):
    """A stack, last in, first out; else as a queue. With `replace`, a full one drops its oldest value."""


class BloomFilter(ValuesMap[V]):
    """A bloom filter: `in` is always True for a value that was added, and sometimes for one that wasn't.

    Values can't be read or removed. `map_extra` is the number of hashes, 1 to 15; 0 is the kernel's default of 5.
    """

    def add(self, value: V) -> None:
        """Adds a value. Raises LayoutError, MapError."""
        self._call("update_elem", None, pack_for(self, self._value, value), ANY)

    def update(self, values: Iterable[V]) -> None:
        """Adds values one by one. Raises as `add` does."""
        for value in values:
            self.add(value)

    def __contains__(self, value: V) -> bool:
        try:
            self._call(
                "lookup_elem", None, ctypes.create_string_buffer(pack_for(self, self._value, value), self._value.size)
            )
        except KeyError:
            return False
        return True
