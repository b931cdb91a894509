"""Returns records as a numpy array. Only `batch(numpy=True)` imports this: the loader doesn't depend on numpy.

| C                                   | field                                                             |
|-------------------------------------|-------------------------------------------------------------------|
| integers, enums, pointers, _Bool    | the integer of that size and byte order; bool                     |
| __be16, __le32 …                    | an integer of that size and order                                 |
| float, double                       | f4, f8                                                            |
| char[N]                             | SN: bytes up to the trailing NULs                                 |
| T[N]                                | N elements of T                                                   |
| __u8[N], __int128, unions           | their bytes, u1                                                   |
| struct                              | a structured type                                                 |
| bitfield                            | an integer of 64 bits, extracted                                  |
| T[] at the end                      | none: records keep their fixed part                               |
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from ..errors import LayoutError, LibraryError
from .base import Bits, Codec, Tail
from .records import RecordDecoder

# numpy's type by struct.Struct's code.
NUMPY_TYPES = {
    "B": "u1", "H": "u2", "I": "u4", "Q": "u8", "b": "i1", "h": "i2", "i": "i4", "q": "i8",
    "?": "?", "e": "f2", "f": "f4", "d": "f8",
}  # fmt: skip


def numpy() -> Any:
    """Imports numpy. Raises LibraryError if it isn't installed."""
    try:
        return importlib.import_module("numpy")
    except ImportError:
        raise LibraryError("numpy is not installed", fix="pip install numpy, or take batch() or tuples()") from None


class ArrayDecoder(RecordDecoder):
    """Decodes records to structured arrays. `decode_run` returns a view of the shared memory, which `join` copies."""

    def __init__(self, codec: Codec[Any], header: int, stride: int):
        super().__init__(codec, header, stride)
        if not codec.size:
            raise LayoutError("records without a type are no array", fix="declare their type, or take batch()")
        self.numpy = numpy()
        self.memory = self.numpy.dtype(_dtype_of(codec))
        self.opaque = self.numpy.dtype(f"V{codec.size}")  # quicker to concatenate: numpy compares the fields of others
        block = {"names": ["record"], "formats": [self.opaque], "offsets": [header], "itemsize": stride}
        self.framed = self.numpy.dtype(block)
        self.bits = _bitfields(codec)

    def decode_one(self, data: memoryview) -> list[Any]:
        if len(data) < self.size:
            what = f"{len(data)} bytes can't hold {self.codec.name or self.codec.code}, which has {self.size}"
            raise LayoutError(what)
        return [self.numpy.frombuffer(bytes(data[: self.size]), self.opaque)]

    def decode_run(self, data: memoryview) -> list[Any]:
        return [self.numpy.frombuffer(data, self.framed)["record"]]

    def join(self, values: list[Any]) -> Any:
        opaque = self.numpy.concatenate(values) if values else self.numpy.empty(0, self.opaque)
        records = opaque.view(self.memory)
        return self._with_bits(records) if self.bits else records

    def count(self, values: list[Any]) -> int:
        return sum(map(len, values))

    def _with_bits(self, records: Any) -> Any:
        """Adds a field for each bitfield, which numpy can't describe in memory."""
        kinds = [(name, "i8" if bits.signed else "u8") for name, _, bits in self.bits]
        whole = [(name, self.memory.fields[name][0]) for name in self.memory.names or ()]
        result = self.numpy.empty(len(records), [*whole, *kinds])
        for name, _ in whole:
            result[name] = records[name]
        octets = records.view("u1").reshape(len(records), self.size)
        for name, offset, bits in self.bits:
            result[name] = self._extracted(octets[:, offset : offset + bits.size], bits)
        return result

    def _extracted(self, octets: Any, bits: Bits[Any]) -> Any:
        """Returns one bitfield's values from the bytes of its storage, a row for each record."""
        value = self.numpy.zeros(len(octets), "u8")
        columns = range(bits.size) if bits.endian == "little" else reversed(range(bits.size))
        for place, column in enumerate(columns):
            if 8 * place < bits.shift + bits.width and 8 * place + 8 > bits.shift:
                octet, at = octets[:, column].astype("u8"), 8 * place - bits.shift
                value |= octet << self.numpy.uint64(at) if at >= 0 else octet >> self.numpy.uint64(-at)
        up = self.numpy.uint64(64 - bits.width)
        value = value << up  # drops the bits above the bitfield
        return value.view("i8") >> self.numpy.int64(64 - bits.width) if bits.signed else value >> up


def _dtype_of(codec: Codec[Any]) -> Any:
    """Returns the argument of numpy.dtype for a codec."""
    fields = getattr(codec, "fields", None)
    if fields is not None:
        rows = {name: field for name, field in fields.items() if not isinstance(field.codec, (Tail, Bits))}
        return {"names": list(rows), "formats": [_dtype_of(field.codec) for field in rows.values()],
                "offsets": [field.offset for field in rows.values()], "itemsize": codec.size}  # fmt: skip
    if codec.code in NUMPY_TYPES:
        return codec.order + NUMPY_TYPES[codec.code]
    if codec.array_code:
        return codec.array_code
    if codec.name.startswith("char["):
        return f"S{codec.size}"
    if codec.element and codec.element.size:
        return (_dtype_of(codec.element), (codec.size // codec.element.size,))
    return ("u1", (codec.size,))


class Bitfield(NamedTuple):
    """A bitfield of a struct: the offset of its storage in bytes, and its codec."""

    name: str
    offset: int
    bits: Bits[Any]


def _bitfields(codec: Codec[Any]) -> list[Bitfield]:
    """Returns a struct's own bitfields; those of nested structs are left out."""
    fields = getattr(codec, "fields", None) or {}
    return [
        Bitfield(name, field.offset, field.codec) for name, field in fields.items() if isinstance(field.codec, Bits)
    ]
