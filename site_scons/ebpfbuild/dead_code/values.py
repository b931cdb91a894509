"""Holds what is known of a register or a stack slot: a number, a pointer of a known kind, or nothing."""

from typing import NamedTuple

from ..core_relo.patch import ALU, Insn

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
# Operations of the kernel's bpf_common.h and bpf.h: the high four bits of an opcode.
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END = range(0x00, 0xE0, 0x10)
JA, JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, CALL, EXIT, JLT, JLE, JSLT, JSLE, JCOND = range(0x00, 0xF0, 0x10)


class Pointer(NamedTuple):
    """A pointer that isn't NULL.

    `base` is `stack` (its own frame's), `ctx` (the program's argument), `data` (a section `name` that never changes),
    `kconfig` (an option of the kernel's, `name`) or `` for any other.
    """

    base: str = ""
    offset: int = 0
    name: str = ""


class Argument(NamedTuple):
    """The traced function's argument of that number, loaded from the context."""

    number: int


Known = int | Pointer | Argument | None  # None is unknown; a number is what the 64 bits hold, unsigned
SOMEWHERE = Pointer()


def signed(number: int, bits: int) -> int:
    """Returns the low bits of a number as a signed one."""
    number &= (1 << bits) - 1
    return number - (number >> bits - 1 << bits)


def alu(insn: Insn, old: Known, operand: Known) -> Known:
    """Returns what an arithmetic instruction leaves in its register."""
    operation, wide = insn.code & 0xF0, insn.kind != ALU
    if operation == MOV:
        return _moved(insn, operand, wide)
    if isinstance(old, Pointer):
        number = operand if isinstance(operand, int) else None
        if number is not None and wide and operation in (ADD, SUB) and old.base:
            step = signed(number, 64)
            return old._replace(offset=old.offset + (step if operation == ADD else -step))
        return SOMEWHERE if operation in (ADD, SUB) and number is not None and wide else None
    if not isinstance(old, int) or (not isinstance(operand, int) and operation not in (NEG, END)):
        zero = operand == 0 and operation in (AND, MUL)
        return 0 if zero else None
    return _computed(insn, operation, old, operand if isinstance(operand, int) else 0, wide)


def _moved(insn: Insn, operand: Known, wide: bool) -> Known:
    if insn.off in (8, 16, 32):  # a move that extends the sign, of -mcpu=v4
        return signed(operand, insn.off) & (MASK64 if wide else MASK32) if isinstance(operand, int) else None
    if wide:
        return operand
    return operand & MASK32 if isinstance(operand, int) else None


def _computed(insn: Insn, operation: int, old: int, operand: int, wide: bool) -> Known:
    bits = 64 if wide else 32
    mask = MASK64 if wide else MASK32
    old, operand = old & mask, operand & mask
    shift = operand & bits - 1
    if operation in (DIV, MOD):
        return _divided(insn, operation, old, operand, bits)
    if operation == END:
        return None
    results = {ADD: old + operand, SUB: old - operand, MUL: old * operand, OR: old | operand, AND: old & operand,
               LSH: old << shift, RSH: old >> shift, NEG: -old, XOR: old ^ operand,
               ARSH: signed(old, bits) >> shift}  # fmt: skip
    return results[operation] & mask if operation in results else None


def _divided(insn: Insn, operation: int, old: int, operand: int, bits: int) -> Known:
    """Divides as BPF does: by zero gives 0, and the rest by zero the dividend; signed division isn't followed."""
    if insn.off:
        return None
    if not operand:
        return 0 if operation == DIV else old
    return old // operand if operation == DIV else old % operand


def decide(operation: int, wide: bool, left: Known, right: Known) -> bool | None:
    """Returns whether a conditional jump is taken; None where that isn't known."""
    if isinstance(left, Pointer) and right == 0 and wide and operation in (JEQ, JNE):
        return operation == JNE
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    bits = 64 if wide else 32
    mask = MASK64 if wide else MASK32
    a, b, x, y = left & mask, right & mask, signed(left, bits), signed(right, bits)
    return {JEQ: a == b, JGT: a > b, JGE: a >= b, JSET: bool(a & b), JNE: a != b, JSGT: x > y, JSGE: x >= y,
            JLT: a < b, JLE: a <= b, JSLT: x < y, JSLE: x <= y}.get(operation)  # fmt: skip
