"""Tries the kinds of tracing, and those that attach to nothing (see trial.py)."""

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
from ..kernel.host import without_lsm
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
    MODIFIABLE_FUNCTION,
    SECURITY_HOOK,
    TEST_FUNCTION,
    TRACEPOINT,
    CantTell,
    NotSupported,
    Trial,
    expect_errno,
    kernel_type,
    loaded,
)

AT_RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN, BPF_F_UPROBE_MULTI_RETURN
OLD_FUNCTION = "bpf_prog_new_fd"  # for kernels without TEST_FUNCTION; called when a program is loaded
# As in libbpf.c.
SYSCALL_PREFIXES = {"x86_64": "__x64_", "aarch64": "__arm64_", "s390x": "__s390x_", "riscv64": "__riscv_"}
PERF_DEVICES = "/sys/bus/event_source/devices"
NO_DEVICE, NO_FILE = "no such perf device", b"/proc/self/no-such-file"


class WideAttr(PerfEventAttr):
    """struct perf_event_attr of its second version, 72 bytes, with config2."""

    _fields_ = [("config2", ctypes.c_uint64)]


def _at_perf_event(trial: Trial, attributes: PerfEventAttr) -> None:
    """Opens a perf event, attaches the program to it and closes both."""
    attributes.size, attributes.disabled = ctypes.sizeof(attributes), 1
    # PERF_EVENT_IOC_SET_BPF, _IOW('$', 8, __u32): powerpc has other bits for the direction.
    command = 0x80042408 if os.uname().machine.startswith("ppc") else 0x40042408
    with loaded(trial) as program:
        try:
            event = perf_event_open(attributes, -1, 0)
        except CallError as error:
            raise OSError(error.errno, error.what) from None
        try:
            fcntl.ioctl(event, command, program)
        finally:
            os.close(event)


def _pmu_type(name: str) -> int:
    """Returns the type number of a perf device. Raises CantTell if a try needs tracefs, OSError for no device."""
    try:
        with open(f"{PERF_DEVICES}/{name}/type", encoding="utf-8") as file:
            return int(file.read())
    except OSError:
        if any(os.path.exists(f"{os.path.dirname(folder)}/{name}_events") for folder in TRACING):
            raise CantTell(f"without {PERF_DEVICES}/{name} a try would write to tracefs") from None
        raise OSError(errno.ENOENT, NO_DEVICE) from None


def _at_probe(trial: Trial, device: str, place: bytes, offset: int, at_return: bool) -> None:
    number, text = _pmu_type(device), ctypes.create_string_buffer(place)
    # config1 (kprobe_func, uprobe_path) lies where bp_addr does; config2 (probe_offset) follows it.
    attributes = WideAttr(type=number, config=int(at_return), bp_addr=ctypes.addressof(text), config2=offset)
    _at_perf_event(trial, attributes)


def kprobe(trial: Trial) -> None:
    """Tries kprobe and kretprobe."""
    try:
        _at_probe(trial, "kprobe", TEST_FUNCTION.encode(), 0, trial.head == "kretprobe")
    except FileNotFoundError:
        _at_probe(trial, "kprobe", OLD_FUNCTION.encode(), 0, trial.head == "kretprobe")


def ksyscall(trial: Trial) -> None:
    """Tries ksyscall and kretsyscall at bpf(2), by the name of the kernel's function on this machine."""
    name = SYSCALL_PREFIXES.get(os.uname().machine, "") + "sys_bpf"
    _at_probe(trial, "kprobe", name.encode(), 0, trial.head == "kretsyscall")


def uprobe(trial: Trial) -> None:
    """Tries uprobe, uretprobe and usdt (a uprobe at an address in a note), in a file that doesn't exist.

    The kernel looks for the file last. A real file would do as well, but ending the attachment takes a tenth of a
    second.
    """
    try:
        _at_probe(trial, "uprobe", NO_FILE, 0, trial.head == "uretprobe")
    except FileNotFoundError as error:
        if error.args[1] == NO_DEVICE:
            raise


def uprobe_multi(trial: Trial) -> None:
    """Tries uprobe.multi, uretprobe.multi and uprobe.session at no regular file: EBADF comes after other checks."""
    with loaded(trial) as program:
        text, offsets = ctypes.create_string_buffer(b"/"), ctypes.c_uint64(0)
        flags = AT_RETURN if trial.head.startswith("uretprobe") else 0
        places = ctypes.addressof(text), ctypes.addressof(offsets)
        with expect_errno(errno.EBADF):
            os.close(
                rawbpf.create_link(program, 0, trial.attach_type, struct.pack("=QQQQIII", *places, 0, 0, 1, flags, 0))
            )


def kprobe_multi(trial: Trial) -> None:
    """Tries kprobe.multi, kretprobe.multi and kprobe.session."""
    name = ctypes.create_string_buffer(TEST_FUNCTION.encode())
    names = ctypes.c_uint64(ctypes.addressof(name))
    flags = AT_RETURN if trial.head.startswith("kretprobe") else 0
    with loaded(trial) as program:
        options = struct.pack("=IIQQQ", flags, 1, ctypes.addressof(names), 0, 0)
        os.close(rawbpf.create_link(program, 0, trial.attach_type, options))


def tracepoint(trial: Trial) -> None:
    """Tries a tracepoint of tracefs."""
    for folder in TRACING:
        try:
            with open(f"{folder}/oom/{TRACEPOINT}/id", encoding="utf-8") as file:
                attributes = PerfEventAttr(type=PERF_TYPE_TRACEPOINT, config=int(file.read()), sample_period=1)
                return _at_perf_event(trial, attributes)
        except FileNotFoundError:
            continue
    raise NotSupported("; ".join(NO_TRACEFS))


def perf_event(trial: Trial) -> None:
    """Tries a perf event of the kernel that never happens."""
    _at_perf_event(trial, PerfEventAttr(type=PERF_TYPE_SOFTWARE, config=PERF_COUNT_SW_DUMMY, sample_period=1 << 40))


def raw_tracepoint(trial: Trial) -> None:
    """Tries raw_tp and raw_tp.w."""
    with loaded(trial) as program:
        os.close(rawbpf.open_raw_tracepoint(program, TRACEPOINT.encode()))


def _at_btf_type(name: str, type_kind: int = FUNC) -> Callable[[Trial], None]:
    """Returns a try at a function or tracepoint of the kernel's BTF."""

    def run(trial: Trial) -> None:
        with loaded(trial, kernel_type(name, type_kind)) as program:
            os.close(rawbpf.open_raw_tracepoint(program))

    return run


tp_btf = _at_btf_type(f"btf_trace_{TRACEPOINT}", TYPEDEF)
fentry = _at_btf_type(TEST_FUNCTION)


def fmod_ret(trial: Trial) -> None:
    """Tries fmod_ret at the function for tests, else at a hook that is hardly ever called.

    A kernel without error injection refuses the former; functions named security_ may be modified since 5.7.
    """
    try:
        _at_btf_type(MODIFIABLE_FUNCTION)(trial)
    except OSError as error:
        if error.errno != errno.EINVAL or trial.section.endswith(".s"):
            raise
        _at_btf_type(SECURITY_HOOK)(trial)


def sleepable(trial: Trial) -> None:
    """Tries fentry.s, fexit.s and fmod_ret.s: kernels differ in which of two functions lets programs sleep."""
    try:
        fentry(trial)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _at_btf_type(MODIFIABLE_FUNCTION)(trial)


def tracing_multi(trial: Trial) -> None:
    """Tries fentry.multi, fexit.multi and fsession.multi, which name their functions as they attach."""
    function = ctypes.c_uint32(kernel_type(TEST_FUNCTION, FUNC))
    with loaded(trial) as program:
        options = struct.pack("=QQI", ctypes.addressof(function), 0, 1)
        os.close(rawbpf.create_link(program, 0, trial.attach_type, options))


def lsm(trial: Trial) -> None:
    """Tries a hook of the kernel's security modules; raises NotSupported where BPF isn't one of those in use."""
    _at_btf_type(LSM_HOOK)(trial)
    if modules := without_lsm():
        raise NotSupported(f"it attaches, but the kernel never calls it; boot with lsm={modules},bpf")


@contextmanager
def _sleepable_operation(member: int) -> Iterator[None]:
    """Turns EINVAL into CantTell: kernels before 6.3 lack test_sleepable, the only operation that may sleep."""
    try:
        yield
    except OSError as error:
        if not member or error.errno != errno.EINVAL:
            raise
        raise CantTell("this kernel has no operation that may sleep for a try") from None


def struct_ops(trial: Trial) -> None:
    """Runs the kernel's operations for tests once: they can't be registered."""
    member = 2 if trial.section.endswith(".s") else 0  # test_sleepable, test_1 of struct bpf_dummy_ops
    at_member = trial._replace(attach_type=member)
    with _sleepable_operation(member), loaded(at_member, kernel_type("bpf_dummy_ops", STRUCT)) as program:
        state = ctypes.c_uint32(0)  # struct bpf_dummy_ops_state
        arguments = ctypes.c_uint64(ctypes.addressof(state))
        attributes = struct.pack("=IIIIQQIIIIQQ", program, 0, 0, 0, 0, 0, 0, 0, 8, 0, ctypes.addressof(arguments), 0)
        rawbpf.bpf(rawbpf.TEST_RUN, attributes)


def syscall(trial: Trial) -> None:
    """Runs the program once."""
    with loaded(trial) as program:
        rawbpf.bpf(rawbpf.TEST_RUN, struct.pack("=II", program, 0))
