"""Calls bpf(2) itself, for probes: libbpf's wrappers refuse what is newer than they are, the kernel doesn't.

Layouts and numbers: union bpf_attr of linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
from typing import Any, NamedTuple

from .instructions import INSN_SIZE
from .syscall import raw_syscall, syscall_numbers

# enum bpf_cmd.
MAP_CREATE, PROG_LOAD, PROG_ATTACH, TEST_RUN, PROG_GET_NEXT_ID, PROG_QUERY = 0, 5, 8, 10, 11, 16
RAW_TRACEPOINT_OPEN, BTF_LOAD, TASK_FD_QUERY, LINK_CREATE = 17, 18, 20, 28
MAKE_DESCRIPTORS = (MAP_CREATE, PROG_LOAD, RAW_TRACEPOINT_OPEN, BTF_LOAD, LINK_CREATE)
BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI = 1 << 0, 1 << 1
LAST_STANDARD = 2  # the descriptors of standard input, output and errors are 0 to 2
# The errors of a call that a signal interrupted: bpf_check (kernel/bpf/verifier.c) gives up with EAGAIN.
INTERRUPTED = errno.EAGAIN, errno.EINTR
ATTEMPTS = 100  # libbpf makes 5 for a program, which a timer's signals every millisecond use up
# The errors that say nothing of the kernel's features: at another moment, or for another process, the answer differs.
TRANSIENT = frozenset((*INTERRUPTED, errno.ENOMEM, errno.ENOBUFS, errno.EMFILE, errno.ENFILE))
LICENSE = ctypes.create_string_buffer(b"GPL")  # allows the helpers and hooks that need it


def bpf(command: int, attributes: bytes) -> int:
    """Calls bpf(2) and returns its result: a descriptor, or 0. Raises OSError.

    Repeats a call that a signal interrupted, up to ATTEMPTS times; Python's handlers run in between.
    """
    result = _call(command, ctypes.create_string_buffer(attributes.rstrip(b"\0").ljust(64, b"\0")))
    if command not in MAKE_DESCRIPTORS or result > LAST_STANDARD:
        return result
    try:
        return duplicate(result)
    finally:
        os.close(result)


def duplicate(fd: int) -> int:
    """Returns another descriptor of the same, which isn't 0, even where standard input is closed, as in a daemon.

    In attributes of bpf(2), and so to libbpf, 0 is no descriptor.
    """
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LAST_STANDARD + 1)


def _call(command: int, buffer: ctypes.Array[ctypes.c_char]) -> int:
    """Calls bpf(2) with attributes to which the kernel may write, in a buffer that a NUL ends."""
    numbers = syscall_numbers()
    if numbers is None:
        raise OSError(38, f"bpf(2)'s number on {os.uname().machine} isn't known")  # ENOSYS
    for _ in range(ATTEMPTS):
        result = raw_syscall(numbers.bpf, command, ctypes.addressof(buffer), len(buffer) - 1)
        if result >= 0:
            return result
        error = ctypes.get_errno()
        if error not in INTERRUPTED:
            break
    raise OSError(error, os.strerror(error))


class FuncInfo(NamedTuple):
    """struct bpf_func_info: the instruction at which a function begins, and its id in the program's BTF."""

    instruction: int
    btf_id: int


class ProgramAttr(NamedTuple):
    """The attributes of BPF_PROG_LOAD beside the instructions."""

    type: int
    attach_type: int = 0
    btf_id: int = 0
    target: int = 0  # the descriptor of the program that it extends or traces, or of a module's BTF
    flags: int = 0
    btf: int = 0
    functions: tuple[FuncInfo, ...] = ()


def load_program(code: bytes, program: ProgramAttr, log: ctypes.Array[ctypes.c_char] | None = None) -> int:
    """Loads a program and returns its descriptor; the verifier writes to `log`. Raises OSError."""
    buffer = ctypes.create_string_buffer(code, len(code))
    rows = b"".join(struct.pack("=II", *row) for row in program.functions)
    functions = ctypes.create_string_buffer(rows)
    attributes = struct.pack(
        "=IIQQIIQII16sIIIIQIIQIII",
        program.type, len(code) // INSN_SIZE, ctypes.addressof(buffer), ctypes.addressof(LICENSE), int(log is not None),
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


def create_link(program: int, target: int, attach_type: int, options: bytes = b"") -> int:
    """Makes a link and returns its descriptor; `options` follow `flags` in its attributes. Raises OSError."""
    return bpf(LINK_CREATE, struct.pack("=IIII", program, target, attach_type, 0) + options)


def open_raw_tracepoint(program: int, name: bytes = b"") -> int:
    """Makes a link at a raw tracepoint, or without a name at the program's own target. Returns its descriptor.

    Raises OSError.
    """
    text = ctypes.create_string_buffer(name)
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(text) if name else 0, program))


def attach_program(program: int, target: int, attach_type: int) -> None:
    """Attaches without a link. Raises OSError."""
    bpf(PROG_ATTACH, struct.pack("=III", target, program, attach_type))


def query_programs(
    target: int, attach_type: int, programs: ctypes.Array[Any], links: ctypes.Array[Any] | None = None
) -> None:
    """Writes the ids of the programs that are attached to a target, and of their links, to arrays of equal length.

    A kernel before 6.6 refuses `links`. Raises OSError; ENOSPC where the arrays are too short.
    """
    room = ctypes.addressof(links) if links is not None else 0
    places = ctypes.addressof(programs), len(programs), 0, 0, room
    bpf(PROG_QUERY, struct.pack("=IIIIQIIQQ", target, attach_type, 0, 0, *places))


def next_program(number: int) -> int:
    """Returns the id of the program that was loaded next after the one of that id; 0 where none was. Raises OSError."""
    buffer = ctypes.create_string_buffer(struct.pack("=I60x", number), 65)
    try:
        _call(PROG_GET_NEXT_ID, buffer)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return 0
        raise
    return int(struct.unpack_from("=I", buffer, 4)[0])


def attached_alone(target: int, attach_type: int) -> tuple[int, int] | None:
    """Returns the flags (BPF_F_ALLOW_…) and the id of a program that is attached to a cgroup without a link.

    None where there is no program, several, or one by a link: those have BPF_F_ALLOW_MULTI. Raises OSError.
    """
    ids = (ctypes.c_uint32 * 1)()
    attributes = struct.pack("=IIIIQII", target, attach_type, 0, 0, ctypes.addressof(ids), 1, 0)
    buffer = ctypes.create_string_buffer(attributes.ljust(64, b"\0"), 65)
    try:
        _call(PROG_QUERY, buffer)
    except OSError as error:
        if error.errno == errno.ENOSPC:  # several
            return None
        raise
    (flags,) = struct.unpack_from("=I", buffer, 12)
    return (flags, ids[0]) if ids[0] and not flags & BPF_F_ALLOW_MULTI else None


def query_descriptor(pid: int, fd: int, text: ctypes.Array[ctypes.c_char]) -> bytes:
    """Asks what a process's descriptor attaches a program to; the kernel writes the name of the place to `text`.

    Returns the attributes of the call, with prog_id, fd_type and probe_offset from byte 24 on. Raises OSError.
    """
    attributes = struct.pack("=IIIIQIIQQ", pid, fd, 0, len(text), ctypes.addressof(text), 0, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes) + 1)
    _call(TASK_FD_QUERY, buffer)
    return buffer.raw
