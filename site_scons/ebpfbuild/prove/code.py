"""Compares the code of two objects: sections, instructions, relocations, symbols, and which line an instruction is of.

Each function yields its Differences.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from ..btf.ext import BtfExt, CoreKind, CoreRelocation, access_types
from ..btf.reader import Btf
from ..btf.types import Kind
from ..elf.reader import (
    INSN_SIZE,
    LD_IMM64,
    SHF_EXECINSTR,
    SHT_NULL,
    SHT_REL,
    SHT_STRTAB,
    SHT_SYMTAB,
    STT_FUNC,
    STT_SECTION,
    Elf,
    Section,
    Symbol,
)
from ..elf.strip import strip_dwarf
from .members import struct_name

TAG = re.compile(r"\b(?:struct|union)\s+(\w+)")
BPF_LDX, BPF_ST, BPF_STX = 1, 2, 3  # instruction classes that carry an offset: the kernel's bpf_common.h
COMPARED_AS_TYPES = (".BTF", ".BTF.ext", ".rel.BTF", ".rel.BTF.ext")
ID_KINDS = (CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET)
# What clang computes from the struct it sees, and libbpf replaces at load time by what the kernel's struct says.
LAYOUT_KINDS = (
    CoreKind.FIELD_BYTE_OFFSET,
    CoreKind.FIELD_BYTE_SIZE,
    CoreKind.FIELD_LSHIFT_U64,
    CoreKind.FIELD_RSHIFT_U64,
    CoreKind.TYPE_SIZE,
)


class Difference(NamedTuple):
    """A difference in words, and the name of the struct that it concerns, if any."""

    text: str
    struct: str = ""


@dataclass(frozen=True)
class Parsed:
    """An object without DWARF, its types, and what .BTF.ext says of its instructions."""

    elf: Elf
    btf: Btf
    ext: BtfExt

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Parsed":
        """Returns the object in `data`, which may hold DWARF still, or no BTF. Raises ElfError and BtfError."""
        elf = Elf.parse(strip_dwarf(data, where), where)
        section, more = elf.section(".BTF"), elf.section(".BTF.ext")
        btf = Btf.parse(section.data, f"{where}: .BTF") if section else Btf.none(elf.little, where)
        return cls(elf, btf, BtfExt.parse(more.data, btf, f"{where}: .BTF.ext") if more else BtfExt((), (), ()))

    @cached_property
    def core(self) -> dict[str, list[CoreRelocation]]:
        """The CO-RE relocations by section, in the order of their offsets."""
        found: dict[str, list[CoreRelocation]] = {}
        for row in sorted(self.ext.relocations, key=lambda row: row.offset):
            found.setdefault(row.section, []).append(row)
        return found


def compare_sections(full: Parsed, small: Parsed, mask_layout: bool) -> Iterator[Difference]:
    """Compares section headers and contents; `mask_layout` leaves out what CO-RE puts in for a struct's layout."""
    ours, theirs = _sections(full.elf), _sections(small.elf)
    for key in ours:
        if key not in theirs:
            yield Difference(f"section {key[0]} is missing in the minimized object")
    for key in theirs:
        if key not in ours:
            yield Difference(f"section {key[0]} is in the minimized object only")
    with_btf = [parsed.elf.section(".BTF") is not None for parsed in (full, small)]
    if with_btf[0] != with_btf[1]:
        yield Difference(f"BTF is in the {'full' if with_btf[0] else 'minimized'} object only")
    if full.elf.little != small.elf.little or full.elf.flags != small.elf.flags:
        yield Difference("the objects are of different targets")
    for key in (key for key in ours if key in theirs):
        one, other = ours[key], theirs[key]
        for what in ("type", "flags", "align", "size"):
            if getattr(one, what) != getattr(other, what):
                yield Difference(f"section {one.name}: {what} {getattr(one, what)} != {getattr(other, what)}")
        if one.flags & SHF_EXECINSTR:
            yield from _compare_instructions(full, small, one, other, mask_layout)
        else:
            yield from _compare_data(full, one, other)
        yield from _compare_relocations(full.elf, small.elf, one, other)


def _sections(elf: Elf) -> dict[tuple[str, int], Section]:
    """Returns the sections that are compared byte by byte, by name and rank among those of that name."""
    skipped = (SHT_NULL, SHT_REL, SHT_STRTAB, SHT_SYMTAB)
    ranks: dict[str, int] = {}
    found: dict[tuple[str, int], Section] = {}
    for section in elf.sections:
        if section.type not in skipped and section.name not in COMPARED_AS_TYPES:
            rank = ranks[section.name] = ranks.get(section.name, -1) + 1
            found[section.name, rank] = section
    return found


def _compare_instructions(
    full: Parsed, small: Parsed, one: Section, other: Section, mask: bool
) -> Iterator[Difference]:
    ours, theirs = _masked(full, one, mask), _masked(small, other, mask)
    if ours == theirs:
        return
    place = _first_difference(ours, theirs) // INSN_SIZE * INSN_SIZE
    line = max((row for row in full.ext.lines if row.section == one.name and row.offset <= place), default=None)
    source = f" ({line.file}:{line.line})" if line else ""
    texts = (data[place : place + INSN_SIZE].hex() or "nothing" for data in (ours, theirs))
    text = f"section {one.name}: instruction {place // INSN_SIZE}{source} differs: {' != '.join(texts)}"
    yield Difference(text)
    for name in _structs_used(full, one, place):
        yield Difference(text, name)


def _structs_used(parsed: Parsed, section: Section, place: int) -> list[str]:
    """Returns the structs for which the code of the function around a place may differ.

    They are those that CO-RE walks through there, and those that its source lines and parameters name.
    """
    starts = [row.value for row in parsed.elf.symbols_in(section) if row.type == STT_FUNC]
    start = max((value for value in starts if value <= place), default=0)
    end = min((value for value in starts if value > place), default=section.size)
    rows = [row for row in parsed.core.get(section.name, ()) if start <= row.offset < end]
    lines = [row for row in parsed.ext.lines if row.section == section.name and start <= row.offset < end]
    names = {struct_name(parsed.btf, number) for row in rows for number in access_types(parsed.btf, row)}
    names.update(*(TAG.findall(line.text) for line in lines), _parameters(parsed, section.name, start))
    return sorted(names - {""})


def _parameters(parsed: Parsed, section: str, start: int) -> list[str]:
    """Returns the structs that the parameters of the function at a place point to."""
    btf = parsed.btf
    types = [btf[row.type].type for row in parsed.ext.funcs if (row.section, row.offset) == (section, start)]
    pointers = [btf.resolve(param.type) for number in types for param in btf[number].params]
    return [struct_name(btf, pointer.type) for pointer in pointers if pointer.kind == Kind.PTR]


def _masked(parsed: Parsed, section: Section, layout: bool) -> bytes:
    """Returns the code with zeros where a type id stands, and perhaps where a layout shows.

    Type ids are compared as types.
    """
    code = bytearray(section.data)
    for row in parsed.core.get(section.name, ()):
        kinds = ID_KINDS + LAYOUT_KINDS if layout else ID_KINDS
        if row.kind in kinds and row.offset + INSN_SIZE <= len(code):
            _mask(code, row.offset)
    return bytes(code)


def _mask(code: bytearray, place: int) -> None:
    """Sets to zero what libbpf's bpf_core_patch_insn would write: an offset of a load or store, else an immediate."""
    opcode = code[place]
    if opcode & 7 in (BPF_LDX, BPF_ST, BPF_STX):
        code[place + 2 : place + 4] = bytes(2)
        return
    code[place + 4 : place + 8] = bytes(4)
    if opcode == LD_IMM64:
        code[place + 12 : place + 16] = bytes(len(code[place + 12 : place + 16]))


def _first_difference(ours: bytes, theirs: bytes) -> int:
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(ours), len(theirs)))


def _compare_data(full: Parsed, one: Section, other: Section) -> Iterator[Difference]:
    if one.data == other.data:
        return
    place = _first_difference(one.data, other.data)
    holders = (row for row in full.elf.symbols_in(one) if row.name and row.value <= place < row.value + row.size)
    name = next((f" ({row.name})" for row in holders), "")
    texts = (data[place : place + 8].hex() or "nothing" for data in (one.data, other.data))
    yield Difference(f"section {one.name}: byte {place}{name} differs: {' != '.join(texts)}")


def _compare_relocations(full: Elf, small: Elf, one: Section, other: Section) -> Iterator[Difference]:
    ours, theirs = _relocations(full, one), _relocations(small, other)
    place = next((place for place in sorted({*ours, *theirs}) if ours.get(place) != theirs.get(place)), None)
    if place is not None:
        texts = (rows.get(place, "nothing") for rows in (ours, theirs))
        yield Difference(f"section {one.name}: relocation at {place:#x} differs: {' != '.join(texts)}")


def _relocations(elf: Elf, section: Section) -> dict[int, str]:
    rows = elf.relocations(section)
    return {row.offset: f"{_symbol_name(elf, elf.symbols[row.symbol])} of type {row.type}" for row in rows}


def _symbol_name(elf: Elf, symbol: Symbol) -> str:
    if symbol.type == STT_SECTION and symbol.section < len(elf.sections):
        return f"section {elf.sections[symbol.section].name}"
    return symbol.name


def compare_symbols(full: Parsed, small: Parsed) -> Iterator[Difference]:
    """Yields the symbol tables, row by row: libbpf numbers programs by their order there."""
    ours, theirs = ([_symbol(parsed.elf, symbol) for symbol in parsed.elf.symbols] for parsed in (full, small))
    for one, other in zip_longest(ours, theirs, fillvalue="nothing"):
        if one != other:
            yield Difference(f"symbol {one} != {other}")
            return


def _symbol(elf: Elf, symbol: Symbol) -> str:
    names = elf.sections
    section = names[symbol.section].name if symbol.section < len(names) else f"{symbol.section:#x}"
    numbers = f"+{symbol.value} size {symbol.size} type {symbol.type} bind {symbol.bind} other {symbol.other}"
    return f"{_symbol_name(elf, symbol) or 'without a name'} in {section or 'no section'} {numbers}"


def compare_lines(full: Parsed, small: Parsed) -> Iterator[Difference]:
    """Yields the source line of each instruction: the first difference of each section."""
    seen: set[str] = set()
    # clang orders sections by where their names stand in BTF's strings, which `struct socket` beside `socket` moves.
    ordered = (sorted(parsed.ext.lines, key=lambda row: row.section) for parsed in (full, small))
    for one, other in zip_longest(*ordered):
        row = one or other
        if one != other and row.section not in seen:
            seen.add(row.section)
            texts = (
                f"{line.file}:{line.line}:{line.column} {line.text.strip()}" if line else "none"
                for line in (one, other)
            )
            text = f"section {row.section}: line of +{row.offset:#x} differs: {' != '.join(texts)}"
            yield Difference(text)
            section = full.elf.section(row.section)
            for name in _structs_used(full, section, row.offset) if section else ():
                yield Difference(text, name)
