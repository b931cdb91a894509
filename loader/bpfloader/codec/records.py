"""Decodes records to what the caller asked for: typed values, tuples, bytes; numpy_records.py has arrays.

A record in a buffer is a header and the type's bytes, padded to a stride. One call decodes a run of records of the same
size.
"""

from __future__ import annotations

import struct as structs
from typing import Any

from ..errors import LayoutError
from .base import Codec, RunLayout, Tail

CHUNK_SIZE = 256  # the most records decoded at a time for an iteration


class RecordDecoder:
    """Decodes records to values of their type. Base of the other decoders."""

    def __init__(self, codec: Codec[Any], header: int, stride: int):
        self.codec, self.header, self.stride = codec, header, stride
        self.size, self.fixed = codec.size, codec.fixed
        self.cpu: int | None = None  # the CPU whose perf buffer is being read
        self.longest = 0  # bytes of the longest record whose end the type leaves out; 0 without one
        codes, self.build_all = self._layout()
        self.packer = structs.Struct(f"{codec.order}{header}x{codes}{stride - header - codec.size}x")

    def _layout(self) -> RunLayout:
        """Returns the codes of a record's items, and the function that makes a list of values from those of a run."""
        return self.codec.run_layout()

    def note_longer(self, length: int) -> None:
        """Notes a record of more bytes than its type has: its end is left out, which somebody should be told."""
        if self.fixed:
            self.longest = max(self.longest, length)

    def decode_one(self, data: memoryview) -> list[Any]:
        """Returns a list of the one record that is all of `data`. Raises LayoutError for a record that is too short."""
        return [self.codec.unpack(data)]

    def decode_run(self, data: memoryview) -> list[Any]:
        """Returns the records of a run: one stride after another, headers included."""
        return self.build_all(self.packer.iter_unpack(data))

    def join(self, values: list[Any]) -> Any:
        """Returns all decoded records as the caller gets them, with nothing left in the buffer's memory."""
        return values

    def count(self, values: list[Any]) -> int:
        """Returns the number of records in what `decode_one` and `decode_run` gave."""
        return len(values)


class ChunkDecoder(RecordDecoder):
    """Copies long runs, which `decode_chunk` decodes later, some records at a time; decodes all others at once.

    For an iteration, which drops values as it goes: the objects of a chunk stay in a CPU's own cache and are fewer than
    what makes Python look for garbage; those of thousands of records don't and aren't.
    """

    def decode_run(self, data: memoryview) -> list[Any]:
        return [memoryview(bytes(data))] if len(data) > CHUNK_SIZE * self.stride else super().decode_run(data)

    def count(self, values: list[Any]) -> int:
        return sum(len(each) // self.stride if isinstance(each, memoryview) else 1 for each in values)

    def decode_chunk(self, values: list[Any]) -> tuple[list[Any], list[Any]]:
        """Returns the first of the values that `decode_run` and `decode_one` gave, decoded, and the others as rest."""
        first, size = values[0], CHUNK_SIZE * self.stride
        if isinstance(first, memoryview):
            return super().decode_run(first[:size]), ([first[size:]] if len(first) > size else []) + values[1:]
        number = next((number for number, each in enumerate(values) if isinstance(each, memoryview)), len(values))
        return values[:number], values[number:]


class TupleDecoder(RecordDecoder):
    """Decodes records to tuples of the members as they lie in memory: numbers, and bytes for all other types."""

    def _layout(self) -> RunLayout:
        return RunLayout(getattr(self.codec, "codes", self.codec.code), list)

    def decode_one(self, data: memoryview) -> list[Any]:
        """Returns a list of the one record as a tuple. Raises LayoutError for a record that is too short."""
        self.codec.unpack(data)
        if isinstance(self.codec, Tail):
            return [(bytes(data),)]
        items = self.codec.packer.unpack_from(data)
        return [items if self.fixed else (*items, bytes(data[self.size :]))]


class BytesDecoder(RecordDecoder):
    """Returns the bytes of records of any type."""

    def __init__(self, codec: Codec[Any], header: int, stride: int):
        super().__init__(codec, header, stride)
        self.fixed = False

    def decode_one(self, data: memoryview) -> list[Any]:
        """Returns a list of the one record's bytes."""
        return [bytes(data)]


class CpuBytesDecoder(BytesDecoder):
    """Returns pairs of a CPU, None for a ring buffer, and the bytes of a record from the CPU's buffer."""

    def decode_one(self, data: memoryview) -> list[Any]:
        """Returns a list of the one pair of the CPU and the record's bytes."""
        return [(self.cpu, bytes(data))]


class RecordError(LayoutError):
    """A record is too short for its type, or was cut; `step` is its distance to the next record in bytes."""

    def __init__(self, what: str, step: int, fix: str = ""):
        wanted = "submit what the ring's type says, or declare the type that is submitted"
        super().__init__(what, fix=fix or wanted)
        self.step = step
