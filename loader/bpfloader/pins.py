"""Pins: paths of a BPF file system that keep a program or a link beyond the process that made it."""

from __future__ import annotations

import errno
import os

from .errors import AttachError, CallError, errno_text
from .libbpf import library


def pin_to(fd: int, path: str | os.PathLike[str], what: str) -> None:
    """Pins a descriptor's object (`what`) to a path of a BPF file system. Raises AttachError."""
    try:
        library().bpf_obj_pin(fd, os.fsencode(path))
    except CallError as error:
        fixes = {
            errno.EPERM: "give a path of a BPF file system: mount -t bpf bpf /sys/fs/bpf",
            errno.EEXIST: "unlink what is pinned there first",
            errno.ENOENT: "make its folder first",
        }
        reason = f"can't pin {what} to {os.fspath(path)} ({errno_text(error.errno)})"
        fix = fixes.get(error.errno, "give a path of a BPF file system")
        raise AttachError(reason, fix=fix, errno=error.errno) from None
