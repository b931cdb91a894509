"""Generated structs and unions: classes whose attributes are fields, each a codec at an offset.

    @bpfloader.struct(16)
    class Sample(bpfloader.Struct):
        '''struct sample, 16 bytes'''

        time: int = c.u64 @ 0  # __u64 time
        pid: int = c.u32 @ 8  # __u32 pid

A Struct is a slotted dataclass, compared and hashed by value; what the constructor isn't given is zero, padding always.
"""

from __future__ import annotations

import dataclasses
import struct as structs
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from .codec import Bits, Codec, Field, Tail
from .errors import LayoutError

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform():
        """Python 3.11's, which type checkers alone read."""
        return lambda decorator: decorator


SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}
S = TypeVar("S", bound="Struct")
U = TypeVar("U", bound="Union")
IMMUTABLE = (int, float, str, bytes)


class Struct:
    """A C struct by value. Base of the generated classes; don't change one that is a key of a dict."""

    __slots__ = ()
    codec: ClassVar[Codec[Any]]

    @classmethod
    def from_bytes(cls, data: Any) -> Self:
        """The struct that a buffer starts with. Raises LayoutError for one that is too short."""
        value: Self = cls.codec.unpack(data)
        return value

    def to_bytes(self) -> bytes:
        """The struct as it lies in memory, padding zero. Raises LayoutError naming the field that doesn't fit."""
        return self.codec.pack(self)


@dataclass_transform()
def struct(size: int) -> Callable[[type[S]], type[S]]:
    """A class decorator that makes a Struct of `size` bytes of its fields. Raises LayoutError for overlaps."""

    def decorate(kind: type[S]) -> type[S]:
        fields = {name: field for name, field in vars(kind).items() if isinstance(field, Field)}
        for name, field in fields.items():
            setattr(kind, name, _default(field.codec))
        made = dataclasses.dataclass(unsafe_hash=True, **SLOTS)(kind)
        made.codec = StructCodec(made, size, fields)
        return made

    return decorate


def _default(codec: Codec[Any]) -> Any:
    zero = codec.zero()
    return zero if isinstance(zero, IMMUTABLE) else dataclasses.field(default_factory=codec.zero)


class Slot(NamedTuple):
    """One item of a struct.Struct: a field, or neighbouring bitfields that share their storage."""

    offset: int
    codec: Codec[Any]
    names: list[str]


def slots_of(kind: str, size: int, fields: dict[str, Field[Any]]) -> list[Slot]:
    """The items of a struct by offset, without the flexible array. Raises LayoutError for overlaps."""
    slots: list[Slot] = []
    end = 0
    for name, field in sorted(fields.items(), key=lambda pair: pair[1].offset):
        codec, offset = field.codec, field.offset
        if isinstance(codec, Tail):
            continue
        if isinstance(codec, Bits) and slots and (offset, codec.code) == (slots[-1].offset, slots[-1].codec.code):
            slots[-1].names.append(name)
            continue
        if offset < end or offset + codec.size > size:
            raise LayoutError(f"{kind}.{name} at {offset} overlaps its neighbour or the end of {size} bytes")
        slots.append(Slot(offset, codec, [name]))
        end = offset + codec.size
    return slots


def codes_of(slots: list[Slot], size: int) -> str:
    """The struct.Struct codes of the items, with the padding between them."""
    codes, end = "", 0
    for slot in slots:
        codes += f"{slot.offset - end}x{slot.codec.code}"
        end = slot.offset + slot.codec.size
    return f"{codes}{size - end}x"


def _merge(*parts: bytes) -> bytes:
    """Bitfields that share their storage, as one."""
    return bytes(map(sum, zip(*parts)))


class StructCodec(Codec[S]):
    """A struct's codec: all its fields in one struct.Struct, and two functions compiled once, as dataclasses do."""

    def __init__(self, kind: type[S], size: int, fields: dict[str, Field[Any]]):
        order = next((field.codec.order for field in fields.values()), "<")
        super().__init__(order, f"{size}s", self.unpack, self.pack, kind.__name__)
        self.kind, self.fields = kind, fields
        self.tail = next(
            ((name, field.offset) for name, field in fields.items() if isinstance(field.codec, Tail)), None
        )
        self.fixed = self.tail is None
        slots = slots_of(kind.__name__, size, fields)
        self.codes = codes_of(slots, size)
        self.packer = structs.Struct(order + self.codes)
        self.build: Callable[[tuple[Any, ...]], S] = self._compile("i", self._construction(slots))
        self.take: Callable[[S], tuple[Any, ...]] = self._compile("v", self._extraction(slots))

    def _compile(self, argument: str, expression: str) -> Any:
        """A function of one argument; the names that its expression calls are this struct's codecs."""
        names: dict[str, Any] = {"kind": self.kind, "merge": _merge}
        for name, field in self.fields.items():
            names |= {f"decode_{name}": field.codec.decode, f"encode_{name}": field.codec.encode}
        return eval(f"lambda {argument}: {expression}", names)

    def _construction(self, slots: list[Slot]) -> str:
        """The class called with every field, `kind(i[0], decode_b(i[1]))`; a flexible array is empty at first."""
        item = {name: f"i[{number}]" for number, slot in enumerate(slots) for name in slot.names}
        calls = (f"decode_{name}({item[name]})" if field.codec.decode else item.get(name, "b''")
                 for name, field in self.fields.items())  # fmt: skip
        return f"kind({', '.join(calls)})"

    def _extraction(self, slots: list[Slot]) -> str:
        """A tuple with every item, `(v.a, encode_b(v.b), merge(encode_c(v.c), encode_d(v.d)),)`."""
        items = []
        for slot in slots:
            parts = [f"encode_{name}(v.{name})" if slot.codec.encode else f"v.{name}" for name in slot.names]
            items.append(parts[0] if len(parts) == 1 else f"merge({', '.join(parts)})")
        return f"({''.join(f'{item}, ' for item in items)})"

    def unpack(self, data: Any, offset: int = 0) -> S:
        """The struct at an offset of a buffer, with all that follows as its flexible array if it has one."""
        try:
            value = self.build(self.packer.unpack_from(data, offset))
        except structs.error:
            raise LayoutError(f"{len(data) - offset} bytes can't hold {self.name}, which has {self.size}") from None
        if self.tail:
            name, start = self.tail
            setattr(value, name, bytes(memoryview(data)[offset + start :]))
        return value

    def pack(self, value: S) -> bytes:
        """The struct's bytes, padding zero. Raises LayoutError naming the field that doesn't fit."""
        try:
            data = self.packer.pack(*self.take(value))
        except (structs.error, OverflowError, TypeError, AttributeError, UnicodeError, LayoutError) as error:
            raise self._misfit(value, error) from None
        if self.tail:
            name, start = self.tail
            return data[:start] + getattr(value, name) if getattr(value, name) else data
        return data

    def _misfit(self, value: Any, error: Exception) -> LayoutError:
        if not isinstance(value, self.kind):
            return LayoutError(f"{value!r} is no {self.name}")
        for name, field in self.fields.items():
            try:
                field.codec.pack(getattr(value, name))
            except LayoutError as misfit:
                return LayoutError(f"{self.name}.{name}: {misfit.what}")
        return LayoutError(f"{self.name}: {error}")

    def body(self) -> tuple[str, Callable[[tuple[Any, ...]], S]]:
        """The codes of all fields, and what makes the struct of their items."""
        return self.codes, self.build


class Union:
    """A C union: its bytes, read and written through any of its members. Base of the generated classes."""

    __slots__ = ("_bytes",)
    codec: ClassVar[Codec[Any]]

    def __init__(self, data: bytes = b"", **members: Any):
        self._bytes = bytearray(self.codec.size)
        self._bytes[: len(data)] = data
        if len(self._bytes) != self.codec.size:
            raise LayoutError(f"{len(data)} bytes don't fit {type(self).__name__}, which has {self.codec.size}")
        for name, value in members.items():
            if not isinstance(getattr(type(self), name, None), Field):
                raise TypeError(f"{type(self).__name__} has no member {name}")
            setattr(self, name, value)

    @classmethod
    def from_bytes(cls, data: Any) -> Self:
        """The union that a buffer starts with. Raises LayoutError for one that is too short."""
        value: Self = cls.codec.unpack(data)
        return value

    def to_bytes(self) -> bytes:
        """All its bytes, whichever member they are."""
        return bytes(self._bytes)

    def _readable(self) -> bytearray:
        return self._bytes

    _writable = _readable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(bytes(self._bytes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({bytes(self._bytes)!r})"


def union(size: int) -> Callable[[type[U]], type[U]]:
    """A class decorator that gives a Union of `size` bytes its codec."""

    def decorate(kind: type[U]) -> type[U]:
        kind.codec = Codec(order_of(kind), f"{size}s", kind, kind.to_bytes, kind.__name__)
        return kind

    return decorate


def order_of(kind: type) -> str:
    """The byte order of a class's fields; little-endian if it has none, where it doesn't matter."""
    return next((field.codec.order for field in vars(kind).values() if isinstance(field, Field)), "<")
