"""Strips DWARF from a BPF object, as `llvm-strip -g` does, and keeps BTF: the same input gives the same bytes.

What goes, after llvm-objcopy (llvm/lib/ObjCopy/ELF/ELFObjcopy.cpp): the .debug_* sections and what relocates them, the
symbols they define, file symbols, and undefined symbols that nothing refers to any more. One thing differs:
.llvm_addrsig goes too. It lists symbols by number, llvm-strip leaves it as it was, so that its numbers name others.
"""

import struct
from typing import NamedTuple

from ..errors import ElfError
from .reader import (
    EHDR,
    EHDR_SIZE,
    ET_REL,
    SHDR,
    SHDR_SIZE,
    SHF_INFO_LINK,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_GROUP,
    SHT_LLVM_ADDRSIG,
    SHT_NOBITS,
    SHT_NULL,
    SHT_REL,
    SHT_SYMTAB,
    STB_LOCAL,
    STT_FILE,
    SYM,
    Elf,
    Section,
    Symbol,
)
from .sections import EM_BPF

DEBUG_PREFIXES = (".debug", ".zdebug")  # llvm-objcopy's isDebugSection, but for .gdb_index, which only linkers write


def strip_dwarf(data: bytes, where: str = "") -> bytes:
    """Returns the object without DWARF. `where` names it in errors.

    Raises ElfError for bytes that are no BPF object.
    """
    return stripped(Elf.parse(data, where))


def stripped(elf: Elf) -> bytes:
    """Returns the bytes of a parsed object without DWARF.

    Raises ElfError for section groups, which no C program has.
    """
    if any(section.type == SHT_GROUP for section in elf.sections):
        raise ElfError("has section groups, which clang does not emit for C", where=elf.where)
    kept = _kept_sections(elf)
    symbols = _kept_symbols(elf, kept)
    return _write(elf, kept, symbols)


def _kept_sections(elf: Elf) -> list[Section]:
    """Returns all sections but DWARF's, in their order; a relocation section goes with the section it relocates."""
    gone = {section.index for section in elf.sections if section.name.startswith(DEBUG_PREFIXES)}
    gone |= {section.index for section in elf.sections if section.type == SHT_LLVM_ADDRSIG}
    gone |= {section.index for section in elf.sections if section.type == SHT_REL and section.info in gone}
    return [section for section in elf.sections if section.index not in gone]


def _kept_symbols(elf: Elf, kept: list[Section]) -> list[int]:
    """Returns the numbers of the symbols that stay, the null symbol first."""
    present = {section.index for section in kept}
    used = set().union(*(elf.symbols_used(section) for section in kept if section.type == SHT_REL))

    def stays(number: int, symbol: Symbol) -> bool:
        if number == 0 or number in used:
            return True
        if symbol.section == SHN_UNDEF:
            return False
        return symbol.type != STT_FILE and (symbol.section in present or symbol.section >= SHN_LORESERVE)

    return [number for number, symbol in enumerate(elf.symbols) if stays(number, symbol)]


def _write(elf: Elf, kept: list[Section], numbers: list[int]) -> bytes:
    """Returns the file's bytes: contents in the order that they had, the section headers last."""
    sections = {section.index: number for number, section in enumerate(kept)}
    symbols = {old: new for new, old in enumerate(numbers)}
    names = _names(elf, kept, numbers)
    strings = {table: _string_table(texts) for table, texts in names.items()}
    out, offsets, sizes = bytearray(EHDR_SIZE), {}, {}
    for section in sorted(kept, key=lambda section: (section.offset, section.index)):
        data = _content(elf, section, sections, symbols, strings)
        if section.type != SHT_NULL:
            out += bytes(-len(out) % max(1, section.align))
        offsets[section.index] = 0 if section.type == SHT_NULL else len(out)
        sizes[section.index] = section.size if section.type == SHT_NOBITS else len(data)
        out += data
    out += bytes(-len(out) % 8)
    ident = b"\x7fELF\x02" + (b"\1" if elf.little else b"\2") + b"\1" + bytes(9)
    counts = (0, 0, SHDR_SIZE, len(kept), sections[elf.shstrndx])
    header = (ident, ET_REL, EM_BPF, 1, 0, 0, len(out), elf.flags, EHDR_SIZE, *counts)
    struct.pack_into(elf.order + EHDR, out, 0, *header)
    for section in kept:
        name = strings[elf.shstrndx].offsets[section.name]
        link, info = sections.get(section.link, 0), _info(elf, section, sections, numbers)
        place = (offsets[section.index], sizes[section.index], link, info, section.align, section.entsize)
        out += struct.pack(elf.order + SHDR, name, section.type, section.flags, 0, *place)
    return bytes(out)


def _names(elf: Elf, kept: list[Section], numbers: list[int]) -> dict[int, set[str]]:
    """Returns the names that each string table has to hold; one table may serve sections and symbols."""
    names = {elf.shstrndx: {section.name for section in kept}}
    for section in kept:
        if section.type == SHT_SYMTAB:
            names.setdefault(section.link, set()).update(elf.symbols[number].name for number in numbers)
    return names


class _StringTable(NamedTuple):
    """A string table's bytes, and the offset of each name in it."""

    data: bytes
    offsets: dict[str, int]


def _string_table(names: set[str]) -> _StringTable:
    """Returns the table of names; a name that ends another shares its bytes."""
    table, offsets, previous = bytearray(1), {"": 0}, b""
    for text in sorted(names - {""}, key=lambda text: text.encode()[::-1], reverse=True):
        name = text.encode()
        if not previous.endswith(name):
            table += name + b"\0"
            previous = name
        offsets[text] = len(table) - 1 - len(name)
    return _StringTable(bytes(table), offsets)


Strings = dict[int, _StringTable]  # by the index of its section


def _content(elf: Elf, section: Section, sections: dict[int, int], symbols: dict[int, int], strings: Strings) -> bytes:
    if section.index in strings:
        return strings[section.index].data
    if section.type == SHT_REL:
        return _relocations(elf, section, symbols)
    if section.type == SHT_SYMTAB:
        offsets = strings[section.link].offsets
        return b"".join(_symbol(elf, elf.symbols[number], sections, offsets) for number in symbols)
    return section.data


def _symbol(elf: Elf, symbol: Symbol, sections: dict[int, int], offsets: dict[str, int]) -> bytes:
    place = symbol.section if symbol.section >= SHN_LORESERVE else sections.get(symbol.section)
    if place is None:
        raise ElfError(f"refers to {symbol.name or 'a symbol'} of a .debug section from outside", where=elf.where)
    info = symbol.bind << 4 | symbol.type
    return struct.pack(elf.order + SYM, offsets[symbol.name], info, symbol.other, place, symbol.value, symbol.size)


def _relocations(elf: Elf, section: Section, symbols: dict[int, int]) -> bytes:
    words = elf.relocation_words(section)
    words[1::2] = [symbols[info >> 32] << 32 | info & 0xFFFFFFFF for info in words[1::2]]
    return struct.pack(f"{elf.order}{len(words)}Q", *words)


def _info(elf: Elf, section: Section, sections: dict[int, int], numbers: list[int]) -> int:
    """Returns sh_info: a section's number, or in a symbol table the number of its first symbol that isn't local."""
    if section.type == SHT_SYMTAB:
        others = (new for new, old in enumerate(numbers) if elf.symbols[old].bind != STB_LOCAL)
        return next(others, len(numbers))
    return sections.get(section.info, 0) if section.type == SHT_REL or section.flags & SHF_INFO_LINK else section.info
