"""Reads what a CO-RE relocation asks for in the object's own types: the steps from its type to a field."""

from typing import NamedTuple

from ..btf.ext import ENUM_KINDS, FIELD_KINDS, MAX_STEPS, CoreKind, CoreRelocation
from ..btf.reader import Btf
from ..btf.types import COMPOSITES, ENUMS, Kind, Type
from ..errors import CoreRelocationError
from .names import resolved_size


class Step(NamedTuple):
    """A step of an access: into the member (or enumerator) number `at` called `name`, or to an array's element `at`.

    `type` is the struct that has the member, the enum, or the element's type. An element has no name.
    """

    type: Type
    at: int
    name: str


class Access(NamedTuple):
    """A type and the steps from it, those through anonymous members left out; `bit_offset` is where they lead to."""

    kind: CoreKind
    root: Type
    steps: tuple[Step, ...]
    bit_offset: int = 0

    @property
    def text(self) -> str:
        """The steps as C writes them: `__sk_common.skc_daddr` or `parts[2].deep`."""
        steps = self.steps
        if steps and self.kind in FIELD_KINDS and not steps[0].at:
            steps = steps[1:]
        return "".join(f".{step.name}" if step.name else f"[{step.at}]" for step in steps).removeprefix(".")


def parse_access(btf: Btf, relocation: CoreRelocation) -> Access:
    """Returns the access that a relocation describes (libbpf: bpf_core_parse_spec).

    Raises CoreRelocationError for what libbpf refuses, and BtfError for types that contain themselves.
    """
    root, kind = btf[relocation.type], relocation.kind
    if kind not in FIELD_KINDS and kind not in ENUM_KINDS:
        if relocation.access != "0":
            raise _malformed(relocation)
        return Access(kind, root, ())
    indexes = _indexes(relocation)
    if kind in ENUM_KINDS:
        return Access(kind, root, (_enumerator(btf.resolve(root.id), indexes, relocation),))
    return _field(btf, relocation, indexes)


def _malformed(relocation: CoreRelocation) -> CoreRelocationError:
    return CoreRelocationError(f"the access {relocation.access!r} doesn't fit its type")


def _indexes(relocation: CoreRelocation) -> list[int]:
    steps = relocation.access.split(":")
    if len(steps) > MAX_STEPS or not all(step.isascii() and step.isdigit() and len(step) < 11 for step in steps):
        raise _malformed(relocation)
    return list(map(int, steps))


def _enumerator(kind: Type, indexes: list[int], relocation: CoreRelocation) -> Step:
    if kind.kind not in ENUMS or len(indexes) > 1 or indexes[0] >= kind.count:
        raise _malformed(relocation)
    return Step(kind, indexes[0], kind.values[indexes[0]].name)


def _field(btf: Btf, relocation: CoreRelocation, indexes: list[int]) -> Access:
    kind = btf.resolve(relocation.type)
    steps, bits = [Step(kind, indexes[0], "")], 8 * indexes[0] * _size(kind, relocation)
    for index in indexes[1:]:
        kind = btf.resolve(kind.id)
        if kind.kind in COMPOSITES and index < kind.count:
            member = kind.members[index]
            bits += member.bit_offset
            if member.name:
                steps.append(Step(kind, index, member.name))
            kind = btf[member.type]
        elif kind.kind == Kind.ARRAY and (index < kind.length or is_flexible(steps[-1], kind)):
            kind = btf.resolve(kind.type)
            steps.append(Step(kind, index, ""))
            bits += 8 * index * _size(kind, relocation)
        else:
            raise _malformed(relocation)
    return Access(relocation.kind, btf[relocation.type], tuple(steps), bits)


def _size(kind: Type, relocation: CoreRelocation) -> int:
    size = resolved_size(kind)
    if size is None:
        raise _malformed(relocation)
    return size


def is_flexible(before: Step, array: Type) -> bool:
    """Returns True for an array without a length that is its struct's last member: any element of it may be named."""
    return bool(before.name) and not array.length and before.at == before.type.count - 1
