"""Has the kernel count the runs of programs, and the time that they take, for a while."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from ..errors import CallError, PrivilegeError, errno_text
from ..fork import call_after_fork
from ..libbpf.library import library

BPF_STATS_RUN_TIME = 0  # enum bpf_stats_type of linux/bpf.h
SWITCH = "sysctl kernel.bpf_stats_enabled=1"


@contextlib.contextmanager
def run_statistics() -> Iterator[None]:
    """Has the kernel fill run_cnt and run_time_ns of all programs inside the `with` (BPF_ENABLE_STATS, Linux 5.8).

    Costs each run of each program two readings of the clock. A child of fork doesn't prolong it. Raises
    PrivilegeError, CallError on an older kernel.
    """
    try:
        fd: int = library().bpf_enable_stats(BPF_STATS_RUN_TIME)
    except CallError as error:
        what = f"can't have runs counted ({errno_text(error.errno)})"
        if error.errno == errno.EPERM:
            raise PrivilegeError(what, fix="run with CAP_SYS_ADMIN", errno=error.errno) from None
        raise CallError(what, fix=f"switch it on for all: {SWITCH}", errno=error.errno) from None
    switch = _Switch(fd)
    try:
        yield
    finally:
        switch.close()


class _Switch:
    """The descriptor that has the kernel count as long as somebody holds it: a child of fork lets go of it."""

    def __init__(self, fd: int):
        self._fd = fd
        call_after_fork(self)

    def close(self) -> None:
        """Closes it; does nothing the second time."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    _after_fork = close
