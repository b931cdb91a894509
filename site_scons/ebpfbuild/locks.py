"""Tells who holds a lock of flock(2)."""

import os
import re
from pathlib import Path


def lock_holder(handle: int) -> int | None:
    """Returns the process that holds an open file or folder; None where /proc doesn't tell. Source: proc_locks(5)."""
    found = os.fstat(handle)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    held = re.search(rf"^\d+: FLOCK +ADVISORY +WRITE +(\d+) {device} ", locks, re.MULTILINE)
    return int(held[1]) if held else None
