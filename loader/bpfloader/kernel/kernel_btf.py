"""Names types in the kernel's own BTF by their ids, as links and programs refer to them, and finds functions in it."""

from __future__ import annotations

import ctypes
from functools import lru_cache

from ..errors import CallError
from ..libbpf.c_text import c_text
from ..libbpf.library import library
from ..libbpf.structs import BtfInformation
from .objects import info_by_fd, opened, type_name_in

MAX_BTF = 16 << 20  # bytes: BTF_MAX_SIZE of linux/btf.h
BTF_KIND_FUNC = 12  # linux/btf.h


def function_id(name: str) -> int:
    """Returns the id of a function in the kernel's own BTF, without its modules'. Raises CallError: ENOENT for none."""
    return int(library().btf__find_by_name_kind(_vmlinux(), c_text(name), BTF_KIND_FUNC))


def type_name(btf: int, number: int) -> str:
    """Returns the name of a type by its id and that of its BTF, the kernel's or a module's; "" if unknown."""
    try:
        return type_name_in(_loaded(btf), number)
    except CallError:
        return ""


@lru_cache(maxsize=64)
def _loaded(number: int) -> int:
    """Returns libbpf's struct btf * of BTF in the kernel, which lives as long as this process. Raises CallError."""
    room = ctypes.create_string_buffer(64)
    with opened("btf", number) as fd:
        info_by_fd(fd, BtfInformation(name=ctypes.addressof(room), name_len=len(room)))
    if room.value == b"vmlinux":
        return _vmlinux()
    return int(library().btf__load_from_kernel_by_id_split(number, _vmlinux()))


@lru_cache(maxsize=1)
def _vmlinux() -> int:
    return int(library().btf__load_vmlinux_btf())


def read_btf(number: int) -> bytes:
    """Reads BTF by its id. Raises CallError."""
    with opened("btf", number) as fd:
        info = info_by_fd(fd, BtfInformation())
        buffer = ctypes.create_string_buffer(min(info.btf_size, MAX_BTF))
        info_by_fd(fd, BtfInformation(btf=ctypes.addressof(buffer), btf_size=len(buffer)))
        return buffer.raw
