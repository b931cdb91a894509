"""Refuses tables of struct_ops that libbpf before 1.4 would crash on: it reads the kernel's types for each of them."""

from __future__ import annotations

from collections.abc import Iterable

from ..libbpf.library import require
from ..program.base import Program
from ..spec.object import object_spec

# What makes libbpf read the kernel's types when such a program is loaded (libbpf_needs_vmlinux_btf in libbpf.c), by
# the beginning of its section.
TYPED = ("struct_ops", "lsm", "fentry", "fexit", "fmod_ret", "tp_btf", "iter")


def require_types_of_tables(programs: Iterable[Program], data: bytes, where: str) -> None:
    """Raises LibraryError for an object with tables of struct_ops when nothing that is loaded needs the kernel's types.

    Before libbpf 1.4 they are a null pointer then, which it follows (bpf_map__init_kern_struct_ops; mended by
    235ea854 of libbpf). `programs` are those that are to be loaded; `data` is the object.
    """
    if any(program.section.removeprefix("?").startswith(TYPED) for program in programs):
        return
    spec = object_spec(data, where)
    if spec.struct_ops and not spec.core and not spec.externs:
        require("1.4", f"way to load {spec.struct_ops[0].name}, a struct_ops map, without one of its programs")
