"""perf_event_open(2), for which libc has no function, and the CPUs to call it for."""

from __future__ import annotations

import ctypes
import errno
import os

from ..errors import BpfError, CallError, MapError, errno_text
from ..libbpf.options import PerfEventAttr
from .privileges import privilege_error

PERF_FLAG_FD_CLOEXEC = 1 << 3
PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW = 1, 10, 1 << 10  # linux/perf_event.h
# Its number in the tables of the kernel (arch/*/…/syscall*.tbl), by machine and by the width of this process's longs:
# a 64-bit kernel runs 32-bit processes as well.
CALLS = {
    ("x86_64", 64): 298, ("x86_64", 32): 336, ("i686", 32): 336, ("aarch64", 64): 241, ("aarch64", 32): 364,
    ("armv8l", 32): 364, ("armv7l", 32): 364, ("armv6l", 32): 364, ("riscv64", 64): 241, ("loongarch64", 64): 241,
    ("ppc64le", 64): 319, ("ppc64", 64): 319, ("s390x", 64): 331,
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def perf_event_open(attributes: PerfEventAttr, pid: int, cpu: int) -> int:
    """The descriptor of a new perf event. Raises CallError."""
    number = CALLS.get((os.uname().machine, 8 * ctypes.sizeof(ctypes.c_long)))
    if number is None:
        fix = "use a ring buffer instead of a perf buffer, another kind of program instead of perf_event"
        raise CallError(f"perf_event_open's number on {os.uname().machine} isn't known", fix=fix, errno=errno.ENOSYS)
    arguments = (number, ctypes.addressof(attributes), pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)
    fd = int(_libc.syscall(*map(ctypes.c_long, arguments)))
    if fd < 0:
        raise CallError("perf_event_open failed", errno=ctypes.get_errno())
    return fd


def open_bpf_output(cpu: int) -> int:
    """The descriptor of a perf event that takes what programs send on a CPU. Raises PrivilegeError, MapError."""
    attributes = PerfEventAttr(type=PERF_TYPE_SOFTWARE, size=ctypes.sizeof(PerfEventAttr))
    attributes.config, attributes.sample_type = PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW
    attributes.sample_period = attributes.wakeup_events = 1  # each record wakes whoever waits
    try:
        return perf_event_open(attributes, -1, cpu)
    except CallError as error:
        raise _refused(cpu, error) from None


def _refused(cpu: int, error: CallError) -> BpfError:
    what = f"can't open a perf buffer for CPU {cpu}"
    denied = privilege_error(what.removeprefix("can't "), error.errno)
    fix = error.fix or "use a ring buffer where the kernel allows no perf events"
    return denied or MapError(f"{what} ({errno_text(error.errno)})", fix=fix, errno=error.errno)


def online_cpus(path: str = "/sys/devices/system/cpu/online") -> list[int]:
    """The numbers of the CPUs that are online, from a list such as `0-3,8` (admin-guide/cputopology.rst)."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read()
    except OSError:  # no sysfs, as in a bare chroot
        return sorted(os.sched_getaffinity(0))
    ranges = [part.partition("-") for part in text.strip().split(",")]
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]
