"""Finds the first Linux that has all features of an object, by its instructions, maps and sections.

Versions are those of the kernel's history: kernel/versions.py has those of types, helpers and ways to attach; those of
instructions are in Documentation/bpf/standardization/instruction-set.rst and its commits. Features behind a check
(bpf_core_enum_value_exists and the like) count as used, since the object doesn't show the check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..btf.core_relo import EXISTENCE_KINDS
from ..kernel import instructions as insn
from ..kernel.versions import helpers, map_types, section_kind, version_of
from .map import MapSpec
from .object import ObjectSpec, ProgramSpec

BTF_TYPED = ("tp_btf", "fentry", "fexit", "fmod_ret", "fsession", "lsm", "lsm_cgroup", "iter", "freplace", "struct_ops")
MAP_FLAG_VERSIONS = {"mmapable": "5.5", "rdonly_prog": "5.2", "wronly_prog": "5.2", "inner_map": "5.10", "link": "6.4"}
FUNCTION_CALL = "calls between its functions"
OLD_MAX_INSTRUCTIONS = 4096  # the limit of a privileged program before 5.2


class Need(NamedTuple):
    """A feature, the first Linux that has it, and its `user`: a program or map, "" for the object."""

    kernel: str
    what: str
    user: str


class InstructionNeed(NamedTuple):
    """A feature of an instruction, at this index in the program, and the first Linux that has it."""

    at: int
    kernel: str
    what: str


def needs(spec: ObjectSpec) -> list[Need]:
    """Returns the features newer than Linux 4.1 that an object uses, the newest first, each once for each user."""
    found = {*_object_needs(spec)}
    for each in spec.maps:
        found.update(_map_needs(each))
    for program in (*spec.programs, *spec.functions):
        found.update(_program_needs(spec, program))
    return sorted(found, key=lambda need: (*(-part for part in version_of(need.kernel)), need.what, need.user))


def minimum(found: list[Need], *names: str) -> str:
    """Returns the first Linux that has all features of these users; without names, of all users."""
    wanted = [need.kernel for need in found if not names or need.user in names]
    return max(wanted, key=version_of, default="4.1")


def first_kernel(spec: ObjectSpec, found: list[Need]) -> str:
    """Returns the first Linux that loads the object unchanged: its maps, and the programs with autoload."""
    on = {program.name for program in spec.programs if program.autoload}
    off = {program.name for program in spec.programs} - on
    return minimum([need for need in found if need.user not in off])


def _object_needs(spec: ObjectSpec) -> Iterator[Need]:
    if spec.variables:
        yield Need("5.2", "global variables", "")
    if any(record.kind != "local_type_id" for record in spec.core):
        yield Need("5.4", "CO-RE, by the kernel's own BTF (older ones by open(btf=…))", "")
    if any(program.section.lstrip("?").split("/")[0].removesuffix(".s") in BTF_TYPED for program in spec.programs):
        yield Need("5.5", "programs typed by the kernel's BTF", "")
    if any(each.section == ".ksyms" and each.size for each in spec.externs):  # a function has none
        yield Need("5.10", "variables of the kernel, by its BTF", "")
    if any(each.section.endswith(".link") for each in spec.struct_ops):
        yield Need("6.4", "struct_ops with a link", "")


def _map_needs(spec: MapSpec) -> Iterator[Need]:
    kernel = next((kind.kernel for kind in map_types() if kind.name == spec.type), "")
    if kernel:
        yield Need(kernel, f"a map of type {spec.type}", spec.name)
    for flag in spec.flags:
        if flag in MAP_FLAG_VERSIONS:
            yield Need(MAP_FLAG_VERSIONS[flag], f"the map flag {flag}", spec.name)


def _program_needs(spec: ObjectSpec, program: ProgramSpec) -> Iterator[Need]:
    kind = section_kind(program.section)
    if kind and program.section != ".text":
        yield Need(kind.kernel, f'SEC("{kind.section}")', program.name)
    if program.instructions > OLD_MAX_INSTRUCTIONS:
        yield Need("5.2", f"more than {OLD_MAX_INSTRUCTIONS} instructions", program.name)
    yield from (Need(kernel, what, program.name) for _, kernel, what in code_needs(spec, program))


def code_needs(spec: ObjectSpec, program: ProgramSpec) -> Iterator[InstructionNeed]:
    """Yields the feature of each instruction that Linux 4.1 doesn't have."""
    known = {helper.number: helper for helper in helpers()}
    relocated, externs = dict(spec.references(program)), {each.name for each in spec.externs}
    for each in insn.instructions(program.code, spec.elf.little):
        helper = known.get(each.value) if each.code == insn.CALL and not each.source else None
        if helper:
            yield InstructionNeed(each.at, helper.kernel, f"the helper bpf_{helper.name}")
        elif each.code == insn.CALL and relocated.get(each.at * insn.INSN_SIZE) in externs:
            yield InstructionNeed(each.at, "5.13", f"the kfunc {relocated[each.at * insn.INSN_SIZE]}")
        elif each.code == insn.CALL and each.source == insn.PSEUDO_CALL:
            yield InstructionNeed(each.at, "4.16", FUNCTION_CALL)
        else:
            yield from _instruction_set(each)


def _instruction_set(each: insn.Instruction) -> Iterator[InstructionNeed]:
    """Yields the features of an instruction that isn't a call."""
    kind, mode, operation = each.code & 7, each.code & 0xE0, each.code & 0xF0
    if each.code == insn.MAY_GOTO:
        yield InstructionNeed(each.at, "6.9", "may_goto")
    elif kind in (insn.JMP, insn.JMP32) and operation not in (insn.OP_CALL, insn.OP_EXIT):
        if each.code == insn.LONG_JUMP:
            yield InstructionNeed(each.at, "6.6", "instructions of v4: a far jump")
        elif kind == insn.JMP32:
            yield InstructionNeed(each.at, "5.1", "32-bit jumps (-mcpu=v3)")
        if (each.value if each.code == insn.LONG_JUMP else each.offset) < 0:
            yield InstructionNeed(each.at, "5.3", "loops")
    if kind == insn.STX and mode == insn.ATOMIC and each.value:
        if each.value in (insn.LOAD_ACQ, insn.STORE_REL):
            yield InstructionNeed(each.at, "6.15", "atomic loads and stores")
        else:
            yield InstructionNeed(each.at, "5.12", "atomic instructions beyond an addition")
    if kind == insn.LDX and mode == insn.MEMSX:
        yield InstructionNeed(each.at, "6.6", "instructions of v4: a load that extends the sign")
    if kind in (insn.ALU, insn.ALU64) and each.offset:
        if operation in (insn.DIV, insn.MOD):
            yield InstructionNeed(each.at, "6.6", "instructions of v4: signed division")
        elif operation == insn.OP_MOV and kind == insn.ALU64 and each.offset == 1:
            yield InstructionNeed(each.at, "6.9", "arenas")
        elif operation == insn.OP_MOV:
            yield InstructionNeed(each.at, "6.6", "instructions of v4: a move that extends the sign")
    if each.code == insn.BSWAP:
        yield InstructionNeed(each.at, "6.6", "instructions of v4: a byte swap")


def asks_kernel(spec: ObjectSpec) -> bool:
    """Returns True if programs check for features, so that an older kernel than computed may be enough."""
    return any(record.kind in EXISTENCE_KINDS for record in spec.core)
