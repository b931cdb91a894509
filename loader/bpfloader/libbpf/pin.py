"""Pins: paths of a BPF file system that keep a map, a program or a link beyond the process that made it."""

from __future__ import annotations

import errno
import os
from typing import cast

from ..errors import COMMAND, AttachError, BpfError, CallError, MapError, PrivilegeError, errno_text
from .c_text import c_path
from .library import library

# The ends of /proc/self/fd's symlinks (bpf_map_new_fd, bpf_prog_new_fd and bpf_link_settle in kernel/bpf/syscall.c).
KINDS = {"bpf-map": "map", "bpf-prog": "program", "bpf_link": "link", "bpf-link": "link"}


def kind_of(fd: int) -> str:
    """Returns "map", "program" or "link" for a descriptor of one, "" without /proc, else "object"."""
    try:
        return KINDS.get(os.readlink(f"/proc/self/fd/{fd}").rpartition(":")[2], "object")
    except FileNotFoundError:  # no such descriptor, or no /proc
        return "object" if os.path.exists("/proc/self/fd") else ""


def pin_to(fd: int, path: str | os.PathLike[str], what: str, kind: type[BpfError] = AttachError) -> None:
    """Pins a descriptor's object (`what`) to a path of a BPF file system. Raises an error of class `kind`."""
    try:
        library().bpf_obj_pin(fd, c_path(path))
    except CallError as error:
        fixes = {
            errno.EPERM: "give a path of a BPF file system: mount -t bpf bpf /sys/fs/bpf",
            errno.EEXIST: "unlink what is pinned there first",
            errno.ENOENT: "make its folder first",
        }
        reason = f"can't pin {what} to {os.fspath(path)} ({errno_text(error.errno)})"
        fix = fixes.get(error.errno, "give a path of a BPF file system")
        if error.errno == errno.EPERM and "." in os.path.basename(os.fsdecode(path)):  # bpf_lookup of the same file
            fix = f"give a name without a dot, and {fix.partition(' ')[2]}"
        raise kind(reason, fix=fix, errno=error.errno) from None


def unpin(path: str | os.PathLike[str], what: str) -> None:
    """Removes the pin of `what` at a path. Raises MapError."""
    try:
        os.unlink(path)
    except OSError as error:
        reason = f"can't unpin {what} at {os.fspath(path)} ({errno_text(error.errno or 0)})"
        raise MapError(reason, fix="give the path that it is pinned to", errno=error.errno or 0) from None


def pinned_fd(path: str | os.PathLike[str], kind: str, error_class: type[BpfError]) -> int:
    """Opens a new descriptor of the "map", "program" or "link" pinned at a path.

    Raises an error of class `error_class` for what is missing or of another kind, PrivilegeError.
    """
    try:
        fd = cast(int, library().bpf_obj_get(c_path(path)))
    except CallError as error:
        what = f"can't take what is pinned at {os.fspath(path)} ({errno_text(error.errno)})"
        if error.errno == errno.EACCES and os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            # bpf_inode_type of kernel/bpf/inode.c says this of what isn't pinned by BPF
            what, fix = f"{os.fspath(path)} is no pin", f"give the path of a {kind}'s pin"
            if os.path.isdir(path):
                what, fix = f"{os.fspath(path)} is a folder, no pin", f"give the path of a {kind}'s pin in it"
            raise error_class(what, fix=fix, errno=error.errno) from None
        if error.errno in (errno.EPERM, errno.EACCES):
            raise PrivilegeError(what, fix="run as root, or change the owner of the pin", errno=error.errno) from None
        raise error_class(what, fix=f"list what is there: {COMMAND} detach", errno=error.errno) from None
    if (found := kind_of(fd)) in (kind, ""):
        return fd
    os.close(fd)
    what, fix = f"what is pinned at {os.fspath(path)} is no {kind}, but a {found}", f"give the path of a {kind}'s pin"
    raise error_class(what, fix=fix)
