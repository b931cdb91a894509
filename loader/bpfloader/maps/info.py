"""Asks the kernel about maps: their description, their pins, their ids, and hints for its errors."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple, cast

from ..errors import ENOTSUPP, CallError, MapError, PrivilegeError, errno_text
from ..libbpf.library import library
from ..libbpf.structs import MapInformation

UNSUPPORTED = "this type of map has no such operation in this kernel"
# The next step, by the kernel's errno.
FIXES = {
    errno.E2BIG: "the map is full or the index too high: raise max_entries before load",
    errno.EEXIST: "the key is there already: put it with ANY or EXIST",
    errno.EPERM: "the map is read-only for programs in user space, or frozen",
    errno.ENOMEM: "the kernel has no memory for another entry: try again, or preallocate (no BPF_F_NO_PREALLOC)",
    errno.ENOSPC: "the map is full: raise max_entries before load",
    errno.EINVAL: "this type of map takes no such key, value or flags (linux/bpf.h)",
    errno.EBUSY: "it is being changed, or is mapped here: try again, or let go of its memory",
    errno.EOPNOTSUPP: UNSUPPORTED,
    ENOTSUPP: UNSUPPORTED,
    errno.EBADF: "the descriptor given is closed, or not of the kind that this map holds",
}


class MapInfo(NamedTuple):
    """The kernel's description of a map (struct bpf_map_info); sizes in bytes, the name cut to 15 characters."""

    id: int
    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int
    map_extra: int
    btf_id: int


def info_of(fd: int) -> MapInfo:
    """Asks the kernel about the map of a descriptor. Raises MapError for a descriptor of anything else."""
    found, size = MapInformation(), ctypes.c_uint(ctypes.sizeof(MapInformation))
    if not _is_map(fd):
        raise MapError(f"the descriptor {fd} is no map's", fix="give a Map, or the path of a pinned one")
    try:
        library().bpf_obj_get_info_by_fd(fd, ctypes.byref(found), ctypes.byref(size))
    except CallError as error:
        raise MapError(f"the kernel doesn't tell of the map {fd}: {error.what}", errno=error.errno) from None
    fields = {name: getattr(found, name) for name in MapInfo._fields}
    return MapInfo(**{**fields, "name": found.name.decode(errors="replace")})


def _is_map(fd: int) -> bool:
    """Returns True for a map's descriptor: bpf_obj_get_info_by_fd would take a program's or a link's just as well."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:bpf-map"
    except FileNotFoundError:  # no such descriptor, or no /proc
        return not os.path.exists("/proc/self/fd")


def pinned_fd(path: str | os.PathLike[str]) -> int:
    """Opens a new descriptor of the object pinned at a path. Raises MapError, PrivilegeError."""
    try:
        return cast(int, library().bpf_obj_get(os.fsencode(path)))
    except CallError as error:
        what = f"can't take what is pinned at {os.fspath(path)} ({errno_text(error.errno)})"
        if error.errno in (errno.EPERM, errno.EACCES):
            raise PrivilegeError(what, fix="run as root, or change the owner of the pin", errno=error.errno) from None
        raise MapError(what, fix="list what is there: ls /sys/fs/bpf", errno=error.errno) from None


def map_by_id(number: int) -> int:
    """Opens a new descriptor of the map with that id. Raises KeyError for a missing one, PrivilegeError, MapError."""
    try:
        return cast(int, library().bpf_map_get_fd_by_id(number))
    except CallError as error:
        if error.errno == errno.ENOENT:
            raise KeyError(number) from None
        what = f"can't open the map with the id {number} ({errno_text(error.errno)})"
        if error.errno == errno.EPERM:
            raise PrivilegeError(what, fix="run with CAP_SYS_ADMIN, which maps by id need", errno=error.errno) from None
        raise MapError(what, errno=error.errno) from None
