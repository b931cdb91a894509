"""Reads BTF of either byte order: an object's own, and the kernel's (kernel: Documentation/bpf/btf.rst).

libbpf's reader won't do: an error or `inspect` must take any bytes, and work where there is no libbpf. Modules import
this one only when they need it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from ..elf import MAX_NAME
from ..errors import ObjectError

MAGIC, BTF_HEADER, BTF_HEADER_SIZE = 0xEB9F, "HBBIIIII", 24
MAX_DEPTH = 64  # of typedefs, arrays and structs in one another; the kernel's MAX_RESOLVE_DEPTH is 32


# BTF_KIND_* of include/uapi/linux/btf.h, in the order of their numbers.
(VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC,
 FLOAT, DECL_TAG, TYPE_TAG, ENUM64) = range(20)  # fmt: skip
KIND_NAMES = ("void int ptr array struct union enum fwd typedef volatile const restrict func func_proto var datasec "
              "float decl_tag type_tag enum64").split()  # fmt: skip
# 32-bit words after a type's first three: (always, for each of its entries).
EXTRA_WORDS = {INT: (1, 0), ARRAY: (3, 0), STRUCT: (0, 3), UNION: (0, 3), ENUM: (0, 2), FUNC_PROTO: (0, 2), VAR: (1, 0),
         DATASEC: (0, 3), DECL_TAG: (1, 0), ENUM64: (0, 3)}  # fmt: skip
SIZED_KINDS = (INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC)
COMPOSITES, ENUMS = (STRUCT, UNION), (ENUM, ENUM64)
QUALIFIERS = (VOLATILE, CONST, RESTRICT, TYPE_TAG)
TRANSPARENT = (TYPEDEF, *QUALIFIERS)
SIGNED, CHAR, BOOL = 1, 2, 4  # BTF_INT_*
KEYWORDS = {STRUCT: "struct", UNION: "union", ENUM: "enum", ENUM64: "enum"}


class Member(NamedTuple):
    """A struct's or union's member: its offset in bits, and `bits`, a bitfield's width, 0 for any other member."""

    name: str
    type: int
    bit_offset: int
    bits: int


class VarSecinfo(NamedTuple):
    """A variable's place in a DATASEC, in bytes."""

    type: int
    offset: int
    size: int


class Enumerator(NamedTuple):
    """An enum's name and its value."""

    name: str
    value: int


class Parameter(NamedTuple):
    """A function prototype's parameter: its name and its type's id."""

    name: str
    type: int


class Type(NamedTuple):
    """One record: `word` is a size or the type referred to, `at` the place of the words after the first three."""

    id: int
    kind: int
    name: str
    flag: bool
    entries: int
    word: int
    at: int


class _BtfSections(NamedTuple):
    """The types as 32-bit words in this machine's byte order, and the strings."""

    words: array[int]
    strings: bytes


class Btf:
    """Types by id as `btf[id]`. `where` names the data in errors; `pointer` is a pointer's size in bytes.

    Raises ObjectError for data that is no BTF: when made, or when the fault is first met.
    """

    def __init__(self, data: bytes, where: str, pointer: int = 8):
        self.where, self.pointer = where, pointer
        self.little = data[:1] == (MAGIC & 0xFF).to_bytes(1, "little")
        self.words, self.strings = self._split(data)
        self.starts = array("I", [0])
        self._find_types()

    def fail(self, what: str, fix: str = "take it from a whole object that clang -g wrote") -> NoReturn:
        """Never returns: raises ObjectError naming where this BTF is from."""
        raise ObjectError(f"the BTF of {self.where} {what}", fix=fix)

    def _split(self, data: bytes) -> _BtfSections:
        """Returns the two sections behind the header."""
        if len(data) < BTF_HEADER_SIZE:
            self.fail(f"has {len(data)} bytes, fewer than its header")
        order = "<" if self.little else ">"
        magic, version, _, start, types, types_size, names, names_size = struct.unpack_from(order + BTF_HEADER, data)
        if magic != MAGIC or version != 1:
            self.fail(f"starts with {data[:3].hex()}, which is no BTF of version 1")
        if start < BTF_HEADER_SIZE or start + max(types + types_size, names + names_size) > len(data) or types_size % 4:
            self.fail("is cut short")
        words = array("I", data[start + types : start + types + types_size])
        if self.little != (sys.byteorder == "little"):
            words.byteswap()
        return _BtfSections(words, data[start + names : start + names + names_size])

    def _find_types(self) -> None:
        words, end, position = self.words, len(self.words), 0
        sizes = [EXTRA_WORDS.get(kind, (0, 0)) for kind in range(len(KIND_NAMES))]
        append = self.starts.append
        while position < end:
            if position + 3 > end:
                self.fail("is cut short")
            info = words[position + 1]
            kind = info >> 24 & 0x7F
            if not 0 < kind < len(KIND_NAMES):
                self.fail(f"has type {len(self.starts)} of kind {kind}, which this bpfloader doesn't know")
            append(position)
            fixed, each = sizes[kind]
            position += 3 + fixed + each * (info & 0xFFFFFF)
        if position != end:
            self.fail("is cut short")

    def __len__(self) -> int:
        """Returns the number of types, void included."""
        return len(self.starts)

    def __iter__(self) -> Iterator[Type]:
        """Yields all types but void, by id."""
        return (self[number] for number in range(1, len(self.starts)))

    def __getitem__(self, number: int) -> Type:
        """Returns the type of that id; void for 0."""
        if number == 0:
            return Type(0, VOID, "", False, 0, 0, 0)
        if not 0 < number < len(self.starts):
            self.fail(f"has no type {number}")
        at = self.starts[number]
        name, info, word = self.words[at : at + 3]
        return Type(number, info >> 24 & 0x7F, self.string(name), bool(info >> 31), info & 0xFFFFFF, word, at + 3)

    def string(self, offset: int) -> str:
        """Returns the string at an offset of the string section."""
        end = self.strings.find(0, offset, offset + MAX_NAME)
        if end < 0:
            self.fail(f"has no string at {offset}")
        return self.strings[offset:end].decode("utf-8", "backslashreplace")

    def named(self, name: str) -> list[Type]:
        """Returns all types of that name, by id."""
        wanted, words = set(self._offsets(name)), self.words
        return [self[i] for i, at in enumerate(self.starts) if i and words[at] in wanted]

    def _offsets(self, name: str) -> Iterator[int]:
        """Yields each offset of that name in the string section; any string may also be the end of a longer one."""
        terminated, offset = name.encode() + b"\0", 0
        while name and (offset := self.strings.find(terminated, offset)) >= 0:
            yield offset
            offset += 1

    def owners(self, member: str) -> list[Type]:
        """Returns the structs and unions, by id, that have a member of that name themselves."""
        wanted, words, found = set(self._offsets(member)), self.words, []
        for number, at in enumerate(self.starts):
            if not number or words[at + 1] >> 24 & 0x7F not in COMPOSITES:
                continue
            names = words[at + 3 : at + 3 + 3 * (words[at + 1] & 0xFFFFFF) : 3]
            if not wanted.isdisjoint(names):
                found.append(self[number])
        return found

    def members(self, kind: Type) -> list[Member]:
        """Returns a struct's or union's members in order; none for another kind."""
        return [self._member(kind, *row) for row in self._rows(kind, 3)] if kind.kind in COMPOSITES else []

    def member(self, kind: Type, index: int) -> Member | None:
        """Returns a member of a struct or union, without reading the others; None where there is none."""
        if kind.kind not in COMPOSITES or not 0 <= index < kind.entries:
            return None
        return self._member(kind, *self.words[kind.at + 3 * index : kind.at + 3 * index + 3])

    def _member(self, kind: Type, name: int, type_: int, at: int) -> Member:
        mask, shift = (0xFFFFFF, 24) if kind.flag else (0xFFFFFFFF, 32)
        return Member(self.string(name), type_, at & mask, at >> shift)

    def values(self, kind: Type) -> list[Enumerator]:
        """Returns an enum's names and values in order; none for another kind."""
        if kind.kind not in ENUMS:
            return []
        if kind.kind == ENUM64:
            found = [(name, low | high << 32) for name, low, high in self._rows(kind, 3)]
        else:
            found = [(name, value) for name, value in self._rows(kind, 2)]
        sign = 63 if kind.kind == ENUM64 else 31
        return [Enumerator(self.string(name), n - (n >> sign << sign + 1 if kind.flag else 0)) for name, n in found]

    def parameters(self, kind: Type) -> list[Parameter]:
        """Returns a function prototype's parameters; `...` is the last one, without name and type."""
        if kind.kind != FUNC_PROTO:
            return []
        return [Parameter(self.string(name), type_) for name, type_ in self._rows(kind, 2)]

    def variables(self, kind: Type) -> list[VarSecinfo]:
        """Returns a DATASEC's variables in order; none for another kind."""
        return [VarSecinfo(*row) for row in self._rows(kind, 3)] if kind.kind == DATASEC else []

    def _rows(self, kind: Type, width: int) -> list[tuple[int, ...]]:
        words = self.words[kind.at : kind.at + width * kind.entries]
        return list(zip(*(words[column::width] for column in range(width))))

    def element(self, kind: Type) -> int:
        """Returns the id of the type of an array's elements."""
        return self.words[kind.at]

    def length(self, kind: Type) -> int:
        """Returns the number of an array's elements."""
        return self.words[kind.at + 2]

    def encoding(self, kind: Type) -> int:
        """Returns the SIGNED, CHAR and BOOL bits of an integer."""
        return self.words[kind.at] >> 24 & 0xF

    def resolve(self, number: int, through: tuple[int, ...] = TRANSPARENT) -> Type:
        """Follows typedefs, const, volatile, restrict and type tags to the type behind them."""
        for _ in range(MAX_DEPTH):
            kind = self[number]
            if kind.kind not in through:
                return kind
            number = kind.word
        self.fail(f"has type {number} behind more than {MAX_DEPTH} typedefs and qualifiers")

    def size(self, number: int) -> int:
        """Returns the size in bytes of a type used by value; 0 for void, functions and forward declarations."""
        count = 1
        for _ in range(MAX_DEPTH):
            kind = self.resolve(number)
            if kind.kind in (PTR, *SIZED_KINDS):
                return count * (self.pointer if kind.kind == PTR else kind.word)
            if kind.kind == ARRAY:
                count, number = count * self.length(kind), self.element(kind)
            elif kind.kind == VAR:
                number = kind.word
            else:
                return 0
        self.fail(f"has type {number} inside more than {MAX_DEPTH} arrays")
