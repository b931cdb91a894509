"""Reads a BPF object from its ELF and BTF: maps, programs, global data, externs. Touches no kernel.

How names and sections are understood follows libbpf (src/libbpf.c): the section `.text` holds subprograms, any other
executable section programs; `.rodata*`, `.data*` and `.bss*` become maps; `.maps`, `.kconfig`, `.ksyms` and
`.struct_ops*` are declared in BTF.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..btf.reader import Btf
from ..btf.types import VAR_EXTERN, VAR_STATIC, Kind, SectionVar, Type
from ..elf.reader import (
    INSN_SIZE,
    SHF_EXECINSTR,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_PROGBITS,
    STB_LOCAL,
    STB_WEAK,
    STT_FUNC,
    STT_OBJECT,
    STT_SECTION,
    STV_HIDDEN,
    STV_INTERNAL,
    Elf,
    Relocation,
    Section,
    Symbol,
)
from ..errors import ElfError
from .map import MapSpec, Slot, map_spec, values_offset
from .sections import TEXT, nearest_section, program_type

DATA_SECTION = re.compile(r"\.(rodata|data|bss)(\..+)?", re.DOTALL)
STRUCT_OPS = (".struct_ops", ".struct_ops.link", "?.struct_ops", "?.struct_ops.link")  # with `?`: not made unless asked
LINK_FIX = 'name the sources of both in one call: BpfObject("whole", ["one.bpf.c", "other.bpf.c"])'


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


@dataclass(frozen=True)
class ObjectSpec:
    """All of an object. Maps, programs and externs are in the order of their sections and offsets."""

    elf: Elf
    btf: Btf
    license: str
    version: int
    maps: tuple[MapSpec, ...]
    programs: tuple[ProgramSpec, ...]
    subprograms: tuple[ProgramSpec, ...]
    data: tuple[DataSection, ...]
    kconfig: tuple[Extern, ...]
    ksyms: tuple[Extern, ...]
    struct_ops: tuple[StructOpsSpec, ...]

    def require_whole(self) -> None:
        """Raises ElfError if the object lacks what another one defines: libbpf takes it only once they are linked."""
        known = {row.name for row in (*self.kconfig, *self.ksyms)}
        for name in self.elf.undefined:
            if name not in known:
                raise ElfError(f"{name} is defined in another object", where=self.elf.where, fix=LINK_FIX)

    def notices(self) -> list[str]:
        """Returns what libbpf would not load or attach by itself: programs without a section that it knows."""
        rows = [row for row in self.programs if not row.type]
        said = [_unknown_section(row.name, row.section) for row in rows]
        if self.subprograms and not self.programs:  # libbpf takes them for parts of programs
            names = ", ".join(row.name for row in self.subprograms)
            said.append(
                f'no program: {names} has no section; write SEC("xdp"), or where it belongs, before the function'
            )
        return [f"{self.elf.where}: {text}" for text in said]

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "") -> "ObjectSpec":
        """Reads an object file's bytes. `where` names it in errors. Raises ElfError and BtfError."""
        elf = Elf.parse(data, where)
        section = elf.section(".BTF")
        if section is None and elf.loaded:
            raise ElfError("has no BTF", where=where, fix="compile it with -g")
        if elf.section("maps"):
            raise ElfError(
                'has maps in SEC("maps")', where=where, fix='declare them in SEC(".maps"): libbpf 1 takes no others'
            )
        name = f"{where}: .BTF" if where else ".BTF"
        # Of a source that defines nothing but unused static functions clang makes an object with nothing in it.
        btf = Btf.parse(section.data, name) if section else Btf.none(elf.little, name)
        return _Reader(elf, btf).read()


def _unknown_section(program: str, section: str) -> str:
    near = nearest_section(section)
    fix = f'did you mean SEC("{near}")?' if near else "it needs a handler of yours: libbpf_register_prog_handler"
    return f'libbpf doesn\'t know the section of {program}, SEC("{section}"), and loads no such program; {fix}'


class RelocationTarget(NamedTuple):
    """A relocated place of a section, in bytes, and the name of the symbol that it refers to."""

    offset: int
    name: str


class PlacedVariable(NamedTuple):
    """A section's variable: name, BTF id of its type, offset and size in bytes, whether it is the object's own."""

    name: str
    type: int
    offset: int
    size: int
    static: bool


@dataclass(frozen=True)
class _Reader:
    elf: Elf
    btf: Btf

    def read(self) -> ObjectSpec:
        """Reads the whole object. Raises ElfError and BtfError."""
        elf = self.elf
        functions = [program for section in elf.sections for program in self.programs(section)]
        return ObjectSpec(
            elf=elf,
            btf=self.btf,
            license=self.section_bytes("license").partition(b"\0")[0].decode("utf-8", "backslashreplace"),
            version=int.from_bytes(self.section_bytes("version")[:4], "little" if elf.little else "big"),
            maps=tuple(self.map(variable) for variable in self.placed(".maps")),
            programs=tuple(program for program in functions if program.section != TEXT),
            subprograms=tuple(program for program in functions if program.section == TEXT),
            data=tuple(self.data_section(section) for section in elf.sections if self.is_data(section)),
            kconfig=self.externs(".kconfig"),
            ksyms=self.externs(".ksyms"),
            struct_ops=tuple(self.struct_ops(name, variable) for name in STRUCT_OPS for variable in self.placed(name)),
        )

    def section_bytes(self, name: str) -> bytes:
        """Returns a section's bytes; none for a section that isn't there."""
        section = self.elf.section(name)
        return section.data if section else b""

    def programs(self, section: Section) -> list[ProgramSpec]:
        """Returns the functions of an executable section, by offset."""
        if section.type != SHT_PROGBITS or not section.flags & SHF_EXECINSTR:
            return []
        symbols = [symbol for symbol in self.elf.symbols_in(section) if symbol.type == STT_FUNC]
        return [
            self.program(section, symbol) for symbol in sorted(symbols, key=lambda symbol: (symbol.value, symbol.name))
        ]

    def program(self, section: Section, symbol: Symbol) -> ProgramSpec:
        """Reads a function of an executable section. Raises ElfError for one that doesn't lie on instructions."""
        end = symbol.value + symbol.size
        if symbol.value % INSN_SIZE or symbol.size % INSN_SIZE or not symbol.size or end > section.size:
            raise ElfError(
                f"function {symbol.name} does not lie on instructions of {section.name}", where=self.elf.where
            )
        func = self.btf.find(symbol.name, Kind.FUNC)
        return ProgramSpec(
            name=symbol.name,
            section=section.name,
            type="" if section.name == TEXT else program_type(section.name),
            offset=symbol.value,
            instructions=section.data[symbol.value : end],
            func=func.id if func else 0,
            static=symbol.bind == STB_LOCAL,
        )

    @cached_property
    def symbols_by_name(self) -> dict[tuple[int, str], Symbol]:
        """The first symbol of each name in each section, by the section's index and the name."""
        return {(symbol.section, symbol.name): symbol for symbol in reversed(self.elf.symbols)}

    def placed(self, section_name: str) -> list[PlacedVariable]:
        """Returns a DATASEC's variables by offset.

        clang leaves offsets of global variables to the linker; as libbpf's btf_fixup_datasec, take the symbol's.
        """
        section, datasec = self.elf.section(section_name), self.btf.find(section_name, Kind.DATASEC)
        rows = [self.place(section, section_name, entry) for entry in datasec.variables] if datasec else []
        return sorted(rows, key=lambda row: (row.offset, row.name))

    def place(self, section: Section | None, name: str, entry: SectionVar) -> PlacedVariable:
        """Finds a variable's place in its section. Raises BtfError and ElfError for one that has none."""
        var, where = self.btf[entry.type], self.elf.where
        if var.kind != Kind.VAR:
            self.btf.fail(f"has {var.name or var.id} in section {name}, which is no variable")
        if var.linkage == VAR_EXTERN:
            raise ElfError(f"{var.name} in {name} is defined in another object", where=where, fix=LINK_FIX)
        static = var.linkage == VAR_STATIC
        symbol = self.symbols_by_name.get((section.index, var.name)) if section else None
        if section is None or (symbol is None and not static):
            raise ElfError(f"variable {var.name} has no place in section {name}", where=where)
        offset = entry.offset if static or symbol is None else symbol.value
        if offset + entry.size > section.size:
            raise ElfError(f"variable {var.name} ends after its section {name}", where=where)
        # libbpf makes one that is hidden static (btf_fixup_datasec), and doesn't map a section that has no others.
        hidden = static or symbol is None or symbol.visibility in (STV_INTERNAL, STV_HIDDEN)
        return PlacedVariable(var.name, var.type, offset, entry.size, hidden)

    def map(self, variable: PlacedVariable) -> MapSpec:
        """Reads a map with its initial slots, which are relocations in the declaration's `values`."""
        start = values_offset(self.btf, variable.type)
        if start is None:
            return map_spec(self.btf, variable.type, variable.name)
        start += variable.offset
        targets = self.targets(".maps", start, variable.offset + variable.size)
        slots = tuple(Slot((target.offset - start) // 8, target.name) for target in targets)
        return map_spec(self.btf, variable.type, variable.name, slots)

    @cached_property
    def relocations(self) -> dict[str, tuple[Relocation, ...]]:
        """The relocations of the sections whose variables refer to programs and maps, by the section's name."""
        names = (".maps", *STRUCT_OPS)
        return {name: self.elf.relocations(section) for name in names if (section := self.elf.section(name))}

    def targets(self, section: str, start: int, end: int) -> list[RelocationTarget]:
        """Returns the relocated places from `start` up to `end` of a section."""
        rows = self.relocations[section]
        chosen = rows[bisect_left(rows, (start,)) : bisect_left(rows, (end,))]
        return [
            RelocationTarget(row.offset, self.target_name(self.elf.symbols[row.symbol], section, row.offset))
            for row in chosen
        ]

    def target_name(self, symbol: Symbol, section: str, offset: int) -> str:
        """Returns the symbol's name.

        For a section's symbol it is the name of the function or object at the place's own addend.
        """
        if symbol.type != STT_SECTION or symbol.section >= len(self.elf.sections):
            return symbol.name
        addend = int.from_bytes(
            self.section_bytes(section)[offset : offset + 8], "little" if self.elf.little else "big"
        )
        return self.symbols_by_place.get((symbol.section, addend), "")

    @cached_property
    def symbols_by_place(self) -> dict[tuple[int, int], str]:
        """The names of functions and objects, by their section's index and their offset in it."""
        wanted = (STT_FUNC, STT_OBJECT)
        return {(row.section, row.value): row.name for row in reversed(self.elf.symbols) if row.type in wanted}

    def is_data(self, section: Section) -> bool:
        """Returns True if libbpf makes a map of it: it does of those names, and of none that is empty."""
        return bool(
            section.size and section.type in (SHT_PROGBITS, SHT_NOBITS) and DATA_SECTION.fullmatch(section.name)
        )

    def data_section(self, section: Section) -> DataSection:
        """Reads a section of global data with its variables."""
        datasec = self.btf.find(section.name, Kind.DATASEC)
        data = section.data
        variables = tuple(
            Variable(row.name, row.type, row.offset, row.size, data[row.offset : row.offset + row.size], row.static)
            for row in self.placed(section.name)
        )
        kind = DATA_SECTION.fullmatch(section.name)
        return DataSection(
            section.name, kind[1] if kind else "", datasec.id if datasec else 0, section.size, data, variables
        )

    def externs(self, section: str) -> tuple[Extern, ...]:
        """Reads the externs of `.kconfig` or `.ksyms`."""
        datasec = self.btf.find(section, Kind.DATASEC)
        kinds = [self.btf[entry.type] for entry in datasec.variables] if datasec else []
        return tuple(self.extern(kind) for kind in kinds)

    def extern(self, kind: Type) -> Extern:
        """Reads an undefined variable or function. Raises BtfError for what is none."""
        symbol = self.symbols_by_name.get((SHN_UNDEF, kind.name))
        if kind.kind not in (Kind.VAR, Kind.FUNC) or symbol is None:
            self.btf.fail(f"has {kind.name or kind.id} among the externs, which is no undefined variable or function")
        return Extern(kind.name, kind.type, symbol.bind == STB_WEAK, kind.kind == Kind.FUNC)

    def struct_ops(self, section: str, variable: PlacedVariable) -> StructOpsSpec:
        """Reads a struct_ops map, whose members are relocated to their programs."""
        start, end = variable.offset, variable.offset + variable.size
        members = {member.offset: member.name for member in self.btf.resolve(variable.type).members}
        targets = self.targets(section, start, end)
        programs = tuple(MemberProgram(members.get(target.offset - start, ""), target.name) for target in targets)
        return StructOpsSpec(variable.name, section, variable.type, self.section_bytes(section)[start:end], programs)
