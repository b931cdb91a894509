"""Holds what a skeleton declares, for one arch, as plain values: equal ones print the same text."""

from dataclasses import dataclass
from typing import NamedTuple

from ..btf.types import Enumerator


def bytes_of(size: int) -> str:
    """Returns a number of bytes in words."""
    return f"{size} {'byte' if size == 1 else 'bytes'}"


@dataclass(frozen=True)
class PyType:
    """A type in use: its annotation, its codec's expression, its size in bytes, the class that it is or holds."""

    hint: str
    codec: str
    size: int
    class_name: str = ""


@dataclass(frozen=True)
class PyField:
    """A member or variable: its Python name, its type, its place in bytes, the C declaration for the comment."""

    name: str
    type: PyType
    offset: int
    comment: str


class ModuleConstant(NamedTuple):
    """An anonymous enum's enumerator as the module has it: the module's name for it, and the class's."""

    name: str
    member: str


@dataclass(frozen=True)
class PyClass:
    """A class to print. `kind` is struct, union or enum; `fields` are a struct's or union's, `values` an enum's.

    `promoted` are the members of the anonymous unions in a struct, which it has as its own; `sizes` says which arch has
    which size, where they differ.

    `constants` are an anonymous enum's enumerators as the module has them too, since C has them everywhere.
    """

    kind: str
    name: str
    c_name: str = ""
    size: int = 0
    fields: tuple[PyField, ...] = ()
    promoted: tuple[PyField, ...] = ()
    values: tuple[Enumerator, ...] = ()
    definition: str = ""
    constants: tuple[ModuleConstant, ...] = ()
    sizes: str = ""

    @property
    def names(self) -> list[str]:
        """The names of all its members."""
        return [field.name for field in (*self.fields, *self.promoted)]

    @property
    def title(self) -> str:
        """The text of its docstring: the C type and its size, or sizes."""
        return f"{self.c_name}, {self.sizes or bytes_of(self.size)}"

    def fits(self) -> bool:
        """Returns True if all fields lie inside and, in a struct, beside each other; bitfields may share storage."""
        if any(field.offset + field.type.size > self.size for field in self.fields):
            return False
        end, last = 0, None
        for field in sorted(self.fields, key=lambda field: field.offset) if self.kind == "struct" else ():
            place = field.offset, field.type.size
            if field.offset < end and place != last and field.type.size:
                return False
            end, last = max(end, sum(place)), place
        return True


@dataclass(frozen=True)
class PyMap:
    """A map to print: attribute, name in C, bpfloader's class, its arguments, and the hints of its parameters."""

    attribute: str
    name: str
    kind: str
    arguments: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True)
class PyProgram:
    """A program to print: attribute, name in C, bpfloader's class, section."""

    attribute: str
    name: str
    kind: str
    section: str


@dataclass(frozen=True)
class PySection:
    """A data section to print: attribute of the skeleton, class, name in ELF, kind, variables."""

    attribute: str
    name: str
    c_name: str
    kind: str
    fields: tuple[PyField, ...]

    @property
    def names(self) -> list[str]:
        """The names of its variables."""
        return [field.name for field in self.fields]


@dataclass(frozen=True)
class Declarations:
    """All of one arch's skeleton: classes by name, maps and sections sorted, programs in the object's order."""

    classes: dict[str, PyClass]
    maps: tuple[PyMap, ...]
    programs: tuple[PyProgram, ...]
    sections: tuple[PySection, ...]
