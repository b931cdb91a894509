"""How C types lie in memory, and what they are in Python.

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

A codec at an offset, `u32 @ 8`, is a field: of a struct, a union or a data section.
"""

import struct as structs
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .errors import LayoutError

if TYPE_CHECKING:
    from .layout import Struct, Union

T = TypeVar("T")
E = TypeVar("E", bound="Enum")
S = TypeVar("S", bound="Struct | Union")


class Enum(IntEnum):
    """A C enum. A value without a name, as a newer kernel or an OR of flags gives it, is a member named by its number."""

    @classmethod
    def _missing_(cls, value: object) -> "Enum | None":
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = str(value), value
        return member


class Codec(Generic[T]):
    """One C type: `size` in bytes, byte `order` (`<`, `>`), `code` for struct.Struct as one item.

    `decode` turns that item into the Python value and `encode` turns it back; None where the item is the value.
    `fixed` is whether each value has `size` bytes; `stated` is the size that a map of such values states.
    """

    fixed = True

    def __init__(
        self,
        order: str,
        code: str,
        decode: Callable[[Any], T] | None = None,
        encode: Callable[[T], Any] | None = None,
        name: str = "",
    ):
        self.order, self.code, self.decode, self.encode, self.name = order, code, decode, encode, name
        self.packer = structs.Struct(order + code)
        self.size = self.stated = self.packer.size

    def __matmul__(self, offset: int) -> T:
        return cast(T, Field(self, offset))

    def unpack(self, data: Any, offset: int = 0) -> T:
        """The value that lies at an offset of a buffer. Raises LayoutError where the buffer ends before it."""
        try:
            (item,) = self.packer.unpack_from(data, offset)
        except structs.error as error:
            raise LayoutError(f"{len(data)} bytes can't hold {self.name or self.code} at {offset} ({error})") from None
        return self.decode(item) if self.decode else item

    def pack(self, value: T) -> bytes:
        """The value's bytes. Raises LayoutError for a value that the C type can't hold."""
        try:
            return self.packer.pack(self.encode(value) if self.encode else value)
        except (structs.error, OverflowError, TypeError, AttributeError, UnicodeError) as error:
            raise LayoutError(f"{value!r} doesn't fit {self.name or self.code} ({error})") from None

    def store(self, buffer: Any, offset: int, value: T) -> None:
        """Writes the value at an offset of a writable buffer. Raises LayoutError for one that the C type can't hold."""
        packed = self.pack(value)
        buffer[offset : offset + len(packed)] = packed

    def zero(self) -> T:
        """The value whose bytes are all zero, a new one at each call."""
        return self.unpack(bytes(self.size))

    def body(self) -> tuple[str, Callable[[tuple[Any, ...]], T]]:
        """What decodes many values in one struct.iter_unpack: the items' codes, and what makes a value of the items."""
        decode = self.decode
        return self.code, (lambda items: decode(items[0])) if decode else (lambda items: cast(T, items[0]))


class Field(Generic[T]):
    """A codec at an offset; on a Union or a Section, an attribute that reads and writes the bytes there."""

    def __init__(self, codec: Codec[T], offset: int):
        self.codec, self.offset = codec, offset

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else self.codec.unpack(owner._readable()[self.offset : self.offset + self.codec.size])

    def __set__(self, owner: Any, value: T) -> None:
        self.codec.store(owner._writable(), self.offset, value)


def _text(item: bytes) -> str:
    return item.partition(b"\0")[0].decode("utf-8", "surrogateescape")


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
        return Codec(self.order, f"{length}s", _text, lambda text: _fitting(_bytes_of(text), length),
                     f"char[{length}]")  # fmt: skip

    def raw(self, length: int) -> Codec[bytes]:
        """An array of `length` 8-bit integers as bytes, all of them. Raises LayoutError, when packing, for another length."""

        def encode(value: bytes) -> bytes:
            data: bytes = _exactly(bytes(value), length)
            return data

        return Codec(self.order, f"{length}s", None, encode, f"__u8[{length}]")

    def enum(self, kind: type[E], storage: Codec[int]) -> Codec[E]:
        """A C enum stored as that integer."""
        return Codec(self.order, storage.code, kind, int, f"enum {kind.__name__}")

    def bits(self, shift: int, width: int, size: int, signed: bool = False) -> "Bits":
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


class Bits(Codec[int]):
    """A bitfield; as one item it is the whole storage, so that neighbours may share it."""

    def __init__(self, order: str, shift: int, width: int, size: int, signed: bool):
        super().__init__(order, f"{size}s", self._extract, self._insert, f"bitfield of {width} bits")
        self.endian: Any = "little" if order == "<" else "big"
        self.shift, self.width, self.signed = shift, width, signed

    def _extract(self, item: bytes) -> int:
        value = int.from_bytes(item, self.endian) >> self.shift & (1 << self.width) - 1
        return value - (1 << self.width) if self.signed and value >> self.width - 1 else value

    def _insert(self, value: int) -> bytes:
        low, high = (-(1 << self.width - 1), 1 << self.width - 1) if self.signed else (0, 1 << self.width)
        if not low <= value < high:
            raise OverflowError(f"it takes {low} to {high - 1}")
        return ((value & (1 << self.width) - 1) << self.shift).to_bytes(self.size, self.endian)

    def store(self, buffer: Any, offset: int, value: int) -> None:
        """Writes the bitfield and leaves its neighbours as they are."""
        mask = ((1 << self.width) - 1) << self.shift
        around = int.from_bytes(buffer[offset : offset + self.size], self.endian) & ~mask
        packed = around | int.from_bytes(self.pack(value), self.endian)
        buffer[offset : offset + self.size] = packed.to_bytes(self.size, self.endian)


class Tail(Codec[bytes]):
    """A flexible array: whatever follows the struct's other members. As a record of its own, all of the record."""

    fixed = False

    def unpack(self, data: Any, offset: int = 0) -> bytes:
        """All bytes from an offset on."""
        return bytes(memoryview(data)[offset:])

    def pack(self, value: bytes) -> bytes:
        """The bytes themselves."""
        return bytes(value)


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
