"""Makes Python types out of BTF at run time, for maps that no skeleton describes: the types that a skeleton would have.

The tables are those of codec/c_types.py. What Python has no use for (long double, a function) is bytes.
"""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..btf import reader as kinds
from ..btf.reader import COMPOSITES, ENUMS, MAX_DEPTH, QUALIFIERS, Btf, Member, Type
from ..codec.base import NATIVE, Codec
from ..codec.c_types import CTypes, Enum
from ..codec.struct import Struct, Union, struct, union

MAX_MEMBERS = 100_000  # of all types together: BTF is no trusted input, and anonymous structs could multiply
BYTE_ORDERED = frozenset(f"__{order}{bits}" for order in ("be", "le") for bits in (16, 32, 64))
# Decl tags by which bytes are addresses, the sizes that they go with, and the structs that are addresses without a tag.
ADDRESS_SIZES = {"ipv4": (4,), "ipv6": (16,), "ip": (4, 16)}
ADDRESS_STRUCTS = {"in_addr": "ipv4", "in6_addr": "ipv6"}
# Names that a struct's or union's class has for itself, or a skeleton's module: an underscore follows such a member.
RESERVED = frozenset(keyword.kwlist) | frozenset(
    "self builtins codec from_bytes to_bytes to_dict _bind _bytes _place _read _values _write".split()
    + "ClassVar Final IPv4Address IPv6Address bpfloader".split()
)
ENUM_RESERVED = frozenset(keyword.kwlist) | {"mro", "name", "value"} | {n for n in dir(int) if not n.startswith("_")}
WHOLE = 0xFFFFFFFF  # the component of a tag on a type or variable itself, -1
NO_TAGS: frozenset[str] = frozenset()


class _Placed(NamedTuple):
    """A member with its place in bits from the outermost struct's start, and its decl tags."""

    member: Member
    bit_offset: int
    tags: frozenset[str]


class BtfTypes:
    """The codecs of BTF's types by id; a struct, union or enum becomes one class.

    `most` is the size in bytes of the largest key or value: no type in it can be larger.
    """

    def __init__(self, btf: Btf, most: int):
        self.btf, self.most, self.c = btf, most, CTypes(NATIVE)
        self._classes: dict[int, Codec[Any]] = {}
        self._nested: list[int] = []  # the structs and unions that are being made, each in the one before
        self._members = 0
        self._tags: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        for tag in btf:
            if tag.kind == kinds.DECL_TAG:
                self._tags[tag.word, btf.words[tag.at]].add(tag.name)

    def codec(self, number: int, place: str, tags: frozenset[str] = NO_TAGS) -> Codec[Any]:
        """Returns the codec of a type by value; `place` names an anonymous one. Raises ObjectError, LayoutError."""
        kind, names, own = self._resolve(number)
        tags |= own
        size = self.btf.size(number)
        if size > self.most:
            self.btf.fail(f"has a type of {size} bytes in a value of {self.most}")
        if kind.kind == kinds.STRUCT and kind.name in ADDRESS_STRUCTS:
            tags |= {ADDRESS_STRUCTS[kind.name]}
        for tag in sorted(tags & ADDRESS_SIZES.keys()):
            if size in ADDRESS_SIZES[tag]:
                return self._of_size("ipv4" if size == 4 else tag)
        if kind.kind == kinds.ARRAY:
            return self._array(kind, place, tags)
        if kind.kind in (*ENUMS, *COMPOSITES, kinds.DATASEC):
            return self._class(kind, names[-1] if names else place)
        return self._scalar(kind, names) or self.c.raw(size)

    def _of_size(self, name: str) -> Codec[Any]:
        codec: Codec[Any] = getattr(self.c, name)
        return codec

    def _resolve(self, number: int) -> tuple[Type, list[str], frozenset[str]]:
        """Returns the type behind typedefs and qualifiers, the names of those typedefs and their decl tags."""
        names, tags = [], set(self._tags.get((number, WHOLE), ()))
        kind = self.btf[number]
        while kind.kind in (kinds.TYPEDEF, *QUALIFIERS):
            self._count(1)
            if kind.kind == kinds.TYPEDEF:
                names.append(kind.name)
                tags |= self._tags.get((kind.id, WHOLE), set())
            kind = self.btf[kind.word]
        return kind, names, frozenset(tags)

    def _count(self, members: int) -> None:
        self._members += members
        if self._members > MAX_MEMBERS:
            self.btf.fail(f"has types of more than {MAX_MEMBERS} members")

    def _scalar(self, kind: Type, typedefs: list[str]) -> Codec[Any] | None:
        if kind.kind == kinds.PTR:
            return self.c.u64
        if kind.kind == kinds.FLOAT and kind.word in (2, 4, 8):
            return self._of_size(f"f{8 * kind.word}")
        if kind.kind != kinds.INT or kind.word not in (1, 2, 4, 8, 16):
            return None
        if self.btf.encoding(kind) & kinds.BOOL:
            return self.c.boolean if kind.word == 1 else None
        for name in typedefs:
            if name in BYTE_ORDERED and name == f"__{name[2:4]}{8 * kind.word}":
                return self._of_size(name[2:])
        return self._number(kind)

    def _number(self, kind: Type) -> Codec[int]:
        """Returns the codec of an integer, or of the integer that holds an enum."""
        signed = kind.flag if kind.kind in ENUMS else bool(self.btf.encoding(kind) & kinds.SIGNED)
        return self._of_size(f"{'s' if signed else 'u'}{8 * kind.word}")

    def _array(self, kind: Type, place: str, tags: frozenset[str]) -> Codec[Any]:
        length, element = self.btf.length(kind), self.btf.resolve(self.btf.element(kind))
        if element.kind == kinds.INT and element.word == 1 and not self.btf.encoding(element) & kinds.BOOL:
            text = "str" if element.name == "char" else "bytes"
            text = min(tags & {"str", "bytes"}, default=text)
            return self.c.chars(length) if text == "str" else self.c.raw(length)
        one = self.codec(self.btf.element(kind), place, tags)
        return self.c.array(one, length) if one.size and length else self.c.raw(0)

    def _class(self, kind: Type, place: str) -> Codec[Any]:
        """Returns the codec of a struct, union, enum or data section, whose class is made at the first use."""
        if kind.id not in self._classes:
            name = class_name(kind.name or place)
            if kind.id in self._nested or len(self._nested) > MAX_DEPTH:
                self.btf.fail(f"has {name}, which contains itself or lies in more than {MAX_DEPTH} structs")
            self._nested.append(kind.id)
            self._classes[kind.id] = self._enum(kind, name) if kind.kind in ENUMS else self._composite(kind, name)
            self._nested.pop()
        return self._classes[kind.id]

    def _enum(self, kind: Type, name: str) -> Codec[Any]:
        if kind.word not in (1, 2, 4, 8):
            return self.c.raw(kind.word)
        values, taken = self.btf.values(kind), set[str]()
        self._count(len(values))
        rows = [(attribute_name(row.name, taken, ENUM_RESERVED), row.value) for row in values]
        make: Any = Enum  # called with a name and rows, an Enum's class makes a class
        return self.c.enum(make(name, rows), self._number(kind))

    def _composite(self, kind: Type, name: str) -> Codec[Any]:
        is_union = kind.kind == kinds.UNION
        rows = list(self._variables(kind) if kind.kind == kinds.DATASEC else self._flat(kind, 0, is_union))
        storages = _storages([row for row in rows if row.member.bits])
        fields: dict[str, Any] = {}
        taken: set[str] = set()
        anonymous = 0
        for row in rows:
            called = row.member.name
            if not called:
                called, anonymous = f"anon{anonymous}", anonymous + 1
            attribute, place = attribute_name(called, taken), f"{name}_{called}"
            if row.member.bits:
                fields[attribute] = self._bitfield(row, storages[row.bit_offset], place)
                continue
            codec = self.codec(row.member.type, place, row.tags)
            if not row.member.name:
                codec = self.c.anonymous(self._made(codec))
            if codec.size or not is_union:
                fields[attribute] = codec @ (row.bit_offset // 8)
        bases: tuple[Any] = (Union if is_union else Struct,)
        made: Any = type(name, bases, fields)
        found: Codec[Any] = (union if is_union else struct)(kind.word)(made).codec
        return found

    def _made(self, codec: Codec[Any]) -> Any:
        """Returns the class of a codec: that of its zero."""
        return type(codec.zero())

    def _variables(self, kind: Type) -> Iterator[_Placed]:
        """Yields a data section's variables as members."""
        for row in self.btf.variables(kind):
            self._count(1)
            variable = self.btf[row.type]
            if variable.kind == kinds.VAR:
                member = Member(variable.name, variable.word, 0, 0)
                yield _Placed(member, 8 * row.offset, self._tags_of(variable.id, WHOLE))

    def _flat(self, kind: Type, base: int, in_union: bool, depth: int = 0) -> Iterator[_Placed]:
        """Yields a type's members and those of anonymous structs in it; in a union those of anonymous unions, too."""
        members = self.btf.members(kind)
        self._count(len(members))
        if depth > MAX_DEPTH:
            self.btf.fail(f"has anonymous structs inside more than {MAX_DEPTH} others")
        for number, member in enumerate(members):
            inner = self.btf.resolve(member.type)
            offset = base + member.bit_offset
            if not member.name and (inner.kind == kinds.STRUCT or (inner.kind == kinds.UNION and in_union)):
                yield from self._flat(inner, offset, in_union, depth + 1)
            elif member.name or inner.kind == kinds.UNION:
                yield _Placed(member, offset, self._tags_of(kind.id, number))

    def _tags_of(self, number: int, component: int) -> frozenset[str]:
        return frozenset(self._tags.get((number, component), ()))

    def _bitfield(self, row: _Placed, storage: tuple[int, int], place: str) -> Any:
        start, end = storage
        kind, bits, size = self.btf.resolve(row.member.type), row.member.bits, end - start
        first = row.bit_offset - 8 * start
        if kind.kind == kinds.INT and self.btf.encoding(kind) & kinds.BOOL and bits == 1:
            return self.c.flag(first, size) @ start
        if kind.kind in ENUMS:
            made = self._made(self.codec(kind.id, place))
            return self.c.enum_bits(made, first, bits, size, kind.flag) @ start
        signed = kind.kind == kinds.INT and bool(self.btf.encoding(kind) & kinds.SIGNED)
        return self.c.bits(first, bits, size, signed) @ start


def _storages(rows: list[_Placed]) -> dict[int, tuple[int, int]]:
    """Returns the bytes, from and to, that hold each bitfield, by its place; those with a byte in common share them."""
    found: dict[int, tuple[int, int]] = {}
    group: list[_Placed] = []
    start = end = 0
    for row in sorted(rows, key=lambda row: row.bit_offset):
        first, last = row.bit_offset // 8, (row.bit_offset + row.member.bits + 7) // 8
        if not group or first >= end:
            group, start, end = [], first, last
        group, end = [*group, row], max(end, last)
        found.update({each.bit_offset: (start, end) for each in group})
    return found


def class_name(name: str) -> str:
    """Returns a C type's name in CamelCase, as a skeleton has it: `tcp_state` is TcpState."""
    return "".join(word[0].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word) or "Type"


def attribute_name(name: str, taken: set[str], reserved: frozenset[str] = RESERVED) -> str:
    """Returns a member's or enumerator's name, as a skeleton has it, and adds it to those taken."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if plain.startswith("__"):
        plain = "_" + plain.lstrip("_")
    if plain[0].isdigit():
        plain = f"_{plain}"
    if plain in reserved or (reserved is ENUM_RESERVED and re.fullmatch("_.*_", plain)):  # Enum keeps _x_ for itself
        plain += "_"
    while plain in taken:
        plain += "_"
    taken.add(plain)
    return plain
