"""System calls without a function in libc, by their number on this machine."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)


class SyscallNumbers(NamedTuple):
    """The numbers of the system calls, by the kernel's arch/*/…/syscall*.tbl."""

    bpf: int
    perf_event_open: int


# By machine, and by the width of this process's longs in bits: a 64-bit kernel runs 32-bit processes as well.
SYSCALL_NUMBERS = {key: SyscallNumbers(*numbers) for key, numbers in {
    ("x86_64", 64): (321, 298), ("x86_64", 32): (357, 336), ("i686", 32): (357, 336), ("aarch64", 64): (280, 241),
    ("aarch64", 32): (386, 364), ("armv8l", 32): (386, 364), ("armv7l", 32): (386, 364), ("armv6l", 32): (386, 364),
    ("armv7b", 32): (386, 364), ("riscv64", 64): (280, 241), ("loongarch64", 64): (280, 241),
    ("ppc64le", 64): (361, 319), ("ppc64", 64): (361, 319), ("s390x", 64): (351, 331), ("mips64", 64): (5315, 5292),
}.items()}  # fmt: skip


def syscall_numbers() -> SyscallNumbers | None:
    """Returns the numbers for this process; None on a machine that isn't in the table."""
    return SYSCALL_NUMBERS.get((os.uname().machine, 8 * ctypes.sizeof(ctypes.c_long)))


def raw_syscall(number: int, *arguments: int) -> int:
    """Makes the system call; returns its result, negative where it failed: ctypes.get_errno() has the errno then."""
    return int(_libc.syscall(*map(ctypes.c_long, (number, *arguments))))
