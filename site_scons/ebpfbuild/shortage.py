"""Tells errors of the machine, which has run out of something, from those of a file, and says what to do about them."""

from errno import EAGAIN, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, ESTALE

FULL = (ENOSPC, EDQUOT)
_FEWER = "or build with fewer jobs: -j1"
_FIXES = {
    **dict.fromkeys(FULL, "make room there"),  # bytes or inodes: the kernel's error is the same
    EMFILE: f"let a process open more files (ulimit -n 4096), {_FEWER}",
    ENFILE: "let the machine open more files (sysctl fs.file-max), or end programs that have many open",
    EAGAIN: f"let this user start more processes (ulimit -u; a container has a limit of its own), {_FEWER}",
    ENOMEM: f"give the machine or the container more memory, {_FEWER}",
    EIO: "its disk or the network before it fails, as dmesg says; build elsewhere, or once that is mended",
    ESTALE: "its server has let go of it; mount that file system anew",
}


def is_shortage(error: OSError) -> bool:
    """Returns True if an error tells nothing of the file: what lies there may be as good as ever."""
    return error.errno in _FIXES


def shortage_fix(error: OSError) -> str:
    """Returns what to do about such an error, as the end of a message; empty for others."""
    return _FIXES.get(error.errno or 0, "")


def shortage_below(error: BaseException) -> OSError | None:
    """Returns the first such error among an exception and those that it was made of; None without one.

    Those of ssl and of look-ups of names have numbers of their own.
    """
    left, seen = [error], list[BaseException]()
    while left:
        each = left.pop()
        if isinstance(each, OSError) and type(each).__module__ == "builtins" and is_shortage(each):
            return each
        seen.append(each)
        parts = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        left += [part for part in parts if isinstance(part, BaseException) and part not in seen]
    return None
