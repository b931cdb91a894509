"""Makes the Python declarations of BTF types: what the skeleton's templates print, in terms of bpfloader's codecs.

What a C type becomes is the table in bpfloader's codec/c_types.py. Names: a class is its tag in CamelCase, or its
typedef's where it has no tag, or else its place (`EventFlags` for the member `flags` of `struct event`). The members of
an anonymous struct belong to the struct around it; an anonymous union in a struct is its member `anon0`, `anon1` …
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from ..btf.c_text import declaration, definition
from ..btf.reader import Btf
from ..btf.types import COMPOSITES, ENUMS, MODIFIERS, Kind, Member, Type
from ..errors import SkeletonError
from .declarations import ModuleConstant, PyClass, PyField, PyType
from .names import CONSTANTS, ENUMERATORS, attribute_name, c_name, class_name, comment

POINTER = PyType("int", "c.u64", 8)
BYTE_ORDERED = frozenset(f"__{order}{bits}" for order in ("be", "le") for bits in (16, 32, 64))
FLOATS = {2: "c.f16", 4: "c.f32", 8: "c.f64"}
MAX_MODULE_MEMBERS = 100_000  # of all classes together; task_struct and all that it holds have a few thousand
ADDRESSES = {  # by decl tag
    "ipv4": {4: PyType("IPv4Address", "c.ipv4", 4)},
    "ipv6": {16: PyType("IPv6Address", "c.ipv6", 16)},
    "ip": {4: PyType("IPv4Address", "c.ipv4", 4), 16: PyType("IPv4Address | IPv6Address", "c.ip", 16)},
}
ADDRESS_STRUCTS = {"in_addr": "ipv4", "in6_addr": "ipv6"}
MAX_SIZE = 2**32  # in bytes: a map's sizes, as the kernel has them, are 32-bit


def tags_of(btf: Btf, number: int, component: int = -1) -> frozenset[str]:
    """Returns the texts of the decl tags of a type or variable, or of one of its members."""
    return frozenset(tag.name for tag in btf.tags(number) if tag.component == component)


class _Typedefs(NamedTuple):
    """The names of the typedefs on the way to a type, the outermost first, and their decl tags."""

    names: list[str]
    tags: frozenset[str]


class _FlatMember(NamedTuple):
    """A member as it stands in its struct, the same placed from the outermost struct's start, and its decl tags."""

    member: Member
    placed: Member
    tags: frozenset[str]


class _Storage(NamedTuple):
    """The bytes, from and to, that hold a bitfield."""

    start: int
    end: int


class PyTypes:
    """The classes that the types asked for need, by name."""

    def __init__(self, btf: Btf, reserved: Iterable[str] = ()):
        """Takes the names of other classes beside these as `reserved`."""
        self.btf, self._reserved = btf, frozenset(reserved)
        self.classes: dict[str, PyClass] = {}
        self._names: dict[int, str] = {}
        self._entered: set[int] = set()
        self._members = 0

    def use(self, number: int, place: str, tags: frozenset[str] = frozenset()) -> PyType:
        """Returns a type as it is used by value; `place` names an anonymous one. Raises SkeletonError, BtfError.

        `tags` are the decl tags of the member or variable; those of typedefs on the way to the type count as well.
        """
        kind = self.btf.resolve(number)
        passed = self._typedefs(number)
        tags |= passed.tags
        if address := address_type(self.btf, kind, place, tags):
            return address
        if kind.kind == Kind.ARRAY:
            return self._array(kind, place, tags)
        if kind.kind in ENUMS:
            name = self._class(kind, passed.names, place, self._enum)
            return PyType(name, f"c.enum({name}, c.{'s' if kind.signed else 'u'}{kind.size * 8})", kind.size, name)
        if kind.kind in COMPOSITES:
            name = self._class(kind, passed.names, place, self._composite)
            return PyType(name, f"c.of({name})", kind.size, name)
        return self._scalar(kind, passed.names) or self._refuse(number, place)

    def _scalar(self, kind: Type, typedefs: list[str]) -> PyType | None:
        if kind.kind == Kind.PTR:
            return POINTER
        if kind.kind == Kind.FLOAT:
            raw = PyType("bytes", f"c.raw({kind.size})", kind.size)  # long double, which Python has no use for
            return PyType("float", FLOATS[kind.size], kind.size) if kind.size in FLOATS else raw
        if kind.kind != Kind.INT or kind.size not in (1, 2, 4, 8, 16) or (kind.bool and kind.size != 1):
            return None
        if kind.bool:
            return PyType("bool", "c.boolean", 1)
        for name in typedefs:
            if name in BYTE_ORDERED and name == f"__{name[2:4]}{kind.size * 8}":
                return PyType("int", f"c.{name[2:]}", kind.size)
        return PyType("int", f"c.{'s' if kind.signed else 'u'}{kind.size * 8}", kind.size)

    def _refuse(self, number: int, place: str) -> PyType:
        what = declaration(self.btf, number)
        raise SkeletonError(f"{place} has the type {what}, which has no size in this object", where=self.btf.where,
                            fix="use the type whole, not only by pointer")  # fmt: skip

    def _typedefs(self, number: int) -> _Typedefs:
        """Returns the typedefs on the way to a type."""
        kind, names = self.btf[number], []
        tags: set[str] = set()
        while kind.kind in (Kind.TYPEDEF, *MODIFIERS):
            if kind.kind == Kind.TYPEDEF:
                names.append(kind.name)
                tags |= tags_of(self.btf, kind.id)
            kind = self.btf[kind.type]
        return _Typedefs(names, frozenset(tags))

    def _array(self, kind: Type, place: str, tags: frozenset[str]) -> PyType:
        if text := self._text(kind, tags):
            return PyType(text, f"c.{'chars' if text == 'str' else 'raw'}({kind.length})", kind.length)
        one = self.use(kind.type, place, tags)
        if not one.size:
            return PyType("bytes", "c.raw(0)", 0)
        size = kind.length * one.size
        if size >= MAX_SIZE:
            raise SkeletonError(f"{place} has {size} bytes", where=self.btf.where, fix="compile it with clang")
        return PyType(f"tuple[{one.hint}, ...]", f"c.array({one.codec}, {kind.length})", size, one.class_name)

    def _text(self, array: Type, tags: frozenset[str]) -> str:
        """Returns the hint of an array of bytes: `str` for char, else `bytes`, if no tag says otherwise.

        Empty for other arrays.
        """
        element = self.btf.resolve(array.type)
        if element.kind != Kind.INT or element.size != 1 or element.bool:
            return ""
        if tags & {"str", "bytes"}:
            return min(tags & {"str", "bytes"})
        return "str" if element.name == "char" else "bytes"

    def _class(self, kind: Type, typedefs: list[str], place: str, declare: Callable[[Type, str], PyClass]) -> str:
        """Returns the name of a type's class, declared at its first use.

        Underscores follow a name that another class has.
        """
        if kind.id not in self._names:
            typedef = typedefs[-1] if typedefs else ""
            name = class_name(c_name(kind.name or typedef or place, "a type"))
            if kind.id in self._entered:
                raise SkeletonError(f"{name} contains itself", where=self.btf.where, fix="compile it with clang")
            self._entered.add(kind.id)
            word = "enum" if kind.kind in ENUMS else kind.kind.name.lower()
            called = f"{word} {kind.name}" if kind.name else comment(typedef) or f"anonymous {word}"
            made = replace(declare(kind, name), c_name=called, definition=definition(self.btf, kind.id))
            if word == "enum" and not (kind.name or typedef):
                made = replace(made, constants=_constants(kind, made))
            while made.name in self._reserved or self.classes.setdefault(made.name, made) != made:
                made = replace(made, name=made.name + "_")
            self._names[kind.id] = made.name
        return self._names[kind.id]

    def _enum(self, kind: Type, name: str) -> PyClass:
        if kind.size not in (1, 2, 4, 8):
            raise SkeletonError(
                f"{name} is an enum of {kind.size} bytes", where=self.btf.where, fix="compile it with clang"
            )
        taken: set[str] = set()
        values = [row._replace(name=attribute_name(row.name, taken, "enumerator", ENUMERATORS)) for row in kind.values]
        return PyClass("enum", name, size=kind.size, values=tuple(values))

    def _composite(self, kind: Type, name: str) -> PyClass:
        word = "struct" if kind.kind == Kind.STRUCT else "union"
        members = self._flat(kind, 0, word)
        storages = _storages([place for _, place, _ in members])
        taken: set[str] = set()
        anonymous, fields = 0, []
        for number, (member, place, tags) in enumerate(members):
            called = member.name
            if not called:
                called, anonymous = f"anon{anonymous}", anonymous + 1
            flexible = self._flexible(member.type)
            if flexible and (word == "union" or number + 1 < len(members)):
                continue  # of no size of its own: what follows, or shares its place, says what is there
            python = attribute_name(called, taken, f"in {word} {kind.name or name}: member")
            text = comment(
                declaration(self.btf, member.type, member.name) + (f" : {member.bits}" if member.bits else "")
            )
            path = f"{name}_{called}"
            if member.bits:
                fields.append(self._bitfield(place, storages[place], python, path, text))
            else:
                used = self._tail(member.type, path, tags) if flexible else self.use(member.type, path, tags)
                if not member.name:
                    used = replace(used, codec=f"c.anonymous({used.hint})")
                fields.append(PyField(python, used, place.offset, text))
        made = PyClass(word, name, size=kind.size, fields=tuple(fields), promoted=self._promoted(fields))
        if not made.fits():
            what = f"{word} {kind.name or name} has members that overlap or lie outside of it"
            raise SkeletonError(what, where=self.btf.where, fix="compile it with clang")
        return made

    def _promoted(self, fields: list[PyField]) -> tuple[PyField, ...]:
        """Returns the members of a struct's anonymous unions, but those of a name that it has itself."""
        taken = {field.name for field in fields}
        unions = [field for field in fields if field.type.codec.startswith("c.anonymous(")]
        self._count(sum(len(self.classes[field.type.hint].fields) for field in unions))
        members = [(field.name, member) for field in unions for member in self.classes[field.type.hint].fields]
        return tuple(
            replace(member, comment=f"in {union}: {member.comment}")
            for union, member in members
            if member.name not in taken
        )

    def _flat(self, kind: Type, base: int, word: str) -> list[_FlatMember]:
        """Returns a type's members, those of anonymous ones too."""
        self._count(len(kind.members))
        found = []
        for number, member in enumerate(kind.members):
            inner = self.btf.resolve(member.type)
            placed = member._replace(bit_offset=base + member.bit_offset)
            if not member.name and (inner.kind == Kind.STRUCT or (inner.kind == Kind.UNION and word == "union")):
                found += self._flat(inner, placed.bit_offset, word)
            elif member.name or inner.kind == Kind.UNION:
                found.append(_FlatMember(member, placed, tags_of(self.btf, kind.id, number)))
        return found

    def _count(self, members: int) -> None:
        """Raises SkeletonError where malformed types would make a module without end."""
        self._members += members
        if self._members > MAX_MODULE_MEMBERS:
            what = f"has types of more than {MAX_MODULE_MEMBERS} members"
            raise SkeletonError(what, where=self.btf.where, fix="compile it with clang")

    def _flexible(self, number: int) -> bool:
        kind = self.btf.resolve(number)
        return kind.kind == Kind.ARRAY and not kind.length

    def _tail(self, number: int, path: str, tags: frozenset[str]) -> PyType:
        """Returns a flexible array: all that follows, as text, bytes or as many elements as there are."""
        array = self.btf.resolve(number)
        if text := self._text(array, tags | self._typedefs(number).tags):
            return PyType(text, "c.text_tail()" if text == "str" else "c.tail()", 0)
        one = self.use(array.type, path, tags)
        if not one.size:
            return PyType("bytes", "c.tail()", 0)
        return PyType(f"tuple[{one.hint}, ...]", f"c.array_tail({one.codec})", 0, one.class_name)

    def _bitfield(self, place: Member, storage: _Storage, name: str, path: str, text: str) -> PyField:
        (start, end), kind = storage, self.btf.resolve(place.type)
        bits, signed = (
            f"{place.bit_offset - 8 * start}, {place.bits}, {end - start}",
            ", signed=True" if kind.signed else "",
        )
        used = PyType("int", f"c.bits({bits}{signed})", end - start)
        if kind.kind in ENUMS:
            made = self.use(place.type, path)
            used = PyType(made.hint, f"c.enum_bits({made.hint}, {bits}{signed})", end - start, made.hint)
        elif kind.bool and place.bits == 1:
            used = PyType("bool", f"c.flag({place.bit_offset - 8 * start}, {end - start})", end - start)
        return PyField(name, used, start, text)


def _constants(kind: Type, made: PyClass) -> tuple[ModuleConstant, ...]:
    """Returns an anonymous enum's enumerators as the module has them, since C has them everywhere."""
    taken: set[str] = set()
    names = (attribute_name(row.name, taken, "enumerator", CONSTANTS) for row in kind.values)
    return tuple(ModuleConstant(name, value.name) for name, value in zip(names, made.values, strict=True))


def _storages(members: list[Member]) -> dict[Member, _Storage]:
    """Returns the storage of each bitfield; those that have a byte in common share it."""
    groups: list[tuple[int, int, list[Member]]] = []
    for member in sorted((member for member in members if member.bits), key=lambda member: member.bit_offset):
        start, end = member.offset, (member.bit_offset + member.bits + 7) // 8
        if groups and start < groups[-1][1]:
            first, last, inside = groups.pop()
            groups.append((first, max(last, end), [*inside, member]))
        else:
            groups.append((start, end, [member]))
    return {member: _Storage(start, end) for start, end, inside in groups for member in inside}


def address_type(btf: Btf, kind: Type, place: str, tags: frozenset[str]) -> PyType | None:
    """Returns the address that a tag, or its struct, says these bytes are.

    None elsewhere, and for an array of addresses. Raises SkeletonError for a tag on what has another size.
    """
    if kind.kind == Kind.STRUCT and kind.name in ADDRESS_STRUCTS:
        tags |= {ADDRESS_STRUCTS[kind.name]}
    found = sorted(tags & ADDRESSES.keys())
    if not found or _holds_more(btf, kind, ADDRESSES[found[0]]):
        return None
    size = btf.size_of(kind.id)
    if size not in ADDRESSES[found[0]]:
        wanted = " or ".join(map(str, ADDRESSES[found[0]]))
        what = f"{place} is tagged {found[0]} and has {size} bytes, not {wanted}"
        raise SkeletonError(what, where=btf.where, fix="tag a __be32, a __u8[16] or a struct in6_addr")
    return ADDRESSES[found[0]][size]


def _holds_more(btf: Btf, kind: Type, sizes: dict[int, PyType]) -> bool:
    """Returns True if it is an array whose elements, or theirs, have an address's size."""
    while kind.kind == Kind.ARRAY:
        kind = btf.resolve(kind.type)
        if btf.size_of(kind.id) in sizes:
            return True
    return False
