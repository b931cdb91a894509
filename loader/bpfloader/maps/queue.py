"""Queues and stacks, whose values have no keys, and bloom filters, which only know whether they have seen a value."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from ..codec.base import Codec, pack_for
from ..errors import LayoutError
from .base import ANY, EXIST, Map, codec_of

if TYPE_CHECKING:
    from ..owner import Owner

V = TypeVar("V")


class Keyless(Map, Generic[V]):
    """What maps of values without keys share. Base of Queue, Stack and BloomFilter."""

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name)
        self._value: Codec[V] = codec_of(value)
        if self.value_size != self._value.size:
            what = f"the map {name} has values of {self.value_size} bytes, their type has {self._value.size}"
            raise LayoutError(what, fix="generate the skeleton from this object")


class Queue(Keyless[V]):
    """First in, first out. How many values are in it the kernel doesn't tell: there is no len()."""

    def push(self, value: V, *, replace: bool = False) -> None:
        """Adds a value; into a full one only with `replace`, for the oldest. Raises MapError, LayoutError."""
        self._call("update_elem", None, pack_for(self, self._value, value), EXIST if replace else ANY)

    def extend(self, values: Iterable[V]) -> None:
        """Adds values, one after another. Raises what `push` does."""
        for value in values:
            self.push(value)

    def pop(self) -> V:
        """The next value, which is taken out. Raises IndexError where there is none."""
        return self._next("lookup_and_delete_elem")

    def peek(self) -> V:
        """The next value, which stays. Raises IndexError where there is none."""
        return self._next("lookup_elem")

    def _next(self, verb: str) -> V:
        found = ctypes.create_string_buffer(self._value.size)
        try:
            self._call(verb, None, found)
        except KeyError:
            raise IndexError(f"{self.name} is empty") from None
        return self._value.unpack(found.raw)

    def __iter__(self) -> Iterator[V]:
        """The values, each taken out as it comes, until none is left."""
        while True:
            try:
                value = self.pop()
            except IndexError:
                return
            yield value

    def clear(self) -> None:
        """Takes all values out."""
        for _ in self:
            pass


class Stack(Queue[V]):
    """Last in, first out; else as a queue. With `replace`, a full one loses its oldest value."""


class BloomFilter(Keyless[V]):
    """Values that may have been added: `in` errs for some that weren't, never for one that was.

    Nothing comes out of it again. `map_extra` is how many hashes each value has, 1 to 15; 0 is the kernel's 5.
    """

    def add(self, value: V) -> None:
        """Adds a value. Raises LayoutError, MapError."""
        self._call("update_elem", None, pack_for(self, self._value, value), ANY)

    def update(self, values: Iterable[V]) -> None:
        """Adds values, one after another."""
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
