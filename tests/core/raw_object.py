"""Reads a BPF object with the standard library's struct alone, to compare two objects without the project's own reader.

Layouts: the ELF-64 specification; the kernel's Documentation/bpf/btf.rst and include/uapi/linux/bpf.h (bpf_core_relo_kind).
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

ROUNDS = 48  # of colouring; more than the longest chain of references that tells two types apart here
TYPE_ID, LAYOUT = (6, 7), (0, 1, 4, 5, 9)  # kinds of CO-RE relocations whose instruction holds a type id, or a layout
PTR, ARRAY, STRUCT, UNION, FWD, VAR, DATASEC = 2, 3, 4, 5, 7, 14, 15
QUALIFIERS = (8, 9, 10, 11, 18)  # typedef, volatile, const, restrict, type tag


@dataclass
class Type:
    """One type of .BTF: what is its own, and the types it refers to, each with what is said of it."""

    kind: int
    name: str
    own: tuple
    refs: list[int]
    said: list[tuple] = field(default_factory=list)


class RawObject:
    """Sections, symbols, relocations, types and CO-RE relocations of one object."""

    def __init__(self, data: bytes):
        self.data = data
        self.order = "<" if data[5] == 1 else ">"
        self.sections = self._sections()
        self.symbols = self._symbols()
        self.types = self._types(self.content(".BTF")) if self.has(".BTF") else []
        self.core = self._core() if self.has(".BTF.ext") else []

    def unpack(self, layout: str, data: bytes, place: int) -> tuple:
        return struct.unpack_from(self.order + layout, data, place)

    def has(self, name: str) -> bool:
        return any(section[0] == name for section in self.sections)

    def content(self, name: str) -> bytes:
        return next(section[-1] for section in self.sections if section[0] == name)

    def _sections(self) -> list[tuple]:
        """(name, type, flags, size, link, info, bytes) of each section."""
        (start,) = self.unpack("Q", self.data, 40)
        size, count, names = self.unpack("HHH", self.data, 58)
        rows = [self.unpack("IIQQQQIIQQ", self.data, start + size * number) for number in range(count)]
        found = []
        for row in rows:
            content = b"" if row[1] == 8 else self.data[row[4] : row[4] + row[5]]
            found.append(
                (self._text(self.data, rows[names][4] + row[0]), row[1], row[2], row[5], row[6], row[7], content)
            )
        return found

    def _text(self, data: bytes, place: int) -> str:
        return data[place : data.index(b"\0", place)].decode()

    def _symbols(self) -> list[tuple]:
        """(name, info, section's name or number, value, size) of each symbol."""
        table = next((section for section in self.sections if section[1] == 2), None)
        strings = self.sections[table[4]][-1] if table else b""
        found = []
        for place in range(0, len(table[-1]) if table else 0, 24):
            name, info, _, section, value, size = self.unpack("IBBHQQ", table[-1], place)
            owner = self.sections[section][0] if section < len(self.sections) else section
            found.append((self._text(strings, name), info, owner, value, size))
        return found

    def relocations(self) -> list[tuple]:
        """(section, offset, kind, symbol) of what isn't .BTF's."""
        found = []
        for name, kind, _, size, _, _, content in self.sections:
            if kind == 9 and not name.startswith(".rel.BTF"):
                for place in range(0, size, 16):
                    offset, info = self.unpack("QQ", content, place)
                    found.append((name, offset, info & 0xFFFFFFFF, self.symbols[info >> 32]))
        return found

    def _types(self, btf: bytes) -> list[Type]:
        head, first, length, strings = self.unpack("IIII", btf, 4)
        text = lambda offset: self._text(btf, head + strings + offset)  # noqa: E731
        place, end, found = head + first, head + first + length, [Type(0, "void", (), [])]
        while place < end:
            name, info, size = self.unpack("III", btf, place)
            place += 12
            kind, count, flag = info >> 24 & 31, info & 0xFFFF, info >> 31
            row = Type(kind, text(name), (kind, text(name), flag), [])
            found.append(row)
            if kind in (2, 8, 9, 10, 11, 12, 13, 14, 17, 18):
                row.refs.append(size)
                row.own += (count,) if kind == 12 else ()
            elif kind != DATASEC:
                row.own += (size,)
            layout = {1: "I", 3: "III", 14: "I", 17: "I"}.get(kind, "")
            more = {4: "III", 5: "III", 6: "II", 19: "III", 13: "II", 15: "III"}.get(kind, "")
            if kind == ARRAY:
                element, index, number = self.unpack(layout, btf, place)
                row.refs += [element, index]
                row.own = (kind, number)
            elif layout:
                row.own += self.unpack(layout, btf, place)
            place += struct.calcsize("=" + layout)
            for _ in range(count if more else 0):
                self._member(row, self.unpack(more, btf, place), text)
                place += struct.calcsize("=" + more)
        return found

    def _member(self, row: Type, values: tuple, text) -> None:
        if row.kind == DATASEC:
            row.refs.append(values[0])
            row.said.append(values[1:])
        elif row.kind in (6, 19):
            row.said.append((text(values[0]), *values[1:]))
        else:
            row.refs.append(values[1])
            row.said.append((text(values[0]), *values[2:]))

    def graph(self) -> Counter:
        """How often each type is there, a type being told by all that can be reached from it; numbering doesn't count."""
        colours = [blake2b(repr((row.own, row.said)).encode(), digest_size=8).digest() for row in self.types]
        for _ in range(ROUNDS):
            colours = [
                blake2b(own + b"".join(colours[number] for number in row.refs), digest_size=8).digest()
                for own, row in zip(colours, self.types, strict=True)
            ]
        return Counter(zip(((row.kind, row.name) for row in self.types), colours, strict=True))

    def structs(self) -> dict[tuple[int, str], list]:
        """Size and members (name, offset) of each named struct and union."""
        rows = [row for row in self.types if row.kind in (STRUCT, UNION) and row.name]
        return {(row.kind, row.name): [row.own[-1], *row.said] for row in rows}

    def size(self, number: int) -> int:
        """The size of a type in bytes."""
        row = self.types[number]
        if row.kind in QUALIFIERS:
            return self.size(row.refs[0])
        if row.kind == ARRAY:
            return row.own[1] * self.size(row.refs[0])
        return 8 if row.kind == PTR else row.own[3]

    def maps(self) -> dict[str, list]:
        """For each map: member, and what it stands for: an array's length or the size of what it points to."""
        found = {}
        section = next((row for row in self.types if row.kind == DATASEC and row.name == ".maps"), None)
        for number in section.refs if section else ():
            variable = self.types[number]
            definition = self.types[variable.refs[0]]
            found[variable.name] = [
                (said[0], self._map_value(self.types[ref]))
                for said, ref in zip(definition.said, definition.refs, strict=True)
            ]
        return found

    def _map_value(self, row: Type) -> tuple:
        pointee = self.types[row.refs[0]] if row.kind == PTR else None
        if pointee is None:
            return ("array of", row.own[1])
        return ("number", pointee.own[1]) if pointee.kind == ARRAY else ("size", self._size_or_kind(row.refs[0]))

    def _size_or_kind(self, number: int):
        return "function" if self.types[number].kind == 13 else self.size(number)

    def variables(self) -> list[tuple]:
        """(section, variable, offset, size) of each variable."""
        return [
            (row.name, self.types[number].name, *said)
            for row in self.types
            if row.kind == DATASEC
            for number, said in zip(row.refs, row.said, strict=True)
        ]

    def _core(self) -> list[tuple]:
        """(section, instruction's offset, kind, type's name, path in names) of each CO-RE relocation."""
        ext, btf = self.content(".BTF.ext"), self.content(".BTF")
        (head,) = self.unpack("I", ext, 4)
        if head < 32:
            return []
        start, length = self.unpack("II", ext, 24)
        if not length:
            return []
        strings = self.unpack("I", btf, 4)[0] + self.unpack("I", btf, 16)[0]
        (size,) = self.unpack("I", ext, head + start)
        place, end, found = head + start + 4, head + start + length, []
        while place < end:
            name, count = self.unpack("II", ext, place)
            place += 8
            for _ in range(count):
                offset, number, access, kind = self.unpack("IIII", ext, place)
                path = self._text(btf, strings + access)
                found.append(
                    (self._text(btf, strings + name), offset, kind, self.types[number].name, self._path(number, path))
                )
                place += size
        return found

    def _path(self, number: int, access: str) -> tuple:
        """The members that an access string such as 0:1:2 goes through, by name."""
        first, *steps = access.split(":")
        names: list = [first]
        for step in map(int, steps):
            while self.types[number].kind in QUALIFIERS:
                number = self.types[number].refs[0]
            row = self.types[number]
            names.append(step if row.kind == ARRAY else row.said[step][0])
            number = row.refs[0] if row.kind == ARRAY else row.refs[step] if row.refs else 0
        return tuple(names)

    def code(self, masked: tuple[int, ...]) -> dict[str, tuple]:
        """Flags, size and bytes of each section that the kernel gets, with zeros where relocations of those kinds write."""
        found = {}
        for name, kind, flags, size, _, _, content in self.sections:
            if kind in (1, 8) and not name.startswith((".BTF", ".debug")):
                patched = bytearray(content)
                for section, offset, relo, *_ in self.core:
                    if section == name and relo in masked:
                        store = patched[offset] & 7 in (1, 2, 3)
                        patched[offset + 2 : offset + 4] = bytes(2) if store else patched[offset + 2 : offset + 4]
                        patched[offset + 4 : offset + 8] = patched[offset + 4 : offset + 8] if store else bytes(4)
                found[name] = (kind, flags, size, bytes(patched))
        return found


def differences(full: bytes, made: bytes, mode: str) -> list[str]:
    """What differs between the full header's object and a mode's that may not."""
    one, other = RawObject(full), RawObject(made)
    masked = TYPE_ID + (LAYOUT if mode == "fields" else ())
    pairs = {
        "code": (one.code(masked), other.code(masked)),
        "relocations": (one.relocations(), other.relocations()),
        "symbols": (one.symbols, other.symbols),
        "CO-RE": (sorted(one.core), sorted(other.core)),
        "maps": (one.maps(), other.maps()),
        "variables": (sorted(one.variables()), sorted(other.variables())),
    }
    if mode == "exact":
        pairs["types"] = (one.graph(), other.graph())
        pairs["structs"] = (one.structs(), other.structs())
    if mode == "lean":
        common = one.structs().keys() & other.structs().keys()
        pairs["structs"] = tuple({name: each.structs()[name] for name in common} for each in (one, other))
    return [f"{what}: {_apart(first, second)}" for what, (first, second) in pairs.items() if first != second]


def _apart(first, second) -> str:
    if isinstance(first, Counter):
        rows = [sorted({key for key, _ in one - other}) for one, other in ((first, second), (second, first))]
        return f"only full {rows[0][:6]}, only made {rows[1][:6]}"
    if isinstance(first, dict):
        return str([key for key in {**first, **second} if first.get(key) != second.get(key)][:6])
    rows = [[row for row in one if row not in other] for one, other in ((first, second), (second, first))]
    return f"only full {rows[0][:3]}, only made {rows[1][:3]}"
