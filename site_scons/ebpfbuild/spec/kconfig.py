"""Lays out the map that libbpf makes of an object's `__kconfig` externs.

They have no place in the object: libbpf lays them out when it opens it (src/libbpf.c, bpf_object__collect_externs and
cmp_externs): by alignment, the largest first, then by size, the smallest first, then by name.
"""

from ..btf.reader import Btf
from .object import DataSection, Extern, Variable

KCONFIG = ".kconfig"


def kconfig_section(btf: Btf, externs: tuple[Extern, ...]) -> DataSection:
    """Returns the externs as variables of a data section, at the offsets that libbpf gives them."""
    placed = sorted(externs, key=lambda row: (-btf.align_of(row.type), btf.size_of(row.type), row.name))
    offset, variables = 0, []
    for row in placed:
        align, size = btf.align_of(row.type), btf.size_of(row.type)
        offset = (offset + align - 1) // align * align
        variables.append(Variable(row.name, row.type, offset, size, bytes(size), static=False))
        offset += size
    return DataSection(KCONFIG, "kconfig", 0, offset, b"", tuple(variables))
