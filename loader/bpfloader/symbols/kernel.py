"""Names the kernel's functions by /proc/kallsyms."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import NamedTuple

from ..errors import PrivilegeError, errno_text

Version = tuple[int, str]
OWN_WORDS = 3  # of a line of a function of the kernel's own: address, type, name; behind others stands the module
CHECK_SECONDS = 0.01  # in which no look for younger functions is made: one costs as much as hundreds of names
LONGEST = 1 << 20  # bytes: kallsyms tells no sizes, and no function of the kernel is so long


class KernelSymbols(NamedTuple):
    """The kernel's functions: their addresses, sorted, and their names in the same order.

    Those from `first` to `last` are the kernel's own, which stay where they are. `version` is that of the others:
    functions of modules and BPF programs.
    """

    addresses: list[int]
    names: list[str]
    first: int
    last: int
    version: Version


class Known(NamedTuple):
    """The kernel's functions as they were read last, and when they were last found to be the newest."""

    symbols: KernelSymbols
    checked: float


def _kernel_symbols(address: int) -> KernelSymbols:
    """Returns the kernel's functions, read anew where the one at the address may be younger. Raises PrivilegeError."""
    now = time.monotonic()
    if not _known:
        _known[:] = [Known(_read(_version((0, ""))), now)]
    symbols, checked = _known[0]
    if now - checked >= CHECK_SECONDS and not symbols.first <= address <= symbols.last:
        version = _version(symbols.version)
        symbols = symbols if symbols.version == version else _read(version)
        _known[:] = [Known(symbols, now)]
    return symbols


_known: list[Known] = []


def _version(before: Version) -> Version:
    """Returns the newest BPF program's id and the modules with their addresses; the second, where no id is told.

    A program or module that takes the place of another is a new one. Only CAP_SYS_ADMIN is told ids.
    """
    from ..kernel.bpf import next_program

    newest = before[0]
    try:
        while following := next_program(newest):
            newest = following
    except OSError:
        newest = int(time.monotonic())
    try:
        with open("/proc/modules", encoding="utf-8", errors="replace") as file:
            return newest, " ".join(word for line in file for word in (line.split()[0], line.split()[5]))
    except OSError:
        return newest, ""


def _read(version: Version) -> KernelSymbols:
    """Reads the kernel's functions (/proc/kallsyms). Raises PrivilegeError."""
    what = "can't tell the names of the kernel's functions"
    try:
        with open("/proc/kallsyms", encoding="utf-8", errors="replace") as file:
            rows = [(int(row[0], 16), row[2], len(row)) for row in map(str.split, file) if row[1] in "tTwW"]
    except OSError as error:
        raise PrivilegeError(f"{what} ({errno_text(error.errno or 0)})", fix="mount /proc, run as root") from None
    own = [address for address, _, words in rows if words == OWN_WORDS]
    rows.sort()
    if not rows or not rows[-1][0] or not own:
        raise PrivilegeError(what, fix="run as root, or with sysctl kernel.kptr_restrict=0 (and CAP_SYSLOG)")
    return KernelSymbols([row[0] for row in rows], [row[1] for row in rows], min(own), max(own), version)


def kernel_symbol(address: int, *, offset: bool = True) -> str:
    """Names a kernel address: `function+0xoffset`, or without the offset; a number outside of any function.

    Knows the functions of modules and BPF programs that were there 10 ms ago. Raises PrivilegeError.
    """
    return kernel_frame(address, False, offset)


def kernel_frame(address: int, returns: bool, offset: bool) -> str:
    """Names a frame. `returns`: it is a return address, which after a call at the very end is in the next function."""
    addresses, names = _kernel_symbols(address)[:2]
    place = bisect_right(addresses, address - returns) - 1
    if place < 0 or address - addresses[place] > LONGEST:
        return f"{address:#x}"
    return f"{names[place]}+{address - addresses[place]:#x}" if offset else names[place]
