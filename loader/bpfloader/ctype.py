"""The C types, and what they are in Python.

| C                                 | Python                                                                  |
|-----------------------------------|-------------------------------------------------------------------------|
| integers, pointers, bitfields     | int                                                                     |
| _Bool                             | bool                                                                    |
| float, double                     | float                                                                   |
| char[N]                           | str: UTF-8 up to the first NUL; other bytes survive as surrogate escapes |
| __u8[N], signed char[N]           | bytes, all N of them                                                    |
| T[N]                              | tuple of N                                                              |
| T[] at the end of a record        | bytes, all that follows                                                 |
| enum                              | an IntEnum that takes unknown values as well                            |
| struct, union                     | Struct and Union of layout.py                                           |
"""

from __future__ import annotations

import struct as structs
from collections.abc import Callable
from enum import IntEnum
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

from .codec import Bits, Codec, Tail

if TYPE_CHECKING:
    from .layout import Struct, Union

T = TypeVar("T")
E = TypeVar("E", bound="Enum")
S = TypeVar("S", bound="Struct | Union")


class Enum(IntEnum):
    """A C enum. A value without a name (a newer kernel's, an OR of flags) is a member named by its number."""

    @classmethod
    def _missing_(cls, value: object) -> Enum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = str(value), value
        return member


def _text(item: bytes) -> str:
    return item.partition(b"\0")[0].decode("utf-8", "surrogateescape")


class Memo(dict[Any, T]):
    """What a function makes of items, remembered: in a ring the same few names and states come again and again."""

    def __init__(self, make: Callable[[Any], T]):
        super().__init__()
        self._make = make

    def __missing__(self, item: Any) -> T:
        made = self._make(item)
        if len(self) < 1024:
            self[item] = made
        return made


class CTypes:
    """The codecs of one byte order: `c = CTypes("<")`, then `c.u32`, `c.chars(16)`, `c.array(c.u16, 4)`."""

    def __init__(self, order: str):
        self.order = order
        self.u8, self.u16, self.u32, self.u64 = (self._int(code, f"u{8 << n}") for n, code in enumerate("BHIQ"))
        self.s8, self.s16, self.s32, self.s64 = (self._int(code, f"s{8 << n}") for n, code in enumerate("bhiq"))
        self.boolean = Codec[bool](order, "?", name="_Bool")
        self.f32, self.f64 = Codec[float](order, "f", name="float"), Codec[float](order, "d", name="double")
        self.u128, self.s128 = self._wide(False), self._wide(True)

    def _int(self, code: str, name: str) -> Codec[int]:
        return Codec(self.order, code, name=name)

    def _wide(self, signed: bool) -> Codec[int]:
        endian = "little" if self.order == "<" else "big"

        def decode(item: bytes) -> int:
            return int.from_bytes(item, endian, signed=signed)  # type: ignore[arg-type]

        def encode(value: int) -> bytes:
            return value.to_bytes(16, endian, signed=signed)  # type: ignore[arg-type]

        return Codec(self.order, "16s", decode, encode, "__int128")

    def chars(self, length: int) -> Codec[str]:
        """char[length] as str. Raises LayoutError, when packing, for text longer than that."""
        return Codec(self.order, f"{length}s", Memo(_text).__getitem__, lambda text: _fitting(_bytes_of(text), length),
                     f"char[{length}]")  # fmt: skip

    def raw(self, length: int) -> Codec[bytes]:
        """An array of 8-bit integers as bytes, all of them. Raises LayoutError, when packing, for another length."""

        def encode(value: bytes) -> bytes:
            data: bytes = _exactly(bytes(value), length)
            return data

        return Codec(self.order, f"{length}s", None, encode, f"__u8[{length}]")

    def enum(self, kind: type[E], storage: Codec[int]) -> Codec[E]:
        """A C enum stored as that integer."""
        return Codec(self.order, storage.code, Memo(kind).__getitem__, index, f"enum {kind.__name__}")

    def bits(self, shift: int, width: int, size: int, signed: bool = False) -> Bits:
        """A bitfield: `width` bits, `shift` bits above the lowest one of the `size` bytes that hold it."""
        return Bits(self.order, shift, width, size, signed)

    def array(self, element: Codec[T], length: int) -> Codec[tuple[T, ...]]:
        """element[length] as a tuple. Raises LayoutError, when packing, for another length."""
        one = structs.Struct(self.order + element.code)

        def decode(item: bytes) -> tuple[T, ...]:
            values = (value for (value,) in one.iter_unpack(item))
            return tuple(map(element.decode, values) if element.decode else values)

        def encode(values: tuple[T, ...]) -> bytes:
            return b"".join(map(element.pack, _exactly(tuple(values), length)))

        name = f"{element.name}[{length}]"
        return Codec(self.order, f"{length * element.size}s", decode, encode, name)

    def tail(self) -> Codec[bytes]:
        """A flexible array at the end of a struct: all bytes that follow."""
        return Tail(self.order, "0s", name="flexible array")

    def of(self, kind: type[S]) -> Codec[S]:
        """A generated struct or union."""
        return kind.codec


def _bytes_of(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _fitting(data: bytes, length: int) -> bytes:
    if len(data) > length:
        raise OverflowError(f"it has {len(data)} bytes")
    return data


def _exactly(values: Any, length: int) -> Any:
    if len(values) != length:
        raise OverflowError(f"it has {len(values)} elements, not {length}")
    return values
