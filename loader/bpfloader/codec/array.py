"""Reads and writes arrays of values."""

from __future__ import annotations

import struct as structs
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from .base import Codec

T = TypeVar("T")


class ArrayCodec(Codec[tuple[T, ...]]):
    """A tuple of `length` elements; its bytes are one item for struct.Struct."""

    def __init__(self, element: Codec[T], length: int):
        name = f"{element.name}[{length}]"
        super().__init__(element.order, f"{length * element.size}s", self._decode, self._encode, name)
        self.element: Codec[T] = element
        self.ordered = element.ordered
        self.length = length

    @cached_property
    def _elements(self) -> Callable[[bytes], tuple[T, ...]]:
        """Makes the tuple from its bytes; created on first use, since compiling a struct's reader is slow."""
        element = self.element
        if not element.size:
            return lambda item: tuple(element.zero() for _ in range(self.length))
        codes, build = element.item_layout()
        if element.decode is None:  # numbers as they are
            count = f"{self.length}{codes}" if len(codes) == 1 else codes * self.length
            return structs.Struct(element.order + count).unpack
        rows = structs.Struct(element.order + codes).iter_unpack
        return lambda item: tuple(map(build, rows(item)))

    def decoder(self) -> Callable[[bytes], tuple[T, ...]]:
        return self._elements

    def _decode(self, item: bytes) -> tuple[T, ...]:
        return self._elements(item)

    def _encode(self, values: tuple[T, ...]) -> bytes:
        values = tuple(values)
        if len(values) != self.length:
            raise OverflowError(f"it has {len(values)} elements, not {self.length}")
        return b"".join(map(self.element.pack, values))
