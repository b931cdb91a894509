"""Lists what is pinned in the BPF file systems, and unpins it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ..errors import AttachError, CallError, PrivilegeError, errno_text
from ..kernel.host import read_text
from ..kernel.objects import info_by_fd, program_name
from ..libbpf.library import library
from ..libbpf.structs import LinkInfo, MapInformation, ProgramInformation
from ..text import text_of

MAX_PINS = 10_000  # that a list shows
KINDS = {"bpf-map": "map", "bpf-prog": "program", "bpf_link": "link", "bpf-link": "link"}


class Pin(NamedTuple):
    """A pinned object: its path, "map", "program" or "link", and its name; a link has its program's."""

    path: str
    kind: str
    name: str


def pins() -> list[Pin]:
    """Lists the pins in all BPF file systems that this process may read."""
    return list(islice((pin for place in bpf_folders() for pin in _pins_below(place)), MAX_PINS))


def bpf_folders() -> list[str]:
    """Returns where BPF file systems are mounted."""
    rows = (line.split() for line in read_text("/proc/thread-self/mounts").splitlines())
    return sorted({row[1].encode().decode("unicode_escape") for row in rows if len(row) > 2 and row[2] == "bpf"})


def unpin(path: str) -> Pin:
    """Removes the pin that a path leads to and returns what it was. Raises AttachError, PrivilegeError."""
    path = os.path.realpath(path)
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            below = ", ".join(pin.path for pin in islice(_pins_below(path), 3)) or "nothing"
            raise AttachError(f"{path} is a folder", fix=f"name a pin; in it is {below}")
    try:
        pin = _pin_at(path)
        os.unlink(path)
    except (CallError, OSError) as error:
        number = error.errno or 0
        what = f"can't unpin {path} ({errno_text(number)})"
        if number in (errno.EPERM, errno.EACCES) and os.geteuid():
            raise PrivilegeError(what, fix="run as root, or as the owner of the pin", errno=number) from None
        raise AttachError(what, fix="`detach` without arguments lists what is pinned", errno=number) from None
    return pin


def _pins_below(folder: str) -> Iterator[Pin]:
    for place, _, names in os.walk(folder):  # follows no symlinks
        for name in sorted(names):
            with contextlib.suppress(CallError, OSError):
                yield _pin_at(os.path.join(place, name))


def _pin_at(path: str) -> Pin:
    """Asks the kernel what is pinned at a path. Raises CallError for what is no pin, OSError."""
    fd = library().bpf_obj_get(os.fsencode(path))
    try:
        kind = KINDS.get(os.readlink(f"/proc/self/fd/{fd}").rpartition(":")[2], "object")
        return Pin(path, kind, _name(fd, kind))
    finally:
        os.close(fd)


def _name(fd: int, kind: str) -> str:
    if kind == "link":
        return program_name(info_by_fd(fd, LinkInfo()).prog_id)
    info: MapInformation | ProgramInformation = MapInformation() if kind == "map" else ProgramInformation()
    return text_of(info_by_fd(fd, info).name)
