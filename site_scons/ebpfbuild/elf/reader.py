"""Reads relocatable BPF ELF64 objects of either byte order.

The format is the System V gABI's chapter 4 (elf.h spells the constants); the machine and its relocation types are
the kernel's Documentation/bpf/llvm_reloc.rst. Only what clang emits for `-target bpf` is read: ET_REL, one symbol
table, SHT_REL relocations without addends.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, NoReturn

from ..errors import ElfError
from .sections import EM_BPF

INSN_SIZE = 8  # bytes of an instruction, struct bpf_insn of the kernel's uapi/linux/bpf.h
LD_IMM64 = 0x18  # the opcode BPF_LD | BPF_IMM | BPF_DW, whose immediate takes two instructions
ET_REL = 1
EHDR_SIZE, SHDR_SIZE, SYM_SIZE, REL_SIZE = 64, 64, 24, 16
EHDR, SHDR, SYM, REL = "16sHHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ", "QQ"

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 1, 2, 3, 4, 8, 9
SHT_GROUP, SHT_SYMTAB_SHNDX, SHT_LLVM_ADDRSIG = 17, 18, 0x6FFF4C03
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK = 1, 2, 4, 0x40
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
STV_INTERNAL, STV_HIDDEN = 1, 2
R_BPF_NONE, R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_ABS32, R_BPF_64_NODYLD32, R_BPF_64_32 = 0, 1, 2, 3, 4, 10

MAX_ALIGN = 1 << 16  # the largest page of any arch
MAX_NAME = 4096  # a name without an end may not make each look-up scan the whole file; the kernel takes 511 bytes


class Symbol(NamedTuple):
    """A row of the symbol table; `section` is a section's index or an SHN_ constant."""

    name: str
    value: int
    size: int
    type: int
    bind: int
    other: int
    section: int

    @property
    def visibility(self) -> int:
        """STV_INTERNAL, STV_HIDDEN or another one of the ELF specification's."""
        return self.other & 3


class Relocation(NamedTuple):
    """A row of a SHT_REL section: the place in the section it applies to, the symbol's index, the R_BPF_ type."""

    offset: int
    symbol: int
    type: int


@dataclass(frozen=True)
class Section:
    """A section header with its name; `data` are its bytes (none for SHT_NOBITS, whose `size` still counts)."""

    index: int
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int
    data: bytes


def name_at(table: bytes, offset: int, fail: Callable[[str], NoReturn]) -> str:
    """Returns the NUL-terminated name at an offset of a string table.

    Calls `fail` for one out of bounds or without an end.
    """
    if offset >= len(table):
        if offset == 0:
            return ""
        fail(f"a name lies at {offset}, past the string table's {len(table)} bytes")
    end = table.find(0, offset, offset + MAX_NAME)
    if end < 0:
        fail(f"the name at {offset} of the string table has no end within {MAX_NAME} bytes")
    try:
        return table[offset:end].decode()
    except UnicodeDecodeError:
        fail(f"the name at {offset} of the string table is no UTF-8")


@dataclass(frozen=True)
class Elf:
    """A parsed object: byte order, ELF flags, sections and symbols by index; `shstrndx` is the section names' index."""

    where: str
    little: bool
    flags: int
    shstrndx: int
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]

    @classmethod
    def parse(cls, data: bytes, where: str = "") -> "Elf":
        """Returns the object in `data`. `where` names it in errors.

        Raises ElfError for anything malformed or not BPF.
        """
        return _Reader(bytes(data), where).read()

    @property
    def order(self) -> str:
        """The byte order as the struct module spells it: `<` or `>`."""
        return "<" if self.little else ">"

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    @property
    def loaded(self) -> bool:
        """True if any section holds code or data."""
        return any(section.flags & SHF_ALLOC and section.size for section in self.sections)

    def section(self, name: str) -> Section | None:
        """Reads a section, and checks its links and entry sizes."""
        return self._by_name.get(name)

    @cached_property
    def _relocation_sections(self) -> dict[int, list[Section]]:
        found: dict[int, list[Section]] = {}
        for section in self.sections:
            if section.type == SHT_REL:
                found.setdefault(section.info, []).append(section)
        return found

    def relocations(self, section: Section) -> tuple[Relocation, ...]:
        """Returns the relocations that apply to a section, by offset. Raises ElfError for one outside of it."""
        found = [row for table in self._relocation_sections.get(section.index, ()) for row in self.rows(table)]
        for row in found:
            if row.offset >= section.size:
                raise ElfError(f"a relocation at {row.offset} lies outside section {section.name}", where=self.where)
        return tuple(sorted(found))

    def rows(self, table: Section) -> Iterator[Relocation]:
        """Yields the rows of a SHT_REL section in file order. Raises ElfError for a symbol that isn't there."""
        self.symbols_used(table)
        words = self.relocation_words(table)
        for offset, info in zip(words[::2], words[1::2]):
            yield Relocation(offset, info >> 32, info & 0xFFFFFFFF)

    def relocation_words(self, table: Section) -> list[int]:
        """Returns the rows of a SHT_REL section as they stand, two words each.

        They are an offset, and a symbol's number << 32 | a type.
        """
        return list(struct.unpack(f"{self.order}{len(table.data) // 8}Q", table.data))

    def symbols_used(self, table: Section) -> set[int]:
        """Returns the numbers of the symbols that a SHT_REL section names. Raises ElfError for one that isn't there."""
        used = {info >> 32 for info in self.relocation_words(table)[1::2]}
        if used and max(used) >= len(self.symbols):
            raise ElfError(f"section {table.name} names symbol {max(used)} of {len(self.symbols)}", where=self.where)
        return used

    def symbols_in(self, section: Section) -> list[Symbol]:
        """Returns the symbols defined in a section, in the table's order."""
        return self._symbols_by_section.get(section.index, [])

    @cached_property
    def undefined(self) -> tuple[str, ...]:
        """The names that another object or the kernel defines, in the table's order. Source: libbpf's sym_is_extern."""
        found = (row for row in self.symbols if row.section == SHN_UNDEF and row.bind != STB_LOCAL)
        return tuple(row.name for row in found if row.type == STT_NOTYPE and row.name)

    @cached_property
    def _symbols_by_section(self) -> dict[int, list[Symbol]]:
        found: dict[int, list[Symbol]] = {}
        for symbol in self.symbols:
            found.setdefault(symbol.section, []).append(symbol)
        return found


class _FileHeader(NamedTuple):
    """The used fields of the ELF header; `shoff`, `shnum` and `shstrndx` are elf.h's names."""

    order: str
    shoff: int
    flags: int
    shnum: int
    shstrndx: int


class _SectionHeader(NamedTuple):
    """A section header as it stands in the file: Elf64_Shdr of elf.h."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


@dataclass(frozen=True)
class _Reader:
    data: bytes
    where: str

    def fail(self, what: str) -> NoReturn:
        """Raises ElfError."""
        raise ElfError(what, where=self.where, fix="take an object that clang -target bpf wrote")

    def read(self) -> Elf:
        """Returns the whole object, checked."""
        file = self.header()
        headers = self.section_headers(file)
        names = self.bytes_of(headers[file.shstrndx])
        sections = tuple(self.section(i, header, names, file.shnum) for i, header in enumerate(headers))
        return Elf(
            self.where, file.order == "<", file.flags, file.shstrndx, sections, self.symbols(file.order, sections)
        )

    def header(self) -> _FileHeader:
        """Reads the ELF header. Raises ElfError for one of no BPF object."""
        if len(self.data) < EHDR_SIZE or self.data[:4] != b"\x7fELF":
            self.fail("is no ELF file")
        if self.data[4] != 2 or self.data[5] not in (1, 2) or self.data[6] != 1:
            self.fail("is no 64-bit ELF file of a known byte order")
        order = "<" if self.data[5] == 1 else ">"
        header = struct.unpack_from(order + EHDR, self.data)
        kind, machine, _, _, _, shoff, flags, _, _, _, shentsize, shnum, shstrndx = header[1:]
        if machine != EM_BPF or kind != ET_REL:
            self.fail(f"is ELF type {kind} for machine {machine}, not a relocatable object for BPF (machine {EM_BPF})")
        if shentsize != SHDR_SIZE or not 0 < shnum < SHN_LORESERVE or shstrndx >= shnum:
            self.fail(f"has {shnum} section headers of {shentsize} bytes, names in number {shstrndx}")
        if shoff + shnum * SHDR_SIZE > len(self.data):
            self.fail("is cut short: its section headers end after the file")
        return _FileHeader(order, shoff, flags, shnum, shstrndx)

    def section_headers(self, file: _FileHeader) -> list[_SectionHeader]:
        """Reads the section headers. Raises ElfError where sections lie outside of the file, or overlap."""
        table = self.data[file.shoff : file.shoff + file.shnum * SHDR_SIZE]
        headers = [_SectionHeader(*row) for row in struct.iter_unpack(file.order + SHDR, table)]
        used = 0
        for index, header in enumerate(headers):
            if header.type in (SHT_NULL, SHT_NOBITS):
                continue
            used += header.size
            if header.offset + header.size > len(self.data):
                self.fail(f"is cut short: section {index} ends after the file")
        if used > len(self.data):
            self.fail("has sections that overlap")
        return headers

    def bytes_of(self, header: _SectionHeader) -> bytes:
        """Returns the bytes of the section that a header describes."""
        return b"" if header.type in (SHT_NULL, SHT_NOBITS) else self.data[header.offset : header.offset + header.size]

    def section(self, index: int, header: _SectionHeader, names: bytes, count: int) -> Section:
        """Reads a section, and checks its links and entry sizes."""
        name_offset, kind, flags, _, offset, size, link, info, align, entsize = header
        name = name_at(names, name_offset, self.fail)
        if kind in (SHT_RELA, SHT_SYMTAB_SHNDX):
            self.fail(f"has section {name} of type {kind}, which clang does not emit for BPF")
        expected = {SHT_SYMTAB: SYM_SIZE, SHT_REL: REL_SIZE}.get(kind)
        if expected and (entsize != expected or size % expected):
            self.fail(f"has section {name} of {size} bytes in entries of {entsize}, not {expected}")
        if align & align - 1 or align > MAX_ALIGN:
            self.fail(f"has section {name} aligned to {align}")
        if link >= count or (kind == SHT_REL and info >= count):
            self.fail(f"has section {name} that refers to section {max(link, info)} of {count}")
        return Section(index, name, kind, flags, offset, size, link, info, align, entsize, self.bytes_of(header))

    def symbols(self, order: str, sections: tuple[Section, ...]) -> tuple[Symbol, ...]:
        """Returns the symbol table's rows, or none where there is no table."""
        tables = [section for section in sections if section.type == SHT_SYMTAB]
        if len(tables) > 1:
            self.fail("has more than one symbol table")
        found = []
        for table in tables:
            names = sections[table.link].data
            for name, info, other, shndx, value, size in struct.iter_unpack(order + SYM, table.data):
                if len(sections) <= shndx < SHN_LORESERVE:
                    self.fail(f"has a symbol in section {shndx} of {len(sections)}")
                text = name_at(names, name, self.fail)
                found.append(Symbol(text, value, size, info & 15, info >> 4, other, shndx))
        return tuple(found)
