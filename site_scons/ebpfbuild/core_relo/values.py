"""Computes what an instruction gets for an access: an offset, a size, a shift, a type's id (libbpf: relo_core.c)."""

from typing import NamedTuple

from ..btf.ext import ENUM_KINDS, FIELD_KINDS, CoreKind
from ..btf.types import ENUMS, Kind, Member, Type
from ..errors import CoreRelocationError
from .access import Access
from .names import resolved_size

MASK64 = (1 << 64) - 1
MAX_LOAD = 8  # bytes that one instruction reads
ZERO_IF_MISSING = (CoreKind.FIELD_EXISTS, CoreKind.ENUMVAL_EXISTS, CoreKind.TYPE_EXISTS, CoreKind.TYPE_MATCHES,
                   CoreKind.TYPE_SIZE, CoreKind.TYPE_ID_TARGET)  # fmt: skip


class Value(NamedTuple):
    """The number that an instruction gets; of an offset also the field's size in bytes and its type, where known.

    `checked` says that the instruction must hold the object's own value before it is patched.
    """

    number: int
    size: int = 0
    type: Type | None = None
    checked: bool = True


def value(access: Access) -> Value:
    """Returns the value of an access in the types that it is of. Raises CoreRelocationError where libbpf refuses it."""
    if access.kind in FIELD_KINDS:
        return Value(1) if access.kind == CoreKind.FIELD_EXISTS else _field_value(access)
    if access.kind in ENUM_KINDS:
        return Value(1 if access.kind == CoreKind.ENUMVAL_EXISTS else _enumerator_value(access))
    if access.kind in (CoreKind.TYPE_ID_TARGET, CoreKind.TYPE_ID_LOCAL):
        return Value(access.root.id, checked=False)
    return Value(_size(access.root) if access.kind == CoreKind.TYPE_SIZE else 1)


def missing_value(kind: CoreKind) -> Value | None:
    """Returns the value where a kernel has nothing that matches: 0 for a question; None for what can't be answered."""
    return Value(0) if kind in ZERO_IF_MISSING else None


def _enumerator_value(access: Access) -> int:
    """Returns an enumerator in 64 bits: one of 32 bits is extended by its sign, even in an unsigned enum."""
    kind, index, _name = access.steps[0]
    number = kind.values[index].value & MASK64
    if kind.kind == Kind.ENUM64:
        return number
    return (number & 0xFFFFFFFF) - ((number >> 31 & 1) << 32) & MASK64


def _size(kind: Type) -> int:
    size = resolved_size(kind)
    if size is None:
        raise CoreRelocationError(f"{kind.name or kind.kind.name} has no size")
    return size


def _field_value(access: Access) -> Value:
    last = access.steps[-1]
    if not last.name:
        return _element_value(access, last.type)
    member, btf = last.type.members[last.at], last.type.btf
    kind = btf.resolve(member.type)
    if access.kind == CoreKind.FIELD_SIGNED:
        signed = kind.flag if kind.kind in ENUMS else kind.kind == Kind.INT and kind.signed
        return Value(int(signed))
    if member.bits:
        return _bitfield_value(access, member, kind)
    size = _size(kind)
    if access.kind == CoreKind.FIELD_BYTE_OFFSET:
        return Value(access.bit_offset // 8, _element_size(kind), kind)
    if access.kind == CoreKind.FIELD_BYTE_SIZE:
        return Value(size)
    return Value(_shift(access.kind, access.bit_offset % 8, 8 * size, size, btf.little))


def _element_value(access: Access, kind: Type) -> Value:
    if access.kind == CoreKind.FIELD_BYTE_OFFSET:
        return Value(access.bit_offset // 8, _element_size(kind), kind)
    if access.kind == CoreKind.FIELD_BYTE_SIZE:
        return Value(_size(kind))
    raise CoreRelocationError("an array's element has no sign and no shift")


def _element_size(kind: Type) -> int:
    """Returns the size of what a load of the field reads: of an array's innermost element."""
    kind = kind.btf.resolve(kind.id)
    while kind.kind == Kind.ARRAY:
        kind = kind.btf.resolve(kind.type)
    return _size(kind)


def _bitfield_value(access: Access, member: Member, kind: Type) -> Value:
    """Returns a bitfield's value for the smallest load that holds all of it; the compiler's may be another one."""
    size, at, bits = kind.size, access.bit_offset, member.bits
    if not size:
        raise CoreRelocationError(f"the bitfield {member.name} is of a type without a size")
    while (start := at // 8 // size * size) * 8 + size * 8 < at + bits:
        if size >= MAX_LOAD:
            raise CoreRelocationError(f"the bitfield {member.name} can't be read with one load of {MAX_LOAD} bytes")
        size *= 2
    if access.kind == CoreKind.FIELD_BYTE_OFFSET:
        return Value(start, checked=False)
    if access.kind == CoreKind.FIELD_BYTE_SIZE:
        return Value(size, checked=False)
    shift = _shift(access.kind, at - 8 * start, bits, size, kind.btf.little)
    return Value(shift, checked=access.kind == CoreKind.FIELD_RSHIFT_U64)


def _shift(kind: CoreKind, at: int, bits: int, size: int, little: bool) -> int:
    """Returns by how much a loaded field is shifted to be alone in 64 bits; `at` is its first bit in the load."""
    if kind == CoreKind.FIELD_RSHIFT_U64:
        return (64 - bits) & MASK64
    return (64 - (at + bits) if little else (8 - size) * 8 + at) & MASK64
