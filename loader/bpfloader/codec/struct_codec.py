"""How a whole struct lies in memory: all its fields as one struct.Struct."""

from __future__ import annotations

import struct as structs
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from .base import Bits, Codec, Field, Tail, order_among
from ..errors import LayoutError
from .struct_read import reader

S = TypeVar("S")
MISFITS = (structs.error, OverflowError, TypeError, AttributeError, ValueError, LayoutError)


class Slot(NamedTuple):
    """One item of a struct.Struct: a field, or neighbouring bitfields that share their storage."""

    offset: int
    codec: Codec[Any]
    names: list[str]
    codecs: list[Codec[Any]]


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
            slots[-1].codecs.append(codec)
            continue
        if offset < end or offset + codec.size > size:
            raise LayoutError(f"{kind}.{name} at {offset} overlaps its neighbour or the end of {size} bytes")
        slots.append(Slot(offset, codec, [name], [codec]))
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
    """A struct's codec: all its fields in one struct.Struct, and two functions compiled when first needed."""

    def __init__(self, kind: type[S], size: int, fields: dict[str, Field[Any]], promoted: frozenset[str]):
        found = order_among(field.codec for field in fields.values())
        order, self.ordered = found or "<", bool(found)
        super().__init__(order, f"{size}s", self.unpack, self.pack, kind.__name__)
        self.kind, self.fields, self.promoted = kind, fields, promoted
        self.tail = next(((name, field) for name, field in fields.items() if isinstance(field.codec, Tail)), None)
        self.fixed = self.tail is None
        self.slots = slots_of(kind.__name__, size, fields)
        self.codes = codes_of(self.slots, size)
        self.packer = structs.Struct(order + self.codes)

    def _compile(self, source: str) -> Any:
        """The function `made` of that source; the names that it calls are this struct's codecs."""
        names: dict[str, Any] = {"merge": _merge}
        for name, field in self.fields.items():
            names[f"encode_{name}"] = field.codec.encode
        exec(source, names)
        return names["made"]

    @cached_property
    def read(self) -> tuple[structs.Struct, str, Callable[[tuple[Any, ...]], S]]:
        """What unpacks all items, those of structs within it included, its codes, and what makes the struct of them."""
        codes, build = reader(self)
        return structs.Struct(self.order + codes), codes, build

    @cached_property
    def take(self) -> Callable[[S], tuple[Any, ...]]:
        """What makes a tuple with every item, `(v.a, encode_b(v.b), merge(encode_c(v.c), encode_d(v.d)),)`."""
        items = []
        for slot in self.slots:
            parts = [f"encode_{name}(v.{name})" if slot.codec.encode else f"v.{name}" for name in slot.names]
            items.append(parts[0] if len(parts) == 1 else f"merge({', '.join(parts)})")
        function: Callable[[S], tuple[Any, ...]] = self._compile(
            f"made = lambda v: ({''.join(f'{i}, ' for i in items)})"
        )
        return function

    def unpack(self, data: Any, offset: int = 0) -> S:
        """The struct at an offset of a buffer, with all that follows as its flexible array if it has one."""
        try:
            packer, _, build = self.read
            value = build(packer.unpack_from(data, offset))
        except structs.error:
            raise LayoutError(f"{len(data) - offset} bytes can't hold {self.name}, which has {self.size}") from None
        if self.tail:
            name, field = self.tail
            setattr(value, name, field.codec.unpack(data, offset + field.offset))
        return value

    def pack(self, value: S) -> bytes:
        """The struct's bytes, padding zero. Raises LayoutError naming the field that doesn't fit."""
        try:
            data = self.packer.pack(*self.take(value))
            rest = self.tail[1].codec.pack(getattr(value, self.tail[0])) if self.tail else b""
        except MISFITS as error:
            raise self._misfit(value, error) from None
        return data[: self.tail[1].offset] + rest if self.tail and rest else data

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
        """The codes of all items, and what makes the struct of them. The flexible array is empty at first."""
        return self.read[1:]
