"""Names the kernel's functions by /proc/kallsyms."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from ..errors import PrivilegeError, errno_text

LONGEST = 1 << 20  # bytes: kallsyms tells no sizes, and no function of the kernel is so long


class KernelSymbols(NamedTuple):
    """The kernel's functions: their addresses, sorted, and their names in the same order."""

    addresses: list[int]
    names: list[str]


@lru_cache(maxsize=1)
def _kernel_symbols() -> KernelSymbols:
    """Reads the kernel's functions (/proc/kallsyms). Raises PrivilegeError."""
    what = "can't tell the names of the kernel's functions"
    try:
        with open("/proc/kallsyms", encoding="utf-8", errors="replace") as file:
            rows = sorted((int(row[0], 16), row[2]) for row in map(str.split, file) if row[1] in "tTwW")
    except OSError as error:
        raise PrivilegeError(f"{what} ({errno_text(error.errno or 0)})", fix="mount /proc, run as root") from None
    if not rows or not rows[-1][0]:
        raise PrivilegeError(what, fix="run as root, or with sysctl kernel.kptr_restrict=0 (and CAP_SYSLOG)")
    return KernelSymbols([address for address, _ in rows], [name for _, name in rows])


def kernel_symbol(address: int, *, offset: bool = True) -> str:
    """Names a kernel address: `function+0xoffset`, or without the offset; a number outside of any function.

    Reads the names once: those of modules loaded later are missing. Raises PrivilegeError.
    """
    return kernel_frame(address, False, offset)


def kernel_frame(address: int, returns: bool, offset: bool) -> str:
    """Names a frame. `returns`: it is a return address, which after a call at the very end is in the next function."""
    addresses, names = _kernel_symbols()
    place = bisect_right(addresses, address - returns) - 1
    if place < 0 or address - addresses[place] > LONGEST:
        return f"{address:#x}"
    return f"{names[place]}+{address - addresses[place]:#x}" if offset else names[place]
