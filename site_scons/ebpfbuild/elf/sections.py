"""Finds sections in ELF files of any machine, class and byte order: kernels, modules, objects.

Formats: the System V gABI's chapter 4, whose names elf.h spells. Nothing but the section table is read, so a vmlinux
with a gigabyte of DWARF opens at once when it is mapped.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from ..errors import ElfError

ELF_MAGIC = b"\x7fELF"
EM_BPF = 247  # e_machine of BPF objects
SHT_NOBITS, SHF_COMPRESSED = 8, 0x800
MAX_SECTIONS = 1 << 20  # a module of -ffunction-sections has some ten thousand
MAX_NAMES = 16 << 20  # bytes of the table of their names


class SectionPlace(NamedTuple):
    """A section's place in the file, in bytes."""

    offset: int
    size: int


class SectionTable(NamedTuple):
    """The sections by name, the first one of each; e_machine, the byte order and a pointer's size in bytes."""

    sections: dict[str, SectionPlace]
    machine: int
    little: bool
    pointer: int


def read_sections(data: bytes, where: str = "") -> SectionTable:
    """Returns the table of an ELF file's sections. Raises ElfError with the offset of what is wrong."""

    def fail(what: str) -> NoReturn:
        raise ElfError(what, where=where)

    if len(data) < 52 or data[:4] != ELF_MAGIC:
        fail("is no ELF file")
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        fail("is no ELF file of a known class and byte order, at byte 4")
    order, wide = "<" if data[5] == 1 else ">", data[4] == 2
    if wide and len(data) < 64:
        fail(f"is cut short in its header, at byte {len(data)}")
    (machine,) = struct.unpack_from(order + "H", data, 18)
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
    size, count, names = struct.unpack_from(order + "HHH", data, 58 if wide else 46)
    row = struct.Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
    sections: dict[str, SectionPlace] = {}
    found = SectionTable(sections, machine, order == "<", 8 if wide else 4)
    if not table:
        return found
    if size != row.size or table + row.size > len(data):
        fail(f"has section headers of {size} bytes at byte {table}, which it doesn't hold")
    first = row.unpack_from(data, table)
    count, names = count or first[5], first[6] if names == 0xFFFF else names
    if not 0 < count <= MAX_SECTIONS or table + count * row.size > len(data) or names >= count:
        fail(f"has {count} section headers at byte {table}, which end after it")
    headers = [row.unpack_from(data, table + number * row.size) for number in range(count)]
    strings = _names(data, headers[names], fail)
    for number, (name, kind, flags, _addr, offset, length, *_rest) in enumerate(headers):
        if kind == SHT_NOBITS or not number:
            continue
        if flags & SHF_COMPRESSED or offset + length > len(data):
            continue  # compressed debug information isn't BTF; what is cut off is told by who asks for it
        end = strings.find(0, name)
        text = strings[name : end if end >= 0 else None].decode("utf-8", "backslashreplace")
        sections.setdefault(text, SectionPlace(offset, length))
    return found


def _names(data: bytes, header: tuple[int, ...], fail: Callable[[str], NoReturn]) -> bytes:
    offset, size = header[4], header[5]
    if size > MAX_NAMES or offset + size > len(data):
        fail(f"has its sections' names at byte {offset}, which end after it")
    return bytes(data[offset : offset + size])
