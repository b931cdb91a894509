"""Pins: paths of a BPF file system that keep a map, a program or a link beyond the process that made it."""

from __future__ import annotations

import errno
import os

from ..errors import AttachError, BpfError, CallError, MapError, errno_text
from .library import library


def pin_to(fd: int, path: str | os.PathLike[str], what: str, kind: type[BpfError] = AttachError) -> None:
    """Pins a descriptor's object (`what`) to a path of a BPF file system. Raises an error of class `kind`."""
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
        raise kind(reason, fix=fix, errno=error.errno) from None


def unpin(path: str | os.PathLike[str], what: str) -> None:
    """Removes the pin of `what` at a path. Raises MapError."""
    try:
        os.unlink(path)
    except OSError as error:
        reason = f"can't unpin {what} at {os.fspath(path)} ({errno_text(error.errno or 0)})"
        raise MapError(reason, fix="give the path that it is pinned to", errno=error.errno or 0) from None
