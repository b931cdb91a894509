"""Checks what a kernel has to know by its version: kinds of programs and maps, helpers, instructions.

A kernel's BTF lists its helpers and kinds in the enums of linux/bpf.h, a distribution's additions among them; where it
doesn't, and for instructions, the release decides (versions.py). `inspect` of the loader has the same tables.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from ..core_relo.patch import ALU, ALU64, JMP, JMP32, LDX, STX, Insn
from ..dead_code.values import CALL, DIV, END, EXIT, JA, JCOND, MOD, MOV
from ..spec.map import MapSpec
from ..spec.object import ObjectSpec, ProgramSpec
from .kernel import Kernel
from .problem import Problem
from .targets import Target
from .versions import Feature, SectionKind, helpers, map_types, program_types, section_kind

# The first Linux in which a program is called through a trampoline, where that isn't the hook's own first one. Of arm64
# it takes ftrace's direct calls besides (6.1 refuses the attach with -ENOTSUPP).
TRAMPOLINE_VERSIONS = {"aarch64": "6.4", "riscv64": "6.3", "s390x": "6.3"}
TRAMPOLINES = ("fentry", "fexit", "fmod_ret", "lsm")
BY_BTF = (*TRAMPOLINES, "fsession", "lsm_cgroup", "tp_btf", "iter", "struct_ops")  # what the kernel's own BTF names
ATOMIC, MEMSX, MODE_MASK, LOAD_ACQUIRE, STORE_RELEASE = 0xC0, 0x80, 0xE0, 0x100, 0x110


class Need(NamedTuple):
    """A feature of an instruction, and the first Linux that has it."""

    what: str
    kernel: str


@cache
def _helpers() -> dict[int, Feature]:
    return {each.number: each for each in helpers()}


@cache
def _program_types() -> dict[str, str]:
    return {each.name: each.kernel for each in program_types()}


@cache
def _map_types() -> dict[str, Feature]:
    return {each.name: each for each in map_types()}


@cache
def _section_kind(section: str) -> SectionKind | None:
    return section_kind(section)


def program_problems(program: ProgramSpec, kernel: Kernel) -> Iterator[Problem]:
    """Yields what a kernel doesn't know of a program's kind."""
    kind = _section_kind(program.section)
    if kind is None:
        return
    fix = (f'SEC("?{kind.section}…")  // and load it only where the kernel has it',)
    came = _program_types()[kind.type]
    if not kernel.knows("bpf_prog_type", f"BPF_PROG_TYPE_{kind.type.upper()}", came):
        yield Problem("program", f"a program of type {kind.type}", f"it came with Linux {came}", fix)
        return
    if not kernel.has_own_btf and Target.of(program.section).kind in BY_BTF:
        there = "it has no BTF of its own, by which the kernel knows what such a program attaches to"
        yield Problem("program", f'SEC("{kind.section}")', there, fix)
        return
    first = kind.kernel
    if Target.of(program.section).kind in TRAMPOLINES and kernel.arch in TRAMPOLINE_VERSIONS:
        first = TRAMPOLINE_VERSIONS[kernel.arch]
    if not kernel.is_at_least(first):
        yield Problem("program", f'SEC("{kind.section}")', f"on {kernel.arch} it came with Linux {first}", fix)


def map_problems(spec: ObjectSpec, kernel: Kernel) -> Iterator[Problem]:
    """Yields the maps that a kernel can't make, without which libbpf doesn't load the object."""
    for each in _maps(spec):
        known = _map_types().get(each.type_name)
        if known and not kernel.knows("bpf_map_type", f"BPF_MAP_TYPE_{known.name.upper()}", known.kernel):
            fix = (f"bpf_map__set_autocreate({each.name}, false)  // before it is loaded, and guard its uses",)
            what = f"map {each.name} of type {known.name}"
            yield Problem("map", what, f"it came with Linux {known.kernel}", fix)


def _maps(spec: ObjectSpec) -> Iterator[MapSpec]:
    for each in spec.maps:
        yield each
        if each.inner:
            yield each.inner


def helper_problem(number: int, kernel: Kernel, line: str) -> Problem | None:
    """Returns the problem of a call of a helper that a kernel doesn't have."""
    known = _helpers().get(number)
    if known is None:
        return _unknown_helper(number, kernel, line)
    if kernel.knows("bpf_func_id", f"BPF_FUNC_{known.name}", known.kernel):
        return None
    fix = (f"if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_{known.name})) …  // else what older ones have",)
    return Problem("helper", f"bpf_{known.name}()", f"it came with Linux {known.kernel}", fix, line)


def _unknown_helper(number: int, kernel: Kernel, line: str) -> Problem | None:
    """Returns the problem of a helper that is newer than the tables here, or none at all: the kernel has a list."""
    count = kernel.count_of_helpers
    if not count or number <= count:
        return None
    fix = ("if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_…)) …  // else what older ones have",)
    return Problem("helper", f"helper {number}", f"it has {count} helpers", fix, line)


def instruction_problem(insn: Insn, kernel: Kernel, line: str) -> Problem | None:
    """Returns the problem of an instruction that a kernel doesn't know."""
    for need in _needs(insn):
        if not kernel.is_at_least(need.kernel):
            fix = _instruction_fix(need)
            return Problem("instruction", need.what, f"it came with Linux {need.kernel}", fix, line)
    return None


@lru_cache(maxsize=4096)  # programs have most of their instructions in common, and each is held against all kernels
def _needs(insn: Insn) -> tuple[Need, ...]:
    return tuple(instruction_needs(insn))


def _instruction_fix(need: Need) -> tuple[str, ...]:
    if "v4" in need.what:
        return ('cpu = "v3"  # in [clang] of toolchain.toml',)
    if "v3" in need.what:
        return ('cpu = "v2"  # in [clang] of toolchain.toml',)
    if "atomic" in need.what:
        return ("__atomic_fetch_add(&x, 1, __ATOMIC_RELAXED)  // whose result nobody uses is 5.8's instruction",)
    return ()


def instruction_needs(insn: Insn) -> Iterator[Need]:
    """Yields the features of an instruction that Linux 4.1 doesn't have; a call's are another matter."""
    kind, operation, mode = insn.kind, insn.code & 0xF0, insn.code & MODE_MASK
    if kind in (JMP, JMP32) and operation not in (CALL, EXIT):
        yield from _jump_needs(insn)
    elif kind == STX and mode == ATOMIC and insn.imm in (LOAD_ACQUIRE, STORE_RELEASE):
        yield Need("atomic loads and stores", "6.15")
    elif kind == STX and mode == ATOMIC and insn.imm:
        yield Need("atomic instructions beyond an addition", "5.12")
    elif kind == LDX and mode == MEMSX:
        yield Need("instructions of v4: a load that extends the sign", "6.6")
    elif kind in (ALU, ALU64) and insn.off and operation in (DIV, MOD):
        yield Need("instructions of v4: signed division", "6.6")
    elif kind == ALU64 and insn.off == 1 and operation == MOV:
        yield Need("arenas", "6.9")
    elif kind in (ALU, ALU64) and insn.off and operation == MOV:
        yield Need("instructions of v4: a move that extends the sign", "6.6")
    elif insn.code == ALU64 | END:
        yield Need("instructions of v4: a byte swap", "6.6")


def _jump_needs(insn: Insn) -> Iterator[Need]:
    distance = insn.off
    if insn.code == JMP | JCOND:
        yield Need("may_goto", "6.9")
        return
    if insn.code == JMP32 | JA:
        yield Need("instructions of v4: a far jump", "6.6")
        distance = insn.imm
    elif insn.kind == JMP32:
        yield Need("32-bit jumps (-mcpu=v3)", "5.1")
    if distance < 0:
        yield Need("loops", "5.3")
