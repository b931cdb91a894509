"""Reads the running kernel's BTF, and lists the functions and tracepoints in it."""

from __future__ import annotations

from ..elf import Elf
from ..errors import ObjectError
from ..files import read_file
from .reader import TYPEDEF, Btf


def kernel_types(path: str) -> Btf | None:
    """Reads the BTF that CO-RE is resolved against, raw or in an ELF file; None if it can't be read."""
    try:
        data = read_file(path, "")
        if data[:4] == b"\x7fELF":
            data = Elf(data, path).data(".BTF")
        return Btf(data, path)
    except ObjectError:
        return None


def kernel_names(btf: Btf | None, kind: int) -> set[str]:
    """Returns the kernel's functions (FUNC), or its tracepoints without btf_trace_ (TYPEDEF); none without BTF."""
    start = "btf_trace_" if kind == TYPEDEF else ""
    return {each.name[len(start) :] for each in btf or () if each.kind == kind and each.name.startswith(start)}
