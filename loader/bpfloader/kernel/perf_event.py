"""perf_event_open(2), for which libc has no function: its struct, its numbers, the CPUs to call it for."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from ctypes import c_uint, c_uint64

from ..errors import BpfError, CallError, MapError, errno_text
from .privileges import privilege_error
from .syscall import raw_syscall, syscall_numbers

PERF_FLAG_FD_CLOEXEC = 1 << 3
# enum perf_type_id of linux/perf_event.h; a number of perf_sw_ids, a bit of perf_event_sample_format there.
PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE, PERF_TYPE_TRACEPOINT, PERF_TYPE_HW_CACHE, PERF_TYPE_RAW = range(5)
PERF_COUNT_SW_DUMMY, PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW = 9, 10, 1 << 10

# The events by name: perf_type_id, then perf_sw_ids or perf_hw_id of linux/perf_event.h.
EVENTS = {
    "cpu-clock": (PERF_TYPE_SOFTWARE, 0), "task-clock": (PERF_TYPE_SOFTWARE, 1),
    "page-faults": (PERF_TYPE_SOFTWARE, 2), "context-switches": (PERF_TYPE_SOFTWARE, 3),
    "cpu-migrations": (PERF_TYPE_SOFTWARE, 4), "minor-faults": (PERF_TYPE_SOFTWARE, 5),
    "major-faults": (PERF_TYPE_SOFTWARE, 6),
    "cpu-cycles": (PERF_TYPE_HARDWARE, 0), "instructions": (PERF_TYPE_HARDWARE, 1),
    "cache-references": (PERF_TYPE_HARDWARE, 2), "cache-misses": (PERF_TYPE_HARDWARE, 3),
    "branch-instructions": (PERF_TYPE_HARDWARE, 4), "branch-misses": (PERF_TYPE_HARDWARE, 5),
}  # fmt: skip


class PerfEventAttr(ctypes.Structure):
    """struct perf_event_attr (linux/perf_event.h) as of its first version, 64 bytes, which every kernel takes."""

    _fields_ = [
        ("type", c_uint),
        ("size", c_uint),
        ("config", c_uint64),
        ("sample_period", c_uint64),  # or sample_freq, by `freq`
        ("sample_type", c_uint64),
        ("read_format", c_uint64),
        ("disabled", c_uint64, 1),
        ("inherit", c_uint64, 1),
        ("pinned", c_uint64, 1),
        ("exclusive", c_uint64, 1),
        ("exclude_user", c_uint64, 1),
        ("exclude_kernel", c_uint64, 1),
        ("exclude_hv", c_uint64, 1),
        ("exclude_idle", c_uint64, 1),
        ("mmap", c_uint64, 1),
        ("comm", c_uint64, 1),
        ("freq", c_uint64, 1),
        ("others", c_uint64, 24),
        ("inherit_thread", c_uint64, 1),  # since Linux 5.13
        ("reserved", c_uint64, 28),
        ("wakeup_events", c_uint),
        ("bp_type", c_uint),
        ("bp_addr", c_uint64),
    ]


def perf_event_open(attributes: PerfEventAttr, pid: int, cpu: int) -> int:
    """Opens a perf event and returns its descriptor. Raises CallError."""
    numbers = syscall_numbers()
    if numbers is None:
        fix = "use a ring buffer instead of a perf buffer, another kind of program instead of perf_event"
        raise CallError(f"perf_event_open's number on {os.uname().machine} isn't known", fix=fix, errno=errno.ENOSYS)
    address = ctypes.addressof(attributes)
    fd = raw_syscall(numbers.perf_event_open, address, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)
    if fd < 0:
        raise CallError("perf_event_open failed", errno=ctypes.get_errno())
    return fd


def open_bpf_output(cpu: int) -> int:
    """Opens the perf event that takes a CPU's records from programs; returns it. Raises PrivilegeError, MapError."""
    attributes = PerfEventAttr(type=PERF_TYPE_SOFTWARE, size=ctypes.sizeof(PerfEventAttr))
    attributes.config, attributes.sample_type = PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW
    attributes.sample_period = attributes.wakeup_events = 1  # each record wakes the readers
    try:
        return perf_event_open(attributes, -1, cpu)
    except CallError as error:
        raise _refused(cpu, error) from None


def _refused(cpu: int, error: CallError) -> BpfError:
    what = f"can't open a perf buffer for CPU {cpu}"
    denied = privilege_error(what.removeprefix("can't "), error.errno)
    fix = error.fix or "use a ring buffer where the kernel allows no perf events"
    return denied or MapError(f"{what} ({errno_text(error.errno)})", fix=fix, errno=error.errno)


def online_cpus(folder: str = "/sys/devices/system/cpu") -> list[int]:
    """Returns the numbers of the CPUs that are online: those that are possible and not offline.

    The file `online` isn't asked: in a container lxcfs puts its own there, which counts as many CPUs as the container
    may use, and from 0 on. Programs run on the others, too.
    """
    try:
        return sorted(_listed(f"{folder}/possible") - _listed(f"{folder}/offline"))
    except (OSError, ValueError):
        pass
    try:  # no sysfs, as in a bare chroot
        with open("/proc/stat", "rb") as file:
            found = [int(number) for number in re.findall(rb"^cpu(\d+) ", file.read(), re.MULTILINE)]
    except OSError:
        found = []
    return found or sorted(os.sched_getaffinity(0))


def _listed(path: str) -> set[int]:
    """Reads a list of CPUs such as `0-3,8` (admin-guide/cputopology.rst). Raises OSError, ValueError."""
    with open(path, encoding="ascii") as file:
        ranges = [part.partition("-") for part in file.read().strip().split(",") if part]
    return {cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)}
