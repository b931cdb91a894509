"""What a reader gives for records: values of their type, tuples, bytes or a numpy array.

A record in a buffer is a header and the type's bytes, padded to a stride; records of one size, one after another, are
decoded by one call.
"""

from __future__ import annotations

import struct as structs
from typing import Any

from ..errors import LayoutError
from .base import Codec, Tail


class Form:
    """Values of the record's type. Base of the others; `one` and `run` return lists, of a record or of several."""

    def __init__(self, codec: Codec[Any], header: int, stride: int):
        self.codec, self.header, self.stride = codec, header, stride
        self.size, self.fixed = codec.size, codec.fixed
        self.cpu: int | None = None  # whose buffer is being read, where each CPU has one
        codes, self.build = self._decoding()
        self.packer = structs.Struct(f"{codec.order}{header}x{codes}{stride - header - codec.size}x")

    def _decoding(self) -> tuple[str, Any]:
        """The codes of a record's items, and what makes the value of them."""
        return self.codec.body()

    def decode_one(self, data: memoryview) -> list[Any]:
        """The record that is all of `data`. Raises LayoutError for one that is too short."""
        return [self.codec.unpack(data)]

    def decode_run(self, data: memoryview) -> list[Any]:
        """The records, with their headers, that lie one after another."""
        return list(map(self.build, self.packer.iter_unpack(data)))

    def join(self, values: list[Any]) -> Any:
        """What the caller is given of all the lists, put together; none of it in the buffer's memory any more."""
        return values


class Tuples(Form):
    """Tuples of the members as they lie in memory: integers, and bytes for what is no number."""

    def _decoding(self) -> tuple[str, Any]:
        return getattr(self.codec, "codes", self.codec.code), None

    def decode_one(self, data: memoryview) -> list[Any]:
        self.codec.unpack(data)  # raises LayoutError
        if isinstance(self.codec, Tail):
            return [(bytes(data),)]
        items = self.codec.packer.unpack_from(data)
        return [items if self.fixed else (*items, bytes(data[self.size :]))]

    def decode_run(self, data: memoryview) -> list[Any]:
        return list(self.packer.iter_unpack(data))


class Raw(Form):
    """The records' bytes, whatever their type."""

    def __init__(self, codec: Codec[Any], header: int, stride: int):
        super().__init__(codec, header, stride)
        self.fixed = False

    def decode_one(self, data: memoryview) -> list[Any]:
        return [bytes(data)]


class BytesByCpu(Raw):
    """Pairs of the CPU whose buffer it was, None for a ring, and the record's bytes."""

    def decode_one(self, data: memoryview) -> list[Any]:
        return [(self.cpu, bytes(data))]


class RecordError(LayoutError):
    """A record too short for its type; `step` is how far the next one is."""

    def __init__(self, what: str, step: int):
        super().__init__(what, fix="submit what the ring's type says, or declare the type that is submitted")
        self.step = step
