"""Asks the kernel about maps: their description, their pins, ids and names, and hints for its errors."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple, cast

from ..errors import ENOTSUPP, CallError, MapError, PrivilegeError, errno_text
from ..libbpf.library import library
from ..libbpf.pin import kind_of, pinned_fd
from ..libbpf.structs import MapInformation
from ..suggest import suggestion

NAME_LENGTH = 15  # characters that the kernel keeps of a name (BPF_OBJ_NAME_LEN of linux/bpf.h, with a NUL)
UNSUPPORTED = "this type of map has no such operation in this kernel"
# The next step, by the kernel's errno.
FIXES = {
    errno.E2BIG: "the map is full or the index too high: raise max_entries before load",
    errno.EEXIST: "the key is there already: put it with ANY or EXIST",
    errno.EPERM: "user space may only read it, as it is frozen or has BPF_F_RDONLY (map_flags): let the program write",
    errno.ENOMEM: "the kernel has no memory for another entry: try again, or preallocate (no BPF_F_NO_PREALLOC)",
    errno.ENOSPC: "the map is full: raise max_entries before load",
    errno.EINVAL: "this type of map takes no such key, value or flags (linux/bpf.h)",
    errno.EBUSY: "it is being changed, or is mapped here: try again, or let go of its memory",
    errno.EOPNOTSUPP: UNSUPPORTED,
    ENOTSUPP: UNSUPPORTED,
    errno.EACCES: "this map takes no such operation from user space: see its flags (info.map_flags)",
    errno.EAGAIN: "it was being changed: try again",
    errno.EINTR: "a signal interrupted it: try again",
    errno.EFAULT: "this type of map takes no such key or value: see its sizes (info)",
    errno.EBADF: "the descriptor given is closed, or not of the kind that this map holds",
}
BPF_F_WRONLY = 1 << 4  # linux/bpf.h
IF_WRITE_ONLY = "user space may only write it: let the program read, or leave BPF_F_WRONLY out of its map_flags"


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
    btf_key_type_id: int
    btf_value_type_id: int


def info_of(fd: int) -> MapInfo:
    """Asks the kernel about the map of a descriptor. Raises MapError for a descriptor of anything else."""
    if not _is_map(fd):
        raise MapError(f"the descriptor {fd} is no map's", fix="give a Map, or the path of a pinned one")
    from ..kernel.objects import info_by_fd

    try:
        found = info_by_fd(fd, MapInformation())
    except CallError as error:
        what = f"the kernel doesn't tell of the map {fd}: {error.what}"
        raise MapError(what, fix=error.fix, errno=error.errno) from None
    fields = {name: getattr(found, name) for name in MapInfo._fields}
    return MapInfo(**{**fields, "name": found.name.decode(errors="replace")})


def _is_map(fd: int) -> bool:
    return kind_of(fd) in ("map", "")  # bpf_obj_get_info_by_fd would take a program's or a link's just as well


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
        raise MapError(what, fix=error.fix, errno=error.errno) from None


def existing_map(source: str | os.PathLike[str] | int) -> int:
    """Opens a new descriptor of a map by its pin (a path with a /, or a Path), its name or its id.

    Raises MapError for a missing map, for a name that several have and for a pin of anything else; PrivilegeError.
    """
    if isinstance(source, bool) or not isinstance(source, (int, str, os.PathLike)):
        raise TypeError(f"{source!r} is no path, name or id of a map")
    if isinstance(source, int):
        return _by_id(source)
    if isinstance(source, str) and "/" not in source:  # which no name holds (bpf_obj_name_cpy in kernel/bpf/syscall.c)
        return _by_name(source)
    return pinned_fd(source, "map", MapError)


def _by_id(number: int) -> int:
    if 0 < number < 1 << 32:
        try:
            return map_by_id(number)
        except KeyError:
            pass
    raise MapError(f"no map has the id {number}", fix="`bpftool map` lists maps by id")


def _by_name(name: str) -> int:
    """Opens the one map of a name, of which the kernel keeps the first 15 characters."""
    from ..kernel.objects import ids

    wanted, others, found = name[:NAME_LENGTH], set(), []
    for number in ids("map"):
        try:
            fd = map_by_id(number)
        except KeyError:  # it is gone meanwhile
            continue
        try:
            called = info_of(fd).name
        finally:
            os.close(fd)
        if called == wanted:
            found.append(number)
        else:
            others.add(called)
    if not found:
        fix = suggestion(name, others, "a path has a /: ./NAME; `bpftool map` lists names")
        raise MapError(f"no map is called {name}", fix=fix)
    if len(found) > 1:
        numbers = ", ".join(map(str, found))
        raise MapError(f"{len(found)} maps are called {name}: ids {numbers}", fix="open one by its id, or by its pin")
    return _by_id(found[0])
