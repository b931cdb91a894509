"""Relocates all functions of an object for one kernel: their instructions as that kernel's verifier would get them."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from ..btf.ext import BtfExt
from ..btf.reader import Btf
from ..elf.reader import INSN_SIZE
from ..errors import CoreRelocationError
from ..spec.object import ObjectSpec, ProgramSpec
from .patch import Insn, Patch, instructions, patch
from .resolver import Resolution, Resolver


class Applied(NamedTuple):
    """A relocation put into the instruction at an index of its function; `number` is its place in its section's table.

    `patch` is None where libbpf refuses the object because of it, as `refusal` says.
    """

    number: int
    at: int
    resolution: Resolution
    patch: Patch | None
    refusal: str = ""


@dataclass
class Relocated:
    """A function, its instructions once they are relocated, and what was put into them, in the object's order."""

    spec: ProgramSpec
    code: list[Insn]
    applied: list[Applied] = field(default_factory=list)

    @property
    def poisoned(self) -> dict[int, Applied]:
        """The relocations with nothing on the kernel that matches, by the instruction that it must never reach."""
        return {each.at: each for each in self.applied if each.patch and each.patch.poisoned}


def read_ext(spec: ObjectSpec) -> BtfExt:
    """Returns an object's .BTF.ext, empty where it has none. Raises BtfError."""
    section = spec.elf.section(".BTF.ext")
    if section is None:
        return BtfExt((), (), ())
    return BtfExt.parse(section.data, spec.btf, f"{spec.elf.where}: .BTF.ext")


def relocate(spec: ObjectSpec, ext: BtfExt, kernel: Btf) -> list[Relocated]:
    """Returns the object's programs and subprograms, relocated (libbpf: bpf_object__relocate_core).

    A program that libbpf doesn't load unasked (its section begins with `?`) is relocated too, after the others: those
    decide which of a type's candidates count.
    """
    little, resolver = spec.elf.little, Resolver(spec.btf, kernel)
    functions = [Relocated(each, instructions(each.instructions, little)) for each in spec.programs + spec.subprograms]
    places: dict[str, list[Relocated]] = {}
    for each in sorted(functions, key=lambda each: each.spec.offset):
        places.setdefault(each.spec.section, []).append(each)
    numbers: dict[str, int] = {}
    for row in sorted(ext.relocations, key=lambda row: row.section.startswith("?")):
        number = numbers[row.section] = numbers.get(row.section, -1) + 1
        inside = places.get(row.section, [])
        index = bisect_right(inside, row.offset, key=lambda each: each.spec.offset) - 1
        at = (row.offset - inside[index].spec.offset) // INSN_SIZE if index >= 0 else -1
        if index >= 0 and at < len(inside[index].code):  # else of a weak function that the linker left out
            _apply(inside[index], number, at, resolver.resolve(row))
    return functions


def _apply(function: Relocated, number: int, at: int, resolution: Resolution) -> None:
    patched, refusal = None, resolution.refusal
    if not refusal:
        try:
            patched = patch(function.code, at, resolution)
        except CoreRelocationError as error:
            refusal = error.what
    function.applied.append(Applied(number, at, resolution, patched, refusal))
