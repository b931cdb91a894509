"""Reads what a shared library needs at run time: libraries by name, and the versions of glibc's symbols.

Formats: elf.h, and the Linux Standard Base's chapter on symbol versioning (Elfxx_Verneed, Elfxx_Vernaux).
"""

import re
import struct
from typing import NamedTuple

from ..elf.sections import read_sections
from ..errors import BundleError, ElfError

DT_NEEDED = 1
GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
# The libraries that each machine with glibc has, as manylinux's policy allows them.
C_LIBRARY = re.compile(r"lib(?:c|m|dl|pthread|rt)\.so\.\d|ld-linux[\w.-]*\.so\.\d|ld64\.so\.\d")
MAX_ENTRIES = 10_000


class Needs(NamedTuple):
    """The libraries that a library names, and the oldest glibc that has all the symbols which it asks for."""

    libraries: tuple[str, ...]
    glibc: tuple[int, int]


def library_needs(data: bytes, where: str) -> Needs:
    """Returns what a shared library needs. Raises ElfError for one that is damaged or says nothing of it."""
    try:
        return _needs(data, where)
    except (struct.error, ValueError, IndexError) as error:
        raise ElfError(f"is no whole shared library ({error})", where=where) from None


def check_needs(data: bytes, glibc: tuple[int, int], where: str) -> Needs:
    """Returns the needs of a library that is to run with a glibc.

    Raises BundleError where it needs a newer one, or a library that machines may lack; ElfError.
    """
    found = library_needs(data, where)
    fix = "don't ship it; build it again with the pinned sources"
    other = next((name for name in found.libraries if not C_LIBRARY.fullmatch(name)), None)
    if other:
        raise BundleError(f"needs {other}, which no wheel may take for granted", where=where, fix=fix)
    if found.glibc > glibc:
        wanted, said = (".".join(map(str, each)) for each in (found.glibc, glibc))
        raise BundleError(f"needs glibc {wanted}, not {said}", where=where, fix=fix)
    return found


def _needs(data: bytes, where: str) -> Needs:
    table = read_sections(data, where)
    order = "<" if table.little else ">"

    def section(name: str) -> bytes:
        if name not in table.sections:
            raise ElfError(f"has no section {name}", where=where)
        place = table.sections[name]
        return bytes(data[place.offset : place.offset + place.size])

    names = section(".dynstr")

    def text(offset: int) -> str:
        return names[offset : names.index(b"\0", offset)].decode()

    entry = struct.Struct(order + ("QQ" if table.pointer == 8 else "II"))
    dynamic = section(".dynamic")
    entries = entry.iter_unpack(dynamic[: len(dynamic) - len(dynamic) % entry.size])
    libraries = tuple(text(value) for tag, value in entries if tag == DT_NEEDED)
    asked = _versions(section(".gnu.version_r"), order) if ".gnu.version_r" in table.sections else []
    versions = [match for name in asked if (match := GLIBC.fullmatch(text(name)))]
    return Needs(libraries, max(((int(each[1]), int(each[2])) for each in versions), default=(0, 0)))


def _versions(data: bytes, order: str) -> list[int]:
    """Returns the places of the names of all versions that are asked for, in .dynstr."""
    need, version = struct.Struct(order + "HHIII"), struct.Struct(order + "IHHII")
    found: list[int] = []
    at = 0
    while True:
        _, count, _, first, following = need.unpack_from(data, at)
        inside = at + first
        for _ in range(count):
            *_, name, step = version.unpack_from(data, inside)
            found.append(name)
            inside += step
        at += following
        if not following:
            return found
        if len(found) > MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} versions")
