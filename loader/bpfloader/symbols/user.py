"""Names functions in processes: by the tables of the files that they have mapped, and by their perf maps.

What a process had mapped, and its functions that were asked for, are kept when it ends: a profiler reads its stacks
afterwards.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..files import open_file
from .binary import Binary
from .debug_files import Opener, debug_file, mini_debug_info
from .function_table import FunctionOffset, FunctionTable
from .perf_map import PerfMap, read_perf_map
from .process import live_thread, open_in_root, path_in_root, process_root, read_descriptor
from .regions import DELETED, Region, has_memory, parse_regions, read_maps

if TYPE_CHECKING:
    from .debuginfod import Debuginfod

MAX_CACHED_FILES = 512  # the most files whose functions are cached
MAX_CACHED_BYTES = 512 << 20  # the most memory that these take
MAX_PROCESSES = 1024  # the most processes that are remembered
MAX_REMEMBERED = 256  # the most files of one process that `remember` reads
KERNEL_BUILD_ID = 20  # bytes: BPF_BUILD_ID_SIZE of linux/bpf.h

_CACHE: dict[tuple[int | str, ...], FunctionTable] = {}  # by device, inode, time and size, and extras


class Extras(NamedTuple):
    """What a user of UserSymbols asks for: a server of debug files, and inlined functions."""

    server: Debuginfod | None = None
    inlined: bool = False

    def identity(self) -> tuple[int | str, ...]:
        """Returns what tells tables apart that were read with other extras."""
        return (self.server.url if self.server else "", self.inlined)


NO_EXTRAS = Extras()


class _Process:
    """What a process has mapped, or had; `started` is its start time, which tells a reused pid."""

    def __init__(self, started: bytes):
        self.started, self.maps = started, b""
        self.regions: list[Region] = []
        self.starts: list[int] = []
        self.tables: dict[Region, FunctionTable | None] = {}
        self.perf_map: PerfMap | None = None

    def update(self, maps: bytes) -> None:
        """Takes over what the process has mapped now."""
        if maps:
            self.maps, self.regions = maps, parse_regions(maps)
            self.starts = [region.start for region in self.regions]
            self.tables = {region: self.tables[region] for region in self.regions if region in self.tables}

    def region_at(self, address: int) -> Region | None:
        """Returns the part that holds an address; None if nothing is mapped there."""
        place = bisect_right(self.starts, address) - 1
        return self.regions[place] if place >= 0 and address < self.regions[place].end else None


class UserSymbols:
    """Names of functions in processes, which it remembers: those of a process that has ended are still there.

    `user_symbol` and `StackTrace.user_symbols` share one; make your own to forget all of it at once. Several threads
    may use one. `debuginfod` is the https address of a server, which is asked for debug files that aren't here.
    `inlined` adds the functions that the compiler inlined, by DWARF. Raises ValueError for another address,
    LibraryError without pyelftools, which reads DWARF.
    """

    def __init__(self, *, debuginfod: str = "", inlined: bool = False) -> None:
        self._processes: dict[int, _Process] = {}
        self._extras = Extras(inlined=inlined)
        if inlined:
            from .inlined import require_library

            require_library()
        if debuginfod:
            from .debuginfod import Debuginfod

            self._extras = Extras(Debuginfod(debuginfod), inlined)

    def remember(self, pid: int) -> None:
        """Reads all functions of a process now, for names after its end; does nothing for one that isn't there."""
        process = self._look_at(pid)
        files = dict.fromkeys(region for region in process.regions if region.code and region.path.startswith("/"))
        for region in list(files)[:MAX_REMEMBERED]:
            self._table(process, region, pid)
        process.perf_map = read_perf_map(pid, process.perf_map) or process.perf_map

    def symbol(self, address: int, pid: int, *, offset: bool = True) -> str:
        """Names an address in a process: `function+0xoffset [libc.so.6]`, or without the offset.

        Returns `0x7f… [libc.so.6]` if the file has no function there, the number alone if no file is mapped there, or
        the process is hidden from this user, or has ended before it was looked at.
        """
        return self.symbols((address,), pid, offset=offset)[-1]

    def symbols(
        self, addresses: Iterable[int], pid: int, *, offset: bool = True, stack: bool = False
    ) -> tuple[str, ...]:
        """Names several addresses, as `symbol`, with one look at the process.

        `stack`: they are a stack's, the innermost first. All others are return addresses, which after a call at the
        very end of a function lie in the next one.
        """
        process, names, is_fresh = self._look_at(pid), [], False
        for number, address in enumerate(addresses):
            place = address - (stack and number > 0)
            region = process.region_at(place)
            table = self._table(process, region, pid) if region else None
            found = table.at(place - region.start + region.offset) if region and table else None
            file = _file_name(region) if region else ""
            if region and not found:
                if not is_fresh:
                    process.perf_map, is_fresh = read_perf_map(pid, process.perf_map) or process.perf_map, True
                found = process.perf_map.at_address(place) if process.perf_map else None
                file = f"perf-{pid}.map" if found else file
            if region and table:
                inlined = table.inlined_at(place - region.start + region.offset)
                names += [f"{name} [{file}] (inlined)" for name in inlined]
            names.append(_text(address, address - place, found, file, offset))
        return tuple(names)

    def symbols_by_build_id(
        self, frames: Iterable[tuple[bytes | None, int]], pid: int, *, offset: bool = True
    ) -> tuple[str, ...]:
        """Names the frames of a stack, the innermost first, each a file's build id and the offset in that file.

        The files are those that the process has mapped, or had. A frame without a build id has the address instead; one
        of a file that isn't there is shown as `0x1234 [build id 5b1f…]`.
        """
        process, names = self._look_at(pid), list[str]()
        code = [region for region in process.regions if region.code]
        for number, (build_id, at) in enumerate(frames):
            place = at - (number > 0)
            if build_id is None:
                names += self.symbols((at,), pid, offset=offset) if not number else self._returned_to(at, pid, offset)
                continue
            region, table = self._mapped_build(process, code, build_id, pid)
            found = table.at(place) if table else None
            inlined = table.inlined_at(place) if table else []
            file = _file_name(region) if region else f"build id {build_id.hex()}"
            names += [f"{name} [{file}] (inlined)" for name in inlined]
            names.append(_text(at, at - place, found, file, offset))
        return tuple(names)

    def _returned_to(self, address: int, pid: int, offset: bool) -> tuple[str, ...]:
        """Names a return address: as the second of a stack."""
        return self.symbols((0, address), pid, offset=offset, stack=True)[1:]

    def _mapped_build(
        self, process: _Process, code: Iterable[Region], build_id: bytes, pid: int
    ) -> tuple[Region, FunctionTable] | tuple[None, None]:
        """Finds the mapped file of a build id, which the kernel fills up to 20 bytes by zeros."""
        for region in code:
            table = self._table(process, region, pid)
            if table and table.build_id and table.build_id.ljust(KERNEL_BUILD_ID, b"\0") == build_id:
                return region, table
        return None, None

    def _look_at(self, pid: int) -> _Process:
        """Returns a process as it is, or as it was when it was last looked at."""
        started, known = _start_time(pid), self._processes.get(pid)
        if known is None or (started and known.started != started):
            known = self._processes[pid] = _Process(started)
            while len(self._processes) > MAX_PROCESSES:
                self._processes.pop(next(iter(self._processes)), None)
        if started:
            maps = read_maps(pid)
            if maps != known.maps and (not known.maps or has_memory(pid)):
                known.update(maps)
        return known

    def _table(self, process: _Process, region: Region, pid: int) -> FunctionTable | None:
        """Returns the functions of a mapped file; None for one that can't be read or is no ELF file."""
        if not region.path.startswith("/"):
            return None
        if region not in process.tables:
            process.tables[region] = _read_region(region, pid, self._extras)
        return process.tables[region]


_shared = UserSymbols()


def user_symbol(address: int, pid: int, *, offset: bool = True) -> str:
    """Names an address in a process, as UserSymbols.symbol does: `function+0xoffset [libc.so.6]`."""
    return _shared.symbol(address, pid, offset=offset)


def user_symbols(addresses: Iterable[int], pid: int, *, offset: bool = True, stack: bool = False) -> tuple[str, ...]:
    """Names several addresses, as UserSymbols.symbols does."""
    return _shared.symbols(addresses, pid, offset=offset, stack=stack)


def symbols_by_build_id(
    frames: Iterable[tuple[bytes | None, int]], pid: int, *, offset: bool = True
) -> tuple[str, ...]:
    """Names the frames of a stack by build ids, as UserSymbols.symbols_by_build_id does."""
    return _shared.symbols_by_build_id(frames, pid, offset=offset)


def _text(address: int, back: int, found: FunctionOffset | None, file: str, offset: bool) -> str:
    if found is None:
        return f"{address:#x} [{file}]" if file else f"{address:#x}"
    return f"{found.name}+{found.offset + back:#x} [{file}]" if offset else f"{found.name} [{file}]"


def _file_name(region: Region) -> str:
    """Returns what a region is called behind a name: its file without the folder, or `vdso`."""
    if region.path.startswith("/"):
        return os.path.basename(region.path.removesuffix(DELETED))
    return region.path.strip("[]")


def _start_time(pid: int) -> bytes:
    """Returns when a process started (the 22nd field of proc_pid_stat(5)); empty for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return b""
    return fields[19] if len(fields) > 19 else b""


def _read_region(region: Region, pid: int, extras: Extras = NO_EXTRAS) -> FunctionTable | None:
    """Returns the functions of a mapped file; None for a file that can't be read or is no ELF file.

    map_files finds a deleted or replaced file, but needs CAP_CHECKPOINT_RESTORE. The process's root finds a file of its
    container; no symlink there leads out of it. Of a process that has ended our own root may have the same file still.
    """
    for opened in (_open_mapped, _open_below_root, _open_same):
        try:
            with opened(region, pid) as file:
                openers = (lambda path: _open_in_root_of(pid, path), open_file)
                return _read(file, os.path.dirname(region.path), openers, extras)
        except (OSError, ValueError, struct.error):
            continue
    return None


def _open_mapped(region: Region, pid: int) -> BinaryIO:
    return open_file(f"/proc/{live_thread(pid)}/map_files/{region.start:x}-{region.end:x}")


def _open_below_root(region: Region, pid: int) -> BinaryIO:
    return _open_in_root_of(pid, path_in_root(pid, region.path))


def _open_in_root_of(pid: int, path: str) -> BinaryIO:
    with process_root(pid) as root:
        fd = open_in_root(root, path)
    try:
        return read_descriptor(fd)
    finally:
        os.close(fd)


def _open_same(region: Region, pid: int) -> BinaryIO:
    """Opens the path of a region in our own root. Raises ValueError if another file was mapped from there; OSError."""
    file = open_file(region.path)
    facts = os.fstat(file.fileno())
    if region.file == (f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}", facts.st_ino):
        return file
    file.close()
    raise ValueError("another file")


def _read(
    file: BinaryIO, folder: str = "", openers: tuple[Opener, ...] = (), extras: Extras = NO_EXTRAS
) -> FunctionTable:
    """Reads a file's functions, or returns the cached ones. Raises OSError, ValueError, struct.error.

    If it is stripped, `openers` look for its debug file, as the process sees it, then as we do; then `extras`.
    """
    facts = os.fstat(file.fileno())
    identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size, *extras.identity())
    if (known := _CACHE.get(identity)) is not None:
        return known
    with ExitStack() as stack:
        binary = Binary(file)
        other: Binary | None = None
        if not binary.has_whole_table():
            other = debug_file(binary, folder, openers, stack) or mini_debug_info(binary)
            if extras.server and not other:
                other = extras.server.debug_file(binary.build_id(), stack)
        binaries = [binary, other] if other else [binary]
        table = FunctionTable(binaries)
        if extras.inlined:
            table.read_inlined([each.file for each in binaries])
    _CACHE[identity] = table
    while len(_CACHE) > MAX_CACHED_FILES or (
        len(_CACHE) > 1 and sum(each.size for each in _CACHE.values()) > MAX_CACHED_BYTES
    ):
        _CACHE.pop(next(iter(_CACHE)), None)
    return table
