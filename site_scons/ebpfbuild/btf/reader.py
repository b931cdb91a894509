"""Reads BTF, the BPF type format, of either byte order (kernel: Documentation/bpf/btf.rst).

All kinds up to ENUM64 are read, split BTF with its base, and kinds that are newer than this reader where the BTF says
how long they are. The whole type section is checked at once; names are decoded when they are asked for, so that a
running kernel's 5.5 MB take a fraction of a second.
"""

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, NoReturn

from ..errors import BtfError
from .types import COMPOSITES, LAYOUTS, REFERS, TRANSPARENT, Kind, Layout, Type

MAGIC = 0xEB9F
BTF_HEADER = "HBBIIIII"
BTF_HEADER_SIZE = 24
BTF_LAYOUT = "II"  # behind the header since Linux 7.1: where each kind's sizes stand (struct btf_layout)
MAX_DEPTH = 64  # of typedefs, arrays and pointers in one another; the kernel's MAX_RESOLVE_DEPTH is 32
MAX_STRING = 65536  # one without an end may not make each look-up scan megabytes; source lines are the longest
LONGS = ("long int", "long unsigned int", "long", "unsigned long", "unsigned long int")  # gcc's names and clang's


class Btf:
    """A parsed type section, types by id as `btf[id]`; `little` is its byte order, `pointer` a pointer's bytes.

    `words` holds the records, `starts` the index of each one's first word, a 0 before them for the type that precedes
    the first one: void, or the last type of `base`. Split BTF numbers its types from `first` on, where its base's end,
    and its strings from where its base's end; what it is asked for below that is the base's.
    """

    def __init__(self, sections: "Sections", pointer: int, where: str, base: "Btf | None" = None):
        self.words, self.strings, self.little = sections.words, sections.strings, sections.little
        self.pointer, self.where, self.base = pointer, where, base
        self.first = len(base) if base else 1
        self.first_string: int = base.strings_end if base else 0
        self.strings_end: int = self.first_string + len(self.strings)
        self.starts = array("I", [0])
        self._types_at = sections.types_at
        self._types: dict[int, Type] = {} if base else {0: Type(self, 0, 0, 0, 0, 0)}
        self._decoded: dict[int, str] = {}
        self._aligns: dict[int, int] = {}

    @classmethod
    def parse(cls, data: bytes, where: str = "", pointer: int | None = 8, base: "Btf | None" = None) -> "Btf":
        """Returns the types in a .BTF section's bytes, each record's bounds, names and ids checked.

        `pointer` is a pointer's size in bytes: 8 in every BPF object; None for a kernel's own BTF, whose `long` tells.
        `base` is what a module's split BTF continues. `where` names the data in errors. Raises BtfError.
        """
        sections = split_sections(data, where, bool(base))
        btf = cls(sections, pointer or (base.pointer if base else 8), where, base)
        if base and base.little != btf.little:
            btf.fail("is of another byte order than its base")
        btf._read_types(sections)
        if pointer is None and not base:
            longs = (kind.size for name in LONGS for kind in btf.named(name, Kind.INT) if kind.size in (4, 8))
            btf.pointer = next(longs, 8)
        return btf

    @classmethod
    def none(cls, little: bool, where: str = "") -> "Btf":
        """Returns the types of an object without a .BTF section: there are none."""
        data = struct.pack(f"{'<' if little else '>'}{BTF_HEADER}x", MAGIC, 1, 0, BTF_HEADER_SIZE, 0, 0, 0, 1)
        return cls.parse(data, where)

    def fail(self, what: str) -> NoReturn:
        """Raises BtfError naming where this BTF came from."""
        raise BtfError(what, where=self.where)

    def _read_types(self, sections: "Sections") -> None:
        words, end, starts = self.words, len(self.words), self.starts
        layouts = [LAYOUTS.get(code) or sections.layouts.get(code) for code in range(128)]
        refers = [code in REFERS for code in range(128)]
        position = last_type = last_name = 0
        while position < end:
            if position + 3 > end:
                self._fail_at(position, f"ends inside the head of type [{len(self)}]")
            name, info, word = words[position : position + 3]
            code, at = info >> 24 & 0x7F, position + 3
            layout = layouts[code]
            if layout is None:
                self._fail_at(position, f"has type [{len(self)}] of kind {code}, which this reader doesn't know,")
            starts.append(position)
            position = at + layout.fixed + layout.each * (info & 0xFFFFFF)
            if position > end:
                self._fail_at(at - 3, f"ends inside type [{len(self) - 1}]")
            if name > last_name:
                last_name = name
            if refers[code] and word > last_type:
                last_type = word
            if position - at > 1:
                last_name, last_type = _highest(words, at, position, layout, last_name, last_type)
        if last_type >= len(self) or last_name >= self.strings_end:
            self._find_stray()

    def _fail_at(self, position: int, what: str) -> NoReturn:
        """Raises BtfError naming the byte of the section at which a word of the types stands."""
        self.fail(f"{what} at byte {self._types_at + 4 * position}")

    def _find_stray(self) -> NoReturn:
        """Raises BtfError for the first type that refers to a type or a name that isn't there."""
        ends = [*self.starts[2:], len(self.words)]
        for number, (start, end) in enumerate(zip(self.starts[1:], ends), self.first):
            code, name, type_ = self.words[start + 1] >> 24 & 0x7F, self.words[start], 0
            if code in REFERS:
                type_ = self.words[start + 2]
            if end - start > 3:
                name, type_ = _highest(self.words, start + 3, end, LAYOUTS.get(code, Layout(1)), name, type_)
            if type_ >= len(self):
                self._fail_at(start, f"refers to type [{type_}] of {len(self)} in type [{number}]")
            if name >= self.strings_end:
                what = f"has a name at {name}, past the {self.strings_end} bytes of its strings,"
                self._fail_at(start, f"{what} in type [{number}]")
        raise AssertionError("a stray number was counted and isn't there")

    def __len__(self) -> int:
        """Returns the number of types, void and those of the base included."""
        return self.first + len(self.starts) - 1

    def __iter__(self) -> Iterator[Type]:
        """Returns all types but void, by id; those of the base come first."""
        return map(self.__getitem__, range(1, len(self)))

    def __getitem__(self, number: int) -> Type:
        """Returns the type of that id, void for 0. Raises BtfError for an id that there isn't."""
        kind = self._types.get(number)
        if kind is None:
            if not 0 <= number < len(self):
                self.fail(f"has no type [{number}], its last is [{len(self) - 1}]")
            if self.base and number < self.first:
                return self.base[number]
            at = self.starts[number - self.first + 1]
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
        if self.base and offset < self.first_string:
            return self.base.string_bytes(offset)
        start = offset - self.first_string
        end = self.strings.find(0, start, start + MAX_STRING)
        if end < 0:
            self.fail(f"has no string at {offset} that ends within {MAX_STRING} bytes")
        return self.strings[start:end]

    def all_strings(self) -> dict[int, bytes]:
        """Returns each string by its offset; not those that lie inside of another, at its end."""
        texts = self.strings[:-1].split(b"\0")
        return dict(zip(accumulate((len(text) + 1 for text in texts), initial=0), texts))

    @cached_property
    def by_name(self) -> "array[int]":
        """The ids of the types that have names and aren't the base's, by name, then by id."""
        names = [(self.string_bytes(self.words[at]), number) for number, at in self._own() if self.words[at]]
        return array("I", [number for _, number in sorted(names)])

    def _own(self) -> Iterator[tuple[int, int]]:
        """Returns the id and the first word's index of each type that isn't the base's."""
        starts = iter(self.starts)
        next(starts)
        return enumerate(starts, self.first)

    def _name_bytes(self, number: int) -> bytes:
        return self.string_bytes(self.words[self.starts[number - self.first + 1]])

    def named(self, name: str, *kinds: Kind) -> list[Type]:
        """Returns all types of that name, by id; of those kinds only, where any are given."""
        text, at = name.encode("utf-8", "backslashreplace"), 0
        found = self.base.named(name, *kinds) if self.base else []
        at = bisect_left(self.by_name, text, key=self._name_bytes)
        while at < len(self.by_name) and self._name_bytes(self.by_name[at]) == text:
            kind = self[self.by_name[at]]
            if not kinds or kind.kind in kinds:
                found.append(kind)
            at += 1
        return found

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
        for number, at in self._own():
            if self.words[at + 1] >> 24 & 0x7F == Kind.DECL_TAG:
                found.setdefault(self.words[at + 2], []).append(self[number])
        return found

    def tags(self, number: int) -> list[Type]:
        """Returns the DECL_TAGs of a type, by id.

        A tag's `component` says of which member or parameter it is, -1 for the type itself.
        """
        own = self._tags.get(number, [])
        return [*self.base.tags(number), *own] if self.base else own


COMPILE = "compile with -g, clang writes .BTF then"  # the way out for an object


class Sections(NamedTuple):
    """The parts of a .BTF section: the types' words in this machine's order, the strings, its byte order.

    `types_at` is the byte of the first type, `layouts` the sizes of each kind where the BTF tells them.
    """

    words: "array[int]"
    strings: bytes
    little: bool
    types_at: int
    layouts: dict[int, Layout]


def split_sections(data: bytes | memoryview, where: str, is_split: bool = False) -> Sections:
    """Returns the parts of a .BTF section, the header checked; types and names aren't looked at. Raises BtfError."""

    def fail(what: str) -> NoReturn:
        raise BtfError(what, where=where, fix=COMPILE)

    if len(data) < BTF_HEADER_SIZE:
        fail(f"has {len(data)} bytes, fewer than a BTF header")
    order = "<" if data[0] == MAGIC & 0xFF else ">"
    magic, version, _, start, type_at, type_size, string_at, string_size = struct.unpack_from(order + BTF_HEADER, data)
    if magic != MAGIC or version != 1:
        fail(f"starts with {bytes(data[:3]).hex()}, which is no BTF of version 1")
    if start < BTF_HEADER_SIZE or start + max(type_at + type_size, string_at + string_size) > len(data):
        fail(f"is cut short at byte {len(data)}: its types or strings end after it")
    if type_size % 4:
        fail(f"has {type_size} bytes of types at byte {start + type_at}, which are no whole words")
    view = memoryview(data)  # a slice of it copies nothing
    words = array("I")
    words.frombytes(view[start + type_at : start + type_at + type_size])
    if (order == "<") != (sys.byteorder == "little"):
        words.byteswap()
    strings = bytes(view[start + string_at : start + string_at + string_size])
    if strings and strings[0] and not (is_split or strings[-1]):
        what, fix = "is split BTF, as a module's is, without its base", "give its kernel's BTF or vmlinux as the base"
        raise BtfError(what, where=where, fix=fix)
    if not (strings or is_split) or strings[-1:] not in (b"\0", b"") or not (is_split or strings[:1] == b"\0"):
        fail(f"has strings at byte {start + string_at} that do not begin and end with a NUL")
    return Sections(words, strings, order == "<", start + type_at, _layouts(view, order, start))


def _layouts(data: memoryview, order: str, start: int) -> dict[int, Layout]:
    """Returns the sizes of the records by kind, of those whose sizes are whole words; none where the BTF has no table.

    What a kind's words mean isn't told, so a kind that LAYOUTS has is read by that.
    """
    if start < BTF_HEADER_SIZE + struct.calcsize(BTF_LAYOUT):
        return {}
    at, size = struct.unpack_from(order + BTF_LAYOUT, data, BTF_HEADER_SIZE)
    table = data[start + at : start + at + size]
    rows = struct.iter_unpack(order + "BBH", table[: len(table) // 4 * 4])
    return {
        kind: Layout(fixed // 4, each // 4)
        for kind, (fixed, each, _flags) in enumerate(rows)
        if kind and not (fixed % 4 or each % 4)
    }


def _highest(words: "array[int]", at: int, end: int, layout: Layout, name: int, type_: int) -> tuple[int, int]:
    """Returns the highest name offset and type id in the rows below a type, or those given where they are higher."""
    step = layout.each or layout.fixed
    for column in layout.names:
        name = max(name, max(words[at + column : end : step]))
    for column in layout.types:
        type_ = max(type_, max(words[at + column : end : step]))
    return name, type_
