"""Maps C types to Python types.

| C                                 | Python                                                                  |
|-----------------------------------|-------------------------------------------------------------------------|
| integers, pointers, bitfields     | int                                                                     |
| _Bool                             | bool                                                                    |
| float, double                     | float                                                                   |
| char[N]                           | str: UTF-8 up to the first NUL; other bytes show as \\xff (see text.py)  |
| __u8[N], signed char[N]           | bytes, all N of them                                                    |
| T[N]                              | tuple of N                                                              |
| T[] at the end of a record        | the same as T[N], of all that follows                                   |
| __be16, __le32 …                  | int: of that byte order in memory                                       |
| struct in_addr, struct in6_addr   | IPv4Address and IPv6Address of ipaddress                                |
| enum                              | an IntEnum that takes unknown values as well                            |
| struct, union                     | Struct and Union of struct.py                                           |

A BTF decl tag on a member, a global variable or a typedef says more than C can,
`__be32 to __attribute__((btf_decl_tag("ipv4")));`:

| tag   | on                                                 | Python                                              |
|-------|----------------------------------------------------|-----------------------------------------------------|
| ipv4  | 4 bytes, as in an IP header                        | IPv4Address                                         |
| ipv6  | 16 bytes                                           | IPv6Address                                         |
| ip    | 16 bytes, IPv4 as ::ffff:a.b.c.d                   | IPv4Address or IPv6Address                          |
| bytes | char[N], char[]                                    | bytes                                               |
| str   | __u8[N], __u8[]                                    | str                                                 |
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

from ..text import bytes_of, text_of
from .array import ArrayCodec
from .base import Bits, Codec, Tail

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from .struct import Struct, Union

IPV4_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2
T = TypeVar("T")
E = TypeVar("E", bound="Enum")
S = TypeVar("S", bound="Struct | Union")
U = TypeVar("U", bound="Union")


class Enum(IntEnum):
    """A C enum. A value without a name (of a newer kernel, or an OR of flags) becomes a member named by its number."""

    @classmethod
    def _missing_(cls, value: object) -> Enum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = str(value), value
        return member


class Memo(dict[Any, T]):
    """Caches a function's results: in a ring the same few names and states come again and again."""

    def __init__(self, convert: Callable[[Any], T]):
        super().__init__()
        self._convert = convert

    def __missing__(self, item: Any) -> T:
        value = self._convert(item)
        if len(self) < 1024:
            self[item] = value
        return value


class CTypes:
    """Codecs of one byte order: `c = CTypes("<")`, then `c.u32`, `c.chars(16)`, `c.array(c.u16, 4)`."""

    def __init__(self, order: str):
        self.order = order
        self.u8, self.u16, self.u32, self.u64 = (self._int(code, f"u{8 << n}") for n, code in enumerate("BHIQ"))
        self.s8, self.s16, self.s32, self.s64 = (self._int(code, f"s{8 << n}") for n, code in enumerate("bhiq"))
        self.boolean = Codec[bool](order, "?", name="_Bool")
        self.f16, self.f32, self.f64 = (self._float(code, bits) for code, bits in (("e", 16), ("f", 32), ("d", 64)))
        self.u128, self.s128 = self._wide(16, order, False), self._wide(16, order, True)
        self.be16, self.be32, self.be64 = (self._ordered(size, ">") for size in (2, 4, 8))
        self.le16, self.le32, self.le64 = (self._ordered(size, "<") for size in (2, 4, 8))
        self.ipv4, self.ipv6, self.ip = (self._address(kind, size) for kind, size in (("4", 4), ("6", 16), ("", 16)))

    def _int(self, code: str, name: str) -> Codec[int]:
        codec = Codec[int](self.order, code, name=name)
        codec.limits = _limits(codec.size, code.islower())
        return codec

    def _float(self, code: str, bits: int) -> Codec[float]:
        return Codec(self.order, code, name=f"f{bits}")

    def _ordered(self, size: int, order: str) -> Codec[int]:
        """Returns the codec of a __be… or __le… integer, whose byte order may differ from the machine's."""
        return (
            self._int({2: "H", 4: "I", 8: "Q"}[size], f"u{8 * size}")
            if order == self.order
            else self._wide(size, order)
        )

    def _wide(self, size: int, order: str, signed: bool = False) -> Codec[int]:
        endian: Any = "little" if order == "<" else "big"

        def decode(item: bytes) -> int:
            return int.from_bytes(item, endian, signed=signed)

        def encode(value: int) -> bytes:
            return index(value).to_bytes(size, endian, signed=signed)

        codec = Codec(self.order, f"{size}s", decode, encode, f"{'s' if signed else 'u'}{8 * size}")
        codec.limits = _limits(size, signed)
        codec.array_code = f"{order}u{size}" if size <= 8 else ""
        codec.inline = f"from_bytes({{}}, {endian!r}{', signed=True' if signed else ''})"
        return codec

    def _address(self, version: str, size: int) -> Codec[Any]:
        """Returns the codec of an IP address in network byte order. The first address imports ipaddress."""
        make = Memo(_address_of(version))
        return Codec(
            self.order, f"{size}s", make.__getitem__, _address_bytes(version, size), f"IPv{version or '4 or 6'}"
        )

    def chars(self, length: int) -> Codec[str]:
        """Returns the codec of char[length], a str. Packing raises LayoutError for longer text."""
        return Codec(self.order, f"{length}s", Memo(text_of).__getitem__, lambda text: _fitting(_text(text), length),
                     f"char[{length}]")  # fmt: skip

    def raw(self, length: int) -> Codec[bytes]:
        """Returns the codec of an array of 8-bit integers, bytes. Packing raises LayoutError for another length."""

        def encode(value: bytes) -> bytes:
            data: bytes = _exactly(_bytes(value), length)
            return data

        return Codec(self.order, f"{length}s", None, encode, f"__u8[{length}]")

    def enum(self, kind: type[E], storage: Codec[int]) -> Codec[E]:
        """Returns the codec of a C enum stored as that integer."""
        codec = Codec(self.order, storage.code, Memo(kind).__getitem__, index, f"enum {kind.__name__}")
        codec.limits = storage.limits
        return codec

    def bits(self, start: int, width: int, size: int, signed: bool = False) -> Codec[int]:
        """Returns the codec of a bitfield: `width` bits from bit `start` of a storage of `size` bytes (see Bits)."""
        return Bits[int](self.order, start, width, size, signed)

    def flag(self, start: int, size: int) -> Codec[bool]:
        """Returns the codec of a _Bool bitfield of one bit."""
        return Bits(self.order, start, 1, size, convert=bool)

    def enum_bits(self, kind: type[E], start: int, width: int, size: int, signed: bool = False) -> Codec[E]:
        """Returns the codec of a bitfield of an enum's type."""
        return Bits(self.order, start, width, size, signed, Memo(kind).__getitem__)

    def array(self, element: Codec[T], length: int) -> Codec[tuple[T, ...]]:
        """Returns the codec of element[length], a tuple. Packing raises LayoutError for another length."""
        return ArrayCodec(element, length)

    def tail(self) -> Codec[bytes]:
        """Returns the codec of a flexible array of 8-bit integers: all bytes that follow the struct."""
        return Tail[bytes](self.order)

    def text_tail(self) -> Codec[str]:
        """Returns the codec of a flexible array of char: a str, up to the first NUL."""
        return Tail(self.order, text_of, bytes_of)

    def array_tail(self, element: Codec[T]) -> Codec[tuple[T, ...]]:
        """Returns the codec of any other flexible array: a tuple of the complete elements that follow."""

        def decode(rest: bytes) -> tuple[T, ...]:
            return self.array(element, len(rest) // element.size).unpack(rest)

        def encode(values: tuple[T, ...]) -> bytes:
            return b"".join(map(element.pack, values))

        return Tail(self.order, decode, encode)

    def anonymous(self, kind: type[U]) -> Codec[U]:
        """Returns the codec of a generated anonymous union, whose members the struct around it has, too."""
        from .struct import Anonymous

        return Anonymous(kind)

    def of(self, kind: type[S]) -> Codec[S]:
        """Returns the codec of a generated struct or union."""
        return kind.codec


def _address_of(version: str) -> Callable[[bytes], IPv4Address | IPv6Address]:
    """Returns a decoder of addresses; without a version, an IPv4-mapped address becomes IPv4, any other IPv6."""

    def decode(item: bytes) -> IPv4Address | IPv6Address:
        from ipaddress import IPv4Address, IPv6Address

        if version == "4":
            return IPv4Address(item)
        address = IPv6Address(item)
        return address.ipv4_mapped or address if not version else address

    return decode


def _address_bytes(version: str, size: int) -> Callable[[Any], bytes]:
    """Returns an encoder of addresses, or of text or bytes that stand for one."""

    def encode(value: Any) -> bytes:
        from ipaddress import IPv4Address, IPv6Address, ip_address

        address = ip_address(value) if isinstance(value, (str, bytes)) else value
        if not isinstance(address, (IPv4Address, IPv6Address)) or str(address.version) not in (version or "46"):
            raise TypeError(f"it is no IPv{version or '4 or 6'} address")
        return address.packed if len(address.packed) == size else IPV4_MAPPED + address.packed

    return encode


def _limits(size: int, signed: bool) -> tuple[int, int]:
    """Returns the smallest and the largest integer of `size` bytes."""
    return (-1 << 8 * size - 1, (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)


def _bytes(value: Any) -> bytes:
    if isinstance(value, (int, str)):  # bytes(3) is three zeros
        raise TypeError(f"it is no bytes but {type(value).__name__}")
    return bytes(value)


def _text(value: Any) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"it is no text but {type(value).__name__}")
    return bytes_of(value)


def _fitting(data: bytes, length: int) -> bytes:
    if len(data) > length:
        raise OverflowError(f"it has {len(data)} bytes")
    return data


def _exactly(values: Any, length: int) -> Any:
    if len(values) != length:
        raise OverflowError(f"it has {len(values)} elements, not {length}")
    return values
