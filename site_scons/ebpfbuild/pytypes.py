"""Python declarations for BTF types: what the skeleton's template prints, in terms of bpfloader's codecs.

What a C type becomes is the table in bpfloader's ctype.py. Names: a class is its tag in CamelCase, or its typedef's
where it has no tag, or else its place (`EventFlags` for the member `flags` of `struct event`). The members of an
anonymous struct belong to the struct around it; an anonymous union in a struct is its member `anon0`, `anon1` …
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .btf import Btf
from .btf_text import declaration, definition
from .btf_types import COMPOSITES, ENUMS, MODIFIERS, Kind, Member, Type
from .errors import SkeletonError
from .pynames import attribute_name, c_name, class_name, comment

POINTER = "c.u64"


@dataclass(frozen=True)
class PyType:
    """A type where it is used: its annotation, the expression of its codec, its size in bytes."""

    hint: str
    codec: str
    size: int


@dataclass(frozen=True)
class PyField:
    """A member or variable: its Python name, its type, its place in bytes, the C declaration for the comment."""

    name: str
    type: PyType
    offset: int
    comment: str


@dataclass(frozen=True)
class PyClass:
    """A class to print. `kind` is struct, union or enum; `fields` are a struct's or union's, `values` an enum's."""

    kind: str
    name: str
    c_name: str = ""
    size: int = 0
    fields: tuple[PyField, ...] = ()
    values: tuple[tuple[str, int], ...] = ()
    definition: str = ""


class PyTypes:
    """The classes that the types asked for need, each before those that hold it."""

    def __init__(self, btf: Btf):
        self.btf = btf
        self.classes: dict[str, PyClass] = {}
        self._names: dict[int, str] = {}

    def use(self, number: int, place: str) -> PyType:
        """A type as it is used by value; `place` names an anonymous one. Raises SkeletonError, BtfError."""
        named = self._typedef(number)
        kind = self.btf.resolve(number)
        if kind.kind == Kind.INT:
            return _integer(kind)
        if kind.kind == Kind.PTR:
            return PyType("int", POINTER, 8)
        if kind.kind == Kind.FLOAT and kind.size in (4, 8):
            return PyType("float", f"c.f{kind.size * 8}", kind.size)
        if kind.kind == Kind.ARRAY:
            return self._array(kind, place)
        if kind.kind in ENUMS:
            name = self._class(kind, named, place, self._enum)
            return PyType(name, f"c.enum({name}, c.{'s' if kind.signed else 'u'}{kind.size * 8})", kind.size)
        if kind.kind in COMPOSITES:
            name = self._class(kind, named, place, self._composite)
            return PyType(name, f"c.of({name})", kind.size)
        what = declaration(self.btf, number)
        raise SkeletonError(f"{place} has the type {what}, which has no size in this object", where=self.btf.where,
                            fix="use the type whole, not only by pointer")  # fmt: skip

    def _typedef(self, number: int) -> str:
        """The innermost typedef's name, which an anonymous type is known by; empty for none."""
        kind, name = self.btf[number], ""
        while kind.kind in (Kind.TYPEDEF, *MODIFIERS):
            name = kind.name if kind.kind == Kind.TYPEDEF else name
            kind = self.btf[kind.type]
        return name

    def _array(self, kind: Type, place: str) -> PyType:
        element = self.btf.resolve(kind.type)
        if element.kind == Kind.INT and element.size == 1 and not element.bool:
            hint, codec = ("str", "chars") if element.name == "char" else ("bytes", "raw")
            return PyType(hint, f"c.{codec}({kind.length})", kind.length)
        one = self.use(kind.type, place)
        return PyType(f"tuple[{one.hint}, ...]", f"c.array({one.codec}, {kind.length})", kind.length * one.size)

    def _class(self, kind: Type, typedef: str, place: str, declare: Callable[[Type, str], PyClass]) -> str:
        """The name of a type's class, declared at its first use. Raises SkeletonError if another one has that name."""
        name = self._names.get(kind.id)
        if name is not None and name not in self.classes:
            raise SkeletonError(f"{name} contains itself", where=self.btf.where, fix="compile it with clang")
        if name is None:
            name = self._names[kind.id] = class_name(c_name(kind.name or typedef or place, "a type"))
            word = "enum" if kind.kind in ENUMS else kind.kind.name.lower()
            called = f"{word} {kind.name}" if kind.name else comment(typedef) or f"anonymous {word}"
            made = replace(declare(kind, name), c_name=called, definition=definition(self.btf, kind.id))
            known = self.classes.setdefault(name, made)
            if known != made:
                both = f"{known.c_name} and {made.c_name}"
                raise SkeletonError(
                    f"{both} would both be the class {name}", where=self.btf.where, fix="rename one of them"
                )
        return name

    def _enum(self, kind: Type, name: str) -> PyClass:
        taken: set[str] = set()
        values = tuple((attribute_name(value.name, taken, "enumerator"), value.value) for value in kind.values)
        return PyClass("enum", name, size=kind.size, values=values)

    def _composite(self, kind: Type, name: str) -> PyClass:
        word = "struct" if kind.kind == Kind.STRUCT else "union"
        members = self._flat(kind, 0)
        storages = _storages([place for _, place in members])
        taken: set[str] = set()
        anonymous = 0
        fields = []
        for number, (member, place) in enumerate(members):
            called = member.name
            if not called:
                called, anonymous = f"anon{anonymous}", anonymous + 1
            flexible = self._flexible(member.type)
            if flexible and (word == "union" or number + 1 < len(members)):
                continue  # of no size of its own: what follows, or shares its place, says what is there
            python = attribute_name(called, taken, f"in {word} {kind.name or name}: member")
            fields.append(self._field(member, place, python, f"{name}_{called}", storages, bool(flexible)))
        return PyClass(word, name, size=kind.size, fields=tuple(fields))

    def _flat(self, kind: Type, base: int) -> list[tuple[Member, Member]]:
        """A type's members, those of anonymous ones too: as they are, and with bits from the outermost start."""
        found = []
        for member in kind.members:
            inner = self.btf.resolve(member.type)
            placed = member._replace(bit_offset=base + member.bit_offset)
            if not member.name and (inner.kind == Kind.STRUCT or inner.kind == kind.kind == Kind.UNION):
                found += self._flat(inner, placed.bit_offset)
            elif member.name or inner.kind == Kind.UNION:
                found.append((member, placed))
        return found

    def _flexible(self, number: int) -> bool:
        kind = self.btf.resolve(number)
        return kind.kind == Kind.ARRAY and not kind.length

    def _field(self, member: Member, place: Member, name: str, path: str, storages: dict, flexible: bool) -> PyField:
        text = declaration(self.btf, member.type, member.name) + (f" : {member.bits}" if member.bits else "")
        if flexible:
            return PyField(name, PyType("bytes", "c.tail()", 0), place.offset, comment(text))
        if not member.bits:
            return PyField(name, self.use(member.type, path), place.offset, comment(text))
        start, end = storages[place]
        shift = place.bit_offset - 8 * start if self.btf.little else 8 * end - place.bit_offset - place.bits
        signed = ", signed=True" * self.btf.resolve(member.type).signed
        codec = f"c.bits({shift}, {place.bits}, {end - start}{signed})"
        return PyField(name, PyType("int", codec, end - start), start, comment(text))


def _integer(kind: Type) -> PyType:
    if kind.bool:
        return PyType("bool", "c.boolean", kind.size)
    return PyType("int", f"c.{'s' if kind.signed else 'u'}{kind.size * 8}", kind.size)


def _storages(members: list[Member]) -> dict[Member, tuple[int, int]]:
    """The bytes, from and to, that hold each bitfield; those that have a byte in common share them."""
    groups: list[tuple[int, int, list[Member]]] = []
    for member in sorted((member for member in members if member.bits), key=lambda member: member.bit_offset):
        start, end = member.offset, (member.bit_offset + member.bits + 7) // 8
        if groups and start < groups[-1][1]:
            first, last, inside = groups.pop()
            groups.append((first, max(last, end), [*inside, member]))
        else:
            groups.append((start, end, [member]))
    return {member: (start, end) for start, end, inside in groups for member in inside}
