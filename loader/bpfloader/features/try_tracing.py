"""How a probe tries the kinds of tracing, and those that are attached to nothing (see trial.py)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..btf.reader import FUNC, STRUCT, TYPEDEF
from ..errors import CallError
from ..kernel import bpf as rawbpf
from ..kernel.perf_event import (
    PERF_COUNT_SW_DUMMY,
    PERF_TYPE_SOFTWARE,
    PERF_TYPE_TRACEPOINT,
    PerfEventAttr,
    perf_event_open,
)
from ..kernel.tracefs import NO_TRACEFS, TRACING
from .trial import (
    LSM_HOOK,
    MODIFIED,
    SECURITY_HOOK,
    TESTED,
    TRACEPOINT,
    CantTell,
    Kind,
    Lacking,
    kernel_type,
    loaded,
    refused_with,
)

AT_RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN, BPF_F_UPROBE_MULTI_RETURN
OLD_FUNCTION = "bpf_prog_new_fd"  # for kernels before TESTED; called as a program is loaded
PREFIXES = {"x86_64": "__x64_", "aarch64": "__arm64_", "s390x": "__s390x_", "riscv64": "__riscv_"}  # as in libbpf.c
DEVICES = "/sys/bus/event_source/devices"
NO_DEVICE, NO_FILE = "no such perf device", b"/proc/self/no-such-file"


class WideAttr(PerfEventAttr):
    """struct perf_event_attr of its second version, 72 bytes, with config2."""

    _fields_ = [("config2", ctypes.c_uint64)]


def _perf(kind: Kind, attributes: PerfEventAttr) -> None:
    """A perf event, of which each kind that libbpf attaches so is one, with the program set on it."""
    attributes.size, attributes.disabled = ctypes.sizeof(attributes), 1
    # PERF_EVENT_IOC_SET_BPF, _IOW('$', 8, __u32): powerpc has other bits for the direction.
    command = 0x80042408 if os.uname().machine.startswith("ppc") else 0x40042408
    with loaded(kind) as program:
        try:
            event = perf_event_open(attributes, -1, 0)
        except CallError as error:
            raise OSError(error.errno, error.what) from None
        try:
            fcntl.ioctl(event, command, program)
        finally:
            os.close(event)


def _device(name: str) -> int:
    """The number of a perf device. Raises CantTell, Lacking where there is none."""
    try:
        with open(f"{DEVICES}/{name}/type", encoding="utf-8") as file:
            return int(file.read())
    except OSError:
        if any(os.path.exists(f"{os.path.dirname(folder)}/{name}_events") for folder in TRACING):
            raise CantTell(f"without {DEVICES}/{name} a try would write to tracefs") from None
        raise OSError(errno.ENOENT, NO_DEVICE) from None


def _at(kind: Kind, device: str, place: bytes, offset: int, at_return: bool) -> None:
    number, text = _device(device), ctypes.create_string_buffer(place)
    # config1 (kprobe_func, uprobe_path) lies where bp_addr does; config2 (probe_offset) follows it.
    attributes = WideAttr(type=number, config=int(at_return), bp_addr=ctypes.addressof(text), config2=offset)
    _perf(kind, attributes)


def kprobe(kind: Kind) -> None:
    """kprobe and kretprobe."""
    try:
        _at(kind, "kprobe", TESTED.encode(), 0, kind.head == "kretprobe")
    except FileNotFoundError:
        _at(kind, "kprobe", OLD_FUNCTION.encode(), 0, kind.head == "kretprobe")


def ksyscall(kind: Kind) -> None:
    """ksyscall and kretsyscall: at bpf(2), by the name that the kernel's function has on this machine."""
    name = PREFIXES.get(os.uname().machine, "") + "sys_bpf"
    _at(kind, "kprobe", name.encode(), 0, kind.head == "kretsyscall")


def uprobe(kind: Kind) -> None:
    """uprobe, uretprobe, and usdt, which is one at a place that a note tells: in a file that isn't there.

    The kernel looks for the file last. To attach to a real one would work, but to end it takes a tenth of a second.
    """
    try:
        _at(kind, "uprobe", NO_FILE, 0, kind.head == "uretprobe")
    except FileNotFoundError as error:
        if error.args[1] == NO_DEVICE:
            raise


def uprobe_multi(kind: Kind) -> None:
    """uprobe.multi, uretprobe.multi and uprobe.session: in what is no file, which the kernel says last (EBADF)."""
    with loaded(kind) as program:
        text, offsets = ctypes.create_string_buffer(b"/"), ctypes.c_uint64(0)
        flags = AT_RETURN if kind.head.startswith("uretprobe") else 0
        places = ctypes.addressof(text), ctypes.addressof(offsets)
        with refused_with(errno.EBADF):
            os.close(rawbpf.link(program, 0, kind.attach_type, struct.pack("=QQQQIII", *places, 0, 0, 1, flags, 0)))


def kprobe_multi(kind: Kind) -> None:
    """kprobe.multi, kretprobe.multi and kprobe.session."""
    name = ctypes.create_string_buffer(TESTED.encode())
    names = ctypes.c_uint64(ctypes.addressof(name))
    flags = AT_RETURN if kind.head.startswith("kretprobe") else 0
    with loaded(kind) as program:
        options = struct.pack("=IIQQQ", flags, 1, ctypes.addressof(names), 0, 0)
        os.close(rawbpf.link(program, 0, kind.attach_type, options))


def tracepoint(kind: Kind) -> None:
    """At a tracepoint of tracefs."""
    for folder in TRACING:
        try:
            with open(f"{folder}/oom/{TRACEPOINT}/id", encoding="utf-8") as file:
                return _perf(kind, PerfEventAttr(type=PERF_TYPE_TRACEPOINT, config=int(file.read()), sample_period=1))
        except FileNotFoundError:
            continue
    raise Lacking("; ".join(NO_TRACEFS))


def perf_event(kind: Kind) -> None:
    """At an event of the kernel that never happens."""
    _perf(kind, PerfEventAttr(type=PERF_TYPE_SOFTWARE, config=PERF_COUNT_SW_DUMMY, sample_period=1 << 40))


def raw_tracepoint(kind: Kind) -> None:
    """raw_tp and raw_tp.w."""
    with loaded(kind) as program:
        os.close(rawbpf.raw_tracepoint(program, TRACEPOINT.encode()))


def _typed(name: str, type_kind: int = FUNC) -> Callable[[Kind], None]:
    """A try at a function or tracepoint of the kernel's BTF."""

    def run(kind: Kind) -> None:
        with loaded(kind, kernel_type(name, type_kind)) as program:
            os.close(rawbpf.raw_tracepoint(program))

    return run


tp_btf = _typed(f"btf_trace_{TRACEPOINT}", TYPEDEF)
fentry = _typed(TESTED)


def fmod_ret(kind: Kind) -> None:
    """At the function for tests, or where that may not be modified (no error injection) at a hook next to never called:
    what is named security_ may be modified since 5.7."""
    try:
        _typed(MODIFIED)(kind)
    except OSError as error:
        if error.errno != errno.EINVAL or kind.section.endswith(".s"):
            raise
        _typed(SECURITY_HOOK)(kind)


def sleeping(kind: Kind) -> None:
    """fentry.s, fexit.s and fmod_ret.s: kernels differ in which of the two they let programs sleep in."""
    try:
        fentry(kind)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _typed(MODIFIED)(kind)


def lsm(kind: Kind) -> None:
    """At a hook of the kernel's security modules; says so where BPF isn't one of those that are asked."""
    _typed(LSM_HOOK)(kind)
    try:
        with open("/sys/kernel/security/lsm", encoding="utf-8") as file:
            asked = file.read().strip()
    except OSError:
        return
    if "bpf" not in asked.split(","):
        raise Lacking(f"it attaches, but the kernel never calls it; boot with lsm={asked},bpf")


@contextmanager
def _told(member: int) -> Iterator[None]:
    """Kernels before 6.3 have no test_sleepable, and so no way to ask them whether operations may sleep."""
    try:
        yield
    except OSError as error:
        if not member or error.errno != errno.EINVAL:
            raise
        raise CantTell("this kernel has no operation that may sleep for a try") from None


def struct_ops(kind: Kind) -> None:
    """The operations that the kernel has for tests, which can't be registered: the program runs once instead."""
    member = 2 if kind.section.endswith(".s") else 0  # test_sleepable, test_1 of struct bpf_dummy_ops
    told = kind._replace(attach_type=member)
    with _told(member), loaded(told, kernel_type("bpf_dummy_ops", STRUCT)) as program:
        state = ctypes.c_uint32(0)  # struct bpf_dummy_ops_state
        arguments = ctypes.c_uint64(ctypes.addressof(state))
        attributes = struct.pack("=IIIIQQIIIIQQ", program, 0, 0, 0, 0, 0, 0, 0, 8, 0, ctypes.addressof(arguments), 0)
        rawbpf.bpf(rawbpf.TEST_RUN, attributes)


def syscall(kind: Kind) -> None:
    """Run once."""
    with loaded(kind) as program:
        rawbpf.bpf(rawbpf.TEST_RUN, struct.pack("=II", program, 0))
