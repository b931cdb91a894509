"""Reads the versions of a library's dynamic symbols (Linux Standard Base, "Symbol Versioning"; structs: elf.h)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .binary import Binary, string_at

SHT_GNU_VERDEF, SHT_GNU_VERSYM = 0x6FFFFFFD, 0x6FFFFFFF
HIDDEN, VERSION_MASK = 0x8000, 0x7FFF  # of a symbol's word in .gnu.version: not the default one; the version's number
GLOBAL = 1  # this number and 0 stand for no version


class SymbolVersion(NamedTuple):
    """A symbol's version, empty for none; `default` for the one that a program gets as it is linked: name@@VERSION."""

    name: str
    default: bool


class SymbolVersions:
    """The versions of the dynamic symbols of a file, by their index. Raises ValueError, OSError."""

    def __init__(self, binary: Binary):
        self._names = _defined(binary)
        found = binary.section_of_type(SHT_GNU_VERSYM)
        self._words, self._word = found[1] if found else b"", struct.Struct(f"{binary.order}H")

    def of(self, index: int) -> SymbolVersion:
        """Returns the version of a symbol by its index in .dynsym."""
        (word,) = self._word.unpack_from(self._words, 2 * index) if 2 * index + 2 <= len(self._words) else (GLOBAL,)
        number = word & VERSION_MASK
        if number <= GLOBAL:
            return SymbolVersion("", not word & HIDDEN)
        return SymbolVersion(self._names.get(number, str(number)), not word & HIDDEN)


def _defined(binary: Binary) -> dict[int, str]:
    """Returns the names of the versions that a file defines, by number (struct Verdef, Verdaux)."""
    found = binary.section_of_type(SHT_GNU_VERDEF)
    if not found:
        return {}
    (header, data), names, place = found, {}, 0
    texts = binary.section_bytes(header.link)
    for _ in range(VERSION_MASK):
        if place + 20 > len(data):
            break
        _, _, number, count, _, auxiliary, following = struct.unpack_from(binary.order + "HHHHIII", data, place)
        if count and place + auxiliary + 4 <= len(data):
            (name,) = struct.unpack_from(binary.order + "I", data, place + auxiliary)
            names[number & VERSION_MASK] = string_at(texts, name)
        if not following:
            break
        place += following
    return names
