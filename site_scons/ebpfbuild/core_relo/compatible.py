"""Compares a type of an object with a kernel's by the three rules of CO-RE (libbpf: relo_core.c).

`fields_fit` is asked for each field on the way of an access, `types_fit` for type_exists, type_size and a kfunc's
prototype, `types_match` for type_matches.
"""

from ..btf.types import COMPOSITES, ENUMS, Kind, Type
from ..errors import CoreRelocationError
from .names import essential_name, same_kind

MAX_LEVELS = 32  # libbpf's: of types in one another that are compared
NAMED = (Kind.FWD, *ENUMS)


def _too_deep() -> CoreRelocationError:
    return CoreRelocationError(f"more than {MAX_LEVELS} levels of types to compare")


def fields_fit(local: Type, kernel: Type) -> bool:
    """Returns True if a field of one type may be read as the other (bpf_core_fields_are_compat).

    Any two structs, pointers, integers or floats fit; enums whose names do; arrays whose elements do.
    """
    local, kernel = local.btf.resolve(local.id), kernel.btf.resolve(kernel.id)
    while local.kind == kernel.kind == Kind.ARRAY:
        local, kernel = local.btf.resolve(local.type), kernel.btf.resolve(kernel.type)
    if local.kind in COMPOSITES and kernel.kind in COMPOSITES:
        return True
    if not same_kind(local, kernel):
        return False
    if local.kind in NAMED:
        names = essential_name(local.name), essential_name(kernel.name)
        return not all(names) or names[0] == names[1]
    if local.kind == Kind.INT:
        return not local.bit_offset and not kernel.bit_offset
    return local.kind in (Kind.PTR, Kind.FLOAT)


def types_fit(local: Type, kernel: Type, level: int = MAX_LEVELS) -> bool:
    """Returns True if two types whose names fit are of one make (bpf_core_types_are_compat).

    Structs' members aren't compared, functions' parameters are. Raises CoreRelocationError where libbpf gives up.
    """
    if not same_kind(local, kernel):
        return False
    for _ in range(MAX_LEVELS):
        local, kernel = local.btf.resolve(local.id), kernel.btf.resolve(kernel.id)
        if not same_kind(local, kernel):
            return False
        if local.kind in (Kind.VOID, *COMPOSITES, *NAMED):
            return True
        if local.kind == Kind.INT:
            return not local.bit_offset and not kernel.bit_offset
        if local.kind == Kind.FUNC_PROTO:
            if local.count != kernel.count:
                return False
            for mine, theirs in zip(local.params, kernel.params):
                if level <= 0:
                    raise _too_deep()
                if not types_fit(local.btf.resolve(mine.type), kernel.btf.resolve(theirs.type), level - 1):
                    return False
        elif local.kind not in (Kind.PTR, Kind.ARRAY):
            return False
        local, kernel = local.btf.resolve(local.type), kernel.btf.resolve(kernel.type)
    raise _too_deep()


def types_match(local: Type, kernel: Type, behind_pointer: bool = False, level: int = MAX_LEVELS) -> bool:
    """Returns True if all that one type has, the kernel's has too, under the same names (bpf_core_types_match).

    Raises CoreRelocationError where libbpf gives up.
    """
    if level <= 0:
        raise _too_deep()
    for _ in range(MAX_LEVELS):
        local, kernel = local.btf.resolve(local.id), kernel.btf.resolve(kernel.id)
        if not _names_match(local.name, kernel.name):
            return False
        kinds = local.kind, kernel.kind
        if kinds == (Kind.FUNC_PROTO, Kind.FUNC_PROTO):
            if local.count != kernel.count:
                return False
            for mine, theirs in zip(local.params, kernel.params):
                if not types_match(local.btf[mine.type], kernel.btf[theirs.type], behind_pointer, level - 1):
                    return False
        elif kinds == (Kind.PTR, Kind.PTR):
            behind_pointer = True
        elif kinds != (Kind.ARRAY, Kind.ARRAY):
            return _ends_match(local, kernel, behind_pointer, level)
        elif local.length != kernel.length:
            return False
        local, kernel = local.btf[local.type], kernel.btf[kernel.type]
    raise _too_deep()


def _names_match(local: str, kernel: str) -> bool:
    return essential_name(local) == essential_name(kernel) if kernel else not local


def _ends_match(local: Type, kernel: Type, behind_pointer: bool, level: int) -> bool:
    """Compares two types that no pointer, array or function wraps any more."""
    if local.kind in ENUMS:
        return kernel.kind in ENUMS and _enums_match(local, kernel)
    if local.kind in COMPOSITES:
        if not behind_pointer:
            return local.kind == kernel.kind and _members_match(local, kernel, level)
        forward = kernel.kind == Kind.FWD and kernel.flag == (local.kind == Kind.UNION)
        return local.kind == kernel.kind or forward
    if local.kind == Kind.FWD:
        if kernel.kind == Kind.FWD:
            return local.flag == kernel.flag
        return behind_pointer and kernel.kind == (Kind.UNION if local.flag else Kind.STRUCT)
    if local.kind == Kind.INT:
        return kernel.kind == Kind.INT and local.size == kernel.size and local.signed == kernel.signed
    return local.kind == kernel.kind == Kind.VOID


def _enums_match(local: Type, kernel: Type) -> bool:
    if local.size != kernel.size or local.count > kernel.count:
        return False
    names = {essential_name(value.name) for value in kernel.values}
    return all(essential_name(value.name) in names for value in local.values)


def _members_match(local: Type, kernel: Type, level: int) -> bool:
    if local.count > kernel.count:
        return False
    return all(
        any(
            _names_match(mine.name, theirs.name)
            and types_match(local.btf[mine.type], kernel.btf[theirs.type], level=level - 1)
            for theirs in kernel.members
        )
        for mine in local.members
    )
