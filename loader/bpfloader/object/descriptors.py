"""Makes sure that a load has enough descriptors left, before libbpf begins."""

from __future__ import annotations

import contextlib
import errno
import os

from ..errors import LoadError, errno_text

SPARE = 8  # beside one for each map and program: libbpf's tries of what the kernel can do, BTF


def require_descriptors(name: str, count: int) -> None:
    """Raises LoadError where this process can't open so many more, and some to spare.

    libbpf tries once what the kernel can do, takes a try that found no descriptor for a kernel that can't, and keeps to
    that: no object with global variables would load in this process any more, however many descriptors it has later.
    """
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(count + SPARE):
                stack.callback(os.close, os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                from ..diagnose.refusal import ATTACH_REASONS

                why = ATTACH_REASONS[error.errno]
                what = f"can't load {name} ({errno_text(error.errno)}): {why.what}"
                raise LoadError(what, fix=why.fix, errno=error.errno) from None
