"""Reads and writes whole structs: all fields by one struct.Struct, with functions compiled for each type."""

from __future__ import annotations

import struct as structs
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from ..errors import LayoutError
from .base import Bits, Codec, Field, ItemLayout, RunLayout, Tail, order_among

S = TypeVar("S")
INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}  # struct.Struct's codes by size
MISFITS = (structs.error, OverflowError, TypeError, AttributeError, ValueError, LayoutError)


class StructItem(NamedTuple):
    """One item of a struct.Struct: a field, or neighbouring bitfields that share a storage unit."""

    offset: int
    codec: Codec[Any]
    names: list[str]
    codecs: list[Codec[Any]]


def struct_items(kind: str, size: int, fields: dict[str, Field[Any]]) -> list[StructItem]:
    """Returns the items of a struct by offset, without the flexible array. Raises LayoutError for overlaps."""
    items: list[StructItem] = []
    end = 0
    for name, field in sorted(fields.items(), key=lambda pair: pair[1].offset):
        codec, offset = field.codec, field.offset
        if isinstance(codec, Tail):
            continue
        if isinstance(codec, Bits) and items and (offset, codec.code) == (items[-1].offset, items[-1].codec.code):
            items[-1].names.append(name)
            items[-1].codecs.append(codec)
            continue
        if offset < end or offset + codec.size > size:
            raise LayoutError(f"{kind}.{name} at {offset} overlaps its neighbour or the end of {size} bytes")
        items.append(StructItem(offset, codec, [name], [codec]))
        end = offset + codec.size
    return items


def item_codes(items: list[StructItem], size: int) -> str:
    """Returns the struct.Struct codes of the items and of the padding between them."""
    codes, end = "", 0
    for item in items:
        codes += f"{item.offset - end}x{item.codec.code}"
        end = item.offset + item.codec.size
    return f"{codes}{size - end}x"


def _merge(*parts: bytes) -> bytes:
    """Adds up the bytes of bitfields that share a storage unit."""
    return bytes(map(sum, zip(*parts)))


class ItemDecoder(NamedTuple):
    """Decodes a struct: `packer` unpacks the items that `layout` describes, those of nested structs included."""

    packer: structs.Struct
    layout: ItemLayout


class StructCodec(Codec[S]):
    """A struct's codec: one struct.Struct for all fields, and functions compiled on first use."""

    def __init__(self, kind: type[S], size: int, fields: dict[str, Field[Any]], promoted: frozenset[str]):
        found = order_among(field.codec for field in fields.values())
        order, self.ordered = found or "<", bool(found)
        super().__init__(order, f"{size}s", self.unpack, self.pack, kind.__name__)
        self.kind, self.fields, self.promoted = kind, fields, promoted
        self.tail = next(((name, field) for name, field in fields.items() if isinstance(field.codec, Tail)), None)
        self.fixed = self.tail is None
        self.items = struct_items(kind.__name__, size, fields)
        self.codes = item_codes(self.items, size)
        self.packer = structs.Struct(order + self.codes)

    def _compile(self, source: str) -> Any:
        """Compiles a source and returns its function `build`, which may call the encoders of this struct's fields."""
        names: dict[str, Any] = {"merge": _merge}
        for name, field in self.fields.items():
            names[f"encode_{name}"] = field.codec.encode
        exec(source, names)
        return names["build"]

    @cached_property
    def item_decoder(self) -> ItemDecoder:
        """The decoder of all items, those of nested structs included."""
        layout = ItemLayout(*compile_decoder(self))
        return ItemDecoder(structs.Struct(self.order + layout.codes), layout)

    @cached_property
    def run_decoder(self) -> RunLayout:
        """The decoder of a run of structs."""
        return RunLayout(*compile_decoder(self, RUN))

    @cached_property
    def item_values(self) -> Callable[[S], tuple[Any, ...]]:
        """The function that makes a struct's items, `(v.a, encode_b(v.b), merge(encode_c(v.c), encode_d(v.d)),)`."""
        texts = []
        for item in self.items:
            parts = [f"encode_{name}(v.{name})" if item.codec.encode else f"v.{name}" for name in item.names]
            texts.append(parts[0] if len(parts) == 1 else f"merge({', '.join(parts)})")
        function: Callable[[S], tuple[Any, ...]] = self._compile(
            f"build = lambda v: ({''.join(f'{i}, ' for i in texts)})"
        )
        return function

    def unpack(self, data: Any, offset: int = 0) -> S:
        """Reads the struct at an offset of a buffer; its flexible array, if it has one, takes all bytes behind.

        Raises LayoutError for a buffer that is too short.
        """
        try:
            packer, (_, build) = self.item_decoder
            value: S = build(packer.unpack_from(data, offset))
        except structs.error:
            raise LayoutError(f"{len(data) - offset} bytes can't hold {self.name}, which has {self.size}") from None
        if self.tail:
            name, field = self.tail
            setattr(value, name, field.codec.unpack(data, offset + field.offset))
        return value

    def pack(self, value: S) -> bytes:
        """Returns the struct's bytes, padding zero. Raises LayoutError naming the field that doesn't fit."""
        try:
            data = self.packer.pack(*self.item_values(value))
            rest = self.tail[1].codec.pack(getattr(value, self.tail[0])) if self.tail else b""
        except MISFITS as error:
            raise self._misfit_error(value, error) from None
        return data[: self.tail[1].offset] + rest if self.tail and rest else data

    def _misfit_error(self, value: Any, error: Exception) -> LayoutError:
        if not isinstance(value, self.kind):
            return LayoutError(f"{value!r} is no {self.name}")
        for name, field in self.fields.items():
            try:
                field.codec.pack(getattr(value, name))
            except LayoutError as misfit:
                return LayoutError(f"{self.name}.{name}: {misfit.what}")
        return LayoutError(f"{self.name}: {error}")

    def item_layout(self) -> ItemLayout:
        """Returns the codes of all items and the function that makes the struct, its flexible array still empty."""
        return self.item_decoder.layout

    def run_layout(self) -> RunLayout:
        """Returns the codes of all items and the function that makes a list of structs from rows of them."""
        return self.run_decoder


def empty_maker(kind: type[S]) -> Callable[[], S]:
    """Returns the function that makes a struct without values: type.__call__, without what StructType adds to it."""
    make: Callable[[], S] = type.__call__.__get__(kind)
    return make


class DecoderSource:
    """The source of a decoder, as it grows: the codes of its items, its lines, and the values of the names in them.

    A decoder turns a struct's items into the struct; compiled for its type it is several times as fast.

        def build(items):
         (i0, i1, i2, ) = items             # of one struct.Struct for all of the struct, nested ones included
         v0 = n1()                          # an empty Event
         v0.time = i0
         v1 = n2()                          # a nested struct, a Connection: no bytes of its own
         v1.pid = i1
         v0.connection = v1
         v0.high = i2 >> 4 & 15             # a bitfield of an integer that neighbours share
         return v0
    """

    def __init__(self, order: str):
        self.order, self.codes = order, ""
        self.lines: list[str] = []
        self.item_count = self.struct_count = 0
        self.names: dict[str, Any] = {"from_bytes": int.from_bytes}

    def name(self, value: Any) -> str:
        """Returns a new name for a value in the source."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def struct(self, codec: StructCodec[Any]) -> str:
        """Adds the lines that read a struct, and returns the name of its variable."""
        variable, end = f"v{self.struct_count}", 0
        self.struct_count += 1
        self.lines.append(f"{variable} = {self.name(empty_maker(codec.kind))}()")
        for item in codec.items:
            self.codes += f"{item.offset - end}x"
            self._add_item(variable, item)
            end = item.offset + item.codec.size
        self.codes += f"{codec.size - end}x"
        if codec.tail:  # empty at first
            self.lines.append(f"{variable}.{codec.tail[0]} = {self.name(codec.tail[1].codec.zero)}()")
        return variable

    def _add_item(self, variable: str, item: StructItem) -> None:
        codec: Any = item.codec
        if isinstance(codec, StructCodec) and codec.fixed and codec.order == self.order:
            self.lines.append(f"{variable}.{item.names[0]} = {self.struct(codec)}")
            return
        name = f"i{self.item_count}"
        self.item_count += 1
        if isinstance(codec, Bits):
            self._add_bitfields(variable, item, name)
            return
        self.codes += codec.code
        decode = None if codec.inline else codec.decoder()
        value = f"{self.name(decode)}({name})" if decode else codec.inline.format(name) or name
        self.lines.append(f"{variable}.{item.names[0]} = {value}")

    def _add_bitfields(self, variable: str, item: StructItem, unit: str) -> None:
        """Adds the bitfields of one storage unit, read as an integer if struct.Struct has one of that size."""
        storage: Any = item.codec  # Bits, as all of item.codecs
        self.codes += INTEGERS.get(storage.size, storage.code)
        if storage.size not in INTEGERS:
            self.lines.append(f"{unit} = from_bytes({unit}, {storage.endian!r})")
        each: Any
        for name, each in zip(item.names, item.codecs):
            value = f"{unit} >> {each.shift} & {(1 << each.width) - 1}"
            if each.signed:
                sign = 1 << each.width - 1
                value = f"(({value}) ^ {sign}) - {sign}"
            if each.convert:
                value = f"{self.name(each.convert)}({value})"
            self.lines.append(f"{variable}.{name} = {value}")


ONE = """
def build(items):
  ({items}) = items
  {lines}
  return v0
"""
RUN = """
def build(rows):
 values = []
 append = values.append
 for ({items}) in rows:
  {lines}
  append(v0)
 return values
"""


def compile_decoder(codec: StructCodec[Any], frame: str = ONE) -> tuple[str, Callable[..., Any]]:
    """Returns the codes of a struct's items, nested ones included, and the function that makes the struct from them.

    Framed by RUN instead of ONE, the function makes a list from rows of items, without a call for each.
    """
    source = DecoderSource(codec.order)
    source.struct(codec)
    items = "".join(f"i{number}, " for number in range(source.item_count))
    exec(frame.format(items=items, lines="\n  ".join(source.lines)), source.names)
    return source.codes, source.names["build"]
