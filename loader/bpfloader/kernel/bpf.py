"""Calls bpf(2) itself, for probes: libbpf's wrappers refuse what is newer than they are, the kernel doesn't.

Layouts and numbers: union bpf_attr and struct bpf_insn of linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from typing import NamedTuple

# bpf(2)'s number (the kernel's arch/*/…/syscall*.tbl), by machine and by the width of this process's longs in bits.
SYSCALL_NUMBERS = {
    ("x86_64", 64): 321, ("x86_64", 32): 357, ("i686", 32): 357, ("aarch64", 64): 280, ("aarch64", 32): 386,
    ("armv8l", 32): 386, ("armv7l", 32): 386, ("armv6l", 32): 386, ("riscv64", 64): 280, ("loongarch64", 64): 280,
    ("ppc64le", 64): 361, ("ppc64", 64): 361, ("s390x", 64): 351, ("mips64", 64): 5315, ("armv7b", 32): 386,
}  # fmt: skip
# enum bpf_cmd.
MAP_CREATE, PROG_LOAD, PROG_ATTACH, TEST_RUN = 0, 5, 8, 10
RAW_TRACEPOINT_OPEN, BTF_LOAD, LINK_CREATE = 17, 18, 28
CALL, EXIT, SET = 0x85, 0x95, 0xB7  # BPF_JMP | BPF_CALL, BPF_JMP | BPF_EXIT, BPF_ALU64 | BPF_MOV | BPF_K
# The errors of a call that a signal interrupted: bpf_check (kernel/bpf/verifier.c) gives up with EAGAIN.
INTERRUPTED = errno.EAGAIN, errno.EINTR
ATTEMPTS = 100  # libbpf makes 5 for a program, which a timer's signals every millisecond use up
# The errors that say nothing of the kernel's features: at another moment, or for another process, the answer differs.
TRANSIENT = frozenset((*INTERRUPTED, errno.ENOMEM, errno.ENOBUFS, errno.EMFILE, errno.ENFILE))
LICENSE = ctypes.create_string_buffer(b"GPL")  # allows the helpers and hooks that need it
_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: bytes) -> int:
    """Calls bpf(2) and returns its result: a descriptor, or 0. Raises OSError.

    Repeats a call that a signal interrupted, up to ATTEMPTS times; Python's handlers run in between.
    """
    number = SYSCALL_NUMBERS.get((os.uname().machine, 8 * ctypes.sizeof(ctypes.c_long)))
    if number is None:
        raise OSError(38, f"bpf(2)'s number on {os.uname().machine} isn't known")  # ENOSYS
    buffer = ctypes.create_string_buffer(attributes.rstrip(b"\0").ljust(64, b"\0"))
    arguments = (number, command, ctypes.addressof(buffer), len(buffer) - 1)
    for _ in range(ATTEMPTS):
        result = int(_libc.syscall(*map(ctypes.c_long, arguments)))
        if result >= 0:
            return result
        error = ctypes.get_errno()
        if error not in INTERRUPTED:
            break
    raise OSError(error, os.strerror(error))


def instruction(code: int, value: int = 0) -> bytes:
    """Encodes one struct bpf_insn that uses register 0 alone."""
    return struct.pack("=BBhi", code, 0, 0, value)


def program_returning(value: int) -> bytes:
    """Encodes the program `return value`."""
    return instruction(SET, value) + instruction(EXIT)


def program_calling(helper: int) -> bytes:
    """Encodes a program that calls a helper with unset arguments: the verifier's log tells if it may call it."""
    return instruction(CALL, helper) + instruction(EXIT)


class ProgramAttr(NamedTuple):
    """The attributes of BPF_PROG_LOAD beside the instructions."""

    type: int
    attach_type: int = 0
    btf_id: int = 0
    target: int = 0  # the descriptor of the program that it extends or traces, or of a module's BTF
    flags: int = 0
    btf: int = 0
    functions: tuple[tuple[int, int], ...] = ()  # struct bpf_func_info: (instruction, BTF id) of each


def load(code: bytes, program: ProgramAttr, log: ctypes.Array[ctypes.c_char] | None = None) -> int:
    """Loads a program and returns its descriptor; the verifier writes to `log`. Raises OSError."""
    buffer = ctypes.create_string_buffer(code, len(code))
    rows = b"".join(struct.pack("=II", *row) for row in program.functions)
    functions = ctypes.create_string_buffer(rows)
    attributes = struct.pack(
        "=IIQQIIQII16sIIIIQIIQIII",
        program.type, len(code) // 8, ctypes.addressof(buffer), ctypes.addressof(LICENSE), int(log is not None),
        len(log) if log is not None else 0, ctypes.addressof(log) if log is not None else 0, _version_code(),
        program.flags, b"", 0, program.attach_type, program.btf, 8 if rows else 0,
        ctypes.addressof(functions) if rows else 0, len(program.functions), 0, 0, 0, program.btf_id, program.target,
    )  # fmt: skip
    return bpf(PROG_LOAD, attributes)


def _version_code() -> int:
    """Returns LINUX_VERSION_CODE, which kernels before 5.0 compare for programs at kprobes."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", os.uname().release)
    major, minor, patch = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return major << 16 | minor << 8 | min(patch, 255)


class MapAttr(NamedTuple):
    """The attributes of BPF_MAP_CREATE beside the type: sizes in bytes, and BTF ids where a type takes them."""

    key: int = 4
    value: int = 4
    entries: int = 1
    flags: int = 0
    inner: int = 0  # the descriptor of a map like those inside
    btf: int = 0
    key_type: int = 0
    value_type: int = 0
    kernel_type: int = 0


def create_map(kind: int, spec: MapAttr) -> int:
    """Makes a map and returns its descriptor. Raises OSError."""
    key, value, entries, flags, inner, *types = spec
    return bpf(MAP_CREATE, struct.pack("=IIIIIII16sIIIII", kind, key, value, entries, flags, inner, 0, b"", 0, *types))


def load_btf(data: bytes) -> int:
    """Loads BTF into the kernel and returns its descriptor. Raises OSError."""
    buffer = ctypes.create_string_buffer(data, len(data))
    return bpf(BTF_LOAD, struct.pack("=QQI", ctypes.addressof(buffer), 0, len(data)))


def link(program: int, target: int, attach_type: int, options: bytes = b"") -> int:
    """Makes a link and returns its descriptor; `options` follow `flags` in its attributes. Raises OSError."""
    return bpf(LINK_CREATE, struct.pack("=IIII", program, target, attach_type, 0) + options)


def raw_tracepoint(program: int, name: bytes = b"") -> int:
    """Makes a link at a raw tracepoint, or without a name at the program's own target. Returns its descriptor.

    Raises OSError.
    """
    text = ctypes.create_string_buffer(name)
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(text) if name else 0, program))


def attach(program: int, target: int, attach_type: int) -> None:
    """Attaches without a link. Raises OSError."""
    bpf(PROG_ATTACH, struct.pack("=III", target, program, attach_type))
