"""Makes the BTF that objects need of a kernel which has none of its own: what their CO-RE relocations lead to, no more.

Each relocation resolves against it as against the kernel's whole BTF, but for a type's id there, which such a kernel
knows nothing of. bpftool's `gen min_core_btf` makes the same, with more in it and for relocations that resolve alone.
"""

import struct
from collections.abc import Iterable
from itertools import islice

from ..btf.ext import FIELD_KINDS, CoreKind, CoreRelocation
from ..btf.reader import BTF_HEADER, BTF_HEADER_SIZE, LONGS, MAGIC, Btf
from ..btf.types import COMPOSITES, ENUMS, LAYOUTS, REFERS, TRANSPARENT, Kind, Type
from ..errors import CoreRelocationError
from ..spec.object import ObjectSpec
from .access import Access, Step, parse_access
from .candidates import candidates, match
from .relocated import read_ext

KIND_SHIFT, FLAG = 24, 1 << 31


def minimal_btf(objects: Iterable[ObjectSpec], kernel: Btf) -> bytes:
    """Returns the BTF, in the kernel's byte order; the same bytes for the same relocations and the same kernel.

    An object's relocations that libbpf refuses are left out, unless they are so for what the kernel has. Raises
    BtfError.
    """
    needed = Needed(kernel)
    for spec in objects:
        for relocation in read_ext(spec).relocations:
            needed.add(spec.btf, relocation)
    return needed.written()


class Needed:
    """The types of a kernel that relocations need, and of each struct, union and enum the rows, by their index."""

    def __init__(self, kernel: Btf):
        self._kernel = kernel
        self._rows: dict[int, set[int]] = {}
        self._compared: set[tuple[int, bool, bool]] = set()
        longs = (kind for name in LONGS for kind in kernel.named(name, Kind.INT) if kind.size == kernel.pointer)
        for kind in islice(longs, 1):  # a reader knows a pointer's size by it
            self._mark(kind)

    def add(self, local: Btf, relocation: CoreRelocation) -> None:
        """Adds what a relocation of an object's leads to, in each type of the kernel that it may mean."""
        try:
            access = parse_access(local, relocation)
        except CoreRelocationError:
            return
        if relocation.kind == CoreKind.TYPE_ID_LOCAL or not access.root.name:
            return
        for candidate in candidates(access.root, self._kernel):
            if access.steps:
                self._add_match(access, candidate)
            else:
                matches = relocation.kind == CoreKind.TYPE_MATCHES
                self._compare(candidate.id, matches, by_value=matches)

    def _add_match(self, access: Access, candidate: Type) -> None:
        try:
            found = match(access, candidate)
        except CoreRelocationError:
            return
        if not found:
            return
        inside = self._value(candidate.id)
        for step in found.steps:
            if not step.name:
                inside = self._value(step.type.id)
            elif access.kind in FIELD_KINDS:
                self._lead_to(inside, step)
                inside = self._value(step.type.members[step.at].type)
            else:
                self._mark(step.type).add(step.at)

    def _lead_to(self, struct: Type, step: Step) -> bool:
        """Adds a step's member of a struct, and the anonymous members around it; returns True if it is in there."""
        if struct.id == step.type.id:
            self._mark(struct).add(step.at)
            return True
        for at, member in enumerate(struct.members):
            if not member.name and self._lead_to(self._kernel.resolve(member.type), step):
                self._mark(struct).add(at)
                self._value(member.type)
                return True
        return False

    def _mark(self, kind: Type) -> set[int]:
        """Adds a type without what it refers to; returns the rows of it that are needed."""
        return self._rows.setdefault(kind.id, set())

    def _value(self, number: int) -> Type:
        """Adds a type as the value of a field: its name and size, those of an array's elements, no pointer's target.

        Returns the type behind its typedefs and qualifiers.
        """
        while (kind := self._kernel[number]).kind in (*TRANSPARENT, Kind.ARRAY):
            self._mark(kind)
            if kind.kind == Kind.ARRAY:
                self._mark(self._kernel[kind.index_type])
            number = kind.type
        self._mark(kind)
        return kind

    def _compare(self, number: int, matches: bool, by_value: bool) -> None:
        """Adds all of a type that type_exists and type_size look at, or type_matches: `by_value`, or by a pointer."""
        key = number, matches, by_value
        if not number or key in self._compared:
            return
        self._compared.add(key)
        kind = self._kernel[number]
        rows, below = self._mark(kind), [kind.type, kind.index_type if kind.kind == Kind.ARRAY else 0]
        if kind.kind in ENUMS and matches:
            rows.update(range(kind.count))
        elif kind.kind in COMPOSITES and by_value:
            rows.update(range(kind.count))
            below += [member.type for member in kind.members]
        elif kind.kind == Kind.FUNC_PROTO:
            rows.update(range(kind.count))
            below += [param.type for param in kind.params]
        for each in below:
            self._compare(each, matches, by_value and kind.kind != Kind.PTR)

    def written(self) -> bytes:
        """Returns the BTF of all that was added; what isn't, and is referred to, is void there."""
        return _Writer(self._kernel, self._rows).written()


class _Writer:
    """A BTF in the making: types in the kernel's order, each string once."""

    def __init__(self, kernel: Btf, rows: dict[int, set[int]]):
        self._kernel, self._rows = kernel, rows
        self._numbers = {0: 0, **{old: new for new, old in enumerate(sorted(rows), 1)}}
        self._strings: dict[bytes, int] = {b"": 0}
        self._end = 1

    def written(self) -> bytes:
        """Returns the section's bytes."""
        words = [word for number in sorted(self._rows) for word in self._record(self._kernel[number])]
        order = "<" if self._kernel.little else ">"
        types = struct.pack(f"{order}{len(words)}I", *words)
        strings = b"".join(text + b"\0" for text in self._strings)
        places = (0, len(types), len(types), len(strings))
        return struct.pack(order + BTF_HEADER, MAGIC, 1, 0, BTF_HEADER_SIZE, *places) + types + strings

    def _record(self, kind: Type) -> list[int]:
        """Returns a type's words, with the needed ones of its rows."""
        words, layout = kind.btf.words, LAYOUTS[kind.kind]
        word = self._number(kind.word) if kind.kind in REFERS else kind.word
        rows, fixed = sorted(self._rows[kind.id]), layout.fixed
        count = len(rows) if layout.each else kind.count
        record = [self._string(kind.name_offset), kind.kind << KIND_SHIFT | kind.flag * FLAG | count, word]
        for start, size in [(kind.at, fixed)] if fixed else [(kind.at + at * layout.each, layout.each) for at in rows]:
            row = list(words[start : start + size])
            for column in layout.names:
                row[column] = self._string(row[column])
            for column in layout.types:
                row[column] = self._number(row[column])
            record += row
        return record

    def _number(self, number: int) -> int:
        return self._numbers.get(number, 0)

    def _string(self, offset: int) -> int:
        text = self._kernel.string_bytes(offset)
        if text not in self._strings:
            self._strings[text] = self._end
            self._end += len(text) + 1
        return self._strings[text]
