"""Compares names and kinds as CO-RE does: `sock___old` names the kernel's `sock` (libbpf: relo_core.c)."""

import re

from ..btf.types import ENUMS, Kind, Type

FLAVOR = re.compile(r"(?s)(?P<name>.*[^_])___[^_].*")  # libbpf's bpf_core_is_flavor_sep: `x___y`, the last one counts


def essential_name(name: str) -> str:
    """Returns a name without its ___flavor."""
    found = FLAVOR.fullmatch(name)
    return found["name"] if found else name


def same_kind(one: Type, other: Type) -> bool:
    """Returns True for types of one kind; an enum's width doesn't count (libbpf: btf_kind_core_compat)."""
    return one.kind == other.kind or (one.kind in ENUMS and other.kind in ENUMS)


def resolved_size(kind: Type) -> int | None:
    """Returns a type's size in bytes; None for one that has none: void, a function, a forward declaration.

    Raises BtfError for a type that contains itself (libbpf: btf__resolve_size).
    """
    btf = kind.btf
    size: int = btf.size_of(kind.id)
    innermost = btf.resolve(kind.id)
    while innermost.kind in (Kind.ARRAY, Kind.VAR):
        innermost = btf.resolve(innermost.type)
    sizeless = innermost.kind in (Kind.VOID, Kind.FWD, Kind.FUNC, Kind.FUNC_PROTO, Kind.DECL_TAG)
    return None if sizeless else size
