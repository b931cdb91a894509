"""Lists what is pinned in the BPF file systems."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ..errors import CallError
from ..libbpf.library import library
from ..libbpf.pin import kind_of
from ..libbpf.structs import LinkInfo, MapInformation, ProgramInformation
from ..text import text_of
from .host import mount_points
from .objects import full_name, info_by_fd, program_name

MAX_PINS = 10_000  # that a list holds


class Pin(NamedTuple):
    """A pinned object: its path, "map", "program" or "link", its id and its name; a link has its program's."""

    path: str
    kind: str
    id: int
    name: str


def pins() -> list[Pin]:
    """Lists the pins in all BPF file systems that this process may read."""
    return list(islice((pin for place in bpf_folders() for pin in pins_below(place)), MAX_PINS))


def bpf_folders() -> list[str]:
    """Returns where BPF file systems are mounted."""
    return sorted({path for path, kind in mount_points() if kind == "bpf"})


def pins_below(folder: str) -> Iterator[Pin]:
    """Yields the pins in a folder and those below it that this process may read."""
    for place, _, names in os.walk(folder):  # follows no symlinks
        for name in sorted(names):
            with contextlib.suppress(CallError, OSError):
                yield pin_at(os.path.join(place, name))


def pin_at(path: str) -> Pin:
    """Asks the kernel what is pinned at a path. Raises CallError for what is no pin, OSError."""
    fd = library().bpf_obj_get(os.fsencode(path))
    try:
        kind = kind_of(fd)
        return Pin(path, kind, *_id_and_name(fd, kind))
    finally:
        os.close(fd)


def _id_and_name(fd: int, kind: str) -> tuple[int, str]:
    if kind == "link":
        link = info_by_fd(fd, LinkInfo())
        return link.id, program_name(link.prog_id)
    if kind == "map":
        info = info_by_fd(fd, MapInformation())
        return info.id, text_of(info.name)
    program = info_by_fd(fd, ProgramInformation())
    return program.id, full_name(fd, program)
