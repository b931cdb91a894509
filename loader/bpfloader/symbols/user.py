"""Names functions in processes by /proc/<pid>/maps and the symbol tables of the mapped files."""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from ..files import open_file
from .binary import Binary, CodeSection
from .process import open_in_root, path_in_root, process_root, read_descriptor

MAX_CACHED_FILES = 32  # the most files whose symbols are cached


class Region(NamedTuple):
    """A mapped part of a file (proc_pid_maps(5)): start and end address, offset in the file, the file's path."""

    start: int
    end: int
    offset: int
    path: str


class FileSymbols(NamedTuple):
    """A file's functions, sorted by address, and the sections that map offsets in the file to addresses."""

    starts: list[int]
    ends: list[int]
    names: list[str]
    sections: list[CodeSection]


class FunctionOffset(NamedTuple):
    """A place in a function: the function's name, and the offset from its start in bytes."""

    name: str
    offset: int


_CACHE: dict[tuple[int, ...], FileSymbols] = {}  # by device, inode, time and size


def user_symbol(address: int, pid: int, *, offset: bool = True) -> str:
    """Names an address in a process: `function+0xoffset [libc.so.6]`, or without the offset.

    Returns `0x7f… [libc.so.6]` if the file has no function there, the number alone if no file is mapped there, or the
    process has ended or is hidden from this user. Names of C++ and Rust stay mangled.
    """
    return user_symbols((address,), pid, offset=offset)[0]


def user_symbols(addresses: Iterable[int], pid: int, *, offset: bool = True) -> tuple[str, ...]:
    """Names several addresses, as user_symbol, with one look at the process."""
    regions = regions_of(pid)
    starts = [region.start for region in regions]
    return tuple(_symbol_name(regions, starts, address, pid, offset) for address in addresses)


def regions_of(pid: int) -> list[Region]:
    """Returns what a process has mapped, by address; nothing for one that has ended or is hidden."""
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


def _symbol_name(regions: list[Region], starts: list[int], address: int, pid: int, offset: bool) -> str:
    place = bisect_right(starts, address) - 1
    if place < 0 or address >= regions[place].end or not regions[place].path:
        return f"{address:#x}"
    region = regions[place]
    name = (
        os.path.basename(region.path.removesuffix(" (deleted)")) if region.path[0] == "/" else region.path.strip("[]")
    )
    symbols = _symbols_of(region, pid) if region.path[0] == "/" else None
    found = symbols and _function_at(symbols, address - region.start + region.offset)
    if not found:
        return f"{address:#x} [{name}]"
    return f"{found.name}+{found.offset:#x} [{name}]" if offset else f"{found.name} [{name}]"


def _function_at(symbols: FileSymbols, place: int) -> FunctionOffset | None:
    """Returns the function at an offset of the file; None if there is none."""
    for offset, size, start in symbols.sections:
        if offset <= place < offset + size:
            address = place - offset + start
            number = bisect_right(symbols.starts, address) - 1
            if number >= 0 and address < symbols.ends[number]:
                return FunctionOffset(symbols.names[number], address - symbols.starts[number])
    return None


def _symbols_of(region: Region, pid: int) -> FileSymbols | None:
    """Returns the functions of a mapped file; None for a file that can't be read or is no ELF file.

    map_files finds a deleted or replaced file, but needs CAP_CHECKPOINT_RESTORE. The process's root finds a file of its
    container; no symlink there leads out of it.
    """
    for opened in (_open_mapped, _open_below_root):
        try:
            with opened(region, pid) as file:
                return _read(file)
        except (OSError, ValueError, struct.error):
            continue
    return None


def _open_mapped(region: Region, pid: int) -> BinaryIO:
    return open_file(f"/proc/{pid}/map_files/{region.start:x}-{region.end:x}")


def _open_below_root(region: Region, pid: int) -> BinaryIO:
    with process_root(pid) as root:
        fd = open_in_root(root, path_in_root(pid, region.path))
        try:
            return read_descriptor(fd)
        finally:
            os.close(fd)


def _read(file: BinaryIO) -> FileSymbols:
    """Reads a file's functions, or returns the cached ones. Raises OSError, ValueError, struct.error."""
    facts = os.fstat(file.fileno())
    identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    if (known := _CACHE.get(identity)) is not None:
        return known
    binary = Binary(file)
    best: dict[int, tuple[bool, str, int]] = {}  # by address; of several names, one without an underscore
    for function in binary.functions():
        found = (function.name.startswith("_"), function.name, function.size)
        best[function.address] = min(best.get(function.address, found), found)
    starts = sorted(best)
    ends = [start + best[start][2] for start in starts]
    symbols = FileSymbols(starts, ends, [best[start][1] for start in starts], binary.code_sections())
    while len(_CACHE) >= MAX_CACHED_FILES:
        _CACHE.pop(next(iter(_CACHE)), None)
    _CACHE[identity] = symbols
    return symbols
