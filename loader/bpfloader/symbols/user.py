"""The names of functions in processes, by /proc/<pid>/maps and the symbol tables of the files mapped there."""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from ..files import open_file
from .binary import Binary

FILES = 32  # whose symbols are kept


class Region(NamedTuple):
    """A part of a file in a process's memory (proc_pid_maps(5)): addresses, the place in the file, the file's name."""

    start: int
    end: int
    offset: int
    path: str


class Symbols(NamedTuple):
    """The functions of a file by address, and which addresses its bytes get: (offset, size, address) by section."""

    starts: list[int]
    ends: list[int]
    names: list[str]
    sections: list[tuple[int, int, int]]


_KEPT: dict[tuple[int, ...], Symbols] = {}  # by device, inode, time and size


def user_symbol(address: int, pid: int, *, offset: bool = True) -> str:
    """An address in a process as `function+0xoffset [libc.so.6]`, or without the offset.

    `0x7f… [libc.so.6]` where that file names no function there, the number alone where no file is, the process has
    ended or isn't this user's to see. Names are as the file has them: those of C++ and Rust are mangled.
    """
    return user_symbols((address,), pid, offset=offset)[0]


def user_symbols(addresses: Iterable[int], pid: int, *, offset: bool = True) -> tuple[str, ...]:
    """The same of several addresses, the process looked at once."""
    regions = _regions(pid)
    starts = [region.start for region in regions]
    return tuple(_named(regions, starts, address, pid, offset) for address in addresses)


def _regions(pid: int) -> list[Region]:
    """What is mapped, by address; nothing of a process that has ended or isn't to be seen."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.rstrip("\n").split(None, 5) for line in file]
    except OSError:
        return []
    spans = ((row, row[0].split("-")) for row in rows)
    return [
        Region(int(start, 16), int(end, 16), int(row[2], 16), row[5] if len(row) > 5 else "")
        for row, (start, end) in spans
    ]


def _named(regions: list[Region], starts: list[int], address: int, pid: int, offset: bool) -> str:
    place = bisect_right(starts, address) - 1
    if place < 0 or address >= regions[place].end or not regions[place].path:
        return f"{address:#x}"
    region = regions[place]
    name = (
        os.path.basename(region.path.removesuffix(" (deleted)")) if region.path[0] == "/" else region.path.strip("[]")
    )
    symbols = _symbols_of(region, pid) if region.path[0] == "/" else None
    found = symbols and _function(symbols, address - region.start + region.offset)
    if not found:
        return f"{address:#x} [{name}]"
    return f"{found[0]}+{found[1]:#x} [{name}]" if offset else f"{found[0]} [{name}]"


def _function(symbols: Symbols, place: int) -> tuple[str, int] | None:
    """The function at a byte of the file, and how far behind its start."""
    for offset, size, start in symbols.sections:
        if offset <= place < offset + size:
            address = place - offset + start
            number = bisect_right(symbols.starts, address) - 1
            if number >= 0 and address < symbols.ends[number]:
                return symbols.names[number], address - symbols.starts[number]
    return None


def _symbols_of(region: Region, pid: int) -> Symbols | None:
    """The functions of a mapped file; None where it can't be read or is no ELF file.

    map_files reaches a file that was deleted, or that another file replaced; it takes CAP_CHECKPOINT_RESTORE. The root of
    the process reaches one of its container.
    """
    paths = (f"/proc/{pid}/map_files/{region.start:x}-{region.end:x}", f"/proc/{pid}/root{region.path}")
    for path in paths:
        try:
            return _read(path)
        except (OSError, ValueError, struct.error):
            continue
    return None


def _read(path: str) -> Symbols:
    """The functions of a file, read once whoever maps it. Raises OSError, ValueError, struct.error."""
    with open_file(path) as file:
        facts = os.fstat(file.fileno())
        identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
        if (known := _KEPT.get(identity)) is not None:
            return known
        binary = Binary(file)
        best: dict[int, tuple[bool, str, int]] = {}  # of several names the one that is no alias with an underscore
        for name, start, size in binary.functions():
            found = (name.startswith("_"), name, size)
            best[start] = min(best.get(start, found), found)
        starts = sorted(best)
        ends = [start + best[start][2] for start in starts]
        symbols = Symbols(starts, ends, [best[start][1] for start in starts], binary.loaded())
    while len(_KEPT) >= FILES:
        _KEPT.pop(next(iter(_KEPT)), None)
    _KEPT[identity] = symbols
    return symbols
