"""BPF's instructions: struct bpf_insn, encoded and decoded, and the fields of its opcode.

The numbers are those of linux/bpf_common.h and linux/bpf.h, by their names without BPF_.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

INSN_SIZE = 8  # bytes of a struct bpf_insn
# Classes, operations, modes.
LDX, STX, ALU, JMP, JMP32, ALU64 = 0x01, 0x03, 0x04, 0x05, 0x06, 0x07
JA, DIV, OP_CALL, OP_EXIT, MOD, OP_MOV, END, OP_JCOND = 0x00, 0x30, 0x80, 0x90, 0x90, 0xB0, 0xD0, 0xE0
MEMSX, ATOMIC = 0x80, 0xC0
LOAD_ACQ, STORE_REL = 0x100, 0x110
# Whole opcodes: a call, the end, a move of a constant, a load of 64 bits, and newer ones.
CALL, EXIT, MOV64_IMM, LD_IMM64 = JMP | OP_CALL, JMP | OP_EXIT, ALU64 | OP_MOV, 0x18
MAY_GOTO, BSWAP, LONG_JUMP = JMP | OP_JCOND, ALU64 | END, JMP32 | JA
PSEUDO_CALL = 1  # in the source register: a call of a function of the object


class Instruction(NamedTuple):
    """A struct bpf_insn in this machine's byte order: index, opcode, source register, offset, immediate value."""

    at: int
    code: int
    source: int
    offset: int
    value: int


def instructions(code: bytes, little: bool) -> Iterator[Instruction]:
    """Yields the instructions of a program, without the second half of those that load 64 bits."""
    rows = struct.iter_unpack("<BBhi" if little else ">BBhi", code[: len(code) // INSN_SIZE * INSN_SIZE])
    wide = False
    for at, (opcode, registers, offset, value) in enumerate(rows):
        if wide:
            wide = False
            continue
        wide = opcode == LD_IMM64
        yield Instruction(at, opcode, registers >> 4 if little else registers & 15, offset, value)


def encode(code: int, value: int = 0) -> bytes:
    """Encodes one instruction that uses register 0 alone."""
    return struct.pack("=BBhi", code, 0, 0, value)


def program_returning(value: int) -> bytes:
    """Encodes the program `return value`."""
    return encode(MOV64_IMM, value) + encode(EXIT)


def program_calling(helper: int) -> bytes:
    """Encodes a program that calls a helper with unset arguments: the verifier's log tells if it may call it."""
    return encode(CALL, helper) + encode(EXIT)
