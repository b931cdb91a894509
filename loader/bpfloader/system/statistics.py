"""Has the kernel count the runs of programs, and the time that they take, for a while."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from ..errors import CallError, PrivilegeError, errno_text
from ..libbpf.library import library

BPF_STATS_RUN_TIME = 0  # enum bpf_stats_type of linux/bpf.h
SWITCH = "sysctl kernel.bpf_stats_enabled=1"


@contextlib.contextmanager
def run_statistics() -> Iterator[None]:
    """Has the kernel fill run_cnt and run_time_ns of all programs inside the `with` (BPF_ENABLE_STATS, Linux 5.8).

    Costs each run of each program two readings of the clock. Raises PrivilegeError, CallError on an older kernel.
    """
    try:
        fd: int = library().bpf_enable_stats(BPF_STATS_RUN_TIME)
    except CallError as error:
        what = f"can't have runs counted ({errno_text(error.errno)})"
        if error.errno == errno.EPERM:
            raise PrivilegeError(what, fix="run with CAP_SYS_ADMIN", errno=error.errno) from None
        raise CallError(what, fix=f"switch it on for all: {SWITCH}", errno=error.errno) from None
    try:
        yield
    finally:
        os.close(fd)
