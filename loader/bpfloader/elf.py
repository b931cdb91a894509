"""Reads relocatable BPF ELF64 objects of either byte order (System V gABI, chapter 4; elf.h spells the constants).

Every object passes here before libbpf reads it: a truncated file or one for another machine gets a clear error, and
no offset outside of the file reaches libbpf. Everything here raises ObjectError for a malformed file.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from .errors import ObjectError

EM_BPF, ET_REL = 247, 1
ELF_HEADER_SIZE, SECTION_SIZE, SYMBOL_SIZE, RELOCATION_SIZE = 64, 64, 24, 16
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_DYNSYM = 0, 1, 2, 3, 7, 8, 9, 11
SHF_EXECINSTR = 4
SHN_LORESERVE = 0xFF00
STT_FUNC, STT_SECTION, STT_GNU_IFUNC = 2, 3, 10
ENCODINGS = {1: "little", 2: "big"}  # EI_DATA
MAX_NAME = 4096  # bytes of a string in a table, here and in BTF


class ElfSection(NamedTuple):
    """A section header with its name; `offset` and `size` are where its bytes lie in the file."""

    number: int
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int


class Symbol(NamedTuple):
    """A row of the symbol table; `section` is a section's index, 0 for an extern."""

    name: str
    value: int
    size: int
    type: int
    section: int


class Relocation(NamedTuple):
    """A relocation: its `offset` in the section, and the index of its `symbol`."""

    offset: int
    symbol: int


class _ElfHeader(NamedTuple):
    """The byte order, the offset and number of the section headers, the index of the section with their names."""

    order: str
    sections_at: int
    section_count: int
    names: int


class Elf:
    """A parsed object. `where` names it in errors; `order` is its byte order as the struct module spells it."""

    def __init__(self, content: bytes, where: str):
        self.content, self.where = content, where
        self._symbols: list[Symbol] | None = None
        header = self._header()
        self.order = header.order
        self.sections = self._sections(header)

    def fail(self, what: str, fix: str = "take the object as clang -target bpf -g wrote it") -> NoReturn:
        """Raises ObjectError about this file."""
        raise ObjectError(f"{self.where} {what}", fix=fix)

    @property
    def little(self) -> bool:
        """True for a little-endian object."""
        return self.order == "<"

    def _header(self) -> _ElfHeader:
        head = self.content[:ELF_HEADER_SIZE]
        if head[:4] != b"\x7fELF":
            self.fail("is empty" if not head else f"is no BPF object: it starts with {head[:4]!r}, not with ELF's mark")
        if len(head) < ELF_HEADER_SIZE:
            self.fail(f"is cut short: {len(head)} bytes, fewer than an ELF header", "copy it again")
        if head[4] != 2 or head[5] not in ENCODINGS:
            self.fail("is no 64-bit ELF file, so no BPF object")
        order = "<" if head[5] == 1 else ">"
        kind, machine = struct.unpack_from(order + "HH", head, 16)
        if machine != EM_BPF:
            self.fail(f"is an ELF file for another machine (e_machine {machine}), not for BPF ({EM_BPF})")
        if kind != ET_REL:
            self.fail(f"is an ELF file of type {kind}, not a relocatable object")
        (start,) = struct.unpack_from(order + "Q", head, 40)
        size, count, names = struct.unpack_from(order + "HHH", head, 58)
        if size != SECTION_SIZE or not 0 < count < SHN_LORESERVE or names >= count:
            self.fail(f"has a broken ELF header: {count} sections of {size} bytes, their names in number {names}")
        if start + count * SECTION_SIZE > len(self.content):
            ends = start + count * SECTION_SIZE
            self.fail(f"is cut short: it has {len(self.content)} bytes, its header counts on {ends}", "copy it again")
        return _ElfHeader(order, start, count, names)

    def _sections(self, header: _ElfHeader) -> list[ElfSection]:
        count = header.section_count
        table = self.content[header.sections_at : header.sections_at + count * SECTION_SIZE]
        rows = list(struct.iter_unpack(self.order + "IIQQQQIIQQ", table))
        used = 0
        for index, (_, kind, _, _, offset, size, link, _, _, entry) in enumerate(rows):
            if kind in (SHT_NULL, SHT_NOBITS):
                continue
            used += size
            if offset + size > len(self.content):
                self.fail(f"is cut short: section {index} ends {offset + size - len(self.content)} bytes after it",
                          "copy it again")  # fmt: skip
            each = {SHT_SYMTAB: SYMBOL_SIZE, SHT_REL: RELOCATION_SIZE}.get(kind)
            if each and (entry != each or size % each) or link >= count:
                self.fail(f"has a broken section {index}")
        if used > len(self.content):
            self.fail("has sections that overlap")
        _, kind, _, _, offset, size, *_ = rows[header.names]
        texts = self.content[offset : offset + size] if kind == SHT_STRTAB else b""
        return [
            ElfSection(index, self.string(texts, name), kind, flags, offset, size, link, info)
            for index, (name, kind, flags, _, offset, size, link, info, _, _) in enumerate(rows)
        ]

    def string(self, table: bytes, offset: int) -> str:
        """Returns the name at an offset of a string table."""
        if not offset and not table:
            return ""
        end = table.find(0, offset, offset + MAX_NAME)
        if end < 0:
            self.fail(f"has a name at {offset} that doesn't end in its string table")
        try:
            return table[offset:end].decode()
        except UnicodeDecodeError:
            self.fail(f"has a name at {offset} of its string table that is no text: {table[offset:end]!r}")

    def section(self, name: str) -> ElfSection | None:
        """Returns the first section of that name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def bytes_of(self, section: ElfSection) -> bytes:
        """Returns a section's bytes; none for one without bytes in the file, such as .bss."""
        if section.type in (SHT_NULL, SHT_NOBITS):
            return b""
        return self.content[section.offset : section.offset + section.size]

    def data(self, name: str) -> bytes:
        """Returns the bytes of the first section of that name; none if there is no such section."""
        section = self.section(name)
        return self.bytes_of(section) if section else b""

    def symbols(self) -> list[Symbol]:
        """Returns the rows of the symbol table, read once."""
        if self._symbols is None:
            self._symbols = self._read_symbols()
        return self._symbols

    def _read_symbols(self) -> list[Symbol]:
        table = next((section for section in self.sections if section.type == SHT_SYMTAB), None)
        if table is None:
            return []
        names, found = self.bytes_of(self.sections[table.link]), []
        for name, info, _, section, value, size in struct.iter_unpack(self.order + "IBBHQQ", self.bytes_of(table)):
            if len(self.sections) <= section < SHN_LORESERVE:
                self.fail(f"has a symbol in section {section} of {len(self.sections)}")
            if info & 15 == STT_SECTION and not name and section < len(self.sections):
                text = self.sections[section].name
            else:
                text = self.string(names, name)
            found.append(Symbol(text, value, size, info & 15, section))
        return found

    def relocations(self, section: ElfSection) -> Iterator[Relocation]:
        """Yields the relocations that apply to a section."""
        for table in self.sections:
            if table.type == SHT_REL and table.info == section.number:
                for offset, info in struct.iter_unpack(self.order + "QQ", self.bytes_of(table)):
                    yield Relocation(offset, info >> 32)


def require_bpf_object(content: bytes, where: str) -> None:
    """Raises ObjectError unless the content is a whole BPF object of this machine's byte order."""
    elf = Elf(content, where)
    if elf.little != (sys.byteorder == "little"):
        order, target = "little" if elf.little else "big", "bpfel" if sys.byteorder == "little" else "bpfeb"
        elf.fail(f"is {order}-endian, this machine is not", f"compile it with -target {target}, or take this arch's")
    elf.symbols()
