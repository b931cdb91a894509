"""Resolves an object's CO-RE relocations against one kernel, as libbpf does when it loads the object there."""

from typing import NamedTuple

from ..btf.ext import CoreKind, CoreRelocation
from ..btf.reader import Btf
from ..btf.types import INT_SIGNED, Kind, Type
from ..errors import BtfError, CoreRelocationError
from .access import Access, parse_access
from .candidates import candidates, match
from .values import Value, missing_value, value


class Resolution(NamedTuple):
    """The outcome of a relocation on one kernel.

    local      the access in the object's types; None where it can't be read
    old, new   the values there and on the kernel; `new` is None where the kernel has nothing that matches
    found      the access in the kernel's types; None for none, or for a local type id
    misfit     True where the field has another size there, and a load of that size would read a wrong value
    refusal    why libbpf refuses the whole object; empty where it doesn't
    """

    relocation: CoreRelocation
    local: Access | None
    old: Value | None
    new: Value | None
    found: Access | None = None
    misfit: bool = False
    refusal: str = ""


class Resolver:
    """The relocations of one object on one kernel. They are to be asked for in the object's order.

    A type's candidates that lack what one relocation asks for are passed over by those that follow, as in libbpf.
    """

    def __init__(self, local: Btf, kernel: Btf):
        self._local, self._kernel = local, kernel
        self._candidates: dict[int, list[Type]] = {}

    def resolve(self, relocation: CoreRelocation) -> Resolution:
        """Returns what becomes of a relocation; a refusal is part of it."""
        access = None
        try:
            access = parse_access(self._local, relocation)
            return self._resolve(relocation, access)
        except (BtfError, CoreRelocationError) as error:
            return Resolution(relocation, access, None, None, refusal=error.what)

    def _resolve(self, relocation: CoreRelocation, access: Access) -> Resolution:
        old = value(access)
        if relocation.kind == CoreKind.TYPE_ID_LOCAL:
            return Resolution(relocation, access, old, old)
        if not access.root.name:
            raise CoreRelocationError("the type has no name to be looked up by")
        if relocation.type not in self._candidates:
            self._candidates[relocation.type] = candidates(access.root, self._kernel)
        found = [(each, match(access, each)) for each in self._candidates[relocation.type]]
        matching = [each for _, each in found if each]
        if not matching:
            return Resolution(relocation, access, old, missing_value(relocation.kind))
        self._candidates[relocation.type] = [each for each, matched in found if matched]
        new = _agreed(matching)
        return Resolution(relocation, access, old, new, matching[0], _misfit(old, new))


def _agreed(matching: list[Access]) -> Value:
    """Returns the value that all candidates give. Raises CoreRelocationError where two of them differ."""
    values = [value(each) for each in matching]
    for other, number in zip(matching[1:], values[1:]):
        if other.bit_offset != matching[0].bit_offset or number.number != values[0].number:
            raise CoreRelocationError(
                f"{len(matching)} types of the kernel match and differ: "
                f"[{matching[0].root.id}] gives {values[0].number}, [{other.root.id}] {number.number}"
            )
    return values[0]


def _misfit(old: Value, new: Value) -> bool:
    """Returns True if a load of the new size would read something else: neither pointers nor unsigned integers."""
    if old.size == new.size:
        return False
    if old.type is None or new.type is None:  # one of them is a bitfield
        return True
    kinds = {old.type.kind, new.type.kind}
    signed = INT_SIGNED in [each.encoding for each in (old.type, new.type) if each.kind == Kind.INT]
    return kinds != {Kind.PTR} and (kinds != {Kind.INT} or signed)
