"""Makes the function that turns a struct's items into the struct, as source: that reads many records several times faster.

def made(items):
 (i0, i1, i2, ) = items             # of one struct.Struct for all of the struct, those within it included
 v0 = new(Event)
 v0.time = i0
 v1 = new(Connection)               # a struct within it: no call, no bytes of its own
 v1.pid = i1
 v0.connection = v1
 v0.high = i2 >> 4 & 15             # a bitfield: of an integer that neighbours share
 return v0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import Bits

if TYPE_CHECKING:
    from .struct_codec import Slot, StructCodec

INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Source:
    """The function's text so far: the codes of its items, its lines, and what the names in them stand for."""

    def __init__(self, order: str):
        self.order, self.codes = order, ""
        self.lines: list[str] = []
        self.items = self.structs = 0
        self.names: dict[str, Any] = {"new": object.__new__, "from_bytes": int.from_bytes}

    def name(self, value: Any) -> str:
        """A name that stands for a value in the text."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def struct(self, codec: StructCodec[Any]) -> str:
        """Adds all items of a struct; the name of the variable that holds it then."""
        variable, end = f"v{self.structs}", 0
        self.structs += 1
        self.lines.append(f"{variable} = new({self.name(codec.kind)})")
        for slot in codec.slots:
            self.codes += f"{slot.offset - end}x"
            self._slot(variable, slot)
            end = slot.offset + slot.codec.size
        self.codes += f"{codec.size - end}x"
        if codec.tail:  # empty at first
            self.lines.append(f"{variable}.{codec.tail[0]} = {self.name(codec.tail[1].codec.zero)}()")
        return variable

    def _slot(self, variable: str, slot: Slot) -> None:
        codec: Any = slot.codec
        if hasattr(codec, "slots") and codec.fixed and codec.order == self.order:
            self.lines.append(f"{variable}.{slot.names[0]} = {self.struct(codec)}")
            return
        item = f"i{self.items}"
        self.items += 1
        if isinstance(codec, Bits):
            self._bits(variable, slot, item)
            return
        self.codes += codec.code
        decode = None if codec.inline else codec.decoder()
        value = f"{self.name(decode)}({item})" if decode else codec.inline.format(item) or item
        self.lines.append(f"{variable}.{slot.names[0]} = {value}")

    def _bits(self, variable: str, slot: Slot, item: str) -> None:
        """Bitfields of one storage: of an integer where struct.Struct has one of that size."""
        storage: Any = slot.codec  # Bits, as all of slot.codecs
        self.codes += INTEGERS.get(storage.size, storage.code)
        if storage.size not in INTEGERS:
            self.lines.append(f"{item} = from_bytes({item}, {storage.endian!r})")
        each: Any
        for name, each in zip(slot.names, slot.codecs):
            value = f"{item} >> {each.shift} & {(1 << each.width) - 1}"
            if each.signed:
                sign = 1 << each.width - 1
                value = f"(({value}) ^ {sign}) - {sign}"
            self.lines.append(f"{variable}.{name} = " + (f"{self.name(each.of)}({value})" if each.of else value))


def reader(codec: StructCodec[Any]) -> tuple[str, Callable[[tuple[Any, ...]], Any]]:
    """The codes of all of a struct's items, and the function that makes the struct of them."""
    source = Source(codec.order)
    variable = source.struct(codec)
    items = "".join(f"i{number}, " for number in range(source.items))
    text = "\n ".join(["def made(items):", f"({items}) = items", *source.lines, f"return {variable}"])
    exec(text, source.names)
    return source.codes, source.names["made"]
