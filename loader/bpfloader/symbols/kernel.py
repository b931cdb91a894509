"""The names of the kernel's functions, by /proc/kallsyms."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from ..errors import PrivilegeError, errno_text


@lru_cache(maxsize=1)
def _kernel_symbols() -> tuple[list[int], list[str]]:
    """The addresses and names of the kernel's functions, by address (/proc/kallsyms). Raises PrivilegeError."""
    what = "can't tell the names of the kernel's functions"
    try:
        with open("/proc/kallsyms", encoding="utf-8", errors="replace") as file:
            rows = sorted((int(row[0], 16), row[2]) for row in map(str.split, file) if row[1] in "tTwW")
    except OSError as error:
        raise PrivilegeError(f"{what} ({errno_text(error.errno or 0)})", fix="mount /proc, run as root") from None
    if not rows or not rows[-1][0]:
        raise PrivilegeError(what, fix="run as root, or with sysctl kernel.kptr_restrict=0 (and CAP_SYSLOG)")
    return [address for address, _ in rows], [name for _, name in rows]


def kernel_symbol(address: int, *, offset: bool = True) -> str:
    """A kernel address as `function+0xoffset`, or the function; as a number where it is in none. Raises PrivilegeError.

    The names are read once: those of modules loaded later are missing.
    """
    return kernel_frame(address, False, offset)


def kernel_frame(address: int, returns: bool, offset: bool) -> str:
    """One frame: `returns` says that it is where a call returns to, which behind a last call is the next function."""
    addresses, names = _kernel_symbols()
    place = bisect_right(addresses, address - returns) - 1
    if place < 0:
        return f"{address:#x}"
    return f"{names[place]}+{address - addresses[place]:#x}" if offset else names[place]
