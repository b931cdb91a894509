"""Reads a BPF object's ELF and BTF, without a kernel: programs, maps, global variables, CO-RE relocations.

Sections have the meaning that libbpf gives them (src/libbpf.c): `.text` holds functions that programs call, any other
executable section programs; `.rodata*`, `.data*` and `.bss*` become maps; BTF declares `.maps`, `.kconfig`, `.ksyms`
and `.struct_ops*`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.core_relo import CoreRecord, core_records
from ..btf.reader import DATASEC, FUNC, VAR, Btf
from ..elf import SHF_EXECINSTR, SHT_PROGBITS, STT_FUNC, Elf, ElfSection, Symbol
from ..kernel.instructions import INSN_SIZE
from ..kernel.versions import section_kind
from ..sha256 import sha256
from .initial_value import initial_value
from .map import MapSpec, map_spec

DATA = re.compile(r"\.(rodata|data|bss)(\..+)?", re.DOTALL)
STRUCT_OPS = (".struct_ops", ".struct_ops.link")


class ProgramSpec(NamedTuple):
    """A program, or a function of `.text` that programs call, which has no `type`; `offset` and `code` are in bytes.

    `autoload` is False for a section that begins with `?`; `target` is the section's name behind the kind.
    """

    name: str
    section: str
    type: str
    target: str
    sleepable: bool
    autoload: bool
    offset: int
    code: bytes

    @property
    def instructions(self) -> int:
        """The number of instructions; one that loads 64 bits counts as two."""
        return len(self.code) // INSN_SIZE


class VariableSpec(NamedTuple):
    """A global variable, or an extern of `.kconfig` or `.ksyms`: size in bytes, type and initial value as in C."""

    name: str
    section: str
    type: str
    size: int
    value: str


class SymbolReference(NamedTuple):
    """The symbol that an instruction refers to; `offset` is the instruction's in the program's code, in bytes."""

    offset: int
    symbol: str


class ObjectSpec(NamedTuple):
    """A whole object; programs, maps and variables are in the order of their sections and offsets."""

    elf: Elf
    btf: Btf | None
    sha256: str
    license: str
    programs: tuple[ProgramSpec, ...]
    functions: tuple[ProgramSpec, ...]
    maps: tuple[MapSpec, ...]
    struct_ops: tuple[VariableSpec, ...]
    variables: tuple[VariableSpec, ...]
    externs: tuple[VariableSpec, ...]
    core: tuple[CoreRecord, ...]

    def references(self, program: ProgramSpec) -> list[SymbolReference]:
        """Returns what a program's relocations refer to: maps, functions, externs."""
        section = self.elf.section(program.section)
        symbols, end = self.elf.symbols(), program.offset + len(program.code)
        return [
            SymbolReference(offset - program.offset, symbols[number].name)
            for offset, number in (self.elf.relocations(section) if section else ())
            if program.offset <= offset < end and number < len(symbols)
        ]


def object_spec(data: bytes, where: str) -> ObjectSpec:
    """Reads an object; `where` names it in errors. Raises ObjectError."""
    elf = Elf(data, where)
    blob = elf.data(".BTF")
    btf = Btf(blob, where) if blob else None
    found = [program for section in elf.sections for program in _program_specs(elf, section)]
    extended = elf.data(".BTF.ext")
    return ObjectSpec(
        elf=elf,
        btf=btf,
        sha256=sha256(data),
        license=elf.data("license").partition(b"\0")[0].decode("utf-8", "backslashreplace"),
        programs=tuple(program for program in found if program.section != ".text"),
        functions=tuple(program for program in found if program.section == ".text"),
        maps=tuple(map_spec(btf, var, name) for name, var, _ in _declared(elf, btf, ".maps")) if btf else (),
        struct_ops=tuple(each for name in STRUCT_OPS for each in _variables(elf, btf, name)),
        variables=tuple(each for section in elf.sections if DATA.fullmatch(section.name)
                        for each in _variables(elf, btf, section.name)),
        externs=tuple(each for name in (".kconfig", ".ksyms") for each in _variables(elf, btf, name)),
        core=tuple(core_records(extended, btf)) if btf and extended else (),
    )  # fmt: skip


def _program_specs(elf: Elf, section: ElfSection) -> list[ProgramSpec]:
    """Returns the functions of an executable section by offset."""
    if section.type != SHT_PROGBITS or not section.flags & SHF_EXECINSTR:
        return []
    symbols = [each for each in elf.symbols() if each.section == section.number and each.type == STT_FUNC]
    return [_program_spec(elf, section, symbol) for symbol in sorted(symbols, key=lambda each: (each.value, each.name))]


def _program_spec(elf: Elf, section: ElfSection, symbol: Symbol) -> ProgramSpec:
    end = symbol.value + symbol.size
    if symbol.value % INSN_SIZE or symbol.size % INSN_SIZE or not symbol.size or end > section.size:
        elf.fail(f"has a function {symbol.name} that doesn't lie on instructions of {section.name}")
    name = section.name.removeprefix("?")
    kind = None if name == ".text" else section_kind(name)
    head = name.split("/")[0]
    target = name[len(kind.section) :].strip("/") if kind else name.partition("/")[2]
    sleepable = head.endswith(".s") or head == "syscall"
    code = elf.bytes_of(section)[symbol.value : end]
    return ProgramSpec(symbol.name, section.name, kind.type if kind else "", target, sleepable,
                       section.name == name, symbol.value, code)  # fmt: skip


class BtfVariable(NamedTuple):
    """A variable that BTF declares in a section: its type's id, and its offset in bytes."""

    name: str
    type: int
    offset: int


def _declared(elf: Elf, btf: Btf, name: str) -> list[BtfVariable]:
    """Returns the variables that BTF declares in the section of that name, by offset.

    clang leaves offsets of global variables to the linker: takes the symbols' offsets, as libbpf's btf_fixup_datasec.
    """
    section = elf.section(name)
    offsets = {each.name: each.value for each in elf.symbols() if section and each.section == section.number}
    found = []
    for kind in (each for each in btf.named(name) if each.kind == DATASEC):
        for row in btf.variables(kind):
            var = btf[row.type]
            if var.kind in (VAR, FUNC):  # .ksyms has extern functions, too
                found.append(BtfVariable(var.name, var.word, offsets.get(var.name, row.offset)))
    return sorted(found, key=lambda variable: (variable.offset, variable.name))


def _variables(elf: Elf, btf: Btf | None, name: str) -> list[VariableSpec]:
    if btf is None:
        return []
    section = elf.section(name)
    data = elf.bytes_of(section) if section else b""
    room = section.size if section and not data else 0  # .bss has no bytes in the file
    return [
        VariableSpec(each, name, declaration(btf, number), btf.size(number),
                     initial_value(btf, number, data, offset, room) if section else "")
        for each, number, offset in _declared(elf, btf, name)
    ]  # fmt: skip
