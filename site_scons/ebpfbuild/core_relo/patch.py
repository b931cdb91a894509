"""Puts what relocations became into a program's instructions (libbpf: bpf_core_patch_insn of relo_core.c)."""

import struct
from functools import lru_cache
from typing import NamedTuple

from ..elf.reader import INSN_SIZE, LD_IMM64
from ..errors import CoreRelocationError
from .resolver import Resolution
from .values import MASK64

LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)  # instruction classes of the kernel's bpf_common.h
SIZES = {8: 0x18, 4: 0x00, 2: 0x08, 1: 0x10}  # BPF_SIZE by bytes
BYTES = {code: size for size, code in SIZES.items()}
SIZE_MASK, FROM_REGISTER = 0x18, 0x08
MAX_OFFSET = 0x7FFF


class Insn(NamedTuple):
    """An instruction, struct bpf_insn of include/uapi/linux/bpf.h; `imm` and `off` are signed."""

    code: int
    dst: int
    src: int
    off: int
    imm: int

    @property
    def kind(self) -> int:
        """The class: LD to ALU64."""
        return self.code & 7


BAD_RELOCATION = Insn(0x85, 0, 0, 0, 195896080)  # what libbpf writes where there is nothing to write: 0xbad2310


def instructions(code: bytes, little: bool) -> list[Insn]:
    """Returns the instructions of a function; the second half of a 64-bit load is one of its own."""
    return list(_decoded(code, little))


@lru_cache(maxsize=256)  # an object is relocated for one kernel after the other
def _decoded(code: bytes, little: bool) -> tuple[Insn, ...]:
    rows = struct.iter_unpack("<BBhi" if little else ">BBhi", code[: len(code) // INSN_SIZE * INSN_SIZE])
    low, high = (0, 4) if little else (4, 0)  # by how much the pair of registers is shifted
    return tuple(Insn(op, pair >> low & 15, pair >> high & 15, off, imm) for op, pair, off, imm in rows)


class Patch(NamedTuple):
    """The values that an instruction held and holds now; `poisoned` where the kernel must never reach it."""

    old: int
    new: int
    poisoned: bool = False


def patch(code: list[Insn], at: int, resolution: Resolution) -> Patch:
    """Writes a resolution into the instruction at an index. Raises CoreRelocationError for what libbpf refuses."""
    old, new, insn = resolution.old, resolution.new, code[at]
    if new is None or old is None:
        return _poison(code, at)
    if insn.kind in (ALU, ALU64):
        _require(not insn.code & FROM_REGISTER, "the instruction takes a register, not a value")
        _check(resolution, insn.imm & MASK64)
        code[at] = insn._replace(imm=signed32(new.number))
        return Patch(insn.imm & MASK64, new.number)
    if insn.kind in (LDX, ST, STX):
        return _patch_access(code, at, resolution)
    _require(insn.code == LD_IMM64 and not insn.src and not insn.off, "the instruction takes no value")
    _require(at + 1 < len(code) and code[at + 1][:4] == (0, 0, 0, 0), "a 64-bit load is cut short")
    before = imm64(code, at)
    _check(resolution, before)
    code[at] = insn._replace(imm=signed32(new.number))
    code[at + 1] = code[at + 1]._replace(imm=signed32(new.number >> 32))
    return Patch(before, new.number)


def _patch_access(code: list[Insn], at: int, resolution: Resolution) -> Patch:
    old, new, insn = resolution.old, resolution.new, code[at]
    assert old and new
    _check(resolution, insn.off & MASK64)
    _require(new.number <= MAX_OFFSET, f"the offset {new.number} is more than an instruction can hold")
    if resolution.misfit:
        return _poison(code, at)
    size = insn.code & SIZE_MASK
    if new.size != old.size:
        _require(BYTES[size] == old.size, f"the instruction reads {BYTES[size]} bytes of a field of {old.size}")
        _require(new.size in SIZES, f"no instruction reads a field of {new.size} bytes")
        size = SIZES[new.size]
    code[at] = insn._replace(off=new.number, code=insn.code & ~SIZE_MASK | size)
    return Patch(insn.off & MASK64, new.number)


def _poison(code: list[Insn], at: int) -> Patch:
    for index in range(at, min(at + 1 + (code[at].code == LD_IMM64), len(code))):
        code[index] = BAD_RELOCATION
    return Patch(0, 0, poisoned=True)


def _check(resolution: Resolution, found: int) -> None:
    old = resolution.old
    if old and old.checked and found != old.number:
        raise CoreRelocationError(f"the instruction holds {found}, not the object's own {old.number}")


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise CoreRelocationError(what)


def imm64(code: list[Insn], at: int) -> int:
    """Returns the value of a 64-bit load."""
    return code[at].imm & 0xFFFFFFFF | (code[at + 1].imm & 0xFFFFFFFF) << 32


def signed32(number: int) -> int:
    """Returns the low 32 bits as a signed number."""
    number &= 0xFFFFFFFF
    return number - (number >> 31 << 32)
