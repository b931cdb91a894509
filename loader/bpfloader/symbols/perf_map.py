"""Names of functions that are made at run time: /tmp/perf-<pid>.map, which JIT compilers write for perf.

Linux, tools/perf/Documentation/jit-interface.txt: a line is `START SIZE name`, both numbers hexadecimal. The file lies
in the process's own /tmp, under the pid by which the process knows itself.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from typing import NamedTuple

from .function_table import FunctionOffset, readable_name
from .process import open_in_root, process_root, read_descriptor

MAX_BYTES = 64 << 20  # a million functions; of a longer file the end, which is newer, is read
LINE = re.compile(rb"^([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,16}) ([^\n]{1,4096})$", re.MULTILINE)


class PerfMap(NamedTuple):
    """The functions in a perf map, by address; `identity` tells whether the file has changed since."""

    identity: tuple[int, ...]
    starts: list[int]
    rows: list[tuple[int, bytes]]  # the end of each, and its name

    def at_address(self, address: int) -> FunctionOffset | None:
        """Returns the function at an address; None if there is none."""
        place = bisect_right(self.starts, address) - 1
        if place < 0 or address >= self.rows[place][0]:
            return None
        return FunctionOffset(
            readable_name(self.rows[place][1].decode("utf-8", "replace")), address - self.starts[place]
        )


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
                file.seek(max(0, facts.st_size - MAX_BYTES))
                return parse_perf_map(file.read(MAX_BYTES), identity)
        finally:
            os.close(fd)
    except (OSError, ValueError):
        return None


def parse_perf_map(data: bytes, identity: tuple[int, ...] = ()) -> PerfMap:
    """Returns the functions of a perf map; a later line replaces an earlier one at the same address."""
    rows: dict[int, tuple[int, bytes]] = {}
    for start, size, name in LINE.findall(data):
        begin = int(start, 16)
        rows[begin] = (begin + int(size, 16), name)
    starts = sorted(rows)
    return PerfMap(identity, starts, [rows[start] for start in starts])


def _user_and_pid(pid: int) -> tuple[int, int]:
    """Returns a process's effective user, and its pid in its own namespace. Raises OSError, ValueError."""
    with open(f"/proc/{pid}/status", "rb") as file:
        text = file.read(1 << 16)
    user, pids = re.search(rb"^Uid:\s+\d+\s+(\d+)", text, re.MULTILINE), re.search(rb"^NSpid:(.*)", text, re.MULTILINE)
    if not user:
        raise ValueError("no Uid")
    return int(user[1]), int(pids[1].split()[-1]) if pids else pid
