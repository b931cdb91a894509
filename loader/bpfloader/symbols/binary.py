"""Reads functions and static probes of user-space binaries, to explain refused attaches and to name addresses.

Unlike elf.py, it reads 32 and 64 bits (System V gABI, chapter 4), and checks only the parts that it needs.
"""

from __future__ import annotations

import operator
import os
import struct
import sys
from array import array
from collections.abc import Container, Iterator
from typing import BinaryIO, NamedTuple

from ..elf import SHT_DYNSYM, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC

SYMBOL_TABLES = (SHT_SYMTAB, SHT_DYNSYM)
STAPSDT_NOTE = 3  # the type of a static probe's note (systemtap's sys/sdt.h)
NT_GNU_BUILD_ID, MAX_BUILD_ID = 3, 64  # elf.h; bytes: 20 for sha1, 16 for md5, 8 for a fast hash
PT_LOAD, PF_X = 1, 1  # elf.h
MAX_ADDRESS = 2**64 - 1
MAX_NOTE = 8192  # bytes of a section with one note or one name
MAX_TABLE = 1 << 26  # the most bytes of a table worth reading for a message


class SectionHeader(NamedTuple):
    """A section header (elf.h, Elf64_Shdr); `name` is an offset in the table of section names."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class FunctionNames(NamedTuple):
    """The names in a binary's symbol tables: functions, indirect functions (STT_GNU_IFUNC), and imported ones."""

    functions: set[str]
    indirect: set[str]
    imported: set[str]


class FunctionSymbol(NamedTuple):
    """A function's symbol; `kind` is STT_FUNC or STT_GNU_IFUNC, `defined` False for an imported function."""

    name: str
    kind: int
    defined: bool
    address: int
    size: int


class SymbolTable(NamedTuple):
    """A symbol table: the bytes of its rows and of its names; `dynamic` for .dynsym."""

    rows: bytes
    texts: bytes
    dynamic: bool


class SymbolRow(NamedTuple):
    """A row of a symbol table (elf.h, Elf64_Sym); `name` is an offset in the table's names."""

    number: int
    name: int
    kind: int
    binding: int
    section: int
    address: int
    size: int


class Segment(NamedTuple):
    """A part of a file that is mapped as code (PT_LOAD): its offset and size in bytes, and its address."""

    offset: int
    size: int
    address: int


class DebugLink(NamedTuple):
    """The file that .gnu_debuglink names, without a folder, and its CRC-32."""

    name: str
    crc: int


class Binary:
    """An open ELF file. Raises ValueError for a file of another kind, or a broken one; OSError."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, file.seek(0, os.SEEK_END)
        self.debugs: Binary | None = None  # of a debug file: the binary of which it has the symbols, and not the code
        file.seek(0)
        head = file.read(64)
        if (
            len(head) < (64 if head[4:5] == b"\2" else 52)
            or head[:4] != b"\x7fELF"
            or head[4] not in (1, 2)
            or head[5] not in (1, 2)
        ):
            raise ValueError("no ELF file")
        self.order, self.wide = "<>"[head[5] - 1], head[4] == 2
        (self.machine,) = struct.unpack_from(self.order + "H", head, 18)  # e_machine, such as EM_ARM
        start = self._unpack("Q", head, 40) if self.wide else self._unpack("I", head, 32)
        self._segments_at = self._unpack("Q", head, 32) if self.wide else self._unpack("I", head, 28)
        self._segment_size, self._segment_count = struct.unpack_from(self.order + "HH", head, 54 if self.wide else 42)
        entry, count, self.names = struct.unpack_from(self.order + "HHH", head, 58 if self.wide else 46)
        row = struct.Struct(self.order + ("IIQQQQIIQQ" if self.wide else "10I"))
        if count and entry != row.size:
            raise ValueError("broken section headers")
        self._row = struct.Struct(self.order + ("IBBHQQ" if self.wide else "IIIBBH"))
        self.headers = [SectionHeader(*fields) for fields in row.iter_unpack(self._bytes(start, count * entry))]

    def _unpack(self, code: str, data: bytes, offset: int) -> int:
        (number,) = struct.unpack_from(self.order + code, data, offset)
        return int(number)

    def _bytes(self, offset: int, size: int) -> bytes:
        if size > MAX_TABLE or offset + size > self.size:
            raise ValueError("a table that is too large, or beyond the file's end")
        self.file.seek(offset)
        return self.file.read(size)

    def section_bytes(self, number: int) -> bytes:
        """Returns the bytes of a section by its number. Raises ValueError for one that isn't there, or too large."""
        if number >= len(self.headers):
            raise ValueError("no such section")
        return self._bytes(self.headers[number].offset, self.headers[number].size)

    def symbols(self) -> FunctionNames:
        """Returns the names of functions in all symbol tables."""
        found = FunctionNames(set(), set(), set())
        for function in self._functions():
            defined = found.functions if function.kind == STT_FUNC else found.indirect
            (defined if function.defined else found.imported).add(function.name)
        return found

    def functions(self) -> Iterator[FunctionSymbol]:
        """Yields the functions in this file, aliases too."""
        return (function for function in self._functions() if function.defined and function.size)

    def segments(self) -> list[Segment]:
        """Returns the parts that are mapped as code, which a file without section headers has as well."""
        row = struct.Struct(self.order + ("IIQQQQQQ" if self.wide else "IIIIIIII"))
        if self._segment_count and self._segment_size != row.size:
            raise ValueError("broken program headers")
        found = []
        for fields in row.iter_unpack(self._bytes(self._segments_at, self._segment_count * row.size)):
            kind, flags, offset, address, size = (
                fields[index] for index in ((0, 1, 2, 3, 5) if self.wide else (0, 6, 1, 2, 4))
            )
            if kind == PT_LOAD and flags & PF_X:
                found.append(Segment(offset, size, address))
        return found

    def section_named(self, name: str, most: int = MAX_TABLE) -> bytes:
        """Returns the bytes of a section; none without it, or for one in a file of its own (SHT_NOBITS)."""
        if self.names >= len(self.headers):
            return b""
        texts = self.section_bytes(self.names)
        for header in self.headers:
            if header.type not in (SHT_NOBITS, SHT_NULL) and string_at(texts, header.name) == name:
                return self._bytes(header.offset, header.size) if header.size <= most else b""
        return b""

    def build_id(self) -> bytes:
        """Returns the build id (the note NT_GNU_BUILD_ID); none for a file without one, or of an odd length."""
        data = self.section_named(".note.gnu.build-id", MAX_NOTE)
        if len(data) < 16:
            return b""
        owner, length, kind = struct.unpack_from(self.order + "III", data)
        found = data[16 : 16 + length]
        fits = kind == NT_GNU_BUILD_ID and owner == 4 and data[12:16] == b"GNU\0" and len(found) == length
        return found if fits and 4 <= length <= MAX_BUILD_ID else b""

    def debug_link(self) -> DebugLink | None:
        """Returns what .gnu_debuglink says: a name, a NUL, up to three more, a CRC. None for a name with a folder."""
        data = self.section_named(".gnu_debuglink", MAX_NOTE)
        name = data[: max(0, data.find(b"\0"))].decode("utf-8", "surrogateescape")
        place = (len(os.fsencode(name)) + 4) & ~3
        if not name or "/" in name or name in (".", "..") or place + 4 > len(data):
            return None
        return DebugLink(name, self._unpack("I", data, place))

    def has_whole_table(self) -> bool:
        """Returns True if the file has the table of all its symbols, which strip takes away."""
        return any(header.type == SHT_SYMTAB for header in self.headers)

    def tables(self) -> Iterator[SymbolTable]:
        """Yields the symbol tables, the one of the whole file and the dynamic one, where it has them."""
        for number, header in enumerate(self.headers):
            if header.type in SYMBOL_TABLES and header.entry_size == self._row.size:
                rows = self.section_bytes(number)
                rows = rows[: len(rows) // self._row.size * self._row.size]
                yield SymbolTable(rows, self.section_bytes(header.link), header.type == SHT_DYNSYM)

    def rows_named(self, table: SymbolTable, names: Container[int]) -> Iterator[SymbolRow]:
        """Yields the functions of a table whose names are at one of these offsets."""
        words = array("I")  # of 4 bytes on each arch; the name is a row's first word
        words.frombytes(table.rows)
        if self.order != "<>"[sys.byteorder == "big"]:
            words.byteswap()
        for index, name in enumerate(words[:: self._row.size // 4]):
            if name in names:
                row = self._symbol_row(index, self._row.unpack_from(table.rows, index * self._row.size))
                if row.kind in (STT_FUNC, STT_GNU_IFUNC):
                    yield row

    def _symbol_row(self, index: int, fields: tuple[int, ...]) -> SymbolRow:
        name, info, section, value = (0, 1, 3, 4) if self.wide else (0, 3, 5, 1)
        kind, binding = fields[info] & 15, fields[info] >> 4
        return SymbolRow(index, fields[name], kind, binding, fields[section], fields[value], fields[value + 1])

    def file_offset(self, row: SymbolRow) -> int | None:
        """Returns where in the file a function begins; None for one that isn't in a section of code with bytes.

        Of a debug file, where it begins in the file that this is of.
        """
        if self.debugs:
            return self.debugs.offset_of(row.address) if row.section else None
        if not 0 < row.section < len(self.headers) or self.headers[row.section].type != SHT_PROGBITS:
            return None
        header = self.headers[row.section]
        offset = row.address - header.address
        return header.offset + offset if 0 <= offset < header.size else None

    def offset_of(self, address: int) -> int | None:
        """Returns where in the file the code at an address lies; None for what isn't mapped as code."""
        for each in self.segments():
            if each.address <= address < each.address + each.size:
                return each.offset + address - each.address
        return None

    def function_rows(self, table: SymbolTable) -> Iterator[tuple[int, int, int]]:
        """Yields the functions of a table as (address, end, place of the name), those without a size left out."""
        order = (4, 5, 0, 1, 3) if self.wide else (1, 2, 0, 3, 5)
        columns = operator.itemgetter(*order)
        for address, size, name, info, section in map(columns, self._row.iter_unpack(table.rows)):
            if section and size and info & 15 in (STT_FUNC, STT_GNU_IFUNC):
                yield address, min(address + size, MAX_ADDRESS), name

    def section_of_type(self, kind: int) -> tuple[SectionHeader, bytes] | None:
        """Returns the first section of a type and its bytes; None without one."""
        for number, header in enumerate(self.headers):
            if header.type == kind:
                return header, self.section_bytes(number)
        return None

    def _functions(self) -> Iterator[FunctionSymbol]:
        for table in self.tables():
            for index, fields in enumerate(self._row.iter_unpack(table.rows)):
                row = self._symbol_row(index, fields)
                if row.kind in (STT_FUNC, STT_GNU_IFUNC):
                    text = string_at(table.texts, row.name).split("@")[0]
                    yield FunctionSymbol(text, row.kind, bool(row.section), row.address, row.size)

    def probes(self) -> set[str]:
        """Returns the static probes as `provider:name`, from the notes of .note.stapsdt."""
        if self.names >= len(self.headers):
            return set()
        texts, found = self.section_bytes(self.names), set()
        for number, header in enumerate(self.headers):
            if header.type == SHT_NOTE and string_at(texts, header.name) == ".note.stapsdt":
                found |= set(self._notes(self.section_bytes(number)))
        return found

    def _notes(self, data: bytes) -> Iterator[str]:
        """Yields the probes of a section of notes: three words of sizes and type, owner, three addresses, the names."""
        place, addresses = 0, 24 if self.wide else 12
        while place + 12 <= len(data):
            owner, length, kind = struct.unpack_from(self.order + "III", data, place)
            start = place + 12 + (owner + 3 & ~3)
            place = start + (length + 3 & ~3)
            texts = data[start + addresses : start + length].split(b"\0")
            if kind == STAPSDT_NOTE and len(texts) > 1:
                yield b":".join(texts[:2]).decode("utf-8", "replace")


def string_at(table: bytes, offset: int) -> str:
    """Returns the name at an offset of a table of names; bytes that are no UTF-8 are replaced."""
    return table[offset : table.find(b"\0", offset)].decode("utf-8", "replace")


def search_path(library: bool) -> list[str]:
    """Returns libbpf's search path for libraries or programs named without a slash (resolve_full_path in libbpf.c)."""
    if not library:
        return [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/sbin"]
    multiarch = sorted(name for name in _listed("/usr/lib") if "-linux-" in name)
    return [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), "/usr/lib64", "/usr/lib",
            *(f"/usr/lib/{name}" for name in multiarch)]  # fmt: skip


def is_library(name: str) -> bool:
    """Returns True if libbpf considers a name a library's."""
    return name.endswith(".so") or ".so." in name


def find_binary(binary: str) -> str:
    """Returns the path that libbpf finds for a binary's name: the name itself if it has a slash, empty for none."""
    if "/" in binary:
        return binary
    paths = (os.path.join(folder, binary) for folder in search_path(is_library(binary)) if folder)
    return next(filter(os.path.exists, paths), "")


def installed_names(binary: str) -> list[str]:
    """Returns the names of all libraries, or all programs, on the search path of a missing one."""
    library = is_library(binary)
    return sorted({name for folder in search_path(library) if folder for name in _listed(folder)
                   if is_library(name) == library})  # fmt: skip


def find_libraries(stem: str) -> list[str]:
    """Returns the libraries of a name as the linker's -l and bcc spell it: `c` is libc.so.6."""
    return [name for name in installed_names("lib.so") if name.startswith(f"lib{stem}.so.")]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
