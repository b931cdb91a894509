"""Puts a module's BTF, split from a distilled base, onto the BTF of a kernel (libbpf: btf_relocate.c).

A module built out of the kernel's tree brings `.BTF.base`: the few types of its kernel that it refers to, by name and
size only. Each is looked up in the kernel that is there now.
"""

from array import array

from .reader import Btf, Sections
from .types import COMPOSITES, ENUMS, LAYOUTS, MODIFIERS, REFERS, Kind, Type

DISTILLED = (Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.STRUCT, Kind.UNION, Kind.FWD)
THROUGH = (*MODIFIERS, Kind.TYPEDEF, Kind.ARRAY)


def relocated(split: Btf, kernel: Btf) -> Btf:
    """Returns the types of `split`, whose base is a distilled one, as split BTF of `kernel`.

    Raises BtfError for a distilled type that the kernel lacks, that has another size there and is embedded by value, or
    that it has twice.
    """
    distilled = split.base
    if distilled is None:
        split.fail("has no distilled base")
    embedded = _embedded(split)
    numbers = [0, *(_number(kind, kernel, kind.id in embedded) for kind in distilled)]
    numbers += range(len(kernel), len(kernel) + len(split) - split.first)
    strings = distilled.strings + split.strings
    words = _renumbered(split, numbers, kernel.strings_end)
    moved = Btf(Sections(words, strings, kernel.little, 0, {}), kernel.pointer, split.where, kernel)
    moved.starts = split.starts
    return moved


def _embedded(split: Btf) -> set[int]:
    """Returns the base's structs and unions that a struct of `split` holds by value: their sizes must not differ."""
    found = set()
    for number in range(split.first, len(split)):
        for member in split[number].members:
            kind = split.resolve(member.type, THROUGH)
            if kind.kind in COMPOSITES and kind.id < split.first:
                found.add(kind.id)
    return found


def _number(wanted: Type, kernel: Btf, embedded: bool) -> int:
    """Returns the number that a distilled type has in the kernel. Raises BtfError."""
    if wanted.kind not in DISTILLED or not wanted.name:
        wanted.btf.fail(f"has {wanted!r} in its distilled base, where only named types without members belong")
    found = [kind for kind in kernel.named(wanted.name) if _fits(wanted, kind, embedded)]
    if len(found) > 1 and wanted.kind in COMPOSITES:
        found = [kind for kind in found if kind.size == wanted.size]
    if len(found) != 1:
        many = f"has {len(found)} types that may be it" if found else "has no such type"
        wanted.btf.fail(f"needs {wanted.kind.name} {wanted.name} of {wanted.size} bytes, and the kernel {many}")
    return found[0].id


def _fits(wanted: Type, kind: Type, embedded: bool) -> bool:
    """Returns True if a kernel's type of the same name can be the distilled one."""
    if wanted.kind == Kind.FWD:
        union = kind.flag if kind.kind == Kind.FWD else kind.kind == Kind.UNION
        return kind.kind in (Kind.FWD, *COMPOSITES) and union == wanted.flag
    if wanted.kind == Kind.ENUM:  # a distilled enum has its size alone, whatever its values need
        return kind.kind in ENUMS and kind.size == wanted.size
    if wanted.kind != kind.kind:
        return False
    if wanted.kind == Kind.INT:
        return kind.size == wanted.size and kind.encoding == wanted.encoding
    return kind.size == wanted.size or (wanted.kind in COMPOSITES and not embedded)


def _renumbered(split: Btf, numbers: list[int], strings: int) -> "array[int]":
    """Returns the words of a split BTF with new numbers for types, and names that lie `strings` bytes later."""
    words = array("I", split.words)
    ends = [*split.starts[2:], len(words)]
    for start, end in zip(split.starts[1:], ends):
        code = words[start + 1] >> 24 & 0x7F
        layout = LAYOUTS.get(code)
        if layout is None:
            split.fail("has a kind that this reader doesn't know, whose types can't be numbered anew")
        step = layout.each or layout.fixed
        names = [start, *(at for column in layout.names for at in range(start + 3 + column, end, step))]
        types = [at for column in layout.types for at in range(start + 3 + column, end, step)]
        for at in names:
            words[at] += strings if words[at] else 0
        for at in (*types, *([start + 2] if code in REFERS else [])):
            words[at] = numbers[words[at]]
    return words
