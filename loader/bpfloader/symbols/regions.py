"""Reads what a process has mapped: /proc/<pid>/maps (proc_pid_maps(5))."""

from __future__ import annotations

from typing import NamedTuple

from .process import MAX_MAPS, live_thread

DELETED = " (deleted)"  # behind a path in maps (d_path in fs/d_path.c)


class Region(NamedTuple):
    """A mapped part of a file: start and end address, offset in the file, the file's path; whether it is code.

    `file` is the device as maps spells it, `fd:01`, and the inode.
    """

    start: int
    end: int
    offset: int
    path: str
    code: bool = True
    file: tuple[str, int] = ("", 0)


def regions_of(pid: int) -> list[Region]:
    """Returns what a process has mapped, by address; nothing for one that has ended or is hidden."""
    return parse_regions(read_maps(pid))


def read_maps(pid: int) -> bytes:
    """Returns the text of /proc/<pid>/maps; nothing for a process that has ended or is hidden."""
    try:
        with open(f"/proc/{live_thread(pid)}/maps", "rb") as file:
            return file.read(MAX_MAPS)
    except OSError:
        return b""


def has_memory(pid: int) -> bool:
    """Returns True if a process still has its memory: then what was read of its maps before is whole.

    The kernel ends the file in the midst of it as the process ends.
    """
    try:
        with open(f"/proc/{live_thread(pid)}/maps", "rb", buffering=0) as file:
            return bool(file.read(1))
    except OSError:
        return False


def parse_regions(maps: bytes) -> list[Region]:
    """Returns the parts that the text of /proc/<pid>/maps lists."""
    found = []
    for line in maps.decode("utf-8", "surrogateescape").split("\n"):
        row = line.split(None, 5)
        if len(row) >= 5:
            start, _, end = row[0].partition("-")
            path = row[5] if len(row) > 5 else ""
            file = (row[3], int(row[4]))
            found.append(Region(int(start, 16), int(end, 16), int(row[2], 16), path, "x" in row[1], file))
    return found
