"""Unpins what is pinned in a BPF file system."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from itertools import islice

from ..errors import AttachError, CallError, PrivilegeError, errno_text
from ..kernel.bpffs import Pin, pin_at, pins_below


def unpin(path: str) -> Pin:
    """Removes the pin that a path leads to and returns what it was. Raises AttachError, PrivilegeError."""
    path = os.path.realpath(path)
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            below = ", ".join(pin.path for pin in islice(pins_below(path), 3)) or "nothing"
            raise AttachError(f"{path} is a folder", fix=f"name a pin; in it is {below}")
    try:
        pin = pin_at(path)
        os.unlink(path)
    except (CallError, OSError) as error:
        number = error.errno or 0
        what = f"can't unpin {path} ({errno_text(number)})"
        if number in (errno.EPERM, errno.EACCES) and os.geteuid():
            raise PrivilegeError(what, fix="run as root, or as the owner of the pin", errno=number) from None
        raise AttachError(what, fix="`detach` without arguments lists what is pinned", errno=number) from None
    return pin
