"""Checks an object without a digest before libbpf reads it.

libbpf doesn't check enough: a string or a type outside of the BTF's tables ends the process with SIGSEGV (seen with 1.1
and 1.7). An object that matches its skeleton's digest is as clang wrote it, and needs no check.
"""

from __future__ import annotations

from ..btf.reader import (
    ARRAY,
    COMPOSITES,
    DATASEC,
    DECL_TAG,
    FUNC,
    FUNC_PROTO,
    FWD,
    PTR,
    QUALIFIERS,
    TYPEDEF,
    VAR,
    Btf,
    Type,
)
from .object import object_spec

REFERRING_KINDS = (PTR, TYPEDEF, *QUALIFIERS, FUNC, VAR, DECL_TAG, FUNC_PROTO)  # `word` is a type


def vet(data: bytes, where: str) -> None:
    """Raises ObjectError for an object with a reference that points outside of it, or an invalid name."""
    spec = object_spec(data, where)
    names = [each.name for each in spec.maps] + [each.name for each in (*spec.programs, *spec.functions)]
    for name in names:
        if not name.replace(".", "_").isidentifier():
            spec.elf.fail(f"has a map or program of the name {name!r}")
    if spec.btf:
        for kind in spec.btf:
            _vet_type(spec.btf, kind)


def _vet_type(btf: Btf, kind: Type) -> None:
    """Raises ObjectError unless all types that a type refers to exist; reading it has checked its name."""
    types = [kind.word] if kind.kind in REFERRING_KINDS else []
    if kind.kind == ARRAY:
        types += [btf.element(kind), btf.words[kind.at + 1]]
    elif kind.kind in COMPOSITES:
        types += [member.type for member in btf.members(kind)]
    elif kind.kind == FUNC_PROTO:
        types += [number for _, number in btf.parameters(kind)]
    elif kind.kind == DATASEC:
        types += [row.type for row in btf.variables(kind)]
    elif kind.kind != FWD:
        btf.values(kind)
    for number in types:
        if number >= len(btf):
            btf.fail(f"has no type {number}, which type {kind.id} is made of")
    if kind.kind == FUNC and btf[kind.word].kind != FUNC_PROTO:
        btf.fail(f"has a function {kind.name} that is none")
    if kind.kind == DATASEC and any(btf[number].kind not in (VAR, FUNC) for number in types):
        btf.fail(f"has a section {kind.name} of what are no variables")
