"""Reads and writes C values in memory. A codec at an offset, `u32 @ 8`, is a field of a struct, union or section."""

from __future__ import annotations

import struct as structs
import sys
from collections.abc import Callable, Iterable
from operator import index
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ..errors import LayoutError

T = TypeVar("T")
PLAIN = frozenset((bool, bytes, float, int, str))  # the types of values without members, as counters are
NATIVE = "<" if sys.byteorder == "little" else ">"  # this machine's byte order, which maps' own numbers have


class ItemLayout(NamedTuple):
    """The items of a value: their `codes` for struct.iter_unpack, and `build`, which makes the value from them."""

    codes: str
    build: Callable[[tuple[Any, ...]], Any]


class RunLayout(NamedTuple):
    """The items of a run of values, as ItemLayout; `build_all` makes the list of values from rows of items."""

    codes: str
    build_all: Callable[[Iterable[tuple[Any, ...]]], list[Any]]


class Codec(Generic[T]):
    """One C type: `size` in bytes, byte `order` (`<`, `>`), `code` for struct.Struct as one item.

    `decode` turns that item into the Python value and `encode` turns it back; None where the item is the value.
    `fixed` is False for values of varying size; `value_size` is the one that a map of such values states; `element` is
    the codec of an array's elements, `array_code` numpy's code of a number that struct.Struct has none for, `inline` an
    expression equal to `decode` with {} for the item (see struct_codec.py). `ordered` is False where the byte order
    means nothing: a struct without members has none, and its neighbours must not adopt it.
    """

    fixed = ordered = True
    element: Codec[Any] | None = None
    limits: tuple[int, int] | None = None  # of an integer
    array_code = inline = ""
    bound_kind: type | None = None  # of a struct or union: the class of those that write their members (see bind)

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
        self.size = self.value_size = self.packer.size

    def __matmul__(self, offset: int) -> T:
        return cast(T, Field(self, offset))

    def unpack(self, data: Any, offset: int = 0) -> T:
        """Reads the value at an offset of a buffer. Raises LayoutError for a buffer that is too short."""
        try:
            (item,) = self.packer.unpack_from(data, offset)
        except structs.error:
            what = f"{max(0, len(data) - offset)} bytes can't hold {self.name or self.code}, which has {self.size}"
            raise LayoutError(what) from None
        return self.decode(item) if self.decode else item

    def pack(self, value: T) -> bytes:
        """Returns the value's bytes. Raises LayoutError for a value that the C type can't hold."""
        try:
            return self.packer.pack(self.encode(value) if self.encode else value)
        except (structs.error, OverflowError, TypeError, AttributeError, ValueError) as error:
            raise LayoutError(self._describe_misfit(value, error)) from None

    def _describe_misfit(self, value: object, error: Exception) -> str:
        """Returns why the C type can't hold a value, in place of Python's message where that is about struct.Struct."""
        name = self.name or self.code
        if self.limits and hasattr(type(value), "__index__"):
            return f"{value!r} is not in {self.limits[0]} … {self.limits[1]}"
        if self.limits or isinstance(error, structs.error):
            return f"{value!r} is no {name}"
        if self.code in ("e", "f", "d"):
            return f"{value!r} is too large for {name}"
        return f"{value!r} doesn't fit {name} ({error})"

    def store(self, buffer: Any, offset: int, value: T) -> None:
        """Writes the value at an offset of a buffer. Raises LayoutError for a value that the C type can't hold."""
        packed = self.pack(value)
        buffer[offset : offset + len(packed)] = packed

    def zero(self) -> T:
        """Returns a new value whose bytes are all zero."""
        return self.unpack(bytes(self.size))

    def decoder(self) -> Callable[[Any], T] | None:
        """Returns the fastest function equal to `decode`, for many calls."""
        return self.decode

    def item_layout(self) -> ItemLayout:
        """Returns the codes of a value's items, and the function that makes the value from them."""
        decode = self.decoder()
        return ItemLayout(self.code, (lambda items: decode(items[0])) if decode else (lambda items: items[0]))

    def run_layout(self) -> RunLayout:
        """Returns the codes of a value's items, and the function that makes the values of a run from them."""
        codes, build = self.item_layout()
        return RunLayout(codes, lambda rows: list(map(build, rows)))


def pack_for(target: Any, codec: Codec[Any], value: Any) -> bytes:
    """Packs a key or value of a map. Raises LayoutError, which names the map."""
    try:
        return codec.pack(value)
    except LayoutError as error:
        raise map_layout_error(target, error) from None


def map_layout_error(target: Any, error: LayoutError) -> LayoutError:
    """Returns the error with the map's name in front."""
    return LayoutError(f"{target.name}: {error.what}", fix=error.fix)


def order_among(codecs: Iterable[Codec[Any]]) -> str:
    """Returns the byte order of the first codec that has one; empty if none has."""
    return next((codec.order for codec in codecs if codec.ordered), "")


class Field(Generic[T]):
    """A codec at an offset; on a Union or a Section, an attribute that reads and writes the bytes there."""

    name = ""

    def __init__(self, codec: Codec[T], offset: int):
        self.codec, self.offset = codec, offset

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self
        value = self.codec.unpack(owner._read(self.offset, self.codec.size))
        return value if type(value) in PLAIN else owner._bind(value, self)

    def __set__(self, owner: Any, value: T) -> None:
        owner._write(self, value)

    def store(self, where: str, buffer: Any, value: T) -> None:
        """Writes the value to a buffer. Raises LayoutError, which names the field as `where`.name."""
        try:
            self.codec.store(buffer, self.offset, value)
        except LayoutError as error:
            raise LayoutError(f"{where}.{self.name}: {error.what}", fix=error.fix) from None


class Bits(Codec[T]):
    """A bitfield; its item is the whole storage unit, which neighbours may share.

    `start` counts bits as BTF does, from the first one in memory: the lowest of a little-endian storage unit, the
    highest of a big-endian one. `convert` makes the value from the integer: `bool`, an enum's class.
    """

    def __init__(
        self,
        order: str,
        start: int,
        width: int,
        size: int,
        signed: bool = False,
        convert: Callable[[int], T] | None = None,
    ):
        super().__init__(order, f"{size}s", self._extract, self._insert, f"bitfield of {width} bits")
        self.endian: Any = "little" if order == "<" else "big"
        self.shift = start if order == "<" else 8 * size - start - width
        self.width, self.signed, self.convert = width, signed, convert
        self.limits = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)

    def _extract(self, item: bytes) -> T:
        value = int.from_bytes(item, self.endian) >> self.shift & (1 << self.width) - 1
        if self.signed and value >> self.width - 1:
            value -= 1 << self.width
        return self.convert(value) if self.convert else cast(T, value)

    def _insert(self, value: T) -> bytes:
        number = index(cast(int, value))
        assert self.limits
        if not self.limits[0] <= number <= self.limits[1]:
            raise OverflowError
        return ((number & (1 << self.width) - 1) << self.shift).to_bytes(self.size, self.endian)

    def store(self, buffer: Any, offset: int, value: T) -> None:
        """Writes the bitfield without changing its neighbours."""
        mask = ((1 << self.width) - 1) << self.shift
        around = int.from_bytes(buffer[offset : offset + self.size], self.endian) & ~mask
        packed = around | int.from_bytes(self.pack(value), self.endian)
        buffer[offset : offset + self.size] = packed.to_bytes(self.size, self.endian)


class Tail(Codec[T]):
    """A flexible array: all bytes behind the struct's other members. As a type of records, the whole record."""

    fixed = False

    def __init__(
        self, order: str, from_bytes: Callable[[bytes], T] | None = None, to_bytes: Callable[[T], bytes] | None = None
    ):
        super().__init__(order, "0s", name="flexible array")
        self.from_bytes, self.to_bytes = from_bytes, to_bytes

    def unpack(self, data: Any, offset: int = 0) -> T:
        """Reads the value from all bytes behind an offset."""
        rest = bytes(memoryview(data)[offset:])
        return self.from_bytes(rest) if self.from_bytes else cast(T, rest)

    def pack(self, value: T) -> bytes:
        """Returns the value's bytes. Raises LayoutError for a value that isn't of the array's type."""
        try:
            return self.to_bytes(value) if self.to_bytes else bytes(cast(bytes, value))
        except (TypeError, AttributeError, UnicodeError) as error:
            raise LayoutError(f"{value!r} doesn't fit {self.name} ({error})") from None
