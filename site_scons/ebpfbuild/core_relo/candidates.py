"""Finds what a kernel has in the place of an object's type, and walks an access there (libbpf: relo_core.c)."""

from bisect import bisect_left
from collections.abc import Iterator

from ..btf.ext import ENUM_KINDS, FIELD_KINDS, MAX_STEPS, CoreKind
from ..btf.reader import Btf
from ..btf.types import COMPOSITES, ENUMS, Kind, Type
from ..errors import CoreRelocationError
from .access import Access, Step, is_flexible
from .compatible import fields_fit, types_fit, types_match
from .names import essential_name, resolved_size, same_kind


def candidates(local: Type, kernel: Btf) -> list[Type]:
    """Returns a kernel's types of the same kind and name, by id; neither name's ___flavor counts."""
    name = essential_name(local.name)
    found = [*kernel.named(name), *_flavors(kernel, name)]
    return sorted((kind for kind in found if same_kind(kind, local)), key=lambda kind: kind.id)


def _flavors(btf: Btf, name: str) -> Iterator[Type]:
    """Yields the types that are called a name with a flavor, as `name___2` is."""
    if btf.base:
        yield from _flavors(btf.base, name)
    prefix = f"{name}___"
    at = bisect_left(btf.by_name, prefix, key=lambda number: btf[number].name)
    while at < len(btf.by_name) and (found := btf[btf.by_name[at]]).name.startswith(prefix):
        if essential_name(found.name) == name:
            yield found
        at += 1


def match(local: Access, candidate: Type) -> Access | None:
    """Returns the access in a candidate type; None where it doesn't have it (bpf_core_spec_match).

    Raises CoreRelocationError where libbpf gives up, and BtfError for types that contain themselves.
    """
    if local.kind in ENUM_KINDS:
        return _match_enumerator(local, candidate)
    if local.kind in FIELD_KINDS:
        return _match_field(local, candidate)
    fits = types_match if local.kind == CoreKind.TYPE_MATCHES else types_fit
    return Access(local.kind, candidate, ()) if fits(local.root, candidate) else None


def _match_enumerator(local: Access, candidate: Type) -> Access | None:
    kind, name = candidate.btf.resolve(candidate.id), essential_name(local.steps[0].name)
    if kind.kind not in ENUMS:
        return None
    for index, value in enumerate(kind.values):
        if essential_name(value.name) == name:
            return Access(local.kind, candidate, (Step(kind, index, value.name),))
    return None


def _match_field(local: Access, candidate: Type) -> Access | None:
    btf, kind = candidate.btf, candidate
    steps: list[Step] = []
    bits = depth = 0
    for number, step in enumerate(local.steps):
        kind = btf.resolve(kind.id)
        if step.name:
            found = _member(kind, step, depth)
            if found is None:
                return None
            at, offset, depth = found
            steps.append(at)
            bits += offset
            kind = btf[at.type.members[at.at].type]
            continue
        if number:
            if kind.kind != Kind.ARRAY or not (step.at < kind.length or is_flexible(steps[-1], kind)):
                return None
            kind = btf.resolve(kind.type)
        size, depth = resolved_size(kind), depth + 1
        if size is None or depth > MAX_STEPS:
            raise CoreRelocationError(f"{kind.name or kind.kind.name} of the kernel has no size")
        steps.append(Step(kind, step.at, ""))
        bits += step.at * size * 8
    return Access(local.kind, candidate, tuple(steps), bits)


def _member(kind: Type, step: Step, depth: int) -> tuple[Step, int, int] | None:
    """Returns the member of a struct, or of an anonymous one in it, that is called as the step's and fits it.

    With it come its offset in bits from `kind`, and how deep it lies. In each struct the first of that name decides.
    """
    if kind.kind not in COMPOSITES:
        return None
    if depth >= MAX_STEPS and kind.count:
        raise CoreRelocationError(f"more than {MAX_STEPS} steps into the kernel's {kind.name or 'anonymous struct'}")
    for index, member in enumerate(kind.members):
        if member.name == step.name:
            mine = step.type.btf[step.type.members[step.at].type]
            fits = fields_fit(mine, kind.btf[member.type])
            return (Step(kind, index, member.name), member.bit_offset, depth + 1) if fits else None
        inner = None if member.name else _member(kind.btf.resolve(member.type), step, depth + 1)
        if inner:
            return inner[0], member.bit_offset + inner[1], inner[2]
    return None
