"""Reads BTF, the BPF type format, of either byte order (kernel: Documentation/bpf/btf.rst).

All kinds up to ENUM64 are read. The whole type section is checked at once; names are decoded when they are asked for,
so that a running kernel's 5.5 MB take a fraction of a second.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import NoReturn

from ..errors import BtfError
from .types import COMPOSITES, LAYOUTS, REFERS, TRANSPARENT, Kind, Layout, Type

MAGIC = 0xEB9F
BTF_HEADER = "HBBIIIII"
BTF_HEADER_SIZE = 24
MAX_DEPTH = 64  # of typedefs, arrays and pointers in one another; the kernel's MAX_RESOLVE_DEPTH is 32
MAX_STRING = 65536  # one without an end may not make each look-up scan megabytes; source lines are the longest


class Btf:
    """A parsed type section, types by id as `btf[id]`; `little` is its byte order, `pointer` a pointer's bytes.

    `words` holds the records, `starts` the index of each one's first word, void's 0 before them.
    """

    def __init__(self, words: "array[int]", strings: bytes, little: bool, pointer: int, where: str):
        self.words, self.strings, self.little, self.pointer, self.where = words, strings, little, pointer, where
        self.starts = array("I", [0])
        self._types: dict[int, Type] = {0: Type(self, 0, 0, 0, 0, 0)}
        self._decoded: dict[int, str] = {}
        self._aligns: dict[int, int] = {}

    @classmethod
    def parse(cls, data: bytes, where: str = "", pointer: int = 8) -> "Btf":
        """Returns the types in a .BTF section's bytes, each record's bounds, names and ids checked.

        `pointer` is a pointer's size in bytes: 8 in every BPF object, 4 in a 32-bit kernel's own BTF.
        `where` names the data in errors. Raises BtfError.
        """
        btf = cls(*_split(data, where), pointer, where)
        btf._read_types()
        return btf

    @classmethod
    def none(cls, little: bool, where: str = "") -> "Btf":
        """Returns the types of an object without a .BTF section: there are none."""
        data = struct.pack(f"{'<' if little else '>'}{BTF_HEADER}x", MAGIC, 1, 0, BTF_HEADER_SIZE, 0, 0, 0, 1)
        return cls.parse(data, where)

    def fail(self, what: str) -> NoReturn:
        """Raises BtfError naming where this BTF came from."""
        raise BtfError(what, where=self.where)

    def _read_types(self) -> None:
        words, end, starts = self.words, len(self.words), self.starts
        layouts, refers = [LAYOUTS.get(code) for code in range(128)], [code in REFERS for code in range(128)]
        position = last_type = last_name = 0
        while position < end:
            if position + 3 > end:
                self.fail(f"ends inside the head of type [{len(starts)}]")
            name, info, word = words[position : position + 3]
            code, at = info >> 24 & 0x7F, position + 3
            layout = layouts[code]
            if layout is None:
                self.fail(f"has type [{len(starts)}] of kind {code}, which this reader doesn't know")
            starts.append(position)
            position = at + layout.fixed + layout.each * (info & 0xFFFFFF)
            if position > end:
                self.fail(f"ends inside type [{len(starts) - 1}]")
            if name > last_name:
                last_name = name
            if refers[code] and word > last_type:
                last_type = word
            if position - at > 1:
                last_name, last_type = _highest(words, at, position, layout, last_name, last_type)
        if last_type >= len(starts):
            self.fail(f"refers to type [{last_type}] of {len(starts)}")
        if last_name >= len(self.strings):
            self.fail(f"has a name at {last_name}, past the {len(self.strings)} bytes of its strings")

    def __len__(self) -> int:
        """Returns the number of types, void included."""
        return len(self.starts)

    def __iter__(self) -> Iterator[Type]:
        """Returns all types but void, by id."""
        return map(self.__getitem__, range(1, len(self.starts)))

    def __getitem__(self, number: int) -> Type:
        """Returns the type of that id, void for 0. Raises BtfError for an id that there isn't."""
        kind = self._types.get(number)
        if kind is None:
            if not 0 <= number < len(self.starts):
                self.fail(f"has no type [{number}], its last is [{len(self.starts) - 1}]")
            at = self.starts[number]
            name, info, word = self.words[at : at + 3]
            kind = self._types[number] = Type(self, number, name, info, word, at + 3)
        return kind

    def string(self, offset: int) -> str:
        """Returns the string at an offset of the string section.

        Raises BtfError for one out of bounds or without an end.
        """
        text = self._decoded.get(offset)
        if text is None:
            text = self._decoded[offset] = self.string_bytes(offset).decode("utf-8", "backslashreplace")
        return text

    def string_bytes(self, offset: int) -> bytes:
        """Returns the string at an offset as it stands in the section, without its NUL.

        Raises BtfError as `string` does.
        """
        end = self.strings.find(0, offset, offset + MAX_STRING)
        if end < 0:
            self.fail(f"has no string at {offset} that ends within {MAX_STRING} bytes")
        return self.strings[offset:end]

    def all_strings(self) -> dict[int, bytes]:
        """Returns each string by its offset; not those that lie inside of another, at its end."""
        texts = self.strings[:-1].split(b"\0")
        return dict(zip(accumulate((len(text) + 1 for text in texts), initial=0), texts))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, at in enumerate(self.starts):
            if number and self.words[at]:
                found.setdefault(self.string(self.words[at]), []).append(number)
        return found

    def named(self, name: str, *kinds: Kind) -> list[Type]:
        """Returns all types of that name, by id; of those kinds only, where any are given."""
        return [kind for kind in map(self.__getitem__, self._by_name.get(name, ())) if not kinds or kind.kind in kinds]

    def find(self, name: str, *kinds: Kind) -> Type | None:
        """Returns the first type of that name (and one of those kinds), or None."""
        return next(iter(self.named(name, *kinds)), None)

    def resolve(self, number: int, through: tuple[Kind, ...] = TRANSPARENT) -> Type:
        """Returns the type behind typedefs, const, volatile, restrict and type tags.

        Raises BtfError for a cycle of them.
        """
        kind = self[number]
        for _ in range(MAX_DEPTH):
            if kind.kind not in through:
                return kind
            kind = self[kind.type]
        self.fail(f"has type [{number}] behind more than {MAX_DEPTH} typedefs and qualifiers")

    def size_of(self, number: int) -> int:
        """Returns the size in bytes of a type used by value; 0 for void, functions and forward declarations.

        Raises BtfError for a type that contains itself through arrays or typedefs.
        """
        count = 1
        for _ in range(MAX_DEPTH):
            kind = self.resolve(number)
            if kind.kind == Kind.PTR:
                return count * self.pointer
            if kind.kind not in (Kind.ARRAY, Kind.VAR):
                return count * kind.size
            if kind.kind == Kind.ARRAY:
                count *= kind.length
            number = kind.type
        self.fail(f"has type [{number}] inside more than {MAX_DEPTH} arrays")

    def align_of(self, number: int) -> int:
        """Returns the natural alignment in bytes, as C has it without `aligned`.

        It is 1 for a packed struct, as in libbpf's btf_dump. Raises BtfError for a struct that contains itself.
        """
        return self._align(number, 0)

    def _align(self, number: int, depth: int) -> int:
        known = self._aligns.get(number)
        if known:
            return known
        if depth > MAX_DEPTH:
            self.fail(f"has type [{number}] inside more than {MAX_DEPTH} others")
        kind = self.resolve(number)
        if kind.kind in (Kind.ARRAY, Kind.VAR):
            align = self._align(kind.type, depth + 1)
        elif kind.kind in COMPOSITES:
            align = self._align_of_members(kind, depth)
        else:
            align = self.pointer if kind.kind == Kind.PTR else max(1, min(kind.size, 8))
        self._aligns[number] = align
        return align

    def _align_of_members(self, kind: Type, depth: int) -> int:
        placed = [(member, self._align(member.type, depth + 1)) for member in kind.members]
        align = max((align for _, align in placed), default=1)
        packed = kind.size % align or any(not m.bits and m.bit_offset % (8 * a) for m, a in placed)
        return 1 if packed else align

    @cached_property
    def _tags(self) -> dict[int, list[Type]]:
        found: dict[int, list[Type]] = {}
        for kind in self:
            if kind.kind == Kind.DECL_TAG:
                found.setdefault(kind.type, []).append(kind)
        return found

    def tags(self, number: int) -> list[Type]:
        """Returns the DECL_TAGs of a type, by id.

        A tag's `component` says of which member or parameter it is, -1 for the type itself.
        """
        return self._tags.get(number, [])


def _split(data: bytes, where: str) -> "tuple[array[int], bytes, bool]":
    """Returns the type section's words in this machine's order, the strings, whether the data is little-endian."""

    def fail(what: str) -> NoReturn:
        raise BtfError(what, where=where, fix="compile with -g, clang writes .BTF then")

    if len(data) < BTF_HEADER_SIZE:
        fail(f"has {len(data)} bytes, fewer than a BTF header")
    order = "<" if data[0] == MAGIC & 0xFF else ">"
    magic, version, _, start, type_at, type_size, string_at, string_size = struct.unpack_from(order + BTF_HEADER, data)
    if magic != MAGIC or version != 1:
        fail(f"starts with {data[:3].hex()}, which is no BTF of version 1")
    if start < BTF_HEADER_SIZE or start + max(type_at + type_size, string_at + string_size) > len(data):
        fail("is cut short: its types or strings end after it")
    if type_size % 4:
        fail(f"has {type_size} bytes of types, which are no whole words")
    words = array("I", bytes(data[start + type_at : start + type_at + type_size]))
    if (order == "<") != (sys.byteorder == "little"):
        words.byteswap()
    strings = bytes(data[start + string_at : start + string_at + string_size])
    if not strings or strings[0] or strings[-1]:
        fail("has strings that do not begin and end with a NUL")
    return words, strings, order == "<"


def _highest(words: "array[int]", at: int, end: int, layout: Layout, name: int, type_: int) -> tuple[int, int]:
    """Returns the highest name offset and type id in the rows below a type, or those given where they are higher."""
    step = layout.each or layout.fixed
    for column in layout.names:
        name = max(name, max(words[at + column : end : step]))
    for column in layout.types:
        type_ = max(type_, max(words[at + column : end : step]))
    return name, type_
