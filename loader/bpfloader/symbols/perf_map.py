"""Names of functions that are made at run time: /tmp/perf-<pid>.map, which JIT compilers write for perf.

Linux, tools/perf/Documentation/jit-interface.txt: a line is `START SIZE name`, both numbers hexadecimal. The file lies
in the process's own /tmp, under the pid by which the process knows itself.
"""

from __future__ import annotations

import operator
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import BinaryIO, NamedTuple

from .function_table import FunctionOffset, readable_name
from .process import open_in_root, process_root, read_descriptor

MAX_BYTES = 64 << 20  # a million functions; of a longer file the end, which is newer, is read
MAX_ADDED = 1 << 17  # bytes that are read beside what is known
TAIL = 256  # bytes
HEX = rb"((?:0[xX])?[0-9a-fA-F]{1,16})"  # perf reads it by strtoull, and Java's `jcmd PID Compiler.perfmap` writes 0x
LINE = re.compile(rb"^%b %b ([^\n]{1,4096})$" % (HEX, HEX), re.MULTILINE)


# A function: its start, its end, the number of its line, its name.
Function = tuple[int, int, int, bytes]
# Addresses that are of one function still: their end, the function's start and its name.
Piece = tuple[int, int, bytes]


class PerfMap(NamedTuple):
    """The functions in a perf map, by address; `identity` tells whether the file has changed since."""

    identity: tuple[int, ...]
    starts: list[int]
    pieces: list[Piece]
    read: int = 0  # bytes of the file, up to the end of a line
    tail: bytes = b""  # the last of them, which tell a file that has grown from another one
    added: bytes = b""  # lines that came since, and
    newer: PerfMap | None = None  # their functions, which take the place of the others

    def at_address(self, address: int) -> FunctionOffset | None:
        """Returns the function at an address; None if there is none."""
        if self.newer and (found := self.newer.at_address(address)):
            return found
        place = bisect_right(self.starts, address) - 1
        end, start, name = self.pieces[place] if place >= 0 else (0, 0, b"")
        if address >= end:
            return None
        return FunctionOffset(readable_name(name.decode("utf-8", "replace")), address - start)


def read_perf_map(pid: int, known: PerfMap | None = None) -> PerfMap | None:
    """Reads a process's perf map, or returns the known one if it hasn't changed; None without one.

    Another user may put a file of that name into /tmp: only one of the process's user, or root's, counts.
    """
    try:
        uid, own_pid = _user_and_pid(pid)
        with process_root(pid) as root:
            fd = open_in_root(root, f"/tmp/perf-{own_pid}.map")
        try:
            facts = os.fstat(fd)
            identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if facts.st_uid not in (uid, 0):
                return None
            if known and known.identity == identity:
                return known
            with read_descriptor(fd) as file:
                if known and (grown := _grown(known, file, identity)):
                    return grown
                start = max(0, facts.st_size - MAX_BYTES)
                file.seek(start)
                data = file.read(MAX_BYTES)
                whole = data[: data.rfind(b"\n") + 1]
                return parse_perf_map(data, identity)._replace(read=start + len(whole), tail=whole[-TAIL:])
        finally:
            os.close(fd)
    except (OSError, ValueError):
        return None


def _grown(known: PerfMap, file: BinaryIO, identity: tuple[int, ...]) -> PerfMap | None:
    """Returns a perf map with the lines that were added to its file; None where it is another file, or by many.

    A compiler that is at work adds some all the time, and to read hundreds of thousands again takes a second.
    """
    if known.identity[:2] != identity[:2] or not known.tail:
        return None
    file.seek(known.read - len(known.tail))
    data = file.read(MAX_ADDED)
    if not data.startswith(known.tail) or len(known.added) + len(data) >= MAX_ADDED:
        return None
    new = data[len(known.tail) : data.rfind(b"\n") + 1]
    added, tail = known.added + new, (known.tail + new)[-TAIL:]
    return known._replace(
        identity=identity, read=known.read + len(new), tail=tail, added=added, newer=parse_perf_map(added)
    )


def parse_perf_map(data: bytes, identity: tuple[int, ...] = ()) -> PerfMap:
    """Returns the functions of a perf map; a later line takes its addresses from the earlier ones.

    A JIT compiler frees code and uses the memory again, for functions of other sizes, and only ever adds lines.
    """
    functions: dict[int, Function] = {}
    for line, (start, size, name) in enumerate(LINE.findall(data)):
        begin = int(start, 16)
        functions[begin] = begin, begin + int(size, 16), line, name
    rows = sorted(functions.values())
    starts = [row[0] for row in rows]
    if all(map(operator.le, (row[1] for row in rows), starts[1:])):
        return PerfMap(identity, starts, [(end, start, name) for start, end, _, name in rows])
    pieces = [piece for group in _overlapping(rows) for piece in _pieces(group)]
    return PerfMap(identity, [start for start, _ in pieces], [piece for _, piece in pieces])


def _overlapping(rows: Iterable[Function]) -> Iterator[list[Function]]:
    """Yields groups of functions, which are sorted, of which none overlaps one of another group."""
    group, end = list[Function](), 0
    for row in rows:
        if group and row[0] >= end:
            yield group
            group = []
        group.append(row)
        end = max(end, row[1])
    if group:
        yield group


def _pieces(group: Sequence[Function]) -> Iterator[tuple[int, Piece]]:
    """Yields each start of addresses that are of one function: of those that have them, the one of the last line."""
    if len(group) == 1:
        start, end, _, name = group[0]
        yield start, (end, start, name)
        return
    coming, here = sorted(group, reverse=True), list[tuple[int, Function]]()
    bounds = sorted({place for row in group for place in row[:2]})
    for place, end in zip(bounds, bounds[1:]):
        while coming and coming[-1][0] <= place:
            row = coming.pop()
            heappush(here, (-row[2], row))
        while here and here[0][1][1] <= place:
            heappop(here)
        if here:
            start, _, _, name = here[0][1]
            yield place, (end, start, name)


def _user_and_pid(pid: int) -> tuple[int, int]:
    """Returns a process's effective user, and its pid in its own namespace. Raises OSError, ValueError."""
    with open(f"/proc/{pid}/status", "rb") as file:
        text = file.read(1 << 16)
    user, pids = re.search(rb"^Uid:\s+\d+\s+(\d+)", text, re.MULTILINE), re.search(rb"^NSpid:(.*)", text, re.MULTILINE)
    if not user:
        raise ValueError("no Uid")
    return int(user[1]), int(pids[1].split()[-1]) if pids else pid
