"""How values lie in memory. A codec at an offset, `u32 @ 8`, is a field: of a struct, a union or a data section."""

from __future__ import annotations

import struct as structs
import sys
from collections.abc import Callable, Iterable
from operator import index
from typing import Any, Generic, TypeVar, cast

from ..errors import LayoutError

T = TypeVar("T")
NATIVE = "<" if sys.byteorder == "little" else ">"  # this machine's byte order: of a map's own numbers


class Codec(Generic[T]):
    """One C type: `size` in bytes, byte `order` (`<`, `>`), `code` for struct.Struct as one item.

    `decode` turns that item into the Python value and `encode` turns it back; None where the item is the value.
    `fixed` is whether each value has `size` bytes; `stated` is the size that a map of such values states; `element` is the
    codec of an array's elements, `array_code` what numpy calls a number that struct.Struct has no code for, `inline`
    an expression with {} for the item that says the same as `decode` (see struct_codec.py). `ordered` is whether the
    byte order means anything: a struct without members has none, and its neighbours must not take it over.
    """

    fixed = ordered = True
    element: Codec[Any] | None = None
    limits: tuple[int, int] | None = None  # of an integer
    array_code = inline = ""

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
        except (structs.error, OverflowError, TypeError, AttributeError, ValueError) as error:
            raise LayoutError(self._describe_misfit(value, error)) from None

    def _describe_misfit(self, value: object, error: Exception) -> str:
        """What is wrong with a value, in words of ours where Python's tell of its own insides."""
        name = self.name or self.code
        if self.limits and hasattr(type(value), "__index__"):
            return f"{value!r} is not in {self.limits[0]} … {self.limits[1]}"
        if self.limits or isinstance(error, structs.error):
            return f"{value!r} is no {name}"
        if self.code in ("e", "f", "d"):
            return f"{value!r} is too large for {name}"
        return f"{value!r} doesn't fit {name} ({error})"

    def store(self, buffer: Any, offset: int, value: T) -> None:
        """Writes the value at an offset of a writable buffer. Raises LayoutError for one that the C type can't hold."""
        packed = self.pack(value)
        buffer[offset : offset + len(packed)] = packed

    def zero(self) -> T:
        """The value whose bytes are all zero, a new one at each call."""
        return self.unpack(bytes(self.size))

    def decoder(self) -> Callable[[Any], T] | None:
        """The quickest function that does what `decode` does, for many calls."""
        return self.decode

    def body(self) -> tuple[str, Callable[[tuple[Any, ...]], T]]:
        """What decodes many values in one struct.iter_unpack: the items' codes, and what makes a value of the items."""
        decode = self.decoder()
        return self.code, (lambda items: decode(items[0])) if decode else (lambda items: cast(T, items[0]))


def pack_for(of: Any, codec: Codec[Any], value: Any) -> bytes:
    """The bytes of a map's key or value. Raises LayoutError, which names the map."""
    try:
        return codec.pack(value)
    except LayoutError as error:
        raise map_layout_error(of, error) from None


def map_layout_error(of: Any, error: LayoutError) -> LayoutError:
    """The error of a map's key or value, which names the map."""
    return LayoutError(f"{of.name}: {error.what}", fix=error.fix)


def order_among(codecs: Iterable[Codec[Any]]) -> str:
    """The byte order of what consists of these; empty if it has none."""
    return next((codec.order for codec in codecs if codec.ordered), "")


class Field(Generic[T]):
    """A codec at an offset; on a Union or a Section, an attribute that reads and writes the bytes there."""

    name = ""

    def __init__(self, codec: Codec[T], offset: int):
        self.codec, self.offset = codec, offset

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else self.codec.unpack(owner._read(self.offset, self.codec.size))

    def __set__(self, owner: Any, value: T) -> None:
        owner._write(self, value)

    def store(self, where: str, buffer: Any, value: T) -> None:
        """Writes the value; `where` is what has the field, for the LayoutError of a value that doesn't fit."""
        try:
            self.codec.store(buffer, self.offset, value)
        except LayoutError as error:
            raise LayoutError(f"{where}.{self.name}: {error.what}", fix=error.fix) from None


class Bits(Codec[T]):
    """A bitfield; as one item it is the whole storage, so that neighbours may share it.

    `start` counts bits as BTF does, from the first one in memory: the lowest of a little-endian storage, the highest of
    a big-endian one. `of` makes the value of the integer: `bool`, an enum's class.
    """

    def __init__(
        self, order: str, start: int, width: int, size: int, signed: bool = False, of: Callable[[int], T] | None = None
    ):
        super().__init__(order, f"{size}s", self._extract, self._insert, f"bitfield of {width} bits")
        self.endian: Any = "little" if order == "<" else "big"
        self.shift = start if order == "<" else 8 * size - start - width
        self.width, self.signed, self.of = width, signed, of
        self.limits = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)

    def _extract(self, item: bytes) -> T:
        value = int.from_bytes(item, self.endian) >> self.shift & (1 << self.width) - 1
        if self.signed and value >> self.width - 1:
            value -= 1 << self.width
        return self.of(value) if self.of else cast(T, value)

    def _insert(self, value: T) -> bytes:
        number = index(cast(int, value))
        assert self.limits
        if not self.limits[0] <= number <= self.limits[1]:
            raise OverflowError
        return ((number & (1 << self.width) - 1) << self.shift).to_bytes(self.size, self.endian)

    def store(self, buffer: Any, offset: int, value: T) -> None:
        """Writes the bitfield and leaves its neighbours as they are."""
        mask = ((1 << self.width) - 1) << self.shift
        around = int.from_bytes(buffer[offset : offset + self.size], self.endian) & ~mask
        packed = around | int.from_bytes(self.pack(value), self.endian)
        buffer[offset : offset + self.size] = packed.to_bytes(self.size, self.endian)


class Tail(Codec[T]):
    """A flexible array: whatever follows the struct's other members. As a record of its own, all of the record."""

    fixed = False

    def __init__(self, order: str, of: Callable[[bytes], T] | None = None, to: Callable[[T], bytes] | None = None):
        super().__init__(order, "0s", name="flexible array")
        self.of, self.to = of, to

    def unpack(self, data: Any, offset: int = 0) -> T:
        """The value of all bytes from an offset on."""
        rest = bytes(memoryview(data)[offset:])
        return self.of(rest) if self.of else cast(T, rest)

    def pack(self, value: T) -> bytes:
        """The bytes of the whole value. Raises LayoutError for one that isn't of the array's type."""
        try:
            return self.to(value) if self.to else bytes(cast(bytes, value))
        except (TypeError, AttributeError, UnicodeError) as error:
            raise LayoutError(f"{value!r} doesn't fit {self.name} ({error})") from None
