"""Maps of values without keys: queues, stacks and bloom filters."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..codec.base import pack_for
from .base import ANY, EXIST, ValuesMap

V = TypeVar("V")


class Queue(ValuesMap[V]):
    """A queue, first in, first out. The kernel doesn't tell how many values it has: there is no len()."""

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
