"""Holds the parts that a BPF object is made of, as object.py reads them."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class ProgramSpec:
    """A program or subprogram: its ELF section, libbpf's type for that (empty: none, or a subprogram), its code.

    `offset` is in bytes from the section's start, `func` the id of its BTF function (0 without one).
    """

    name: str
    section: str
    type: str
    offset: int
    instructions: bytes
    func: int
    static: bool = False

    @property
    def autoload(self) -> bool:
        """True if libbpf loads it unless the loader says otherwise: its section has no leading `?`."""
        return not self.section.startswith("?")

    @property
    def target(self) -> str:
        """The text of the section's name behind its first `/`, such as `tcp_connect`; empty for none."""
        return self.section.partition("/")[2]


@dataclass(frozen=True)
class Variable:
    """A global variable: BTF type id, place in its section and size in bytes, initial bytes (none in .bss: zeros)."""

    name: str
    type: int
    offset: int
    size: int
    data: bytes
    static: bool


@dataclass(frozen=True)
class DataSection:
    """A section that libbpf turns into an array map of one entry; `kind` is rodata, data or bss.

    `type` is the BTF id of its DATASEC, 0 for one that only the compiler knows of (`.rodata.str1.1`). `data` are the
    initial bytes, none in .bss, where all are zero.
    """

    name: str
    kind: str
    type: int
    size: int
    data: bytes
    variables: tuple[Variable, ...]


@dataclass(frozen=True)
class Extern:
    """A variable or function that the kernel (.ksyms) or its configuration (.kconfig) has to provide."""

    name: str
    type: int
    weak: bool
    function: bool


class MemberProgram(NamedTuple):
    """A member of a struct_ops struct and the program that it points to."""

    member: str
    program: str


@dataclass(frozen=True)
class StructOpsSpec:
    """A struct_ops map: a struct of BTF type `type` with initial bytes; `programs` are members and their programs."""

    name: str
    section: str
    type: int
    data: bytes
    programs: tuple[MemberProgram, ...]
